"""Turn the extract of GitHub's OpenAPI 3.0 document into JSON Schema, one per API version.

GitHub writes what a later version changes as merge patches (`x-github-breaking-changes`) beside
what they change, so one document holds every version.
"""

from __future__ import annotations

import copy
import functools
import json
from typing import Any

from tests.github_openapi.extract import EXTRACT

DEFAULT_VERSION = "2022-11-28"
VERSIONS: tuple[str, ...] = (DEFAULT_VERSION, "2026-03-10")

#: Keywords whose value is a schema for the same instance; only the outermost may close the object.
COMBINATORS = ("allOf", "anyOf", "oneOf")
OPENAPI_ONLY = frozenset({"nullable", "discriminator", "x-github-breaking-changes", "title"})


@functools.cache
def extract_document() -> dict[str, Any]:
    """Read the extract as it was written."""
    document: dict[str, Any] = json.loads(EXTRACT.read_text())
    return document


@functools.cache
def schema_document(version: str) -> dict[str, Any]:
    """Build the document of one API version, every schema in it as JSON Schema 2020-12."""
    document: dict[str, Any] = _of_version(copy.deepcopy(extract_document()), version)
    _repair(document)
    document["components"]["schemas"] = {
        name: _converted(schema) for name, schema in document["components"]["schemas"].items()
    }
    for operations in document["paths"].values():
        for operation in operations.values():
            _convert_operation(operation)
    for response in document["components"]["responses"].values():
        _convert_content(response)
    for parameter in document["components"]["parameters"].values():
        parameter["schema"] = _converted(parameter["schema"])
    return document


def _of_version(node: Any, version: str) -> Any:
    """Apply the breaking changes up to a version, innermost first."""
    if isinstance(node, list):
        return [_of_version(item, version) for item in node]
    if not isinstance(node, dict):
        return node
    changes = node.pop("x-github-breaking-changes", [])
    result = {key: _of_version(value, version) for key, value in node.items()}
    for change in changes:
        if change["version"] <= version:
            result = _merged(result, change["patch"])
    return result


def _merged(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7396): null removes."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value)
    return result


def _repair(document: dict[str, Any]) -> None:
    """Change what can never hold, or what GitHub is known to answer otherwise."""
    schemas = document["components"]["schemas"]
    # The event's `oneOf` over payloads always has several matches (PublicEvent's is empty):
    # the event's type decides instead, which is stricter than `anyOf`.
    payloads = schemas["event"]["properties"]["payload"].pop("oneOf")
    names = {_event_type(payload["$ref"]): payload["$ref"] for payload in payloads}
    schemas["event"]["properties"]["type"] = {"enum": sorted(names)}
    schemas["event"]["allOf"] = [
        {
            "if": {"properties": {"type": {"const": event_type}}},
            "then": {"properties": {"payload": {"$ref": reference}}},
        }
        for event_type, reference in sorted(names.items())
    ]
    # GitHub repeats the status in every error body; the document says so only for some.
    for name in ("validation-error", "validation-error-simple"):
        schemas[name]["properties"]["status"] = {"type": "string"}
    # The head repository of a pull request is null once its fork was deleted.
    for name in ("pull-request", "pull-request-simple"):
        head = schemas[name]["properties"]["head"]["properties"]
        head["repo"] = {"nullable": True, "anyOf": [head["repo"]]}


def _event_type(reference: str) -> str:
    name = reference.rsplit("/", 1)[-1]
    return "".join(part.capitalize() for part in name.split("-"))


def _convert_operation(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", []):
        if "schema" in parameter:
            parameter["schema"] = _converted(parameter["schema"])
    if "requestBody" in operation:
        _convert_content(operation["requestBody"])
    for response in operation["responses"].values():
        _convert_content(response)


def _convert_content(holder: dict[str, Any]) -> None:
    for media in holder.get("content", {}).values():
        media["schema"] = _closed(_converted(media["schema"]))


def _converted(node: Any) -> Any:
    """Rewrite one schema: `nullable`, OpenAPI's own keywords, and no unnamed properties."""
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return {"$ref": node["$ref"]}
    result = {key: value for key, value in node.items() if key not in OPENAPI_ONLY}
    for key in (*COMBINATORS,):
        if key in result:
            result[key] = [_converted(item) for item in result[key]]
    for key in ("if", "then", "not"):
        if key in result:
            result[key] = _converted(result[key])
    for key in ("items", "additionalProperties"):
        if isinstance(result.get(key), dict):
            result[key] = _closed(_converted(result[key]))
    if "properties" in result:
        result["properties"] = {
            name: _closed(_converted(value)) for name, value in result["properties"].items()
        }
    return _nullable(result) if node.get("nullable") else result


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """Allow null. OpenAPI 3.0 binds `nullable` to `type`; GitHub also sets it beside `oneOf`."""
    if "type" not in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    widened = {**schema, "type": [schema["type"], "null"]}
    if "enum" in widened:
        widened["enum"] = [*widened["enum"], None]
    return widened


def _closed(schema: Any) -> Any:
    """Refuse properties that the document does not name, where it names any.

    GitHub's objects are open, but a property that its document lacks is a mistake of ours: a
    misspelt key of a request, an invented field of an answer.
    """
    if not isinstance(schema, dict) or "additionalProperties" in schema:
        return schema
    if any(key in schema for key in ("properties", "$ref", *COMBINATORS)):
        return {**schema, "unevaluatedProperties": False}
    return schema
