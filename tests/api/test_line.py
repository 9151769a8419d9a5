"""The line: where a task stands and when it starts, bulk retries, pauses, budgets, redrive."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from nightdesk.domain.api_key import Operation
from nightdesk.domain.errors import ConditionFailedError, ErrorCode, UnavailableError
from nightdesk.domain.functions import FunctionFailedError
from nightdesk.domain.ports import Slot, WorkspaceSettings
from nightdesk.domain.task import HOLD_FOR, Hold, Task, TaskError, TaskStatus
from nightdesk.services.place_in_line import estimated_start
from tests.api.caller import TASKS, WORKSPACE, Answered, Caller
from tests.api.test_tasks import change, running, stored
from tests.fakes.clock import NOON

MINUTE = timedelta(minutes=1)
OURS = f"/api/workspaces/{WORKSPACE}"


def shown(api: Caller, task_id: str) -> dict[str, Any]:
    return api.call("GET", f"{TASKS}/{task_id}").task


def make(api: Caller, **fields: Any) -> str:
    return str(api.create(**fields).task["id"])


# Where a task stands --------------------------------------------------------------------------


def test_the_next_task_has_position_one_and_priority_counts(api: Caller) -> None:
    low, normal, high = (make(api, priority=p) for p in ("LOW", "NORMAL", "HIGH"))

    positions = [shown(api, task_id)["queuePosition"] for task_id in (high, normal, low)]

    assert positions == [1, 2, 3]


def test_what_runs_or_is_held_has_no_place(api: Caller) -> None:
    runs, later = make(api), make(api, runAfter="2026-11-22T12:00:00Z")
    running(api, runs)
    done = make(api)
    change(api, done, status=TaskStatus.COMPLETED)

    for task_id in (runs, later, done):
        task = shown(api, task_id)
        assert (task["queuePosition"], task["estimatedStartAt"]) == (None, None)


@pytest.mark.parametrize(
    ("ahead", "position"), [(999, 1_000), (1_000, "1,000+"), (5_000, "1,000+")]
)
def test_a_place_is_counted_to_a_thousand(api: Caller, ahead: int, position: object) -> None:
    task_id = make(api)
    asked: list[int] = []

    def count(task: Task, *, most: int) -> int:
        asked.append(most)
        return min(ahead, most)

    api.tasks.count_ahead = count  # type: ignore[method-assign]

    task = shown(api, task_id)

    assert (task["queuePosition"], asked) == (position, [1_000])
    assert task["estimatedStartAt"] is None


def test_the_start_is_reckoned_from_the_ten_tasks_that_completed_last(api: Caller) -> None:
    for number in range(12):
        done = make(api)
        began = NOON - timedelta(hours=1)
        took = 10 * MINUTE if number >= 2 else timedelta(days=9)
        change(
            api,
            done,
            created_at=NOON - timedelta(days=1) + number * MINUTE,
            status=TaskStatus.COMPLETED,
            started_at=began,
            completed_at=began + took + MINUTE,
            waited_ms=60_000,
        )
    api.tasks.slot_rows = {number: Slot(number, "t-0", 1) for number in range(2)}
    make(api)
    api.clock.advance(MINUTE)
    task_id = make(api)

    # Both slots are taken and one stands before it: two tasks must end, one each 5 minutes.
    assert shown(api, task_id)["estimatedStartAt"] == "2026-11-21T12:11:00.000Z"


@pytest.mark.parametrize(
    ("ahead", "free", "durations", "expected"),
    [
        (0, 1, [], NOON),
        (1, 2, [], NOON),
        (1, 1, [], None),
        (1, 1, [4 * MINUTE], NOON + 2 * MINUTE),
        (0, 0, [2 * MINUTE, 6 * MINUTE], NOON + 2 * MINUTE),
        (9, 0, [4 * MINUTE], NOON + 20 * MINUTE),
    ],
)
def test_a_free_slot_starts_the_next_and_each_further_one_waits_for_an_end(
    ahead: int, free: int, durations: list[timedelta], expected: object
) -> None:
    assert estimated_start(ahead, free=free, slots=2, durations=durations, now=NOON) == expected


# Bulk retry -----------------------------------------------------------------------------------


def in_bulk(api: Caller, **fields: Any) -> Answered:
    body = {"action": "retryByStatus", "workspaceId": WORKSPACE, "status": "FAILED", **fields}
    return api.call("POST", TASKS, body)


def failed(api: Caller, number: int, **fields: Any) -> list[str]:
    ids = [make(api, **fields) for _ in range(number)]
    error = TaskError(ErrorCode.MODEL_ERROR, "down")
    for task_id in ids:
        change(api, task_id, status=TaskStatus.FAILED, error=error, attempts=3, completed_at=NOON)
    api.wake_ups.sent.clear()
    return ids


@pytest.mark.parametrize("status", ["FAILED", "CANCELLED"])
def test_all_tasks_of_a_status_begin_a_new_run(api: Caller, status: str) -> None:
    ids = failed(api, 3)
    for task_id in ids:
        change(api, task_id, status=TaskStatus(status))
    done = make(api)
    change(api, done, status=TaskStatus.COMPLETED)

    answer = in_bulk(api, status=status)

    assert (answer.status, answer.json) == (200, {"success": True, "retried": 3, "more": False})
    for task_id in ids:
        task = stored(api, task_id)
        assert (task.status, task.run, task.attempts) == (TaskStatus.PENDING, 2, 0)
    assert stored(api, done).status is TaskStatus.COMPLETED
    assert {task_id for task_id, _ in api.wake_ups.sent} >= set(ids)


def test_a_bulk_retry_looks_at_five_hundred_tasks_and_wakes_no_more_than_can_run(
    api: Caller,
) -> None:
    failed(api, 501)

    first, rest = in_bulk(api).json, in_bulk(api).json

    assert (first["retried"], first["more"]) == (500, True)
    assert "nextCursor" in first
    assert (rest["retried"], rest["more"]) == (1, False)
    assert len(api.wake_ups.sent) == 11


def test_a_bulk_retry_that_takes_long_stops_in_time_and_can_go_on(api: Caller) -> None:
    failed(api, 15)
    begins = api.tasks.start_new_run

    def slowly(task: Task, **more: Any) -> Task:
        api.clock.advance(timedelta(seconds=1))
        return begins(task, **more)

    api.tasks.start_new_run = slowly  # type: ignore[method-assign]
    first, rest = in_bulk(api).json, in_bulk(api).json

    assert (first["retried"], first["more"], rest["retried"], rest["more"]) == (11, True, 4, False)


def test_a_trigger_source_and_a_keys_specialists_narrow_a_bulk_retry(api: Caller) -> None:
    failed(api, 1, triggerSource="polling")
    failed(api, 1)
    other = failed(api, 1, agentId="issue-enricher")

    assert in_bulk(api, triggerSource="polling").json["retried"] == 1
    body = {"action": "retryByStatus", "workspaceId": WORKSPACE, "status": "FAILED"}
    key = api.make_key(agents=("developer",))
    assert api.call("POST", TASKS, body, key=key).json["retried"] == 1
    assert stored(api, other[0]).status is TaskStatus.FAILED


def test_a_task_that_changes_during_a_bulk_retry_is_left_alone(api: Caller) -> None:
    failed(api, 2)
    begins = api.tasks.start_new_run
    refusals = [ConditionFailedError("moved")]

    def moved_once(task: Task, **more: Any) -> Task:
        if refusals:
            raise refusals.pop()
        return begins(task, **more)

    api.tasks.start_new_run = moved_once  # type: ignore[method-assign]

    assert in_bulk(api).json["retried"] == 1


@pytest.mark.parametrize("status", ["PENDING", "RUNNING", "WAITING", "COMPLETED", "failed", None])
def test_nothing_else_is_retried_in_bulk(api: Caller, status: object) -> None:
    task_id = make(api)

    answer = in_bulk(api, status=status)

    assert (answer.status, answer.error["field"]) == (400, "status")
    assert stored(api, task_id).run == 1


def test_a_bulk_retry_keeps_to_its_workspace_and_its_own_cursors(api: Caller) -> None:
    assert in_bulk(api, workspaceId="elsewhere").status == 403
    assert in_bulk(api, workspaceId=None).error["message"] == "workspaceId is required"
    assert in_bulk(api, cursor="nonsense").error["field"] == "cursor"


# Pauses and budgets ---------------------------------------------------------------------------


@pytest.fixture
def admin(api: Caller) -> str:
    return api.make_key(operations=(Operation.ADMIN,))


def settings(api: Caller, admin: str, **changes: Any) -> dict[str, Any]:
    answer = api.call("PATCH", OURS, changes, key=admin)
    assert answer.status == 200, answer.text
    workspace: dict[str, Any] = answer.json["workspace"]
    assert api.call("GET", OURS, key=admin).json["workspace"] == workspace
    return workspace


def hold(api: Caller, reason: Hold, number: int = 1) -> list[str]:
    ids = [make(api) for _ in range(number)]
    for task_id in ids:
        api.tasks.hold(stored(api, task_id), reason, until=NOON + HOLD_FOR)
    api.wake_ups.sent.clear()
    return ids


def test_a_workspace_without_settings_has_no_bounds(api: Caller, admin: str) -> None:
    answer = api.call("GET", OURS, key=admin)

    assert answer.json["workspace"] == {
        "id": WORKSPACE,
        "paused": False,
        "tasksPerDay": None,
        "costUsdPerDay": None,
        "callback": None,
    }


def test_each_setting_is_changed_alone_and_null_takes_a_bound_away(api: Caller, admin: str) -> None:
    assert settings(api, admin, tasksPerDay=5)["tasksPerDay"] == 5
    both = settings(api, admin, costUsdPerDay=0.29)
    assert (both["tasksPerDay"], both["costUsdPerDay"]) == (5, 0.29)
    assert api.tasks.settings[WORKSPACE].cost_micros_per_day == 290_000
    paused = settings(api, admin, paused=True, tasksPerDay=None)
    assert paused == {
        "id": WORKSPACE,
        "paused": True,
        "tasksPerDay": None,
        "costUsdPerDay": 0.29,
        "callback": None,
    }
    assert settings(api, admin, costUsdPerDay=None)["costUsdPerDay"] is None
    assert settings(api, admin, costUsdPerDay=25)["costUsdPerDay"] == 25


@pytest.mark.parametrize(
    ("change_", "field", "said"),
    [
        ({}, "body", "must change some of paused, tasksPerDay, costUsdPerDay, callback"),
        ({"paused": None}, "paused", "true or false; got null"),
        ({"paused": "yes"}, "paused", "true or false"),
        ({"tasksPerDay": 0}, "tasksPerDay", "from 1 to 1000000; got 0"),
        ({"tasksPerDay": -1}, "tasksPerDay", "from 1 to 1000000; got -1"),
        ({"tasksPerDay": 1.5}, "tasksPerDay", "a whole number; got 1.5"),
        ({"tasksPerDay": 10**30}, "tasksPerDay", "from 1 to 1000000"),
        ({"costUsdPerDay": 0}, "costUsdPerDay", "more than 0 and at most 100000; got 0"),
        ({"costUsdPerDay": -0.01}, "costUsdPerDay", "more than 0"),
        ({"costUsdPerDay": "5"}, "costUsdPerDay", 'a number; got "5"'),
        ({"costUsdPerDay": True}, "costUsdPerDay", "a number; got true"),
        ({"costUsdPerDay": 1e300}, "costUsdPerDay", "at most 100000"),
        ({"budget": 5}, "budget", "Unknown field"),
    ],
)
def test_a_bad_setting_names_its_field_and_changes_nothing(
    api: Caller, admin: str, change_: dict[str, Any], field: str, said: str
) -> None:
    answer = api.call("PATCH", OURS, change_, key=admin)

    assert (answer.status, answer.error["field"]) == (400, field)
    assert said in answer.error["message"]
    assert api.tasks.settings == {}


def test_a_smaller_cost_than_a_millionth_of_a_dollar_is_still_a_budget(
    api: Caller, admin: str
) -> None:
    settings_of = api.call("PATCH", OURS, {"costUsdPerDay": 1e-9}, key=admin)

    assert settings_of.json["workspace"]["costUsdPerDay"] == 1e-6


def test_resuming_puts_the_paused_tasks_back_in_line_and_wakes_executors(
    api: Caller, admin: str
) -> None:
    settings(api, admin, paused=True)
    paused, spent = hold(api, Hold.PAUSED, 12), hold(api, Hold.BUDGET)

    settings(api, admin, paused=False)

    assert {stored(api, task_id).held for task_id in paused} == {None}
    assert all(stored(api, task_id).run_after is None for task_id in paused)
    assert stored(api, spent[0]).held is Hold.BUDGET
    assert len(api.wake_ups.sent) == 10
    assert {task_id for task_id, _ in api.wake_ups.sent} <= set(paused)


@pytest.mark.parametrize(
    ("before", "after", "released"),
    [
        ({"tasksPerDay": 5}, {"tasksPerDay": 6}, True),
        ({"tasksPerDay": 5}, {"tasksPerDay": None}, True),
        ({"tasksPerDay": 5}, {"tasksPerDay": 5}, False),
        ({"tasksPerDay": 5}, {"tasksPerDay": 4}, False),
        ({"costUsdPerDay": 5}, {"costUsdPerDay": 5.01}, True),
        ({"costUsdPerDay": 5}, {"costUsdPerDay": None}, True),
        ({"costUsdPerDay": 5}, {"costUsdPerDay": 4.99}, False),
        ({"costUsdPerDay": 5}, {"tasksPerDay": 9}, False),
        ({"costUsdPerDay": 5}, {"paused": False}, False),
        ({"paused": True, "tasksPerDay": 5}, {"paused": False}, False),
    ],
)
def test_only_more_budget_puts_the_tasks_that_wait_for_it_back_in_line(
    api: Caller, admin: str, before: dict[str, Any], after: dict[str, Any], released: bool
) -> None:
    settings(api, admin, **before)
    (task_id,) = hold(api, Hold.BUDGET)

    settings(api, admin, **after)

    assert stored(api, task_id).held is (None if released else Hold.BUDGET)
    assert len(api.wake_ups.sent) == int(released)


def test_a_change_that_releases_nothing_looks_at_no_task(api: Caller, admin: str) -> None:
    (task_id,) = hold(api, Hold.PAUSED)

    settings(api, admin, tasksPerDay=5)

    assert stored(api, task_id).held is Hold.PAUSED


def test_other_workspaces_tasks_stay_where_they_are(api: Caller, admin: str) -> None:
    (task_id,) = hold(api, Hold.PAUSED)
    change(api, task_id, workspace_id="elsewhere")
    api.tasks.settings[WORKSPACE] = WorkspaceSettings(paused=True)

    settings(api, admin, paused=False)

    assert stored(api, task_id).held is Hold.PAUSED


def test_a_release_is_bounded_and_the_sweeper_does_the_rest(api: Caller, admin: str) -> None:
    settings(api, admin, paused=True)
    ids = hold(api, Hold.PAUSED, 501)

    settings(api, admin, paused=False)

    still = [task_id for task_id in ids if stored(api, task_id).held is Hold.PAUSED]
    assert len(still) == 1
    due = api.tasks.due(now=NOON + HOLD_FOR, limit=600)
    assert still[0] in {task.id for task in due}


def test_resuming_works_although_no_wake_up_can_be_sent(api: Caller, admin: str) -> None:
    settings(api, admin, paused=True)
    (task_id,) = hold(api, Hold.PAUSED)

    def down(*_: object, **__: object) -> None:
        raise UnavailableError("SQS")

    api.wake_ups.send = down  # type: ignore[method-assign]
    settings(api, admin, paused=False)

    assert stored(api, task_id).held is None


# Dead letters ---------------------------------------------------------------------------------


def test_dead_letters_are_sent_again_by_the_sweeper(api: Caller, admin: str) -> None:
    api.functions.answers["sweeper"] = {"ok": True, "redriven": 3}

    answer = api.call("POST", "/api/dead-letters/redrive", key=admin)

    assert (answer.status, answer.json) == (200, {"redriven": 3})
    assert api.functions.invoked == [("sweeper", {"action": "redrive"})]


def test_a_redrive_that_fails_says_so(api: Caller, admin: str) -> None:
    api.functions.answers["sweeper"] = FunctionFailedError("sweeper")

    answer = api.call("POST", "/api/dead-letters/redrive", key=admin)

    assert (answer.status, answer.error["code"]) == (503, "FUNCTION_FAILED")


# Fields ---------------------------------------------------------------------------------------


def test_what_a_task_says_of_itself(api: Caller) -> None:
    task_id = make(api)
    change(
        api,
        task_id,
        status=TaskStatus.WAITING,
        held=Hold.GROUP,
        group=f"{WORKSPACE}#issue:octo/demo#7:developer",
        superseded_by="t-2",
        context_id="c-1",
        waiting_since=NOON,
    )
    api.tasks.origins[task_id] = replace(api.tasks.origins[task_id], depends_on=("t-0",))

    task = shown(api, task_id)

    assert task == {
        **task,
        "held": "group",
        "concurrencyGroup": "issue:octo/demo#7:developer",
        "supersededBy": "t-2",
        "contextId": "c-1",
        "waitingSince": "2026-11-21T12:00:00.000Z",
        "dependsOn": ["t-0"],
    }
    (listed,) = api.call("GET", TASKS, query={"workspaceId": WORKSPACE}).json["tasks"]
    assert listed["concurrencyGroup"] == "issue:octo/demo#7:developer"
    assert "dependsOn" not in listed
