"""The predecessor's API: its answers and limits are kept, and each of its weaknesses is gone."""

import json
from datetime import timedelta
from typing import Any

import pytest

from nightdesk.domain.errors import ErrorCode, UnavailableError
from nightdesk.domain.push_configs import PushFormat
from nightdesk.domain.task import Task, TaskStatus
from nightdesk.domain.untrusted_text import fenced_parts
from nightdesk.services.manage_keys import list_keys
from tests.a2a.world import AGENT, HOOK, OTHER_AGENT, World

TASKS = f"/a2a/{AGENT}/tasks"
MESSAGES = f"/a2a/{AGENT}/messages"


def make(world: World, **fields: Any) -> str:
    answer = world.call("POST", TASKS, {"message": "Do it", **fields}, version=None)
    assert answer.status == 202, answer.text
    return str(answer.json["taskId"])


def show(world: World, task_id: str) -> dict[str, Any]:
    return world.call("GET", f"{TASKS}/{task_id}", version=None).json


def refused(world: World, path: str, body: Any) -> list[tuple[str, str]]:
    answer = world.call("POST", path, body)
    assert (answer.status, answer.json["error"]) == (400, "Invalid request")
    assert answer.json["code"] == "VALIDATION_ERROR"
    return [(detail["field"], detail["message"]) for detail in answer.json["details"]]


# What is kept ----------------------------------------------------------------------------------


def test_a_task_is_accepted_at_once(world: World) -> None:
    answer = world.call("POST", TASKS, {"message": "Do it", "timeout": 60_000}, version=None)

    task_id = answer.json["taskId"]
    assert (answer.status, answer.json) == (
        202,
        {"taskId": task_id, "status": "pending", "checkUrl": f"{TASKS}/{task_id}"},
    )
    assert world.clock.slept == []
    assert world.tasks.tasks[task_id].timeout_ms == 60_000


def test_the_check_url_shows_pending_running_completed(world: World) -> None:
    task_id = make(world)
    assert show(world, task_id)["status"] == "pending"
    assert "startedAt" not in show(world, task_id)
    world.start(task_id)
    assert show(world, task_id)["status"] == "running"
    world.complete(task_id, "All done")

    done = show(world, task_id)

    assert (done["status"], done["output"]) == (
        "completed",
        {"result": "All done", "artifacts": []},
    )
    assert done["completedAt"] >= done["startedAt"] >= done["createdAt"]


def test_deleting_cancels(world: World) -> None:
    task_id = make(world)

    answer = world.call("DELETE", f"{TASKS}/{task_id}")

    assert (answer.status, answer.json) == (
        200,
        {"taskId": task_id, "status": "canceled", "message": "Task canceled successfully"},
    )
    assert show(world, task_id)["status"] == "canceled"


def test_an_ended_task_cannot_be_canceled(world: World) -> None:
    task_id = make(world)
    world.complete(task_id)

    answer = world.call("DELETE", f"{TASKS}/{task_id}")

    assert (answer.status, answer.json["code"]) == (400, "TASK_CANNOT_BE_CANCELED")


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"timeout": 999}, ("timeout", "Timeout must be at least 1 second (1000ms)")),
        ({"timeout": 1_800_001}, ("timeout", "Timeout cannot exceed 30 minutes (1800000ms)")),
        ({"timeout": 1500.5}, ("timeout", "Timeout must be an integer")),
        ({"timeout": "5000"}, ("timeout", "Invalid input: expected number")),
        ({"timeout": True}, ("timeout", "Invalid input: expected number")),
        ({"message": ""}, ("message", "Message cannot be empty")),
        ({"message": "a" * 10_001}, ("message", "Message too long (max 10000 characters)")),
        ({"message": 5}, ("message", "Invalid input: expected string")),
        ({"context": "x"}, ("context", "Invalid input: expected record")),
        (
            {"pushNotificationConfig": {"url": "nowhere"}},
            ("pushNotificationConfig.url", "Invalid webhook URL"),
        ),
        (
            {"pushNotificationConfig": {"url": HOOK, "authentication": {"schemes": []}}},
            (
                "pushNotificationConfig.authentication.schemes",
                "At least one authentication scheme required",
            ),
        ),
    ],
)
def test_what_is_refused_is_refused_in_the_same_words(
    world: World, fields: dict[str, Any], detail: tuple[str, str]
) -> None:
    assert detail in refused(world, TASKS, {"message": "Do it", **fields})
    assert world.tasks.tasks == {}


@pytest.mark.parametrize("timeout", [1_000, 1_800_000])
@pytest.mark.parametrize("length", [1, 10_000])
def test_the_limits_themselves_are_allowed(world: World, timeout: int, length: int) -> None:
    assert make(world, message="a" * length, timeout=timeout)


def test_all_that_is_wrong_is_named_at_once(world: World) -> None:
    found = refused(world, TASKS, {"message": "", "timeout": 1, "context": []})

    assert [field for field, _ in found] == ["message", "timeout", "context"]


@pytest.mark.parametrize("body", [[], 1, "x", None])
def test_a_body_that_is_no_object_is_refused(world: World, body: Any) -> None:
    assert world.call("POST", TASKS, raw=json.dumps(body)).status == 400


def test_a_body_that_is_no_json_is_refused(world: World) -> None:
    answer = world.call("POST", TASKS, raw="{")

    assert (answer.status, answer.json["code"]) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "MISSING_AUTH_HEADER"),
        ("Basic abc", "INVALID_AUTH_FORMAT"),
        ("Bearer ", "EMPTY_API_KEY"),
        ("Bearer agt_proj_0123", "INVALID_API_KEY"),
        (f"Bearer nd_{'a' * 16}_{'b' * 64}", "INVALID_API_KEY"),
    ],
)
def test_a_request_without_a_good_key_has_its_code(
    world: World, header: str | None, code: str
) -> None:
    headers = {} if header is None else {"authorization": header}

    answer = world.call("GET", TASKS, key=None, headers=headers)

    assert (answer.status, answer.json["code"]) == (401, code)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", f"{TASKS}/none", 404, "TASK_NOT_FOUND"),
        ("DELETE", f"{TASKS}/none", 404, "TASK_NOT_FOUND"),
        ("POST", "/a2a/nobody/tasks", 404, "AGENT_NOT_FOUND"),
        ("POST", "/a2a//tasks", 400, "MISSING_AGENT_ID"),
        ("PUT", TASKS, 405, "METHOD_NOT_ALLOWED"),
        ("GET", f"/a2a/{AGENT}/elsewhere", 404, "NOT_FOUND"),
    ],
)
def test_what_is_not_there_has_its_code(
    world: World, method: str, path: str, status: int, code: str
) -> None:
    body = {"message": "m"} if method == "POST" else None
    answer = world.call(method, path, body)

    assert (answer.status, answer.json["code"]) == (status, code)


def test_a_message_is_answered_with_the_agents_answer(world: World) -> None:
    world.on_sleep(lambda: world.complete(next(iter(world.tasks.tasks)), "Forty-two"))

    answer = world.call("POST", MESSAGES, {"message": "What is it?"}, version=None)

    assert answer.status == 200
    assert answer.json["response"] == "Forty-two"
    assert answer.json["metadata"]["processingTimeMs"] == 150
    assert answer.json["metadata"]["tokensUsed"] == 0


def test_a_message_that_takes_longer_than_the_gateway_waits_gets_a_check_url(world: World) -> None:
    answer = world.call("POST", MESSAGES, {"message": "Think"})

    assert answer.status == 202
    assert show(world, answer.json["checkUrl"].rpartition("/")[2])["status"] == "pending"
    assert sum(world.clock.slept, timedelta()) == timedelta(seconds=25)


def test_a_session_goes_on_with_its_id(world: World) -> None:
    world.on_sleep(lambda: world.complete(next(iter(world.tasks.tasks)), "First answer"))
    session = world.call("POST", MESSAGES, {"message": "First"}).json["sessionId"]

    body = {"message": "Second", "sessionId": session, "sessionMode": "reuse"}
    second = world.call("POST", MESSAGES, body).json["taskId"]

    assert "First answer" in world.tasks.origins[second].prompt


def test_a_message_whose_task_fails_is_an_error(world: World) -> None:
    world.on_sleep(lambda: world.fail(next(iter(world.tasks.tasks))))

    answer = world.call("POST", MESSAGES, {"message": "m"})

    assert (answer.status, answer.json["code"]) == (500, "MESSAGE_PROCESSING_ERROR")
    assert answer.json["errorDetails"] == {"message": "It broke", "code": "EXECUTION_ERROR"}


@pytest.mark.parametrize(
    "fields", [{"images": [{"data": "x"}]}, {"sessionMode": "other"}, {"timeout": 1}]
)
def test_a_message_is_checked_too(world: World, fields: dict[str, Any]) -> None:
    assert refused(world, MESSAGES, {"message": "m", **fields})


def test_where_nothing_streams_a_stream_is_refused(world: World) -> None:
    answer = world.call("POST", MESSAGES, {"message": "m"}, query={"stream": "true"})

    assert (answer.status, answer.json["code"]) == (400, "VALIDATION_ERROR")


# Its weaknesses --------------------------------------------------------------------------------


def test_a1_running_is_seen_with_the_time_when_it_really_began(world: World) -> None:
    task_id = make(world)
    world.clock.advance(timedelta(minutes=3))
    world.start(task_id)

    task = show(world, task_id)

    assert task["status"] == "running"
    assert task["startedAt"] == "2026-11-21T12:03:00.000Z"
    assert task["createdAt"] == "2026-11-21T12:00:00.000Z"


def test_a2_a_running_task_is_what_the_sweeper_and_its_timeout_look_at(world: World) -> None:
    task_id = make(world, timeout=60_000)
    world.start(task_id)

    (running,) = world.tasks.running()

    assert running.deadline == world.clock.now() + timedelta(minutes=1)


def test_a3_a_queue_that_forgets_loses_no_task(world: World) -> None:
    task_id = make(world)
    world.wake_ups.sent.clear()  # as if every message were lost

    assert [candidate.task_id for candidate in world.tasks.runnable(limit=9)] == [task_id]


def test_a4_a_task_that_cannot_be_queued_is_still_accepted_by_its_id(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(task_id: str, *, delay: timedelta = timedelta(0)) -> None:
        raise UnavailableError(f"{task_id} {delay}")

    monkeypatch.setattr(world.wake_ups, "send", unavailable)

    assert show(world, make(world))["status"] == "pending"


def test_a5_with_all_slots_busy_a_task_is_accepted_as_fast(world: World) -> None:
    for slot in list(world.tasks.slots()):
        world.start(make(world))
        assert slot.task_id is None

    make(world)

    assert world.clock.slept == []
    assert len([t for t in world.tasks.tasks.values() if t.status is TaskStatus.PENDING]) == 1


def test_a6_canceling_really_stops_the_work(world: World) -> None:
    task_id = make(world)
    running = world.start(task_id)
    world.on_sleep(lambda: world.stop_if_asked(task_id))

    assert world.call("DELETE", f"{TASKS}/{task_id}").json["status"] == "canceled"
    assert world.tasks.slots()[running.slot or 0].task_id is None


def test_a6_a_session_that_has_not_stopped_yet_is_not_called_canceled(world: World) -> None:
    task_id = make(world)
    world.start(task_id)

    answer = world.call("DELETE", f"{TASKS}/{task_id}")

    assert (answer.status, answer.json["status"]) == (202, "running")
    assert world.tasks.tasks[task_id].cancel_requested
    assert show(world, task_id)["progress"]["currentStep"] == "Stopping, as asked"


def test_a7_a_timeout_is_called_one(world: World) -> None:
    task_id = make(world)
    world.fail(task_id, ErrorCode.TASK_TIMEOUT)

    assert show(world, task_id)["errorDetails"]["code"] == "TASK_TIMEOUT"


def test_a8_cancel_and_completion_cannot_both_win(world: World) -> None:
    task_id = make(world)
    world.start(task_id)
    read = world.tasks.get

    def completes_meanwhile(task_id: str) -> Task | None:
        task = read(task_id)
        if task is not None and task.status is TaskStatus.RUNNING:
            world.complete(task_id, "Won")
        return task

    world.tasks.get = completes_meanwhile  # type: ignore[method-assign]
    answer = world.call("DELETE", f"{TASKS}/{task_id}")
    world.tasks.get = read  # type: ignore[method-assign]

    assert answer.json["code"] == "TASK_CANNOT_BE_CANCELED"
    assert show(world, task_id)["output"]["result"] == "Won"


def test_a9_progress_is_what_the_session_does_and_no_invented_number(world: World) -> None:
    task_id = make(world)
    assert "progress" not in show(world, task_id)
    world.start(task_id)
    world.step(task_id, "Running: search_code")

    assert show(world, task_id)["progress"] == {
        "currentStep": "Running: search_code",
        "toolCallCount": 1,
    }


def test_a10_the_context_reaches_the_agent(world: World) -> None:
    task_id = make(world, context={"branch": "main", "n": 1})

    (data,) = fenced_parts(world.tasks.origins[task_id].prompt)

    assert (data.label, '"branch": "main"' in data.text) == ("context", True)


def test_a10_the_timeout_is_the_tasks(world: World) -> None:
    assert world.tasks.tasks[make(world, timeout=5_000)].timeout_ms == 5_000


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (
            {"authentication": {"schemes": ["Basic"], "credentials": "dXNlcg=="}},
            ("Basic", "dXNlcg=="),
        ),
        ({"token": "t"}, ("Bearer", "t")),
        (
            {"token": "t", "authentication": {"schemes": ["Bearer"], "credentials": "c"}},
            ("Bearer", "c"),
        ),
        ({}, ("", "")),
    ],
)
def test_a11_the_callbacks_authentication_is_kept(
    world: World, given: dict[str, Any], kept: tuple[str, str]
) -> None:
    task_id = make(world, pushNotificationConfig={"url": HOOK, **given})

    (config,) = world.push_configs.of_task(task_id)

    assert (config.scheme, config.credentials, config.format) == (*kept, PushFormat.PLAIN)


@pytest.mark.parametrize(
    "url", ["http://hooks.example.com/", "https://localhost/", "https://169.254.169.254/x"]
)
def test_a12_a_callback_that_leads_inside_is_refused(world: World, url: str) -> None:
    ((field, _),) = refused(world, TASKS, {"message": "m", "pushNotificationConfig": {"url": url}})

    assert field == "pushNotificationConfig.url"
    assert world.tasks.tasks == {}


def test_a12_no_stack_is_shown(world: World) -> None:
    task_id = make(world)
    world.fail(task_id)

    assert set(show(world, task_id)["errorDetails"]) == {"message", "code"}


def test_a13_a_failed_session_is_failed(world: World) -> None:
    task_id = make(world)
    world.fail(task_id, ErrorCode.TURN_LIMIT)

    task = show(world, task_id)

    assert (task["status"], "output" in task) == ("failed", False)


def test_a14_what_was_used_is_part_of_the_task(world: World) -> None:
    assert show(world, make(world))["usage"] == {
        "inputTokens": 0,
        "outputTokens": 0,
        "costUsd": 0.0,
    }


def test_a15_listing_looks_at_what_it_shows_and_not_at_what_is_over(world: World) -> None:
    for _ in range(10):
        world.complete(make(world))
    world.call("GET", TASKS)
    world.conversations.reads = 0

    listed = world.call("GET", TASKS, query={"limit": "3"}).json

    assert (len(listed["tasks"]), listed["total"]) == (3, 10)
    assert world.conversations.reads == 3


def test_a16_a_task_is_its_workspaces_and_its_agents(world: World) -> None:
    task_id = make(world)
    elsewhere = world.make_key("others")

    for method in ("GET", "DELETE"):
        by_a_stranger = world.call(method, f"{TASKS}/{task_id}", key=elsewhere)
        over_another_agent = world.call(method, f"/a2a/{OTHER_AGENT}/tasks/{task_id}")
        assert by_a_stranger.status == over_another_agent.status == 404


@pytest.mark.parametrize("task_id", ["..%2f..%2fsecrets", "%2e%2e", "a%00b", "a" * 200])
def test_a16_an_id_is_no_path(world: World, task_id: str) -> None:
    assert world.call("GET", f"{TASKS}/{task_id}").status == 404


def test_a17_a_key_costs_one_request_and_is_stored_as_a_hash(world: World) -> None:
    before = world.access.calls
    world.call("GET", TASKS)

    assert world.access.calls == before + 1
    assert world.key.rpartition("_")[2] not in str(list_keys(access=world.access))


def test_a17_a_revoked_key_stays_revoked(world: World) -> None:
    world.access.revoke(world.key.split("_")[1], now=world.clock.now())

    assert [world.call("GET", TASKS).status for _ in range(3)] == [401, 401, 401]


def test_a17_a_stranger_does_not_learn_which_agents_there_are(world: World) -> None:
    here = world.call("POST", TASKS, {"message": "m"}, key=None)
    nowhere = world.call("POST", "/a2a/nobody/tasks", {"message": "m"}, key=None)

    assert (here.status, here.text) == (nowhere.status, nowhere.text)


def test_a18_a_client_may_poll_every_second(world: World) -> None:
    task_id = make(world)

    for _ in range(120):
        world.clock.advance(timedelta(seconds=1))
        assert world.call("GET", f"{TASKS}/{task_id}").status == 200


def test_a19_an_idempotency_key_makes_one_task(world: World) -> None:
    headers = {"Idempotency-Key": "order-1"}
    first, second = (
        world.call("POST", TASKS, {"message": "m"}, headers=headers).json["taskId"]
        for _ in range(2)
    )
    other = world.call("POST", TASKS, {"message": "other"}, headers=headers)

    assert first == second
    assert (other.status, other.json["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_a19_tasks_are_listed_page_by_page(world: World) -> None:
    made = []
    for _ in range(5):
        world.clock.advance(timedelta(seconds=1))
        made.append(make(world))
    listed: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = world.call("GET", TASKS, query={"limit": "2", **cursor}).json
        assert page["total"] == 5
        listed += [task["taskId"] for task in page["tasks"]]
        if "nextCursor" not in page:
            break
        cursor = {"cursor": page["nextCursor"]}

    assert listed == made[::-1]


def test_a19_lists_are_filtered_by_its_own_words(world: World) -> None:
    pending, running, done = make(world), make(world), make(world)
    world.start(running)
    world.complete(done)

    def of(status: str) -> list[str]:
        tasks = world.call("GET", TASKS, query={"status": status}).json["tasks"]
        return [task["taskId"] for task in tasks]

    assert (of("pending"), of("running"), of("completed")) == ([pending], [running], [done])
    assert world.call("GET", TASKS, query={"status": "done"}).status == 400
    assert world.call("GET", TASKS, query={"limit": "0"}).status == 400
    assert world.call("GET", TASKS, query={"cursor": "x"}).status == 400


def test_a19_a_switched_off_agent_takes_no_task(world: World) -> None:
    world.specialists.add_broken("x.md", "no name", "broken")

    for path in ("tasks", "messages"):
        answer = world.call("POST", f"/a2a/broken/{path}", {"message": "m"})
        assert (answer.status, answer.json["code"]) == (403, "AGENT_DISABLED")


def test_a20_what_is_listed_can_be_canceled(world: World) -> None:
    make(world)
    (listed,) = world.call("GET", TASKS).json["tasks"]

    assert world.call("DELETE", f"{TASKS}/{listed['taskId']}").status == 200


def test_a21_a_task_whose_executor_was_lost_does_not_hold_up_the_next(world: World) -> None:
    lost = make(world)
    world.start(lost)
    world.clock.advance(timedelta(minutes=10))

    following = make(world)

    assert [c.task_id for c in world.tasks.runnable(limit=9)] == [following]
    assert world.call("DELETE", f"{TASKS}/{lost}").json["status"] == "canceled"


def test_a22_cards_and_answers_hold_no_path_of_this_machine(world: World) -> None:
    card = world.call("GET", f"/a2a/{AGENT}/.well-known/agent-card.json", key=None).text

    assert "workingDirectory" not in card
    assert not any(folder in card for folder in ("/opt", "/var/task", "/home", "/work"))
