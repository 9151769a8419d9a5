"""Tasks that wait for others, and tasks of which only one may run, over the REST API."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from nightdesk.domain.errors import ConditionFailedError, ErrorCode, UnavailableError
from nightdesk.domain.specialist import Concurrency, ConcurrencyGroup, OnConflict
from nightdesk.domain.task import (
    HOLD_FOR,
    Hold,
    OnDependencyFailure,
    Origin,
    Task,
    TaskError,
    TaskStatus,
)
from nightdesk.services.settle_dependants import settle_dependants
from tests.api.caller import TASKS, WORKSPACE, Caller
from tests.api.test_tasks import change, running, stored
from tests.fakes.clock import NOON
from tests.fakes.specialists import specialist
from tests.fakes.task_store import FakeTaskStore

KEYED = {"Idempotency-Key": "build-7"}


def end(api: Caller, task_id: str, status: TaskStatus) -> None:
    """End the task as an executor would, and look after those that waited for it."""
    change(api, task_id, status=status, completed_at=api.clock.now())
    settle_dependants(stored(api, task_id), tasks=api.tasks, wake_ups=api.wake_ups, clock=api.clock)


def first(api: Caller, **fields: Any) -> str:
    return str(api.create(**fields).task["id"])


# Dependencies ---------------------------------------------------------------------------------


def test_a_task_waits_for_its_dependencies_out_of_line_and_wakes_nobody(api: Caller) -> None:
    awaited = first(api)
    api.wake_ups.sent.clear()

    answer = api.create(dependsOn=[awaited], onDependencyFailure="skip", quoteOutputs=True)

    assert answer.status == 201
    assert answer.task["dependsOn"] == [awaited]
    assert (answer.task["status"], answer.task["held"]) == ("PENDING", "dependencies")
    task, origin = stored(api, answer.task["id"]), api.tasks.origins[answer.task["id"]]
    assert (task.held, task.run_after) == (Hold.DEPENDENCIES, NOON + HOLD_FOR)
    assert origin.depends_on == (awaited,)
    assert origin.on_dependency_failure is OnDependencyFailure.SKIP
    assert origin.quotes_outputs
    assert stored(api, awaited).has_dependants
    assert api.wake_ups.sent == []
    assert api.call("GET", f"{TASKS}/{task.id}").task["queuePosition"] is None


def test_the_end_of_the_last_dependency_starts_the_task(api: Caller) -> None:
    one, two = first(api), first(api)
    waiting = first(api, dependsOn=[one, two])
    api.wake_ups.sent.clear()

    end(api, one, TaskStatus.COMPLETED)
    assert stored(api, waiting).held is Hold.DEPENDENCIES
    end(api, two, TaskStatus.COMPLETED)

    assert (stored(api, waiting).held, stored(api, waiting).run_after) == (None, None)
    assert api.wake_ups.sent == [(waiting, timedelta(0))]


def retried(api: Caller, task_id: str) -> Task:
    assert api.call("POST", f"{TASKS}/{task_id}/retry").status == 200
    return stored(api, task_id)


def test_a_new_run_waits_for_what_has_not_ended_as_the_first_one_did(api: Caller) -> None:
    awaited = first(api)
    waiting = first(api, dependsOn=[awaited])
    change(api, waiting, status=TaskStatus.CANCELLED, held=None, run_after=None)

    assert retried(api, waiting).held is Hold.DEPENDENCIES

    end(api, awaited, TaskStatus.COMPLETED)
    assert (stored(api, waiting).held, stored(api, waiting).run_after) == (None, None)


def test_a_new_run_does_not_wait_for_what_ends_while_it_begins(api: Caller) -> None:
    awaited = first(api)
    waiting = first(api, dependsOn=[awaited])
    change(api, waiting, status=TaskStatus.CANCELLED, held=None, run_after=None)
    begins = api.tasks.start_new_run

    def slowly(task: Task, **more: Any) -> Task:
        end(api, awaited, TaskStatus.COMPLETED)
        return begins(task, **more)

    api.tasks.start_new_run = slowly  # type: ignore[method-assign]

    assert retried(api, waiting).held is None


def test_a_person_may_begin_anew_what_a_failed_dependency_ended(api: Caller) -> None:
    awaited = first(api)
    waiting = first(api, dependsOn=[awaited])
    end(api, awaited, TaskStatus.FAILED)
    assert stored(api, waiting).status is TaskStatus.FAILED

    again = retried(api, waiting)
    assert (again.status, again.held) == (TaskStatus.PENDING, None)


def test_dependencies_that_have_completed_already_are_not_waited_for(api: Caller) -> None:
    done, open_task = first(api), first(api)
    end(api, done, TaskStatus.COMPLETED)

    ready = api.create(dependsOn=[done]).task
    waiting = api.create(dependsOn=[done, open_task]).task

    assert (ready["held"], ready["dependsOn"]) == (None, [done])
    assert (ready["id"], timedelta(0)) in api.wake_ups.sent
    assert waiting["held"] == "dependencies"
    assert not stored(api, done).has_dependants


@pytest.mark.parametrize("ended", [TaskStatus.FAILED, TaskStatus.CANCELLED])
@pytest.mark.parametrize(
    ("policy", "status", "code"),
    [
        (None, "FAILED", "DEPENDENCY_FAILED"),
        ("fail", "FAILED", "DEPENDENCY_FAILED"),
        ("skip", "CANCELLED", "DEPENDENCY_FAILED"),
        ("run-anyway", "PENDING", None),
    ],
)
def test_a_dependency_that_has_failed_already_decides_at_once_and_visibly(
    api: Caller, ended: TaskStatus, policy: str | None, status: str, code: str | None
) -> None:
    failed, open_task = first(api), first(api)
    end(api, failed, ended)
    api.wake_ups.sent.clear()

    answer = api.create(dependsOn=[failed], onDependencyFailure=policy)

    assert (answer.status, answer.task["status"]) == (201, status)
    assert (answer.task["error"] or {}).get("code") == code
    assert len(api.wake_ups.sent) == (1 if status == "PENDING" else 0)
    mixed = api.create(dependsOn=[open_task, failed], onDependencyFailure=policy).task
    assert mixed["status"] == status


@pytest.mark.parametrize("policy", ["fail", "skip", "run-anyway"])
def test_a_dependency_that_fails_later_decides_then(api: Caller, policy: str) -> None:
    awaited = first(api)
    waiting = first(api, dependsOn=[awaited], onDependencyFailure=policy)
    behind = first(api, dependsOn=[waiting])

    end(api, awaited, TaskStatus.FAILED)

    expected = {
        "fail": (TaskStatus.FAILED, TaskStatus.FAILED),
        "skip": (TaskStatus.CANCELLED, TaskStatus.FAILED),
        "run-anyway": (TaskStatus.PENDING, TaskStatus.PENDING),
    }[policy]
    assert (stored(api, waiting).status, stored(api, behind).status) == expected


def test_a_dependency_that_ends_while_the_task_is_created_is_read_again(api: Caller) -> None:
    awaited = first(api)
    creates = api.tasks.create

    def ends_in_between(task: Task, origin: Origin, **more: Any) -> bool:
        if stored(api, awaited).status is TaskStatus.PENDING:
            end(api, awaited, TaskStatus.COMPLETED)
        return creates(task, origin, **more)

    api.tasks.create = ends_in_between  # type: ignore[method-assign]

    assert api.create(dependsOn=[awaited]).task["held"] is None


def test_dependencies_that_change_during_every_try_are_a_conflict(api: Caller) -> None:
    class Restless(FakeTaskStore):
        tries = 0

        def create(
            self,
            task: Task,
            origin: Origin,
            *,
            seen_keys: Sequence[str] = (),
            awaits: Sequence[Task] = (),
        ) -> bool:
            if awaits:
                self.tries += 1
                raise ConditionFailedError("a dependency has ended")
            return super().create(task, origin, seen_keys=seen_keys)

    restless = Restless()
    api = Caller(tasks=restless)

    assert api.create(dependsOn=[first(api)]).status == 409
    assert restless.tries == 4


def test_a_task_whose_end_could_not_be_written_is_left_to_the_next_sweep(api: Caller) -> None:
    failed = first(api)
    end(api, failed, TaskStatus.FAILED)

    def unavailable(*_: object, **__: object) -> Task:
        raise UnavailableError("DynamoDB")

    api.tasks.end_unclaimed = unavailable  # type: ignore[method-assign]
    answer = api.create(dependsOn=[failed])

    assert (answer.status, answer.task["status"]) == (201, "PENDING")
    assert [task.id for task in api.tasks.due(now=NOON, limit=9)] == [answer.task["id"]]
    assert api.tasks.runnable(limit=9) == []


@pytest.mark.parametrize("bad", ["t-0", "", "not an id", "x" * 5_000])
def test_an_unknown_dependency_is_named(api: Caller, bad: str) -> None:
    answer = api.create(dependsOn=[first(api), bad])

    assert (answer.status, answer.error["field"]) == (400, "dependsOn")
    assert repr(bad[:80]) in answer.error["message"]
    assert len(api.tasks.tasks) == 1


def test_another_workspaces_task_and_another_specialists_are_unknown(api: Caller) -> None:
    task_id = first(api)
    elsewhere = api.make_key("elsewhere")
    other_agent = api.make_key(agents=("issue-enricher",))

    for key, workspace in ((elsewhere, "elsewhere"), (other_agent, WORKSPACE)):
        body = {"prompt": "p", "agentId": "issue-enricher", "workspaceId": workspace}
        answer = api.call("POST", TASKS, {**body, "dependsOn": [task_id]}, key=key)
        assert (answer.status, answer.error["field"]) == (400, "dependsOn")
        assert repr(task_id) in answer.error["message"]


def test_a_task_cannot_wait_for_itself(api: Caller) -> None:
    body = {"prompt": "p", "agentId": "developer", "workspaceId": WORKSPACE}
    own_id = api.call("POST", TASKS, body, headers=KEYED).task["id"]

    answer = api.call("POST", TASKS, {**body, "dependsOn": [own_id]}, headers=KEYED)

    assert (answer.status, answer.error["field"]) == (400, "dependsOn")
    assert own_id in answer.error["message"]


def test_dependencies_are_bounded_and_named_once(api: Caller) -> None:
    ids = [first(api) for _ in range(21)]

    assert api.create(dependsOn=ids[:20]).status == 201
    assert "at most 20" in api.create(dependsOn=ids).error["message"]
    assert "twice" in api.create(dependsOn=[ids[0], ids[1], ids[0]]).error["message"]
    assert api.create(dependsOn=[]).task["held"] is None


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"dependsOn": "t-1"}, "dependsOn"),
        ({"dependsOn": [1]}, "dependsOn"),
        ({"dependsOn": {}}, "dependsOn"),
        ({"onDependencyFailure": "fail"}, "onDependencyFailure"),
        ({"dependsOn": [], "onDependencyFailure": "ignore"}, "onDependencyFailure"),
        ({"quoteOutputs": True}, "quoteOutputs"),
        ({"dependsOn": [], "quoteOutputs": "yes"}, "quoteOutputs"),
        ({"onConflict": "supersede"}, "onConflict"),
        ({"concurrencyGroup": "g", "onConflict": "kill"}, "onConflict"),
        ({"concurrencyGroup": ""}, "concurrencyGroup"),
        ({"concurrencyGroup": "  "}, "concurrencyGroup"),
        ({"concurrencyGroup": "a\nb"}, "concurrencyGroup"),
        ({"concurrencyGroup": "g" * 101}, "concurrencyGroup"),
        ({"concurrencyGroup": 7}, "concurrencyGroup"),
    ],
)
def test_a_bad_chain_or_group_names_its_field(
    api: Caller, fields: dict[str, Any], field: str
) -> None:
    answer = api.create(**fields)

    assert (answer.status, answer.error["field"]) == (400, field)
    assert api.tasks.tasks == {}


def test_a_delay_and_dependencies_exclude_each_other(api: Caller) -> None:
    answer = api.create(dependsOn=[first(api)], runAfter="2026-11-22T12:00:00Z")

    assert (answer.status, answer.error["field"]) == (400, "runAfter")


def test_a_repetition_that_comes_after_its_dependencies_are_gone_is_still_a_repetition(
    api: Caller,
) -> None:
    awaited = first(api)
    body = {
        "prompt": "p",
        "agentId": "developer",
        "workspaceId": WORKSPACE,
        "dependsOn": [awaited],
    }
    made = api.call("POST", TASKS, body, headers=KEYED)
    del api.tasks.tasks[awaited]

    again = api.call("POST", TASKS, body, headers=KEYED)

    assert (made.status, again.status) == (201, 200)
    assert again.task["id"] == made.task["id"]


@pytest.mark.parametrize(
    "fields",
    [
        {"dependsOn": ["1"]},
        {"dependsOn": [], "quoteOutputs": True},
        {"dependsOn": [], "onDependencyFailure": "skip"},
        {"concurrencyGroup": "g"},
        {"concurrencyGroup": "g", "onConflict": "supersede"},
    ],
)
def test_an_idempotency_key_covers_these_fields_too(api: Caller, fields: dict[str, Any]) -> None:
    api.tasks.tasks["1"] = replace(stored(api, first(api)), id="1")
    body = {"prompt": "p", "agentId": "developer", "workspaceId": WORKSPACE}
    plain = api.call("POST", TASKS, body, headers=KEYED)

    other = api.call("POST", TASKS, {**body, **fields}, headers=KEYED)

    assert (plain.status, other.status) == (201, 422)
    assert other.error["code"] == "IDEMPOTENCY_KEY_REUSED"


def test_defaults_written_out_are_the_same_request(api: Caller) -> None:
    body = {"prompt": "p", "agentId": "developer", "workspaceId": WORKSPACE}
    defaults = {"dependsOn": [], "onDependencyFailure": "fail", "quoteOutputs": False}
    made = api.call("POST", TASKS, body, headers=KEYED)

    again = api.call("POST", TASKS, {**body, **defaults}, headers=KEYED)

    assert (again.status, again.task["id"]) == (200, made.task["id"])


# Groups ---------------------------------------------------------------------------------------


def test_a_group_belongs_to_its_workspace_and_is_shown_without_it(api: Caller) -> None:
    task = api.create(concurrencyGroup="release #7").task

    assert task["concurrencyGroup"] == "release #7"
    assert stored(api, task["id"]).group == f"{WORKSPACE}#caller():release #7"
    assert not stored(api, task["id"]).supersedes


def test_a_newer_task_supersedes_what_waits_and_what_runs(api: Caller) -> None:
    runs = first(api, concurrencyGroup="g")
    running(api, runs)
    waits, stranger = first(api, concurrencyGroup="g"), first(api, concurrencyGroup="h")

    newer = first(api, concurrencyGroup="g", onConflict="supersede")

    shown = api.call("GET", f"{TASKS}/{waits}").task
    assert (shown["status"], shown["supersededBy"]) == ("CANCELLED", newer)
    assert stored(api, runs).cancel_requested
    assert stored(api, runs).superseded_by == newer
    assert stored(api, stranger).status is TaskStatus.PENDING
    assert stored(api, newer).status is TaskStatus.PENDING


def test_a_queueing_task_leaves_the_older_ones_alone(api: Caller) -> None:
    older = first(api, concurrencyGroup="g")

    first(api, concurrencyGroup="g", onConflict="queue")

    assert stored(api, older).status is TaskStatus.PENDING


def test_a_task_is_accepted_although_the_older_ones_could_not_be_ended(api: Caller) -> None:
    def unavailable(*_: object, **__: object) -> list[Task]:
        raise UnavailableError("DynamoDB")

    api.tasks.group_waiting = unavailable  # type: ignore[method-assign]

    assert api.create(concurrencyGroup="g", onConflict="supersede").status == 201
    assert len(api.wake_ups.sent) == 1


def test_a_repetition_supersedes_again_because_the_first_request_may_have_died(
    api: Caller,
) -> None:
    body = {
        "prompt": "p",
        "agentId": "developer",
        "workspaceId": WORKSPACE,
        "concurrencyGroup": "g",
        "onConflict": "supersede",
    }
    older = first(api, concurrencyGroup="g")
    api.call("POST", TASKS, body, headers=KEYED)
    change(api, older, status=TaskStatus.PENDING, completed_at=None, superseded_by=None)

    api.call("POST", TASKS, body, headers=KEYED)

    assert stored(api, older).status is TaskStatus.CANCELLED


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (ConcurrencyGroup.SPECIALIST, "specialist:lonely"),
        (ConcurrencyGroup.ISSUE, None),
        (ConcurrencyGroup.REPOSITORY, None),
    ],
)
def test_a_specialists_group_holds_for_the_api_only_where_it_needs_no_issue(
    api: Caller, kind: ConcurrencyGroup, expected: str | None
) -> None:
    concurrency = Concurrency(group=kind, on_conflict=OnConflict.SUPERSEDE)
    api.specialists.add(replace(specialist("lonely"), concurrency=concurrency))

    task = stored(api, first(api, agentId="lonely"))
    named = stored(api, first(api, agentId="lonely", concurrencyGroup="mine"))

    assert task.group == (expected and f"{WORKSPACE}#{expected}")
    assert task.supersedes == (expected is not None)
    assert (named.group, named.supersedes) == (f"{WORKSPACE}#caller():mine", False)


def test_a_callers_group_is_never_that_of_a_file_or_of_a_narrower_key(api: Caller) -> None:
    concurrency = Concurrency(group=ConcurrencyGroup.SPECIALIST, on_conflict=OnConflict.QUEUE)
    api.specialists.add(replace(specialist("lonely"), concurrency=concurrency))
    of_the_file = stored(api, first(api, agentId="lonely")).group

    group = "specialist:lonely"
    body = {"prompt": "x", "workspaceId": WORKSPACE, "agentId": "lonely", "concurrencyGroup": group}
    narrow = api.make_key(agents=("lonely",))
    named = api.call("POST", TASKS, body).task
    narrowly = api.call("POST", TASKS, body, key=narrow).task

    assert named["concurrencyGroup"] == narrowly["concurrencyGroup"] == group
    stored_groups = {stored(api, task["id"]).group for task in (named, narrowly)}
    assert len(stored_groups | {of_the_file}) == 3


# What every new task has ----------------------------------------------------------------------


def test_a_new_task_is_queued_from_now_on_and_has_a_fence_of_its_own(api: Caller) -> None:
    one, two = first(api), first(api)

    assert stored(api, one).queued_at == NOON
    fences = {api.tasks.origins[one].delimiter, api.tasks.origins[two].delimiter}
    assert len(fences) == 2
    assert all(len(fence) == 32 for fence in fences)


def test_a_delayed_task_says_so(api: Caller) -> None:
    assert api.create(runAfter="2026-11-22T12:00:00Z").task["held"] == "delay"


def test_approvals_are_fixed_at_creation(api: Caller) -> None:
    api.specialists.add(replace(specialist("careful"), approvals=("read_file",)))

    assert api.tasks.origins[first(api, agentId="careful")].approvals == ("read_file",)


def test_a_task_that_failed_for_its_dependency_can_be_retried(api: Caller) -> None:
    task_id = first(api)
    error = TaskError(ErrorCode.DEPENDENCY_FAILED, "Did not complete: t-0")
    change(api, task_id, status=TaskStatus.FAILED, error=error, completed_at=NOON)

    task = api.call("POST", f"{TASKS}/{task_id}/retry").task

    assert (task["status"], task["held"]) == ("PENDING", None)
