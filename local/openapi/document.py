"""The OpenAPI 3.1 document: paths of the route table, schemas of the types, errors of the tables.

A2A's own bindings are not in it: their document is the A2A specification, and each agent's card.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from local.openapi.predecessor import OLD_TAG, OLD_TYPES, old_paths
from local.openapi.shared import (
    HEADERS,
    IDEMPOTENCY_KEY,
    json_content,
    parts_of,
    quota_headers,
    ref,
)
from nightdesk.api import answers as api_answers
from nightdesk.api import errors as api_errors
from nightdesk.api import requests as api_requests
from nightdesk.api.parameters import Parameter
from nightdesk.api.requests import Body
from nightdesk.api.routes import ROUTES, Route
from nightdesk.domain.version import VERSION

DESCRIPTION = """
Background agents for software teams. Send `Authorization: Bearer nd_<id>_<secret>`; a key sees its
own workspace, and its own specialists if it is limited to some. Times are ISO 8601 in UTC.

Routes below `/a2a` are the predecessor's task API. The same agents speak A2A 1.0 (JSON-RPC at
`/a2a/{agentId}`, HTTP+JSON below `/a2a/{agentId}/v1`), which the A2A specification and each agent's
card describe: `/a2a/{agentId}/.well-known/agent-card.json`.

API Gateway itself answers 429 and 503 with `{"message"}` beyond 50 requests a second, of all keys
together, and 404 outside of `/api` and `/a2a`. A method that a path does not have is 405 with
`Allow`.
"""
#: In the order in which a reader wants them.
TAGS = ("Tasks", "Keys", "Workspaces", "GitHub", "Service", OLD_TAG)
#: Statuses of errors, in words for readers.
WORDS = {
    400: "The body is not JSON, or a field or parameter is refused: `field` names it.",
    401: "No key, or a malformed, unknown or revoked one.",
    403: "The key's workspace, specialists or operations do not cover this.",
    404: "There is none in the key's scope.",
    409: "The state of the task, or of the key, forbids it.",
    413: "The body has more than 1 MiB.",
    415: "The body is not application/json.",
    422: "The Idempotency-Key came before with another request.",
    429: "The key has no requests left in this minute; wait `Retry-After` seconds.",
    500: "Our fault; the log has it under the `requestId`.",
    503: "A service does not answer; wait `Retry-After` seconds.",
}
_HEADERS_OF_ERRORS = {
    401: {"WWW-Authenticate": ref("headers", "WwwAuthenticate")},
    429: {"Retry-After": ref("headers", "RetryAfter")},
    503: {"Retry-After": ref("headers", "RetryAfter")},
}


def openapi_document() -> dict[str, Any]:
    """The document, as JSON would hold it."""
    answers = {kind for route in ROUTES for kind in _types_of(route)}
    bodies = {body for route in ROUTES for body in route.bodies}
    kinds = sorted(answers | bodies | {api_answers.ErrorBody, *OLD_TYPES}, key=_name_of)
    _, schemas = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    schemas = {name: dict(schema) for name, schema in sorted(schemas.items())}
    for body in bodies:
        _constrain(schemas[body.__name__], body)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Nightdesk",
            "version": VERSION,
            "description": DESCRIPTION.strip(),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "tags": [{"name": tag} for tag in TAGS],
        "paths": {**_paths(ROUTES), **old_paths()},
        "components": {
            "schemas": schemas,
            "responses": {f"Error{status}": _error(status) for status in WORDS},
            "headers": HEADERS,
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "nd_<id>_<secret>; made with `make key` or `POST /api/keys`.",
                }
            },
        },
    }


def _paths(routes: Iterable[Route]) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for route in routes:
        path = route.path.replace("<", "{").replace(">", "}")
        item = paths.setdefault(path, {})
        if parts := parts_of(path):
            item["parameters"] = parts
        item[route.method.lower()] = _operation(route)
    return paths


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": [route.tag],
    }
    if route.operation is None:
        operation["security"] = []
    else:
        operation["description"] = f"The key needs the operation `{route.operation.value}`."
    parameters = [_parameter(parameter) for parameter in route.query]
    if route.is_idempotent_by_key:
        parameters.append(IDEMPOTENCY_KEY)
    if parameters:
        operation["parameters"] = parameters
    if route.bodies:
        schemas = [ref("schemas", body.__name__) for body in route.bodies]
        schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
        operation["requestBody"] = {
            "required": not route.may_lack_body,
            "content": json_content(schema),
        }
    operation["responses"] = {
        **{str(status): _success(route, status) for status in sorted(route.answers)},
        **{str(status): ref("responses", f"Error{status}") for status in route.error_statuses},
    }
    return operation


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": "query",
        "required": parameter.is_required,
        "description": parameter.description,
        "schema": dict(parameter.schema),
    }


def _success(route: Route, status: int) -> dict[str, Any]:
    kind = route.answers[status]
    schema: dict[str, Any] = {"type": "string"}
    if kind:
        schemas = [ref("schemas", part.__name__) for part in _parts(kind)]
        schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    answer = {
        "description": HTTPStatus(status).phrase,
        "content": {route.media_type: {"schema": schema}},
    }
    if route.operation is not None:
        answer["headers"] = quota_headers()
    return answer


def _error(status: int) -> dict[str, Any]:
    answers = [api_errors.INTERNAL, *(answer for _, answer in api_errors.ANSWERS)]
    codes = sorted({answer.code for answer in answers if answer.status == status})
    names = ", ".join(f"`{code}`" for code in codes)
    return {
        "description": f"{WORDS[status]} Code: {names}.",
        "headers": {**_HEADERS_OF_ERRORS.get(status, {})},
        "content": json_content(
            {
                "allOf": [
                    ref("schemas", "ErrorBody"),
                    {"properties": {"error": {"properties": {"code": {"enum": codes}}}}},
                ]
            }
        ),
    }


def _constrain(schema: dict[str, Any], body: type[Body]) -> None:
    """Put in what the services demand of a body beyond the types of its fields."""
    for name, bounds in body.bounds.items():
        field = schema["properties"][name]
        default = bounds.get("default", field.pop("default", None))
        alternatives = field.get("anyOf", [field])
        wanted = next(part for part in alternatives if part.get("type") != "null")
        wanted.update({key: value for key, value in bounds.items() if key != "default"})
        if default is not None:
            field["default"] = default
    for field in schema["properties"].values():
        # What is left out is null, which says nothing to a reader.
        if field.get("default", 0) is None:
            del field["default"]
    for name in body.required:
        # It may not be null either.
        field = schema["properties"][name]
        (wanted,) = (part for part in field.pop("anyOf") if part.get("type") != "null")
        field.update(wanted)
    if body.required:
        schema["required"] = list(body.required)
    if body is api_requests.WorkspaceBody:
        schema["minProperties"] = 1


def _types_of(route: Route) -> list[Any]:
    return [part for kind in route.answers.values() for part in _parts(kind)]


def _parts(kinds: str) -> list[Any]:
    """The types that a route names, joined by `|`."""
    return [getattr(api_answers, name) for name in kinds.split(" | ") if name]


def _name_of(kind: type) -> str:
    return kind.__name__


def operations_of(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """`GET /path` to operation."""
    methods = ("get", "post", "put", "patch", "delete")
    return {
        f"{method.upper()} {path}": item[method]
        for path, item in document["paths"].items()
        for method in methods
        if method in item
    }
