"""Whatever comes in, what goes out is an answer of the protocol: a result, or one of its errors."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightdesk.a2a.jsonrpc import _METHODS
from tests.a2a.world import AGENT, REST, RPC, World, reason

CODES = {-32700, -32600, -32601, -32602, *range(-32009, -32000)}
TEXT = st.text(max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
IDS = st.sampled_from(["", "none", "0" * 32, "../x", "a b", "é", "x:cancel", "%2f"]) | TEXT
PARTS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "text": TEXT | JSON,
            "data": JSON,
            "url": TEXT,
            "raw": TEXT,
            "mediaType": st.sampled_from(["text/plain", "image/png", ""]) | TEXT,
            "metadata": JSON,
        },
    ),
    max_size=3,
)
MESSAGE = st.fixed_dictionaries(
    {},
    optional={
        "messageId": TEXT,
        "role": st.sampled_from(["ROLE_USER", "ROLE_AGENT", "user", 1, 7]),
        "parts": PARTS,
        "contextId": IDS,
        "taskId": IDS,
        "referenceTaskIds": st.lists(IDS, max_size=3),
        "metadata": JSON,
        "extensions": JSON,
    },
)
CONFIGURATION = st.fixed_dictionaries(
    {"returnImmediately": st.just(True)},
    optional={
        "historyLength": st.integers() | TEXT,
        "acceptedOutputModes": st.lists(TEXT, max_size=2) | JSON,
        "taskPushNotificationConfig": st.fixed_dictionaries(
            {}, optional={"url": TEXT | st.just("https://a.example.com/"), "token": TEXT}
        ),
    },
)
PARAMS = st.fixed_dictionaries(
    {"configuration": CONFIGURATION},
    optional={
        "id": IDS,
        "taskId": IDS,
        "url": TEXT,
        "message": MESSAGE | JSON,
        "pageSize": st.integers() | TEXT,
        "pageToken": TEXT,
        "historyLength": st.integers() | JSON,
        "status": st.sampled_from(["TASK_STATE_WORKING", "DONE", 3, 99]),
        "statusTimestampAfter": st.sampled_from(
            ["2026-11-21T12:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", ""]
        )
        | TEXT,
        "includeArtifacts": st.booleans() | TEXT,
        "tenant": TEXT,
        "metadata": JSON,
    },
)
METHODS = st.sampled_from(sorted(_METHODS)) | TEXT
BODIES = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0"), "method": METHODS, "params": PARAMS | JSON},
    optional={"id": JSON},
)
FUZZ = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def dumped(value: Any) -> str:
    return json.dumps(value)


@pytest.fixture(scope="module")
def shared() -> World:
    """One world for all examples: what one leaves behind, the next may stumble over."""
    world = World()
    world.complete(world.send()["id"])
    world.send()
    return world


def check_rpc(status: int, answer: dict[str, Any]) -> None:
    assert answer["jsonrpc"] == "2.0"
    assert set(answer) - {"id", "jsonrpc"} in ({"result"}, {"error"})
    assert isinstance(answer["id"], str | int | None)
    if "error" in answer:
        assert answer["error"]["code"] in CODES, answer
        assert reason(answer["error"])
    assert status in (200, 413)


@FUZZ
@given(body=BODIES)
def test_any_json_rpc_request_has_an_answer(shared: World, body: dict[str, Any]) -> None:
    answer = shared.call("POST", RPC, raw=dumped(body))

    check_rpc(answer.status, answer.json)


@FUZZ
@given(body=st.text() | JSON.map(dumped))
def test_any_body_has_an_answer(shared: World, body: str) -> None:
    answer = shared.call("POST", RPC, raw=body)

    check_rpc(answer.status, answer.json)


PATHS = st.sampled_from(
    [
        "/message:send",
        "/message:stream",
        "/tasks",
        "/tasks/$",
        "/tasks/$:cancel",
        "/tasks/$:subscribe",
        "/tasks/$/pushNotificationConfigs",
        "/tasks/$/pushNotificationConfigs/$",
        "/extendedAgentCard",
        "/$",
    ]
)
QUERY = st.dictionaries(
    st.sampled_from(
        [
            "historyLength",
            "pageSize",
            "pageToken",
            "status",
            "contextId",
            "includeArtifacts",
            "statusTimestampAfter",
            "A2A-Version",
            "id",
            "tenant",
        ]
    )
    | TEXT,
    TEXT | st.integers().map(str),
    max_size=3,
)


def pathed(paths: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Paths with something strange in the place of their ids."""
    return st.builds(lambda path, inside: path.replace("$", inside), paths, IDS)


VERBS = st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH"])


@FUZZ
@given(verb=VERBS, path=pathed(PATHS), query=QUERY, body=PARAMS.map(dumped) | st.text())
def test_any_rest_request_has_an_answer(
    shared: World, verb: str, path: str, query: dict[str, str], body: str
) -> None:
    raw = body if verb in ("POST", "PUT", "PATCH") else None
    answer = shared.call(verb, REST + path, query=query, raw=raw)

    assert answer.status in (200, 400, 404, 405, 413), answer.text
    if answer.status != 200:
        assert answer.error["code"] == answer.status
        assert answer.status == 405 or answer.error.get("details") or "No such route" in answer.text


OLD_BODY = st.fixed_dictionaries(
    {},
    optional={
        "message": TEXT | JSON,
        "timeout": st.integers() | JSON,
        "context": JSON,
        "sessionId": IDS | JSON,
        "sessionMode": TEXT | JSON,
        "images": JSON,
        "pushNotificationConfig": st.fixed_dictionaries(
            {},
            optional={
                "url": TEXT | st.just("https://a.example.com/"),
                "token": TEXT | JSON,
                "authentication": st.fixed_dictionaries(
                    {}, optional={"schemes": JSON, "credentials": JSON}
                ),
            },
        )
        | JSON,
    },
)


@FUZZ
@given(
    verb=VERBS,
    path=pathed(st.sampled_from(["/tasks", "/tasks/$", "/messages", "/tasks/$/x", "/$"])),
    query=QUERY,
    body=OLD_BODY.map(dumped) | JSON.map(dumped) | st.text(),
)
def test_any_request_of_the_predecessors_api_has_an_answer(
    shared: World, verb: str, path: str, query: dict[str, str], body: str
) -> None:
    raw = body if verb in ("POST", "PUT", "PATCH") else None
    answer = shared.call(verb, f"/a2a/{AGENT}{path}", query=query, raw=raw)

    assert answer.status in (200, 202, 400, 404, 405, 413), answer.text


@FUZZ
@given(header=st.text(max_size=90), value=st.text(max_size=90))
def test_any_header_has_an_answer(shared: World, header: str, value: str) -> None:
    for name in (header, "Idempotency-Key", "A2A-Version", "A2A-Extensions", "Authorization"):
        answer = shared.call("GET", f"{REST}/tasks", headers={name: value})
        assert answer.status in (200, 400, 401)
