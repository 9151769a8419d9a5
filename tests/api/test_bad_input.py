"""What callers should not have sent: always a 4xx in the one error shape, never a 5xx."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightdesk.domain.task import PROMPT_MAX
from tests.api.caller import TASKS, WORKSPACE, Answered, Caller

GOOD = {"prompt": "Do it", "agentId": "developer", "workspaceId": WORKSPACE}


def assert_error(answer: Answered, status: int) -> None:
    assert answer.status == status
    assert set(answer.json) == {"error"}
    assert set(answer.error) - {"field"} == {"code", "message", "requestId"}
    assert answer.error["requestId"] == "request-1"
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"


# Bodies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "{",
        "not json",
        '{"prompt": "x"',
        '{"prompt": "x"}}',
        "{'prompt': 'x'}",
        '{"prompt": "\ud800"}',
        '{"prompt": "\\ud800"}',
        "\ufeff{}",
        "NaN",
        "[" * 100_000,
        '{"a":' * 100_000,
        "1e999",
    ],
)
def test_malformed_json_is_refused(api: Caller, raw: str) -> None:
    answer = api.call("POST", TASKS, raw=raw)

    assert_error(answer, 400)
    assert (answer.error["code"], answer.error["message"]) == ("INVALID_JSON", "Invalid JSON body")


@pytest.mark.parametrize("raw", ["null", "[]", '"text"', "1", "true"])
def test_json_that_is_no_object_is_refused(api: Caller, raw: str) -> None:
    answer = api.call("POST", TASKS, raw=raw)

    assert_error(answer, 400)
    assert "must be a JSON object" in answer.error["message"]


def test_no_body_at_all_is_malformed_json(api: Caller) -> None:
    assert_error(api.call("POST", TASKS), 400)


def test_a_body_may_come_in_base64(api: Caller) -> None:
    encoded = base64.b64encode(json.dumps({**GOOD, "prompt": "ä€😀"}).encode()).decode()

    answer = api.call("POST", TASKS, raw=encoded, is_base64=True)

    assert answer.task["prompt"] == "ä€😀"


@pytest.mark.parametrize("raw", ["%%%", "e30", "ä", base64.b64encode(b"\xff\xfe{}").decode()])
def test_broken_base64_and_broken_utf8_are_malformed_json(api: Caller, raw: str) -> None:
    assert_error(api.call("POST", TASKS, raw=raw, is_base64=True), 400)


@pytest.mark.parametrize("is_base64", [False, True])
def test_ten_megabytes_are_too_much(api: Caller, *, is_base64: bool) -> None:
    body = json.dumps({**GOOD, "prompt": "x" * 10_000_000})
    raw = base64.b64encode(body.encode()).decode() if is_base64 else body

    answer = api.call("POST", TASKS, raw=raw, is_base64=is_base64)

    assert_error(answer, 413)
    assert answer.error["code"] == "PAYLOAD_TOO_LARGE"


def test_the_bound_of_a_body_counts_bytes_and_not_characters(api: Caller) -> None:
    fits = json.dumps({**GOOD, "prompt": "x" * 1_000})
    exactly = fits + " " * (1_048_576 - len(fits))
    raw = json.dumps({**GOOD, "prompt": "€" * 350_000}, ensure_ascii=False)

    assert len(raw) < 1_048_576 < len(raw.encode())
    assert_error(api.call("POST", TASKS, raw=raw), 413)
    assert_error(api.call("POST", TASKS, raw=exactly + " "), 413)
    assert api.call("POST", TASKS, raw=exactly).status == 201


@pytest.mark.parametrize(
    "media_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/xml"],
)
def test_another_media_type_is_refused(api: Caller, media_type: str) -> None:
    answer = api.call("POST", TASKS, GOOD, headers={"Content-Type": media_type})

    assert_error(answer, 415)


@pytest.mark.parametrize(
    "media_type",
    ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"],
)
def test_json_by_any_of_its_names_is_accepted(api: Caller, media_type: str) -> None:
    assert api.call("POST", TASKS, GOOD, headers={"CONTENT-TYPE": media_type}).status == 201


# Fields ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["prompt", "agentId", "workspaceId"])
@pytest.mark.parametrize("value", [None, "", "  \n "])
def test_what_is_required_is_required(api: Caller, field: str, value: str | None) -> None:
    answer = api.call("POST", TASKS, {**GOOD, field: value})

    assert_error(answer, 400)
    assert (answer.error["field"], answer.error["message"]) == (field, f"{field} is required")


def test_a_list_needs_a_workspace(api: Caller) -> None:
    answer = api.call("GET", TASKS)

    assert_error(answer, 400)
    assert answer.error["message"] == "workspaceId is required"


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("prompt", 7, "text; got 7"),
        ("prompt", ["x"], "text; got a list"),
        (
            "prompt",
            "x" * (PROMPT_MAX + 1),
            f"at most {PROMPT_MAX} characters; got {PROMPT_MAX + 1}",
        ),
        ("title", {"a": 1}, "text; got an object"),
        ("title", "t" * 121, "at most 120 characters; got 121"),
        ("triggeredBy", "t" * 101, "at most 100 characters; got 101"),
        ("priority", "URGENT", 'one of HIGH, NORMAL, LOW; got "URGENT"'),
        ("priority", "high", 'one of HIGH, NORMAL, LOW; got "high"'),
        ("priority", 1, "one of HIGH, NORMAL, LOW; got 1"),
        (
            "triggerSource",
            "magic",
            'one of manual, schedule, webhook, polling, workflow, fleet, a2a; got "magic"',
        ),
        ("maxAttempts", 0, "from 1 to 10; got 0"),
        ("maxAttempts", 11, "from 1 to 10; got 11"),
        ("maxAttempts", "3", 'a whole number; got "3"'),
        ("maxAttempts", 1.5, "a whole number; got 1.5"),
        ("maxAttempts", True, "a whole number; got true"),
        ("maxAttempts", 10**40, "from 1 to 10"),
        ("timeoutMs", 999, "from 1000 to 1800000; got 999"),
        ("timeoutMs", 1_800_001, "from 1000 to 1800000; got 1800001"),
        ("timeoutMs", "15m", "a whole number"),
        ("runAfter", "tomorrow", "a time with an offset"),
        ("runAfter", "2026-11-22T12:00:00", "a time with an offset"),
        ("runAfter", 1_795_262_400, "a time with an offset"),
        ("runAfter", "2026-11-21T11:00:00Z", "not be in the past"),
        ("runAfter", "2027-11-21T12:00:00Z", "within 90 days"),
        ("runAfter", "9999-12-31T23:59:59-23:59", "within 90 days"),
        ("runAfter", "0001-01-01T00:00:00+23:59", "not be in the past"),
        ("status", "RUNNING", "Unknown field"),
        ("id", "my-own", "Unknown field"),
        ("agentID", "developer", "Unknown field"),
        ("__proto__", {}, "Unknown field"),
    ],
)
def test_a_bad_field_is_named_with_its_value_and_what_is_allowed(
    api: Caller, field: str, value: Any, named: str
) -> None:
    answer = api.call("POST", TASKS, {**GOOD, field: value})

    assert_error(answer, 400)
    assert answer.error["code"] == "VALIDATION_ERROR"
    assert answer.error["field"] == field
    assert named in answer.error["message"]
    assert api.tasks.tasks == {}


def test_an_unknown_field_is_answered_with_the_known_ones(api: Caller) -> None:
    message = api.call("POST", TASKS, {**GOOD, "prio": "HIGH"}).error["message"]

    assert message.startswith('Unknown field "prio"; allowed: prompt, agentId, workspaceId,')
    assert "priority" in message


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", "x" * PROMPT_MAX),
        ("prompt", "😀" * PROMPT_MAX),
        ("prompt", "a\x00b\u202e"),
        ("title", "t" * 120),
        ("triggeredBy", "t" * 100),
        ("maxAttempts", 1),
        ("maxAttempts", 10),
        ("timeoutMs", 1_000),
        ("timeoutMs", 1_800_000),
        ("runAfter", "2027-02-19T12:00:00Z"),
    ],
)
def test_the_bounds_themselves_are_allowed(api: Caller, field: str, value: Any) -> None:
    body = {**GOOD, field: value}

    assert api.call("POST", TASKS, raw=json.dumps(body, ensure_ascii=False)).status == 201


def test_an_unknown_specialist_is_answered_with_the_known_ones(api: Caller) -> None:
    answer = api.create(agentId="claude-code")

    assert_error(answer, 400)
    assert answer.error["field"] == "agentId"
    message = answer.error["message"]
    assert message == "Unknown agentId 'claude-code'; known: developer, issue-enricher"


def test_a_specialist_whose_file_is_broken_is_named_with_the_reason(api: Caller) -> None:
    reason = "key role: 'KING' is not allowed; allowed: ROUTA, CRAFTER, GATE, DEVELOPER"
    api.specialists.add_broken("reviewer.md", reason, "reviewer")

    broken = api.create(agentId="reviewer")

    assert_error(broken, 400)
    assert f"reviewer.md: {reason}" in broken.error["message"]
    assert api.create(agentId="developer").status == 201


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"status": "DONE"}, "status"),
        ({"status": "PENDING,FAILED"}, "status"),
        ({"status": "pending"}, "status"),
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "abc"}, "limit"),
        ({"limit": "1_0"}, "limit"),
        ({"limit": "٣"}, "limit"),
        ({"limit": "1" * 5_000}, "limit"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": "MQ=="}, "cursor"),
        ({"cursor": "ä"}, "cursor"),
        ({"cursor": "x" * 10_000}, "cursor"),
        ({"stauts": "FAILED"}, "stauts"),
    ],
)
def test_a_bad_query_names_its_parameter(api: Caller, query: dict[str, str], field: str) -> None:
    answer = api.call("GET", TASKS, query={"workspaceId": WORKSPACE, **query})

    assert_error(answer, 400)
    assert answer.error["field"] == field


def test_the_cursor_of_one_list_is_refused_by_another(api: Caller) -> None:
    for _ in range(2):
        api.create()
    query = {"workspaceId": WORKSPACE, "limit": "1"}
    cursor = api.call("GET", TASKS, query=query).json["nextCursor"]

    answer = api.call("GET", TASKS, query={**query, "status": "PENDING", "cursor": cursor})

    assert_error(answer, 400)


# Ids and paths --------------------------------------------------------------------------------

HOSTILE_IDS = [
    "..",
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f",
    "%00",
    "\x00",
    "\n",
    "a\r\nX-Injected: 1",
    "\u202e",
    "😀",
    "a b",
    "a#b",
    "'; DROP TABLE tasks; --",
    "{{7*7}}",
    "<script>",
    "%",
    "%zz",
    "x" * 101,
    "x" * 10_000,
    "null",
    "-",
]


@pytest.mark.parametrize("suffix", ["", "/retry"])
@pytest.mark.parametrize("task_id", HOSTILE_IDS)
def test_a_hostile_id_is_just_not_found(api: Caller, task_id: str, suffix: str) -> None:
    for method, body in (("GET", None), ("PATCH", {"title": "t"}), ("DELETE", None), ("POST", {})):
        answer = api.call(method, f"{TASKS}/{task_id}{suffix}", body)
        assert answer.status in (404, 405)
        assert_error(answer, answer.status)


def test_an_id_that_no_task_can_have_is_not_looked_up(api: Caller) -> None:
    def refuse(task_id: str) -> None:
        raise AssertionError(task_id)

    api.tasks.get = refuse  # type: ignore[method-assign]

    assert api.call("GET", f"{TASKS}/{'x' * 10_000}").status == 404
    assert api.call("GET", f"{TASKS}/a b").status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api",
        "/api/",
        "/api/tasks",
        "/api/background-tasks/a/b/c",
        "//api//health",
        "/x" * 999,
    ],
)
def test_an_unknown_route_is_not_found(api: Caller, path: str) -> None:
    answer = api.call("GET", path)

    assert_error(answer, 404)
    assert answer.error["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", TASKS, {"GET", "POST"}),
        ("DELETE", TASKS, {"GET", "POST"}),
        ("OPTIONS", TASKS, {"GET", "POST"}),
        ("PUT", f"{TASKS}/t-1", {"GET", "PATCH", "DELETE"}),
        ("POST", f"{TASKS}/t-1", {"GET", "PATCH", "DELETE"}),
        ("GET", f"{TASKS}/t-1/retry", {"POST"}),
        ("POST", "/api/specialists", {"GET"}),
        ("DELETE", "/api/polling/check", {"GET", "POST"}),
        ("BREW", "/api/health", {"GET"}),
    ],
)
def test_a_wrong_method_is_answered_with_the_right_ones(
    api: Caller, method: str, path: str, allowed: set[str]
) -> None:
    answer = api.call(method, path)

    assert_error(answer, 405)
    assert set(answer.headers["allow"].split(", ")) == allowed


# Anything at all ------------------------------------------------------------------------------

FIELDS = [*GOOD, "title", "triggerSource", "triggeredBy", "priority", "maxAttempts"]
FIELDS += ["timeoutMs", "runAfter", "action", "status", "cursor"]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.sampled_from(["HIGH", "PENDING", "deleteByStatus", "developer", WORKSPACE, "manual"])
    | st.datetimes().map(lambda moment: f"{moment.isoformat()}Z"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
BODIES = st.dictionaries(st.sampled_from(FIELDS) | st.text(), JSON).flatmap(
    lambda fields: st.sampled_from([fields, {**GOOD, **fields}, {**fields, **GOOD}])
)


@given(
    body=BODIES,
    method=st.sampled_from(["POST", "PATCH"]),
    idempotency_key=st.none() | st.text(max_size=300),
)
@settings(max_examples=300, deadline=None)
def test_no_body_whatever_is_our_fault(
    body: dict[str, Any], method: str, idempotency_key: str | None
) -> None:
    api = Caller()
    path = TASKS if method == "POST" else f"{TASKS}/{api.create().task['id']}"
    headers = {} if idempotency_key is None else {"idempotency-key": idempotency_key}

    answer = api.call(method, path, body, headers=headers)

    if answer.status >= 400:
        assert_error(answer, answer.status)
    assert answer.status < 500


@given(raw=st.text() | st.binary().map(lambda raw: base64.b64encode(raw).decode()))
@settings(max_examples=200, deadline=None)
def test_no_text_whatever_is_our_fault(raw: str) -> None:
    api = Caller()

    for is_base64 in (False, True):
        assert_error(api.call("POST", TASKS, raw=raw, is_base64=is_base64), 400)


@given(
    path=st.text(max_size=80).map(lambda text: f"/api/{text}")
    | st.text(max_size=80).map(lambda text: f"{TASKS}/{text}"),
    method=st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT"]),
    query=st.dictionaries(st.text(), st.text(), max_size=3),
    headers=st.dictionaries(st.text(), st.text(), max_size=3),
)
@settings(max_examples=300, deadline=None)
def test_no_path_query_or_header_whatever_is_our_fault(
    path: str, method: str, query: dict[str, str], headers: dict[str, str]
) -> None:
    api = Caller()

    answer = api.call(method, path, {}, query=query, headers=headers)

    assert answer.status < 500
    if answer.status >= 400:
        assert_error(answer, answer.status)
