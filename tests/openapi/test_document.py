"""The OpenAPI document is made of the code, and says what is there."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from local.openapi import FOLDER
from local.openapi.document import operations_of
from local.openapi.files import made_files
from local.openapi.page import page_of
from nightdesk.api import app, routes
from nightdesk.domain.api_key import Operation
from tests.a2a.world import AGENT, World
from tests.api.caller import Caller
from tests.openapi.judge import document

OPERATIONS = operations_of(document())
ROUTES = {
    re.sub("<(.*?)>", r"{\1}", f"{route.method} {route.path}"): route for route in routes.ROUTES
}
OLD = {name: operation for name, operation in OPERATIONS.items() if " /a2a/" in name}


@pytest.mark.parametrize("name", ["openapi.json", "docs.html"])
def test_the_deployed_files_are_those_that_the_types_make(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == made_files()[name], (
        f"nightdesk/api/{name} is not what the routes and types say. Next: make openapi"
    )


def test_every_route_is_documented_and_every_documented_route_exists() -> None:
    of_the_api = {name for name in OPERATIONS if " /api/" in name}

    assert of_the_api == set(ROUTES), "a route is in one only. Next: make openapi"


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
def test_every_route_has_somebody_to_answer_it(route: Any) -> None:
    assert callable(getattr(app.Api, f"_{route.name}"))


@pytest.mark.parametrize("name", OLD)
def test_every_documented_route_of_the_predecessor_exists(world: World, name: str) -> None:
    method, path = name.replace("{agentId}", AGENT).replace("{taskId}", "t-1").split()

    answer = world.call(method, path, {} if method == "POST" else None)

    assert answer.status != 405
    assert answer.json.get("code") != "NOT_FOUND"


def test_every_route_of_the_predecessor_is_documented(world: World) -> None:
    """Its dispatch knows no other path and method: all others are 404 or 405."""
    documented = {name.replace("{agentId}", AGENT).replace("{taskId}", "t-1") for name in OLD}
    for path in ("/tasks", "/tasks/t-1", "/messages", "/tasks/t-1/x", "/task", "/cancel"):
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            answer = world.call(method, f"/a2a/{AGENT}{path}", {})
            exists = answer.status != 405 and answer.json.get("code") != "NOT_FOUND"
            assert exists == (f"{method} /a2a/{AGENT}{path}" in documented), (method, path)


def test_every_schema_is_one_of_json_schema_2020_12() -> None:
    assert document()["openapi"] == "3.1.0"
    for schema in document()["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_reference_leads_somewhere() -> None:
    components = document()["components"]
    for kind, name in re.findall(r'"#/components/(\w+)/(\w+)"', json.dumps(document())):
        assert name in components[kind]


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for operation in OPERATIONS.values()]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", ROUTES)
def test_what_is_open_is_what_the_document_calls_open(api: Caller, name: str) -> None:
    method, path = re.sub(r"\{\w+\}", "x", name).split()

    answer = api.call(method, path, {} if method in ("POST", "PATCH") else None, key=None)

    assert (answer.status == 401) == (OPERATIONS[name].get("security") is None)


@pytest.mark.parametrize("name", ["POST /api/background-tasks", "POST /api/keys/{key_id}/rotate"])
def test_a_required_body_is_required(api: Caller, name: str) -> None:
    method, path = name.replace("{key_id}", api.key.split("_")[1]).split()
    admin = api.make_key(operations=(Operation.ADMIN,))

    answer = api.call(method, path, key=admin)

    assert (answer.status == 400) == OPERATIONS[name]["requestBody"]["required"]


@pytest.mark.parametrize("missing", ["prompt", "agentId", "workspaceId"])
def test_a_required_field_is_required(api: Caller, missing: str) -> None:
    required = document()["components"]["schemas"]["CreateBody"]["required"]

    assert sorted(required) == ["agentId", "prompt", "workspaceId"]
    assert api.create(**{missing: None}).error["field"] == missing


# The page -------------------------------------------------------------------------------------


class Tags(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes += attrs


def test_the_page_and_the_document_are_served_to_everybody(api: Caller) -> None:
    before = api.access.calls
    page = api.call("GET", "/api/docs", key=None)
    served = api.call("GET", "/api/openapi.json", key=None)

    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert served.json == document()
    assert api.access.calls == before
    for answer in (page, served):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "public, max-age=300"


def test_a_browser_runs_and_loads_nothing_for_the_page(api: Caller) -> None:
    page = api.call("GET", "/api/docs", key=None)
    tags = Tags(page.text)

    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert not tags.names & {"script", "link", "img", "iframe", "form", "object", "base"}
    links = [value or "" for name, value in tags.attributes if name in ("href", "src")]
    assert [link for link in links if not link.startswith("#")] == ["openapi.json"]
    assert not [name for name, _ in tags.attributes if name.startswith("on") or name == "style"]


def test_every_link_of_the_page_leads_somewhere() -> None:
    tags = Tags((FOLDER / "docs.html").read_text(encoding="utf-8"))
    targets = {value for name, value in tags.attributes if name == "id"}

    links = {value for name, value in tags.attributes if name == "href" and value}
    assert {link[1:] for link in links if link.startswith("#")} <= targets
    assert {operation["operationId"] for operation in OPERATIONS.values()} <= targets


def test_whatever_the_document_says_stays_text_on_the_page() -> None:
    evil = json.loads(
        json.dumps(document()).replace("Task", "<script>alert(1)</script>'\\\"><b onclick=x>")
    )

    tags = Tags(page_of(evil))

    assert not tags.names & {"script", "b"}
    assert "onclick" not in {name for name, _ in tags.attributes}
