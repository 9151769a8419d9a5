"""Who may call what: keys, workspaces, specialists, operations."""

from dataclasses import dataclass
from typing import Any

import pytest

from nightdesk.domain.api_key import Operation
from nightdesk.services.manage_keys import revoke_key
from tests.api.caller import TASKS, WORKSPACE, Answered, Caller

#: Every route but health: method, path, body, query.
ROUTES: tuple[tuple[str, str, Any, dict[str, str]], ...] = (
    ("GET", TASKS, None, {"workspaceId": WORKSPACE}),
    ("POST", TASKS, {"prompt": "p", "agentId": "developer", "workspaceId": WORKSPACE}, {}),
    (
        "POST",
        TASKS,
        {"action": "deleteByStatus", "status": "FAILED", "workspaceId": WORKSPACE},
        {},
    ),
    ("POST", TASKS, {"action": "retryByStatus", "status": "FAILED", "workspaceId": WORKSPACE}, {}),
    ("GET", f"{TASKS}/t-1", None, {}),
    ("PATCH", f"{TASKS}/t-1", {"title": "t"}, {}),
    ("DELETE", f"{TASKS}/t-1", None, {}),
    ("POST", f"{TASKS}/t-1/retry", None, {}),
    ("POST", f"{TASKS}/t-1/messages", {"text": "t"}, {}),
    ("GET", f"{TASKS}/t-1/events", None, {}),
    ("GET", f"/api/workspaces/{WORKSPACE}", None, {}),
    ("PATCH", f"/api/workspaces/{WORKSPACE}", {"paused": True}, {}),
    ("GET", "/api/keys", None, {}),
    ("POST", "/api/keys", {}, {}),
    ("POST", f"/api/keys/{'0' * 16}/rotate", {}, {}),
    ("DELETE", f"/api/keys/{'0' * 16}", None, {}),
    ("POST", "/api/dead-letters/redrive", None, {}),
    ("POST", f"{TASKS}/process", None, {}),
    ("GET", "/api/polling/check", None, {}),
    ("POST", "/api/polling/check", None, {}),
    ("GET", "/api/github/decisions", None, {"repo": "o/r", "number": "1"}),
    ("GET", "/api/specialists", None, {}),
)
NAMES = [f"{method} {path} {(body or {}).get('action', '')}" for method, path, body, _ in ROUTES]


@dataclass(frozen=True)
class Route:
    """One of the routes, ready to be called with some key."""

    api: Caller
    method: str
    path: str
    body: Any
    query: dict[str, str]

    def call(self, key: str | None = "") -> Answered:
        return self.api.call(self.method, self.path, self.body, query=self.query, key=key)


@pytest.fixture(params=ROUTES, ids=NAMES)
def route(request: pytest.FixtureRequest, api: Caller) -> Route:
    return Route(api, *request.param)


def test_every_route_demands_a_key(route: Route) -> None:
    answer = route.call(None)

    assert (answer.status, answer.error["code"]) == (401, "UNAUTHENTICATED")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_every_route_refuses_a_malformed_key(route: Route) -> None:
    assert route.call("nd_1_2").status == 401


def test_every_route_refuses_an_unknown_key(route: Route) -> None:
    assert route.call(f"nd_{'0' * 16}_{'0' * 64}").status == 401


def test_every_route_refuses_a_revoked_key(route: Route, api: Caller) -> None:
    revoke_key(api.key.split("_")[1], access=api.access, clock=api.clock)

    assert route.call().status == 401


def test_every_route_demands_its_operation(route: Route, api: Caller) -> None:
    wrong = Operation.WRITE if route.method == "GET" else Operation.READ

    answer = route.call(api.make_key(operations=(wrong,)))

    assert (answer.status, answer.error["code"]) == (403, "FORBIDDEN")


def test_the_scheme_and_the_header_may_be_written_in_any_case(api: Caller) -> None:
    headers = {"AUTHORIZATION": f"bearer {api.key}"}

    assert api.call("GET", "/api/specialists", headers=headers, key=None).status == 200


def test_a_request_without_a_well_formed_key_reaches_no_store(api: Caller) -> None:
    before = api.access.calls
    api.call("GET", f"{TASKS}/t-1", key=None)
    api.call("GET", f"{TASKS}/t-1", key="nonsense")

    assert api.access.calls == before


def test_another_workspaces_task_cannot_be_told_from_one_that_does_not_exist(api: Caller) -> None:
    task_id = api.create().task["id"]
    stranger = api.make_key("elsewhere")

    for method, suffix, body in (
        ("GET", "", None),
        ("PATCH", "", {"title": "mine"}),
        ("DELETE", "", None),
        ("POST", "/retry", None),
        ("POST", "/messages", {"text": "t"}),
        ("GET", "/events", None),
    ):
        theirs = api.call(method, f"{TASKS}/{task_id}{suffix}", body, key=stranger)
        nobodys = api.call(method, f"{TASKS}/t-0{suffix}", body, key=stranger)
        assert (theirs.status, theirs.error) == (404, nobodys.error)
        assert theirs.error["message"] == "Task not found"
    assert task_id in api.tasks.tasks


def test_another_specialists_task_is_not_found_with_a_key_for_one(api: Caller) -> None:
    task_id = api.create(agentId="issue-enricher").task["id"]
    narrow = api.make_key(agents=("developer",))

    assert api.call("GET", f"{TASKS}/{task_id}", key=narrow).status == 404
    assert api.call("DELETE", f"{TASKS}/{task_id}", key=narrow).status == 404
    assert task_id in api.tasks.tasks


@pytest.mark.parametrize(
    ("method", "body", "query"),
    [
        ("GET", None, {"workspaceId": "elsewhere"}),
        ("POST", {"prompt": "p", "agentId": "developer", "workspaceId": "elsewhere"}, {}),
        ("POST", {"action": "deleteByStatus", "status": "FAILED", "workspaceId": "elsewhere"}, {}),
    ],
)
def test_naming_another_workspace_is_forbidden(
    api: Caller, method: str, body: Any, query: dict[str, str]
) -> None:
    answer = api.call(method, TASKS, body, query=query)

    assert (answer.status, answer.error["code"]) == (403, "FORBIDDEN")
    assert answer.error["message"] == "This key belongs to another workspace"
    assert api.tasks.tasks == {}


def test_a_key_for_one_specialist_starts_no_other(api: Caller) -> None:
    narrow = api.make_key(agents=("developer",))
    body = {"prompt": "p", "agentId": "issue-enricher", "workspaceId": WORKSPACE}

    assert api.call("POST", TASKS, body, key=narrow).status == 403
    assert api.call("POST", TASKS, {**body, "agentId": "developer"}, key=narrow).status == 201


def test_a_key_for_one_specialist_cannot_hand_its_task_to_another(api: Caller) -> None:
    narrow = api.make_key(agents=("developer",))
    task_id = api.create().task["id"]

    answer = api.call("PATCH", f"{TASKS}/{task_id}", {"agentId": "issue-enricher"}, key=narrow)

    assert answer.status == 403


def test_a_key_for_one_specialist_changes_nothing_of_the_whole_workspace(api: Caller) -> None:
    narrow = api.make_key(agents=("developer",), operations=(Operation.ADMIN,))
    path = f"/api/workspaces/{WORKSPACE}"

    for change in ({"paused": True}, {"callback": {"url": "https://mine.example/x"}}):
        assert api.call("PATCH", path, change, key=narrow).status == 403
    assert api.call("POST", f"{path}/callback-secret", {}, key=narrow).status == 403
    assert not api.tasks.workspace_settings(WORKSPACE).paused


def test_a_key_for_one_specialist_deletes_no_others_in_bulk(api: Caller) -> None:
    api.create(agentId="developer")
    kept = api.create(agentId="issue-enricher").task["id"]
    body = {"action": "deleteByStatus", "status": "PENDING", "workspaceId": WORKSPACE}

    api.call("POST", TASKS, body, key=api.make_key(agents=("developer",)))

    assert list(api.tasks.tasks) == [kept]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"/api/workspaces/{WORKSPACE}", None),
        ("PATCH", f"/api/workspaces/{WORKSPACE}", {"paused": True}),
        ("POST", "/api/dead-letters/redrive", None),
    ],
)
def test_what_manages_a_workspace_demands_admin(
    api: Caller, method: str, path: str, body: Any
) -> None:
    assert api.call(method, path, body).status == 403
    assert (
        api.call(method, path, body, key=api.make_key(operations=(Operation.ADMIN,))).status == 200
    )


def test_an_admin_manages_no_other_workspace_and_not_the_whole_deployment(api: Caller) -> None:
    admin = api.make_key(operations=(Operation.ADMIN,))

    for other in ("elsewhere", "*", "%2A", WORKSPACE.upper()):
        for method, body in (("GET", None), ("PATCH", {"paused": True})):
            assert api.call(method, f"/api/workspaces/{other}", body, key=admin).status == 403
    assert api.tasks.settings == {}
