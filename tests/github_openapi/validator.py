"""Check requests to GitHub, and answers of its simulator, against GitHub's OpenAPI document."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError, best_match
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.github_openapi.document import DEFAULT_VERSION, VERSIONS, schema_document
from tests.github_openapi.paths import Operation, find_operation

JSON_MEDIA = ("application/json", "application/vnd.github+json")
#: Media types that the document leaves out: raw files, and pull requests as a diff.
UNDOCUMENTED_MEDIA: Mapping[str, frozenset[str]] = {
    "repos/get-content": frozenset({"application/vnd.github.raw+json"}),
    "pulls/get": frozenset({"application/vnd.github.diff"}),
}
#: What GitHub answers to any operation, though the document names it for few.
ANYWHERE: Mapping[int, tuple[str, ...]] = {
    304: (),
    400: ("basic-error",),
    301: ("basic-error",),
    307: ("basic-error",),
    401: ("basic-error",),
    403: ("basic-error",),
    404: ("basic-error",),
    422: ("validation-error", "validation-error-simple", "basic-error"),
    429: ("basic-error",),
}
REDIRECTS = frozenset({301, 302, 307})
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
formats = FormatChecker(formats=())


@formats.checks("date-time", raises=ValueError)
def is_timestamp(value: object) -> bool:
    """Accept RFC 3339 only: `fromisoformat` alone would take dates without a time."""
    if not isinstance(value, str):
        return True
    datetime.fromisoformat(value)
    return TIMESTAMP.fullmatch(value) is not None


@formats.checks("uri", raises=ValueError)
def is_address(value: object) -> bool:
    """Accept absolute addresses without blanks or template braces."""
    if not isinstance(value, str):
        return True
    parts = urlsplit(value)
    return bool(parts.scheme and parts.netloc) and not re.search(r"[\s{}]", value)


def assert_request_conforms(
    method: str,
    url_path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    body: object,
) -> None:
    """Refuse a request that GitHub would refuse, ignore in part, or frown at.

    `url_path` is the path alone (`/repos/o/r/issues/1`), `body` bytes, text, parsed JSON or None.

    Raises:
        AssertionError: names the operation and what is wrong.
    """
    lower = {key.lower(): value for key, value in headers.items()}
    assert lower.get("user-agent"), "no User-Agent: GitHub answers 403"
    assert lower.get("accept"), "no Accept header"
    version = lower.get("x-github-api-version")
    assert version in VERSIONS, f"X-GitHub-Api-Version is {version!r}, not one of {VERSIONS}"
    operation = find_operation(method, url_path, version)
    parameters = [_resolved(version, item) for item in operation.definition.get("parameters", [])]
    _assert_parameters(operation, parameters, "path", operation.path_parameters)
    _assert_parameters(operation, parameters, "query", query)
    _assert_request_body(operation, lower, _parsed(body))


def assert_response_conforms(
    method: str,
    url_path: str,
    status: int,
    headers: Mapping[str, str],
    body: object,
) -> None:
    """Refuse an answer that GitHub's document does not allow: status, content type, body.

    The API version is taken from `X-GitHub-Api-Version-Selected`, as GitHub sends it.

    Raises:
        AssertionError: names the operation and what is wrong.
    """
    lower = {key.lower(): value for key, value in headers.items()}
    version = lower.get("x-github-api-version-selected", DEFAULT_VERSION)
    operation = find_operation(method, url_path, version)
    if status in REDIRECTS:
        assert lower.get("location"), f"{operation.name}: {status} without Location"
    documented = operation.definition["responses"].get(str(status))
    contents = _resolved(version, documented).get("content", {}) if documented else {}
    if documented is None or (status >= 400 and not contents):
        _assert_general_answer(operation, status, lower, body)
        return
    if not contents:
        assert body in (None, b"", ""), f"{operation.name}: {status} must have no body"
        return
    media = _media_type(operation, lower, contents)
    if media is not None:
        instance = _parsed(body) if media in JSON_MEDIA or "object" in media else _text(body)
        _assert_valid(operation, contents[media]["schema"], instance, f"answer {status}")


@functools.cache
def _registry(version: str) -> Registry[Any]:
    resource: Resource[Any] = DRAFT202012.create_resource(schema_document(version))
    registry: Registry[Any] = Registry().with_resource(f"urn:github:{version}", resource)
    return registry


def _assert_valid(operation: Operation, schema: Any, instance: Any, what: str) -> None:
    # The schema is evaluated inside its document, so that its references resolve.
    rooted = {"$id": f"urn:github:{operation.version}:root", **_absolute(schema, operation.version)}
    validator = Draft202012Validator(
        rooted, registry=_registry(operation.version), format_checker=formats
    )
    error: ValidationError | None = best_match(validator.iter_errors(instance))
    if error is not None:
        raise AssertionError(
            f"{operation.name}: {what} at {error.json_path}: {error.message[:600]}"
        )


def _absolute(node: Any, version: str) -> Any:
    if isinstance(node, dict):
        return {
            key: f"urn:github:{version}{value}" if key == "$ref" else _absolute(value, version)
            for key, value in node.items()
        }
    if isinstance(node, list):
        return [_absolute(item, version) for item in node]
    return node


def _resolved(version: str, node: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference to a parameter or a response."""
    if "$ref" not in node:
        return node
    target: Any = schema_document(version)
    for part in node["$ref"].removeprefix("#/").split("/"):
        target = target[part]
    assert isinstance(target, dict)
    return target


def _assert_parameters(
    operation: Operation, parameters: list[dict[str, Any]], where: str, given: Mapping[str, str]
) -> None:
    known = {item["name"]: item for item in parameters if item["in"] == where}
    for name, parameter in known.items():
        assert name in given or not parameter.get("required"), (
            f"{operation.name}: {where} parameter {name!r} is missing"
        )
    for name, text in given.items():
        assert name in known, f"{operation.name}: unknown {where} parameter {name!r}"
        schema = known[name]["schema"]
        _assert_valid(operation, schema, _of_type(schema, text), f"{where} parameter {name!r}")


def _of_type(schema: dict[str, Any], text: str) -> Any:
    """Read a parameter's text as its schema's type; what cannot be read fails as text."""
    if schema.get("type") == "integer" and re.fullmatch(r"-?\d+", text):
        return int(text)
    return text


def _assert_request_body(operation: Operation, lower: Mapping[str, str], body: Any) -> None:
    expected = operation.definition.get("requestBody")
    if expected is None:
        assert body is None, f"{operation.name}: takes no body"
        return
    if body is None:
        assert not expected.get("required"), f"{operation.name}: needs a body"
        return
    media = lower.get("content-type", "").split(";")[0].strip()
    assert media in JSON_MEDIA, f"{operation.name}: Content-Type of the request is {media!r}"
    _assert_valid(operation, expected["content"]["application/json"]["schema"], body, "body")


def _assert_general_answer(
    operation: Operation, status: int, lower: Mapping[str, str], body: object
) -> None:
    if status >= 500:  # a failing GitHub promises nothing about its answer
        return
    assert status in ANYWHERE, f"{operation.name}: status {status} is not documented"
    schemas = ANYWHERE[status]
    if not schemas:
        assert body in (None, b"", ""), f"{operation.name}: {status} must have no body"
        return
    _media_type(operation, lower, {"application/json": {}})
    references = [{"$ref": f"#/components/schemas/{name}"} for name in schemas]
    # `basic-error` requires nothing, so closing the object is what makes this check bite.
    schema = {"type": "object", "anyOf": references, "unevaluatedProperties": False}
    _assert_valid(operation, schema, _parsed(body), f"answer {status}")


def _media_type(
    operation: Operation, lower: Mapping[str, str], contents: Mapping[str, Any]
) -> str | None:
    """Find the documented media type of an answer; None is one that has no schema."""
    media = lower.get("content-type", "").split(";")[0].strip()
    if media in UNDOCUMENTED_MEDIA.get(operation.name, ()):
        return None
    known = "application/json" if media in JSON_MEDIA else media
    assert known in contents, f"{operation.name}: Content-Type is {media!r}, not {list(contents)}"
    return known


def _parsed(body: object) -> Any:
    if body in (None, b"", ""):
        return None
    if isinstance(body, bytes | str):
        try:
            return json.loads(body)
        except ValueError as error:
            raise AssertionError(f"the body is not JSON: {body[:80]!r}") from error
    return body


def _text(body: object) -> Any:
    return body.decode() if isinstance(body, bytes) else body
