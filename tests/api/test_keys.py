"""Keys over the REST API, and limits of requests."""

from datetime import timedelta
from typing import Any

import pytest

from nightdesk.domain.api_key import Operation
from nightdesk.services.manage_keys import revoke_key
from tests.api.caller import TASKS, WORKSPACE, Answered, Caller

KEYS = "/api/keys"
QUERY = {"workspaceId": WORKSPACE}


@pytest.fixture
def admin(api: Caller) -> str:
    return api.make_key(operations=(Operation.ADMIN,))


def make(api: Caller, key: str, **body: Any) -> Answered:
    return api.call("POST", KEYS, body, key=key)


def is_good(api: Caller, key: str) -> bool:
    return api.call("GET", TASKS, query=QUERY, key=key).status == 200


def id_of(key: str) -> str:
    return key.split("_")[1]


def test_a_key_is_made_and_shown_once(api: Caller, admin: str) -> None:
    made = make(api, admin, agents=["developer"], operations=["read"], description="CI")

    assert made.status == 201
    text = made.json["apiKey"]
    assert made.json["key"] == {
        "id": id_of(text),
        "workspaceId": WORKSPACE,
        "agents": ["developer"],
        "operations": ["read"],
        "description": "CI",
        "requestsPerMinute": 600,
        "uses": 0,
        "createdAt": "2026-11-21T12:00:00.000Z",
        "lastUsedAt": None,
        "rotatedAt": None,
        "previousSecretUntil": None,
        "revokedAt": None,
    }
    assert is_good(api, text)
    listed = api.call("GET", KEYS, key=admin)
    assert text.rsplit("_", 1)[1] not in listed.text
    assert listed.json["keys"][-1]["lastUsedAt"] == "2026-11-21T12:00:00.000Z"
    assert listed.json["keys"][-1]["uses"] == 1


def test_a_key_is_rotated_over_the_api(api: Caller, admin: str) -> None:
    old = make(api, admin).json["apiKey"]

    new = api.call("POST", f"{KEYS}/{id_of(old)}/rotate", {"graceSeconds": 60}, key=admin)

    assert new.status == 200
    assert new.json["key"]["previousSecretUntil"] == "2026-11-21T12:01:00.000Z"
    assert is_good(api, old)
    assert is_good(api, new.json["apiKey"])
    api.clock.advance(timedelta(seconds=60))
    assert not is_good(api, old)
    assert is_good(api, new.json["apiKey"])


def test_a_rotation_needs_no_body(api: Caller, admin: str) -> None:
    old = make(api, admin).json["apiKey"]

    answer = api.call("POST", f"{KEYS}/{id_of(old)}/rotate", key=admin)

    assert answer.json["key"]["previousSecretUntil"] == "2026-11-21T12:05:00.000Z"


def test_a_revoked_key_fails_on_its_very_next_request(api: Caller, admin: str) -> None:
    text = make(api, admin).json["apiKey"]
    assert is_good(api, text)

    revoked = api.call("DELETE", f"{KEYS}/{id_of(text)}", key=admin)

    assert (revoked.status, revoked.json["key"]["revokedAt"]) == (200, "2026-11-21T12:00:00.000Z")
    assert api.call("GET", TASKS, query=QUERY, key=text).status == 401
    assert api.call("POST", f"{KEYS}/{id_of(text)}/rotate", key=admin).status == 409


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", KEYS), ("POST", KEYS), ("POST", f"{KEYS}/$/rotate"), ("DELETE", f"{KEYS}/$")],
)
def test_only_admin_keys_manage_keys(api: Caller, method: str, path: str) -> None:
    path = path.replace("$", id_of(api.key))

    assert api.call(method, path, {} if method == "POST" else None).status == 403


def test_another_workspaces_key_is_404_and_stays_as_it_is(api: Caller, admin: str) -> None:
    theirs = api.make_key("others")

    for method, path in (("DELETE", ""), ("POST", "/rotate")):
        answer = api.call(method, f"{KEYS}/{id_of(theirs)}{path}", key=admin)
        assert (answer.status, answer.error["code"]) == (404, "NOT_FOUND")

    assert id_of(theirs) not in api.call("GET", KEYS, key=admin).text
    assert make(api, admin, workspaceId="others").status == 403
    key = next(k for k in api.access.list_keys("others") if k.id == id_of(theirs))
    assert (key.revoked_at, key.rotated_at) == (None, None)


def test_left_out_a_new_key_has_no_more_than_its_maker(api: Caller) -> None:
    maker = api.make_key(agents=("developer",), operations=(Operation.ADMIN,))

    made = make(api, maker).json["key"]

    assert made["agents"] == ["developer"]
    assert make(api, maker, agents=[]).status == 403


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"operations": []}, "operations"),
        ({"operations": ["root"]}, "operations"),
        ({"agents": ["a b"]}, "agents"),
        ({"agents": [f"a{n}" for n in range(51)]}, "agents"),
        ({"description": "d" * 201}, "description"),
        ({"description": "line\nline"}, "description"),
        ({"requestsPerMinute": 0}, "requestsPerMinute"),
        ({"requestsPerMinute": 100_001}, "requestsPerMinute"),
        ({"requestsPerMinute": "many"}, "requestsPerMinute"),
        ({"secret": "mine"}, "secret"),
    ],
)
def test_a_bad_field_of_a_key_is_named(
    api: Caller, admin: str, body: dict[str, Any], field: str
) -> None:
    answer = make(api, admin, **body)

    assert (answer.status, answer.error["field"]) == (400, field)


@pytest.mark.parametrize("grace", [-1, 2_592_001, 10**30, "1"])
def test_a_bad_grace_is_named(api: Caller, admin: str, grace: Any) -> None:
    path = f"{KEYS}/{id_of(api.key)}/rotate"
    answer = api.call("POST", path, {"graceSeconds": grace}, key=admin)

    assert (answer.status, answer.error["field"]) == (400, "graceSeconds")


# Limits ---------------------------------------------------------------------------------------


def test_every_answer_to_a_key_says_what_it_has_left(api: Caller) -> None:
    for answer in (
        api.call("GET", TASKS, query=QUERY),
        api.call("GET", f"{TASKS}/none"),
        api.call("GET", KEYS),
    ):
        assert answer.headers["ratelimit-policy"] == '"key";q=600;w=60'
        assert answer.headers["ratelimit"].startswith('"key";r=59')
    assert "ratelimit" not in api.call("GET", "/api/health", key=None).headers
    assert "ratelimit" not in api.call("GET", TASKS, key="wrong").headers


def test_over_the_limit_is_429_and_says_when_to_come_again(api: Caller, admin: str) -> None:
    key = make(api, admin, requestsPerMinute=2).json["apiKey"]
    api.clock.advance(timedelta(seconds=20))
    assert is_good(api, key)
    assert is_good(api, key)

    limited = api.call("GET", TASKS, query=QUERY, key=key)

    assert (limited.status, limited.error["code"]) == (429, "RATE_LIMIT_EXCEEDED")
    assert limited.headers["retry-after"] == "40"
    assert limited.headers["ratelimit"] == '"key";r=0;t=40'
    assert is_good(api, api.key)
    api.clock.advance(timedelta(seconds=40))
    assert is_good(api, key)


def test_a_client_that_polls_each_second_is_never_limited(api: Caller) -> None:
    task_id = api.create().task["id"]

    for _ in range(300):
        assert api.call("GET", f"{TASKS}/{task_id}").status == 200
        api.clock.advance(timedelta(seconds=1))


def test_a_good_key_costs_one_request_whatever_comes_of_it(api: Caller) -> None:
    before = api.access.calls
    is_good(api, api.key)
    assert api.access.calls == before + 1

    revoke_key(id_of(api.key), access=api.access, clock=api.clock)
    before = api.access.calls
    assert not is_good(api, api.key)
    assert api.access.calls == before + 1
