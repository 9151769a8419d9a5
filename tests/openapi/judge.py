"""Holds answers against the OpenAPI document, more strictly than a client would.

Every call that the tests of the API and of the predecessor's API make goes through here.
"""

import copy
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

FILE = Path(__file__).parents[2] / "layers/nightdesk/nightdesk/api/openapi.json"


@cache
def document() -> dict[str, Any]:
    """The document as it is deployed."""
    loaded = json.loads(FILE.read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


@cache
def _paths() -> list[tuple[re.Pattern[str], str]]:
    """Those without parameters first, as OpenAPI demands."""
    paths = sorted(document()["paths"], key=lambda path: path.count("{"))
    return [(re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(p))), p) for p in paths]


@cache
def _strict_components() -> dict[str, Any]:
    """The shapes, with no field allowed that is not documented."""
    components = copy.deepcopy(document()["components"])
    for schema in components["schemas"].values():
        if "properties" in schema:
            schema["additionalProperties"] = False
    return {"schemas": components["schemas"]}


def operation_at(method: str, path: str) -> Mapping[str, Any] | None:
    """The documented operation that a request means."""
    for pattern, template in _paths():
        if pattern.fullmatch(path):
            found: Mapping[str, Any] | None = document()["paths"][template].get(method.lower())
            return found
    return None


def judge(
    method: str,
    path: str,
    status: int,
    headers: Mapping[str, str],
    body: str,
) -> None:
    """Fail unless the document says that this request may be answered so."""
    operation = operation_at(method, path.rstrip("/"))
    if operation is None:
        return
    where = f"{method} {path}"
    assert str(status) in operation["responses"], f"{where}: {status} is not documented: {body}"
    answer = operation["responses"][str(status)]
    if "$ref" in answer:
        answer = document()["components"]["responses"][answer["$ref"].rsplit("/", 1)[1]]
    given = {name.lower() for name in headers}
    missing = [name for name in answer.get("headers", {}) if name.lower() not in given]
    assert not missing, f"{where}: {status} lacks {missing}"
    media_type = headers["content-type"].partition(";")[0]
    assert media_type in answer["content"], f"{where}: {media_type} is not documented"
    if media_type == "application/json":
        schema = json.dumps(answer["content"][media_type]["schema"])
        errors = list(_validator(schema).iter_errors(json.loads(body)))
        assert not errors, f"{where}: {status}: {errors[0].message} in {body[:300]}"


@cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator({**json.loads(schema), "components": _strict_components()})
