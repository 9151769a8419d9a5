"""Tasks over the REST API, through the real routes, on fakes."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from nightdesk.domain.errors import ErrorCode, UnavailableError
from nightdesk.domain.session import Entry, EntryKind
from nightdesk.domain.task import LEASE, Target, Task, TaskError, TaskStatus, TriggerSource
from tests.api.caller import TASKS, WORKSPACE, Caller
from tests.fakes.clock import NOON
from tests.fakes.wake_ups import FakeWakeUps


def stored(api: Caller, task_id: str) -> Task:
    return api.tasks.tasks[task_id]


def change(api: Caller, task_id: str, **fields: Any) -> Task:
    """Change a stored task behind the API's back."""
    api.tasks.tasks[task_id] = replace(stored(api, task_id), **fields)
    return stored(api, task_id)


def running(api: Caller, task_id: str) -> Task:
    """Claim the task, as an executor does."""
    now = api.clock.now()
    return api.tasks.claim(
        stored(api, task_id),
        api.tasks.slots()[0],
        message_id="m-1",
        now=now,
        lease_until=now + LEASE,
        reserved_micros=0,
    )


# Creating -------------------------------------------------------------------------------------


def test_a_task_is_created_pending_with_the_documented_defaults(api: Caller) -> None:
    answer = api.create(prompt="Fix the cache\nin the parser")

    assert answer.status == 201
    assert answer.headers["content-type"] == "application/json"
    task = answer.task
    assert task == {
        **task,
        "title": "Fix the cache in the parser",
        "prompt": "Fix the cache\nin the parser",
        "agentId": "developer",
        "workspaceId": WORKSPACE,
        "status": "PENDING",
        "priority": "NORMAL",
        "triggerSource": "manual",
        "triggeredBy": "user",
        "attempts": 0,
        "maxAttempts": 3,
        "timeoutMs": 300_000,
        "createdAt": "2026-11-21T12:00:00.000Z",
        "updatedAt": "2026-11-21T12:00:00.000Z",
        "startedAt": None,
        "completedAt": None,
        "resultSessionId": None,
        "errorMessage": None,
        "error": None,
        "output": None,
        "toolCallCount": 0,
        "inputTokens": 0,
        "outputTokens": 0,
        "cacheReadTokens": 0,
        "costUsd": 0.0,
        "cancelRequested": False,
    }


def test_the_executor_is_woken_for_a_new_task(api: Caller) -> None:
    task = api.create().task

    assert api.wake_ups.sent == [(task["id"], timedelta(0))]


def test_every_field_that_was_asked_for_is_kept(api: Caller) -> None:
    asked = {
        "title": "A title",
        "triggerSource": "webhook",
        "triggeredBy": "github:issues",
        "priority": "HIGH",
        "maxAttempts": 1,
        "timeoutMs": 1_800_000,
        "runAfter": "2026-11-21T14:00:00+01:00",
    }

    task = api.create(**asked).task

    assert task == {**task, **asked, "runAfter": "2026-11-21T13:00:00.000Z"}
    assert stored(api, task["id"]).trigger_source is TriggerSource.WEBHOOK


def test_null_means_the_same_as_absent(api: Caller) -> None:
    body = {"prompt": "Do it", "agentId": "developer", "workspaceId": WORKSPACE, "title": None}

    assert api.call("POST", TASKS, {**body, "priority": None, "action": None}).status == 201


def test_blanks_around_the_workspace_and_the_agent_do_not_count(api: Caller) -> None:
    task = api.create(agentId=" developer ", workspaceId=f" {WORKSPACE} ").task

    assert (task["agentId"], task["workspaceId"]) == ("developer", WORKSPACE)


def test_a_long_prompt_gives_a_short_title(api: Caller) -> None:
    assert api.create(prompt="word " * 100).task["title"] == ("word " * 16).strip()


def test_control_characters_of_a_title_become_blanks(api: Caller) -> None:
    assert api.create(title="a\x00b\x1b[31m\nc").task["title"] == "a b [31m c"


def test_the_specialists_limits_are_fixed_at_creation(api: Caller) -> None:
    specialist = api.specialists.set.by_id["developer"]
    api.specialists.add(
        replace(specialist, timeout_ms=900_000, limits=replace(specialist.limits, turns=7))
    )

    task = api.create().task

    assert task["timeoutMs"] == 900_000
    assert api.tasks.origins[task["id"]].limits.turns == 7


def test_a_task_without_a_target_may_publish_nothing(api: Caller) -> None:
    task_id = api.create().task["id"]

    assert api.tasks.origins[task_id].intents == ()


def test_a_delayed_task_is_woken_when_it_is_due_if_the_queue_can_wait_so_long(api: Caller) -> None:
    soon = api.create(runAfter="2026-11-21T12:10:00Z").task
    api.create(runAfter="2026-11-21T13:00:00Z")

    assert api.wake_ups.sent == [(soon["id"], timedelta(minutes=10))]


def test_a_time_that_has_only_just_passed_means_now(api: Caller) -> None:
    assert api.create(runAfter="2026-11-21T11:59:30Z").task["runAfter"] is None


class DeafQueue(FakeWakeUps):
    """A queue that takes nothing."""

    def send(self, task_id: str, *, delay: timedelta = timedelta(0)) -> None:
        raise UnavailableError(task_id)


def test_a_task_is_accepted_although_its_wake_up_could_not_be_sent() -> None:
    api = Caller(wake_ups=DeafQueue())

    answer = api.create()

    assert answer.status == 201
    assert answer.task["id"] in api.tasks.tasks


# The same request twice -----------------------------------------------------------------------

BODY = {"prompt": "Do it", "agentId": "developer", "workspaceId": WORKSPACE}


def test_the_same_idempotency_key_and_body_give_the_same_task(api: Caller) -> None:
    headers = {"Idempotency-Key": "build-7"}
    first = api.call("POST", TASKS, BODY, headers=headers)
    reordered = dict(reversed(BODY.items()))

    again = api.call("POST", TASKS, reordered, headers={"idempotency-key": "build-7"})

    assert (first.status, again.status) == (201, 200)
    assert again.task == first.task
    assert len(api.tasks.tasks) == 1


def test_a_repetition_shows_the_task_as_it_is_now(api: Caller) -> None:
    headers = {"Idempotency-Key": "build-7"}
    task_id = api.call("POST", TASKS, BODY, headers=headers).task["id"]
    running(api, task_id)

    assert api.call("POST", TASKS, BODY, headers=headers).task["status"] == "RUNNING"


def test_the_same_idempotency_key_with_another_body_is_refused(api: Caller) -> None:
    headers = {"Idempotency-Key": "build-7"}
    api.call("POST", TASKS, BODY, headers=headers)

    answer = api.call("POST", TASKS, {**BODY, "priority": "HIGH"}, headers=headers)

    assert (answer.status, answer.error["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert len(api.tasks.tasks) == 1


def test_idempotency_keys_of_two_callers_have_nothing_to_do_with_each_other(api: Caller) -> None:
    headers = {"Idempotency-Key": "build-7"}
    first = api.call("POST", TASKS, BODY, headers=headers)

    other = api.call("POST", TASKS, BODY, headers=headers, key=api.make_key())

    assert other.status == 201
    assert other.task["id"] != first.task["id"]


def test_a_repetition_that_comes_after_run_after_is_still_a_repetition(api: Caller) -> None:
    headers = {"Idempotency-Key": "build-7"}
    body = {**BODY, "runAfter": "2026-11-21T12:05:00Z"}
    first = api.call("POST", TASKS, body, headers=headers)
    api.clock.advance(timedelta(hours=1))

    assert api.call("POST", TASKS, body, headers=headers).status == 200
    assert first.status == 201


def test_a_repetition_wakes_the_executor_again_because_the_first_request_may_have_died(
    api: Caller,
) -> None:
    headers = {"Idempotency-Key": "build-7"}
    task_id = api.call("POST", TASKS, BODY, headers=headers).task["id"]
    api.call("POST", TASKS, BODY, headers=headers)

    assert [sent for sent, _ in api.wake_ups.sent] == [task_id, task_id]


@pytest.mark.parametrize("bad", ["", "k" * 256, "schlüssel", "a\nb"])
def test_an_idempotency_key_is_short_printable_ascii(api: Caller, bad: str) -> None:
    answer = api.call("POST", TASKS, BODY, headers={"Idempotency-Key": bad})

    assert (answer.status, answer.error["field"]) == (400, "Idempotency-Key")
    assert api.tasks.tasks == {}


# Listing --------------------------------------------------------------------------------------


def test_a_list_is_newest_first_and_paged(api: Caller) -> None:
    ids = []
    for _ in range(5):
        ids.append(api.create().task["id"])
        api.clock.advance(timedelta(seconds=1))
    query = {"workspaceId": WORKSPACE, "limit": "2"}
    seen, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        page = api.call("GET", TASKS, query=query | ({"cursor": cursor} if cursor else {})).json
        assert len(page["tasks"]) <= 2
        seen += [task["id"] for task in page["tasks"]]
        cursor, pages = page.get("nextCursor"), pages + 1

    assert seen == ids[::-1]
    assert pages == 3


def test_a_list_carries_neither_prompts_nor_outputs(api: Caller) -> None:
    api.create(prompt="Something long and private", title="T")

    answer = api.call("GET", TASKS, query={"workspaceId": WORKSPACE})

    assert "Something long and private" not in answer.text
    assert not {"prompt", "output", "trigger"} & answer.json["tasks"][0].keys()


def test_a_list_can_be_of_one_status(api: Caller) -> None:
    api.create()
    failed = api.create().task["id"]
    change(api, failed, status=TaskStatus.FAILED)

    answer = api.call("GET", TASKS, query={"workspaceId": WORKSPACE, "status": "FAILED"})

    assert [task["id"] for task in answer.json["tasks"]] == [failed]


def test_an_empty_status_means_any(api: Caller) -> None:
    api.create()

    answer = api.call("GET", TASKS, query={"workspaceId": WORKSPACE, "status": ""})

    assert len(answer.json["tasks"]) == 1


def test_a_key_for_one_specialist_lists_that_specialists_tasks_only(api: Caller) -> None:
    mine = api.create(agentId="developer").task["id"]
    api.create(agentId="issue-enricher")

    answer = api.call(
        "GET", TASKS, query={"workspaceId": WORKSPACE}, key=api.make_key(agents=("developer",))
    )

    assert [task["id"] for task in answer.json["tasks"]] == [mine]


def test_a_key_for_one_specialist_finds_its_old_task_behind_many_others(api: Caller) -> None:
    mine = api.create(agentId="developer").task["id"]
    for _ in range(12):
        api.clock.advance(timedelta(seconds=1))
        api.create(agentId="issue-enricher")
    key, found, cursor = api.make_key(agents=("developer",)), [], ""
    while True:
        query = {"workspaceId": WORKSPACE, "limit": "2", "cursor": cursor}
        page = api.call("GET", TASKS, query=query, key=key).json
        found += [task["id"] for task in page["tasks"]]
        cursor = page.get("nextCursor", "")
        if not cursor:
            break

    assert found == [mine]


# One task -------------------------------------------------------------------------------------


def test_a_task_shows_its_prompt_trigger_and_output_when_it_has_completed(api: Caller) -> None:
    task_id = api.create(prompt="Why?").task["id"]
    entry = Entry(task_id, 1, 3, EntryKind.OUTPUT, NOON, {"result": "Because.", "model": "m"})
    api.tasks.journal[task_id, 1, 3] = entry
    change(api, task_id, status=TaskStatus.COMPLETED, last_entry=3, publication="https://x.example")
    origin = api.tasks.origins[task_id]
    target = Target(repo="o/r", repo_id=1, number=7, kind="issue", url="https://g.example/7")
    api.tasks.origins[task_id] = replace(origin, target=target)

    task = api.call("GET", f"{TASKS}/{task_id}").task

    assert task["prompt"] == "Why?"
    assert task["output"] == {"result": "Because.", "artifacts": []}
    assert task["publication"] == "https://x.example"
    assert task["trigger"] == {
        "event": "api",
        "key": f"api:{task_id}",
        "actor": None,
        "repo": "o/r",
        "number": 7,
        "url": "https://g.example/7",
    }


def test_a_failed_task_says_why_in_both_forms(api: Caller) -> None:
    task_id = api.create().task["id"]
    error = TaskError(ErrorCode.TASK_TIMEOUT, "Too slow")
    change(api, task_id, status=TaskStatus.FAILED, error=error)

    task = api.call("GET", f"{TASKS}/{task_id}").task

    assert task["error"] == {"code": "TASK_TIMEOUT", "message": "Too slow"}
    assert task["errorMessage"] == "Too slow"
    assert task["output"] is None


def test_costs_are_shown_in_dollars(api: Caller) -> None:
    task_id = api.create().task["id"]
    change(api, task_id, cost_micros=1_234_567)

    assert api.call("GET", f"{TASKS}/{task_id}").task["costUsd"] == 1.234567


def test_a_trailing_slash_makes_no_difference(api: Caller) -> None:
    task_id = api.create().task["id"]

    assert api.call("GET", f"{TASKS}/{task_id}/").task["id"] == task_id
    assert api.call("GET", f"{TASKS}/", query={"workspaceId": WORKSPACE}).status == 200


# Editing --------------------------------------------------------------------------------------


def test_a_pending_task_can_be_edited(api: Caller) -> None:
    task_id = api.create().task["id"]
    edit = {"title": "New", "prompt": "Other", "agentId": "issue-enricher", "priority": "HIGH"}

    answer = api.call("PATCH", f"{TASKS}/{task_id}", edit)

    assert answer.status == 200
    assert answer.task == {**answer.task, **edit}
    shown = api.call("GET", f"{TASKS}/{task_id}").task
    assert shown | dict.fromkeys(("queuePosition", "estimatedStartAt")) == answer.task


@pytest.mark.parametrize("status", sorted(set(TaskStatus) - {TaskStatus.PENDING}))
def test_only_a_pending_task_can_be_edited(api: Caller, status: TaskStatus) -> None:
    task_id = api.create().task["id"]
    change(api, task_id, status=status)

    answer = api.call("PATCH", f"{TASKS}/{task_id}", {"priority": "HIGH"})

    assert (answer.status, answer.error["message"]) == (409, "Only PENDING tasks can be edited")


def test_an_edit_that_loses_the_race_against_the_start_is_refused(api: Caller) -> None:
    task_id = api.create().task["id"]
    store = api.tasks
    edits = store.edit

    def edit_after_the_start(task: Task, **changes: Any) -> Task:
        if stored(api, task_id).status is TaskStatus.PENDING:
            running(api, task_id)
        return edits(task, **changes)

    store.edit = edit_after_the_start  # type: ignore[method-assign]
    answer = api.call("PATCH", f"{TASKS}/{task_id}", {"priority": "HIGH"})

    assert answer.status == 409
    assert stored(api, task_id).status is TaskStatus.RUNNING


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        ({}, "body"),
        ({"title": " "}, "title"),
        ({"title": "t" * 121}, "title"),
        ({"prompt": " "}, "prompt"),
        ({"agentId": "nobody"}, "agentId"),
        ({"agentId": " "}, "agentId"),
        ({"priority": "URGENT"}, "priority"),
        ({"status": "COMPLETED"}, "status"),
    ],
)
def test_a_bad_edit_names_its_field(api: Caller, edit: dict[str, Any], field: str) -> None:
    task_id = api.create().task["id"]
    before = stored(api, task_id)

    answer = api.call("PATCH", f"{TASKS}/{task_id}", edit)

    assert (answer.status, answer.error["field"]) == (400, field)
    assert stored(api, task_id) == before


# Deleting and cancelling ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "status",
    [TaskStatus.PENDING, TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED],
)
def test_what_does_not_run_is_deleted(api: Caller, status: TaskStatus) -> None:
    task_id = api.create().task["id"]
    change(api, task_id, status=status)

    answer = api.call("DELETE", f"{TASKS}/{task_id}")

    assert (answer.status, answer.json) == (200, {"success": True})
    assert api.call("GET", f"{TASKS}/{task_id}").status == 404


@pytest.mark.parametrize("query", [{}, {"force": "true"}, {"force": "false"}])
def test_what_runs_is_asked_to_stop_and_keeps_its_status_until_it_has(
    api: Caller, query: dict[str, str]
) -> None:
    task_id = api.create().task["id"]
    claimed = running(api, task_id)

    answer = api.call("DELETE", f"{TASKS}/{task_id}", query=query)

    assert answer.status == 202
    assert (answer.task["status"], answer.task["cancelRequested"]) == ("RUNNING", True)
    assert api.tasks.heartbeat(claimed, lease_until=NOON + 2 * LEASE) is True


def test_cancelling_twice_is_the_same_as_once(api: Caller) -> None:
    task_id = api.create().task["id"]
    running(api, task_id)

    first = api.call("DELETE", f"{TASKS}/{task_id}")
    api.clock.advance(timedelta(seconds=1))
    again = api.call("DELETE", f"{TASKS}/{task_id}")

    assert (first.status, again.status) == (202, 202)
    assert again.task == first.task


def test_a_task_whose_executor_is_gone_is_cancelled_at_once_and_frees_its_slot(
    api: Caller,
) -> None:
    task_id = api.create().task["id"]
    running(api, task_id)
    api.clock.advance(LEASE + timedelta(seconds=1))

    answer = api.call("DELETE", f"{TASKS}/{task_id}")

    assert (answer.status, answer.task["status"]) == (200, "CANCELLED")
    assert all(slot.task_id is None for slot in api.tasks.slots())


def test_an_orphan_is_cancelled_at_once(api: Caller) -> None:
    task_id = api.create().task["id"]
    change(api, task_id, status=TaskStatus.RUNNING)

    assert api.call("DELETE", f"{TASKS}/{task_id}").task["status"] == "CANCELLED"


def test_a_waiting_task_is_cancelled_and_kept(api: Caller) -> None:
    task_id = api.create().task["id"]
    change(api, task_id, status=TaskStatus.WAITING)

    answer = api.call("DELETE", f"{TASKS}/{task_id}")

    assert (answer.status, answer.task["status"]) == (200, "CANCELLED")


def test_a_task_that_starts_while_it_is_deleted_is_cancelled_instead(api: Caller) -> None:
    task_id = api.create().task["id"]
    deletes = api.tasks.delete

    def delete_after_the_start(task: Task) -> None:
        if stored(api, task_id).status is TaskStatus.PENDING:
            running(api, task_id)
        deletes(task)

    api.tasks.delete = delete_after_the_start  # type: ignore[method-assign]
    answer = api.call("DELETE", f"{TASKS}/{task_id}")

    assert (answer.status, answer.task["status"]) == (202, "RUNNING")


@pytest.mark.parametrize("query", [{"force": "yes"}, {"forced": "true"}])
def test_a_misspelt_force_is_refused(api: Caller, query: dict[str, str]) -> None:
    task_id = api.create().task["id"]

    assert api.call("DELETE", f"{TASKS}/{task_id}", query=query).status == 400
    assert task_id in api.tasks.tasks


# Retrying -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [TaskStatus.FAILED, TaskStatus.CANCELLED])
def test_a_retry_begins_a_new_run(api: Caller, status: TaskStatus) -> None:
    task_id = api.create().task["id"]
    error = TaskError(ErrorCode.EXECUTION_ERROR, "Broken")
    change(
        api, task_id, status=status, error=error, attempts=3, tool_call_count=9, completed_at=NOON
    )
    api.wake_ups.sent.clear()

    answer = api.call("POST", f"{TASKS}/{task_id}/retry")

    assert answer.status == 200
    task = answer.task
    assert (task["status"], task["attempts"], task["toolCallCount"]) == ("PENDING", 0, 0)
    assert (task["error"], task["completedAt"]) == (None, None)
    assert api.wake_ups.sent == [(task_id, timedelta(0))]


@pytest.mark.parametrize(
    "status",
    [TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.WAITING, TaskStatus.COMPLETED],
)
def test_only_what_failed_or_was_cancelled_is_retried(api: Caller, status: TaskStatus) -> None:
    task_id = api.create().task["id"]
    change(api, task_id, status=status)

    answer = api.call("POST", f"{TASKS}/{task_id}/retry")

    assert (answer.status, answer.error["code"]) == (409, "CONFLICT")
    assert stored(api, task_id).status is status


# Deleting in bulk -----------------------------------------------------------------------------


def in_bulk(api: Caller, **fields: Any) -> Any:
    body = {"action": "deleteByStatus", "workspaceId": WORKSPACE, **fields}
    return api.call("POST", TASKS, body)


def test_all_tasks_of_a_status_are_deleted(api: Caller) -> None:
    failed = [api.create().task["id"] for _ in range(3)]
    for task_id in failed:
        change(api, task_id, status=TaskStatus.FAILED)
    kept = api.create().task["id"]

    answer = in_bulk(api, status="FAILED")

    assert (answer.status, answer.json) == (
        200,
        {"success": True, "deleted": 3, "message": "Deleted 3 FAILED tasks", "more": False},
    )
    assert list(api.tasks.tasks) == [kept]


def test_a_trigger_source_narrows_a_bulk_deletion(api: Caller) -> None:
    api.create(triggerSource="polling")
    kept = api.create(triggerSource="manual").task["id"]

    assert in_bulk(api, status="PENDING", triggerSource="polling").json["deleted"] == 1
    assert list(api.tasks.tasks) == [kept]


@pytest.mark.parametrize("status", ["RUNNING", "WAITING", "failed", "", 7])
def test_what_runs_or_waits_is_never_deleted_in_bulk(api: Caller, status: object) -> None:
    task_id = api.create().task["id"]
    running(api, task_id)

    answer = in_bulk(api, status=status)

    assert (answer.status, answer.error["field"]) == (400, "status")
    assert task_id in api.tasks.tasks


def test_a_bulk_deletion_needs_a_status(api: Caller) -> None:
    answer = in_bulk(api)

    assert answer.status == 400
    assert answer.error["message"] == "status is required for deleteByStatus action"


def test_a_bulk_deletion_needs_a_workspace(api: Caller) -> None:
    answer = in_bulk(api, status="FAILED", workspaceId=None)

    assert (answer.status, answer.error["message"]) == (400, "workspaceId is required")


def test_a_bulk_deletion_is_bounded_and_says_that_there_is_more(api: Caller) -> None:
    for _ in range(501):
        task_id = api.create().task["id"]
        change(api, task_id, status=TaskStatus.FAILED)

    first = in_bulk(api, status="FAILED").json
    rest = in_bulk(api, status="FAILED").json

    assert (first["deleted"], first["more"]) == (500, True)
    assert "more" in first["message"]
    assert (rest["deleted"], rest["more"]) == (1, False)


def test_a_bulk_deletion_that_takes_long_stops_in_time_and_can_go_on(api: Caller) -> None:
    for _ in range(15):
        api.create()
    deletes = api.tasks.delete

    def slowly(task: Task) -> None:
        api.clock.advance(timedelta(seconds=1))
        deletes(task)

    api.tasks.delete = slowly  # type: ignore[method-assign]
    first = in_bulk(api, status="PENDING").json
    rest = in_bulk(api, status="PENDING").json

    assert (first["deleted"], first["more"], rest["deleted"], rest["more"]) == (11, True, 4, False)


def test_a_task_that_starts_during_a_bulk_deletion_is_left_alone(api: Caller) -> None:
    started, other = api.create().task["id"], api.create().task["id"]
    deletes = api.tasks.delete

    def delete_after_the_start(task: Task) -> None:
        if stored(api, started).status is TaskStatus.PENDING:
            running(api, started)
        deletes(task)

    api.tasks.delete = delete_after_the_start  # type: ignore[method-assign]

    assert in_bulk(api, status="PENDING").json["deleted"] == 1
    assert started in api.tasks.tasks
    assert other not in api.tasks.tasks


def test_an_unknown_action_is_refused(api: Caller) -> None:
    answer = api.call("POST", TASKS, {"action": "dropEverything"})

    assert (answer.status, answer.error["field"]) == (400, "action")
