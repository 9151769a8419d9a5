"""Every error of A2A, over both bindings: code, HTTP status, reason, and nothing of ours in it."""

from datetime import timedelta
from typing import Any

import pytest
from a2a.utils import errors as sdk

from nightdesk.a2a.errors import problem_of
from nightdesk.a2a.gateway import BODY_MAX
from nightdesk.domain import errors
from nightdesk.domain.api_key import Operation
from nightdesk.domain.specialist import Specialist
from nightdesk.domain.task import Task
from tests.a2a.world import AGENT, HOOK, REST, RPC, World, message, reason

#: The specification's table (1.0.1): error, JSON-RPC code, HTTP status, reason.
TABLE = [
    (sdk.TaskNotFoundError, -32001, 404, "TASK_NOT_FOUND"),
    (sdk.TaskNotCancelableError, -32002, 400, "TASK_NOT_CANCELABLE"),
    (sdk.PushNotificationNotSupportedError, -32003, 400, "PUSH_NOTIFICATION_NOT_SUPPORTED"),
    (sdk.UnsupportedOperationError, -32004, 400, "UNSUPPORTED_OPERATION"),
    (sdk.ContentTypeNotSupportedError, -32005, 400, "CONTENT_TYPE_NOT_SUPPORTED"),
    (sdk.InvalidAgentResponseError, -32006, 500, "INVALID_AGENT_RESPONSE"),
    (sdk.ExtendedAgentCardNotConfiguredError, -32007, 400, "EXTENDED_AGENT_CARD_NOT_CONFIGURED"),
    (sdk.ExtensionSupportRequiredError, -32008, 400, "EXTENSION_SUPPORT_REQUIRED"),
    (sdk.VersionNotSupportedError, -32009, 400, "VERSION_NOT_SUPPORTED"),
    (sdk.InvalidRequestError, -32600, 400, "INVALID_REQUEST"),
    (sdk.MethodNotFoundError, -32601, 404, "METHOD_NOT_FOUND"),
    (sdk.InvalidParamsError, -32602, 400, "INVALID_PARAMS"),
    (sdk.InternalError, -32603, 500, "INTERNAL_ERROR"),
    (sdk.JSONParseError, -32700, 400, "INVALID_REQUEST"),
]


@pytest.mark.parametrize(("kind", "code", "status", "why"), TABLE)
def test_an_error_is_told_as_the_specification_says(
    kind: type[sdk.A2AError], code: int, status: int, why: str
) -> None:
    problem = problem_of(kind())
    rpc, rest = problem.as_jsonrpc(7), problem.as_rest()

    assert (rpc.status, rpc.body["error"]["code"], rpc.body["id"]) == (200, code, 7)
    assert reason(rpc.body["error"]) == why
    assert (rest.status, rest.body["error"]["code"], reason(rest.body["error"])) == (
        status,
        status,
        why,
    )
    assert rest.media_type == "application/a2a+json"


CREATE_PUSH = "CreateTaskPushNotificationConfig"
CASES: list[tuple[str, str, Any, int]] = [
    ("no such method", "Nothing", {}, -32601),
    ("a method of A2A 0.3", "message/send", {}, -32601),
    ("params that are a list", "GetTask", [], -32602),
    ("params that are text", "GetTask", "x", -32602),
    ("a missing id", "GetTask", {}, -32602),
    ("an id of another type", "GetTask", {"id": {"a": 1}}, -32602),
    ("a negative history", "GetTask", {"id": "x", "historyLength": -1}, -32602),
    ("an unknown task", "GetTask", {"id": "x"}, -32001),
    ("an id that no task can have", "GetTask", {"id": "../x"}, -32001),
    ("an unknown task to cancel", "CancelTask", {"id": "x"}, -32001),
    ("no message", "SendMessage", {}, -32602),
    ("no parts", "SendMessage", {"message": message(parts=[])}, -32602),
    ("an empty part", "SendMessage", {"message": message(parts=[{}])}, -32602),
    ("a blank text", "SendMessage", {"message": message("  \n")}, -32602),
    ("no messageId", "SendMessage", {"message": message(messageId="")}, -32602),
    ("an agent's message", "SendMessage", {"message": message(role="ROLE_AGENT")}, -32602),
    ("too long a text", "SendMessage", {"message": message("a" * 100_001)}, -32602),
    ("a strange context", "SendMessage", {"message": message(contextId="a\nb")}, -32602),
    ("a file", "SendMessage", {"message": message(parts=[{"url": "https://x"}])}, -32005),
    ("raw bytes", "SendMessage", {"message": message(parts=[{"raw": "AAAA"}])}, -32005),
    (
        "text of another type",
        "SendMessage",
        {"message": message(parts=[{"text": "x", "mediaType": "text/html"}])},
        -32005,
    ),
    (
        "answers of another type",
        "SendMessage",
        {"message": message(), "configuration": {"acceptedOutputModes": ["image/png"]}},
        -32005,
    ),
    ("no taskId", CREATE_PUSH, {"url": HOOK}, -32602),
    ("a callback of an unknown task", CREATE_PUSH, {"taskId": "x", "url": HOOK}, -32001),
    ("an unknown task's callbacks", "ListTaskPushNotificationConfigs", {"taskId": "x"}, -32001),
    ("no such state", "ListTasks", {"status": "DONE"}, -32602),
    ("a stream", "SendStreamingMessage", {"message": message()}, -32004),
    ("a subscription", "SubscribeToTask", {"id": "x"}, -32004),
]


@pytest.mark.parametrize(
    ("method", "params", "code"), [pytest.param(*case[1:], id=case[0]) for case in CASES]
)
def test_what_is_wrong_over_json_rpc_has_its_code(
    world: World, method: str, params: Any, code: int
) -> None:
    error = world.error(method, params)

    assert error["code"] == code
    assert reason(error)
    assert world.tasks.tasks == {}


@pytest.mark.parametrize("accepted", [["text/*"], ["*/*"], ["text/plain", "image/png"], []])
def test_answers_in_text_are_enough(world: World, accepted: list[str]) -> None:
    world.send(configuration={"returnImmediately": True, "acceptedOutputModes": accepted})


def test_refused_fields_are_named(world: World) -> None:
    error = world.error("SendMessage", {"message": {"role": "ROLE_USER"}})

    assert error["data"][1]["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    fields = {violation["field"] for violation in error["data"][1]["fieldViolations"]}
    assert {"message.message_id", "message.parts"} <= fields


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("{", -32700),
        ("", -32700),
        ("\ud800", -32700),
        ("[]", -32600),
        ("[{}]", -32600),
        ("1", -32600),
        ("null", -32600),
        ("{}", -32600),
        ('{"jsonrpc":"1.0","id":1,"method":"GetTask"}', -32600),
        ('{"jsonrpc":"2.0","id":true,"method":"GetTask"}', -32600),
        ('{"jsonrpc":"2.0","id":{},"method":"GetTask"}', -32600),
        ('{"jsonrpc":"2.0","id":1}', -32600),
        ('{"jsonrpc":"2.0","id":1,"method":5}', -32600),
        ('{"jsonrpc":"2.0","id":1,"method":""}', -32600),
        ("[" * 100_000, -32700),
        ('{"jsonrpc":"2.0","id":1,"method":"GetTask","params":' + "[" * 5_000, -32700),
    ],
)
def test_a_body_that_is_no_request_is_told_so(world: World, body: str, code: int) -> None:
    answer = world.call("POST", RPC, raw=body)

    assert (answer.status, answer.error["code"]) == (200, code)


def test_a_request_without_an_id_is_answered(world: World) -> None:
    answer = world.call("POST", RPC, {"jsonrpc": "2.0", "method": "ListTasks"})

    assert answer.json["id"] is None
    assert "result" in answer.json


def test_a_trailing_slash_is_the_same_agent(world: World) -> None:
    assert world.rpc("ListTasks", path=f"{RPC}/") == world.rpc("ListTasks")


def test_json_rpc_takes_posts_only(world: World) -> None:
    answer = world.call("GET", RPC)

    assert (answer.status, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("version", ["1.0", "1", "1.1", "1.0.1", " 1.0 "])
def test_any_1x_is_spoken(world: World, version: str) -> None:
    assert world.call("GET", f"{REST}/tasks", version=version).status == 200


@pytest.mark.parametrize("version", [None, "", "0.3", "2.0", "10.0", "1.x", "one", "1.0\u00b2"])
def test_no_other_version_is(world: World, version: str | None) -> None:
    rest = world.call("GET", f"{REST}/tasks", version=version)

    assert (rest.status, reason(rest.error)) == (400, "VERSION_NOT_SUPPORTED")
    assert world.error("ListTasks", version=version)["code"] == -32009


def test_the_version_may_be_a_query_parameter(world: World) -> None:
    query = {"A2A-Version": "1.0"}

    assert world.call("GET", f"{REST}/tasks", query=query, version=None).status == 200


def test_unknown_extensions_are_no_matter(world: World) -> None:
    assert world.send(headers={"A2A-Extensions": "https://example.com/ext, urn:other"})


def test_an_extension_that_a_card_demands_is_demanded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = world.operations.card

    def demanding(agent_id: str, base_url: str) -> Any:
        made = card(agent_id, base_url)
        made.capabilities.extensions.add(uri="urn:needed", required=True)
        return made

    monkeypatch.setattr(type(world.operations), "card", staticmethod(demanding))

    assert world.error("ListTasks")["code"] == -32008
    assert world.result("ListTasks", headers={"A2A-Extensions": "urn:a,urn:needed"})


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "application/jsonx"])
def test_another_media_type_is_refused(world: World, media_type: str) -> None:
    headers = {"Content-Type": media_type}

    rpc = world.call("POST", RPC, {}, headers=headers)
    assert (rpc.status, rpc.error["code"]) == (200, -32005)
    rest = world.call("POST", f"{REST}/message:send", {}, headers=headers)
    assert (rest.status, reason(rest.error)) == (400, "CONTENT_TYPE_NOT_SUPPORTED")


def test_rest_takes_both_of_its_media_types(world: World) -> None:
    body = {"message": message(), "configuration": {"returnImmediately": True}}
    for media_type in ("application/json; charset=utf-8", "application/a2a+json"):
        headers = {"Content-Type": media_type}
        assert world.call("POST", f"{REST}/message:send", body, headers=headers).status == 200


def test_a_body_over_the_limit_is_refused_before_it_is_parsed(world: World) -> None:
    body = {"message": message("a" * BODY_MAX)}

    rest = world.call("POST", f"{REST}/message:send", body)
    rpc = world.call("POST", RPC, body)

    assert (rest.status, rest.error["code"]) == (413, 413)
    assert (rpc.status, rpc.error["code"]) == (413, -32600)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nothing"),
        ("PUT", "/tasks"),
        ("DELETE", "/tasks/x"),
        ("POST", "/tasks/x:unknown"),
        ("GET", "/tasks/x/y"),
        ("POST", "/message:sendx"),
    ],
)
def test_an_unknown_operation_is_not_found(world: World, method: str, path: str) -> None:
    answer = world.call(method, REST + path, {} if method == "POST" else None)

    assert (answer.status, reason(answer.error)) == (404, "METHOD_NOT_FOUND")


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/tasks", {"status": "DONE"}),
        ("/tasks", {"pageSize": "many"}),
        ("/tasks", {"includeArtifacts": "yes"}),
        ("/tasks", {"statusTimestampAfter": "yesterday"}),
        ("/tasks/x", {"historyLength": "-1"}),
        ("/tasks/x", {"historyLength": "99999999999"}),
    ],
)
def test_a_query_parameter_of_another_type_is_refused(
    world: World, path: str, query: dict[str, str]
) -> None:
    answer = world.call("GET", REST + path, query=query)

    assert (answer.status, reason(answer.error)) == (400, "INVALID_PARAMS")


def test_a_path_beside_all_others_is_not_found(world: World) -> None:
    assert world.call("GET", "/elsewhere", key=None).status == 404


# Keys ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [None, "", "nd_x", "Basic abc", "Bearer", "Bearer nd_1_2"])
def test_a_malformed_key_costs_no_request_at_all(world: World, header: str | None) -> None:
    before = world.access.calls
    headers = {} if header is None else {"authorization": header}

    for answer in (
        world.call("POST", RPC, {}, key=None, headers=headers),
        world.call("GET", f"{REST}/tasks", key=None, headers=headers),
        world.call("GET", f"{RPC}/tasks", key=None, headers=headers),
    ):
        assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert world.access.calls == before


def test_an_unknown_key_costs_exactly_one_request(world: World) -> None:
    before = world.access.calls

    assert world.call("GET", f"{REST}/tasks", key=f"nd_{'a' * 16}_{'b' * 64}").status == 401
    assert world.access.calls == before + 1


def test_a_revoked_key_fails_on_the_very_next_request(world: World) -> None:
    world.access.revoke(world.key.split("_")[1], now=world.clock.now())

    assert world.call("POST", RPC, {}).status == 401


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("SendMessage", {"message": message()}),
        ("CancelTask", {"id": "x"}),
        (CREATE_PUSH, {"taskId": "x", "url": HOOK}),
    ],
)
def test_a_key_for_reading_changes_nothing(world: World, method: str, params: Any) -> None:
    key = world.make_key(operations=(Operation.READ,))
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}

    assert world.call("POST", RPC, body, key=key).status == 403
    assert world.tasks.tasks == {}


def test_a_key_for_writing_alone_reads_nothing(world: World) -> None:
    key = world.make_key(operations=(Operation.WRITE,))

    assert world.call("GET", f"{REST}/tasks", key=key).status == 403
    assert world.call("GET", f"{REST}/tasks/x", key=key).status == 403


# Agents, and what fails behind -----------------------------------------------------------------


def test_an_unknown_agent_is_found_missing_only_with_a_key(world: World) -> None:
    path = "/a2a/nobody/v1/message:send"
    body = {"message": message()}

    assert world.call("POST", path, body, key=None).status == 401
    answer = world.call("POST", path, body)
    assert (answer.status, reason(answer.error)) == (404, "AGENT_NOT_FOUND")


def test_a_switched_off_agent_takes_nothing(world: World) -> None:
    world.specialists.add_broken("x.md", "no name", "broken")
    body = {"message": message()}

    answer = world.call("POST", "/a2a/broken/v1/message:send", body)

    assert (answer.status, reason(answer.error)) == (400, "UNSUPPORTED_OPERATION")


def test_a_store_that_does_not_answer_is_said_to_be_unavailable(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(_: str) -> Task | None:
        raise errors.UnavailableError("DynamoDB: secret detail")

    monkeypatch.setattr(world.tasks, "get", unavailable)

    rest = world.call("GET", f"{REST}/tasks/x")
    rpc = world.call(
        "POST", RPC, {"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": "x"}}
    )

    assert (rest.status, rest.headers["retry-after"]) == (503, "5")
    assert (rpc.status, rpc.error["code"]) == (503, -32603)
    assert "secret" not in rest.text + rpc.text


def test_a_defect_says_nothing_about_itself(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: str) -> Specialist:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(world.operations, "specialist", broken)

    rest = world.call("POST", f"{REST}/message:send", {"message": message()})
    old = world.call("POST", f"/a2a/{AGENT}/tasks", {"message": "m"})

    assert (rest.status, reason(rest.error)) == (500, "INTERNAL_ERROR")
    assert (old.status, old.json["code"]) == (500, "TASK_CREATION_ERROR")
    assert "secret" not in rest.text + old.text
    assert "secret detail" in caplog.text


def test_a_queue_that_does_not_answer_loses_nothing(world: World) -> None:
    def unavailable(task_id: str, *, delay: timedelta = timedelta(0)) -> None:
        raise errors.UnavailableError(f"{task_id} {delay}")

    world.wake_ups.send = unavailable  # type: ignore[method-assign]

    assert world.send()["status"]["state"] == "TASK_STATE_SUBMITTED"
