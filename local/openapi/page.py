"""The document as one page for people: no script, nothing from elsewhere, every text escaped."""

import json
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8")


def page_of(document: Mapping[str, Any]) -> str:
    """The whole page."""
    info, groups = document["info"], _groups(document)
    links = "".join(
        f"<h2>{escape(tag)}</h2>" + "".join(_link(m, path, op) for m, path, op, _ in found)
        for tag, found in groups.items()
    )
    routes = "".join(
        f"<h2>{escape(tag)}</h2>" + "".join(_route(document, *one) for one in found)
        for tag, found in groups.items()
    )
    schemas = document["components"]["schemas"]
    shapes = "".join(_shape(name, schema) for name, schema in schemas.items())
    title = escape(f"{info['title']} API")
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{title}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<div class=page>\n"
        f"<nav>{links}<h2>Shapes</h2>{''.join(_shape_link(name) for name in schemas)}</nav>\n"
        f"<main><h1>{title} <small>{escape(info['version'])}</small></h1>\n"
        f"{_paragraphs(info['description'])}"
        f'<p><a href="openapi.json">openapi.json</a></p>\n'
        f"{routes}<h2>Shapes</h2>{shapes}</main>\n</div>\n</body>\n</html>\n"
    )


_Found = tuple[str, str, Mapping[str, Any], list[Any]]


def _groups(document: Mapping[str, Any]) -> dict[str, list[_Found]]:
    """Tag to its operations: method, path, operation, parameters of the path."""
    groups: dict[str, list[_Found]] = {tag["name"]: [] for tag in document["tags"]}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                found = (method, path, operation, item.get("parameters", []))
                groups[operation["tags"][0]].append(found)
    return groups


def _link(method: str, path: str, operation: Mapping[str, Any]) -> str:
    return f'<a href="#{escape(operation["operationId"])}">{_method(method)}{escape(path)}</a>'


def _shape_link(name: str) -> str:
    return f'<a href="#{escape(name)}">{escape(name)}</a>'


def _method(method: str) -> str:
    return f'<span class="method {escape(method)}">{escape(method.upper())}</span>'


def _route(
    document: Mapping[str, Any],
    method: str,
    path: str,
    operation: Mapping[str, Any],
    parts: list[Any],
) -> str:
    body = operation.get("requestBody")
    text = (
        f'<section id="{escape(operation["operationId"])}"><h3>{_method(method)}'
        f"<code>{escape(path)}</code></h3><p>{_inline(operation['summary'])}</p>"
    )
    if "description" in operation:
        text += f"<p class=soft>{_inline(operation['description'])}</p>"
    if given := [*parts, *operation.get("parameters", [])]:
        text += "<h4>Parameters</h4><table>" + "".join(map(_parameter, given)) + "</table>"
    if body is not None:
        shown = _type(body["content"]["application/json"]["schema"])
        text += f"<h4>Body{'' if body['required'] else ', if any'}</h4><p>{shown}</p>"
    text += "<h4>Answers</h4><table>"
    for status, answer in operation["responses"].items():
        text += _answer(document, status, answer)
    return text + "</table></section>\n"


def _parameter(parameter: Mapping[str, Any]) -> str:
    must = " <span class=must>required</span>" if parameter["required"] else ""
    return (
        f"<tr><td><code>{escape(parameter['name'])}</code> <span class=soft>"
        f"{escape(parameter['in'])}</span>{must}</td><td>{_inline(parameter['description'])} "
        f"<span class=soft>{_type(parameter['schema'])}</span></td></tr>"
    )


def _answer(document: Mapping[str, Any], status: str, answer: Mapping[str, Any]) -> str:
    if "$ref" in answer:
        answer = document["components"]["responses"][_named(answer)]
    content = next(iter(answer["content"].items()))
    shown = _type(content[1]["schema"]) if "json" in content[0] else escape(content[0])
    return (
        f"<tr><td><code>{escape(status)}</code></td><td>{_inline(answer['description'])} "
        f"<span class=soft>{shown}</span></td></tr>"
    )


def _shape(name: str, schema: Mapping[str, Any]) -> str:
    text = f'<section id="{escape(name)}"><h3>{escape(name)}</h3>'
    text += f"<p>{_inline(schema.get('description', ''))}</p>"
    if "enum" in schema:
        return f"{text}<p>{_type(schema)}</p></section>\n"
    must = schema.get("required", [])
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code>"
        f"{' <span class=must>required</span>' if field in must else ''}</td>"
        f"<td>{_type(shape)}</td></tr>"
        for field, shape in schema.get("properties", {}).items()
    )
    return f"{text}<table>{rows}</table></section>\n"


def _type(schema: Mapping[str, Any]) -> str:  # noqa: PLR0911 - one line for each kind of schema
    """A schema in a few words."""
    if "$ref" in schema:
        name = escape(_named(schema))
        return f'<a href="#{name}">{name}</a>'
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return " or ".join(_type(part) for part in schema[word]) + _bounds(schema)
    if "allOf" in schema:
        return _type(schema["allOf"][0])
    if "enum" in schema:
        return " ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}{_bounds(schema)}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    return escape(str(schema.get("type", "anything"))) + _bounds(schema)


_BOUNDS = (
    "format", "minimum", "exclusiveMinimum", "maximum", "minLength", "maxLength", "minItems",
    "maxItems", "pattern", "default",
)  # fmt: skip


def _bounds(schema: Mapping[str, Any]) -> str:
    found = [f"{name} {json.dumps(schema[name])}" for name in _BOUNDS if name in schema]
    return f" <span class=soft>({escape(', '.join(found))})</span>" if found else ""


def _named(schema: Mapping[str, Any]) -> str:
    return str(schema["$ref"]).rsplit("/", 1)[1]


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_inline(part)}</p>\n" for part in text.split("\n\n"))


def _inline(text: str) -> str:
    """Escaped, with `code` as code."""
    return re.sub("`([^`]*)`", r"<code>\1</code>", escape(text))
