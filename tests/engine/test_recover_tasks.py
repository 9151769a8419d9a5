"""The sweep: what nobody else looks after is recovered, released, woken; the rest is left."""

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from nightdesk.domain.errors import ErrorCode, UnavailableError
from nightdesk.domain.outbox import OutboxRow, github_row
from nightdesk.domain.task import (
    LEASE,
    ORPHAN_AFTER,
    ORPHAN_MESSAGE,
    QUEUE_TIMEOUT,
    Hold,
    Task,
    TaskStatus,
)
from nightdesk.services.recover_tasks import SweepReport, sweep
from tests.engine.examples import a_task, add, an_origin, claim
from tests.engine.world import World
from tests.fakes.clock import NOON

SECOND = timedelta(seconds=1)


def put_by_hand(world: World, **fields: Any) -> Task:
    task = a_task("by-hand", status=TaskStatus.RUNNING, queued_at=None, **fields)
    world.tasks.tasks[task.id] = task
    return task


# Orphans --------------------------------------------------------------------------------------


def test_a_running_row_without_session_or_lease_is_failed_after_five_minutes(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    put_by_hand(world, started_at=NOON)
    world.clock.advance(ORPHAN_AFTER)

    with caplog.at_level(logging.WARNING, logger="nightdesk"):
        report = sweep(world.sweeper())

    task = world.task("by-hand")
    assert task.status is TaskStatus.FAILED
    assert task.error is not None
    assert task.error.code is ErrorCode.TASK_ORPHANED
    assert (
        task.error.message
        == ORPHAN_MESSAGE
        == ("Orphaned task: dispatch failed without creating a session")
    )
    assert (
        "[BGWorker] Task by-hand marked FAILED (orphaned, no session after 5 min)."
        in caplog.messages
    )
    assert report.orphaned == 1


def test_four_minutes_fifty_nine_seconds_are_not_five_minutes(world: World) -> None:
    put_by_hand(world, started_at=NOON)
    world.clock.advance(ORPHAN_AFTER - SECOND)

    sweep(world.sweeper())

    assert world.task("by-hand").status is TaskStatus.RUNNING


def test_an_orphan_that_was_never_started_counts_from_its_creation(world: World) -> None:
    put_by_hand(world)
    world.clock.advance(ORPHAN_AFTER)

    sweep(world.sweeper())

    assert world.task("by-hand").status is TaskStatus.FAILED


# Lost executors -------------------------------------------------------------------------------


def test_a_lost_task_is_put_in_line_again_and_woken(world: World) -> None:
    add(world.tasks)
    claim(world.tasks)
    world.clock.advance(LEASE)

    report = sweep(world.sweeper())

    assert world.task().status is TaskStatus.PENDING
    assert report.recovered == 1
    assert [task_id for task_id, _ in world.wake_ups.sent] == ["t-1"]
    assert all(slot.task_id is None for slot in world.tasks.slots())
    again = claim(world.tasks, now=world.clock.now())
    assert (again.attempts, again.fence) == (2, 2)


def test_a_slow_but_live_worker_is_left_alone(world: World) -> None:
    add(world.tasks)
    claim(world.tasks)
    world.clock.advance(LEASE - SECOND)

    report = sweep(world.sweeper())

    assert report == SweepReport()
    assert world.task().status is TaskStatus.RUNNING
    assert world.wake_ups.sent == []


def test_a_worker_lost_on_the_last_attempt_ends_failed(world: World) -> None:
    add(world.tasks, max_attempts=1)
    claim(world.tasks)
    world.clock.advance(LEASE)

    sweep(world.sweeper())

    task = world.task()
    assert task.status is TaskStatus.FAILED
    assert task.error is not None
    assert task.error.code is ErrorCode.EXECUTOR_LOST


def test_a_cancelled_task_whose_executor_is_gone_ends_cancelled(world: World) -> None:
    add(world.tasks)
    claim(world.tasks)
    world.tasks.request_cancel(world.task(), now=NOON)
    world.clock.advance(LEASE)

    sweep(world.sweeper())

    assert world.task().status is TaskStatus.CANCELLED
    assert world.wake_ups.sent == []


def test_a_slot_whose_task_was_removed_by_hand_is_freed(world: World) -> None:
    add(world.tasks)
    claim(world.tasks)
    del world.tasks.tasks["t-1"]

    sweep(world.sweeper())

    assert all(slot.task_id is None for slot in world.tasks.slots())


def test_a_slot_in_use_is_not_freed(world: World) -> None:
    add(world.tasks)
    claim(world.tasks)

    sweep(world.sweeper())

    assert world.tasks.slots()[0].task_id == "t-1"


# What waits -----------------------------------------------------------------------------------


def test_a_lost_wake_up_is_sent_again_for_as_many_as_there_are_free_slots(world: World) -> None:
    for number in range(5):
        add(world.tasks, f"t-{number}", at=NOON + number * SECOND)
    claim(world.tasks, "t-0")
    world.clock.advance(10 * SECOND)

    report = sweep(world.sweeper())

    assert world.wake_ups.sent == [("t-1", timedelta(0))]
    assert report.woken == 1


def test_a_delayed_task_is_released_when_it_is_due_and_not_before(world: World) -> None:
    add(world.tasks, run_after=NOON + 60 * SECOND)

    world.clock.advance(59 * SECOND)
    sweep(world.sweeper())
    assert world.wake_ups.sent == []

    world.clock.advance(SECOND)
    report = sweep(world.sweeper())
    assert report.released == 1
    assert [task_id for task_id, _ in world.wake_ups.sent] == ["t-1"]
    assert world.task().run_after is None


def test_what_waits_for_a_day_is_failed(world: World) -> None:
    add(world.tasks)
    world.clock.advance(QUEUE_TIMEOUT)

    sweep(world.sweeper())

    task = world.task()
    assert task.status is TaskStatus.FAILED
    assert task.error is not None
    assert task.error.code is ErrorCode.QUEUE_TIMEOUT


def test_what_waited_for_a_task_that_the_sweep_ends_is_looked_after_at_once(world: World) -> None:
    add(world.tasks, "t-1", timeout_ms=1_000, started_at=NOON, run_after=NOON + SECOND)
    until = NOON + timedelta(minutes=30)
    waiting = a_task("t-2", held=Hold.DEPENDENCIES, run_after=until)
    origin = an_origin("t-2", depends_on=("t-1",))
    assert world.tasks.create(waiting, origin, awaits=(world.task("t-1"),))
    world.clock.advance(timedelta(minutes=5))

    sweep(world.sweeper())

    assert world.task("t-1").status is TaskStatus.FAILED
    ended = world.task("t-2")
    assert ended.status is TaskStatus.FAILED
    assert ended.error is not None
    assert ended.error.code is ErrorCode.DEPENDENCY_FAILED


def test_a_group_whose_holder_the_sweep_ends_goes_on_at_once(world: World) -> None:
    add(world.tasks, "t-1", group="default#one", max_attempts=1)
    add(world.tasks, "t-2", group="default#one")
    assert world.claim("t-1") is not None
    assert world.claim("t-2", message_id="m-2") is None
    assert world.task("t-2").held is Hold.GROUP
    world.clock.advance(LEASE + SECOND)

    sweep(world.sweeper())

    assert world.task("t-1").status is TaskStatus.FAILED
    assert world.task("t-2").held is None


def test_a_second_sweep_at_once_changes_nothing(world: World) -> None:
    add(world.tasks, "lost")
    claim(world.tasks, "lost")
    add(world.tasks, "waiting", run_after=NOON + SECOND)
    put_by_hand(world)
    world.clock.advance(ORPHAN_AFTER)
    sweep(world.sweeper())
    before = dict(world.tasks.tasks)

    report = sweep(world.sweeper())

    assert world.tasks.tasks == before
    assert (report.recovered, report.orphaned, report.failed, report.released) == (0, 0, 0, 0)


def test_a_task_that_changes_while_it_is_swept_is_left_to_whoever_changed_it(
    world: World,
) -> None:
    add(world.tasks)
    claim(world.tasks)
    world.clock.advance(LEASE)
    as_swept = world.task()
    world.tasks.running = lambda: [as_swept]  # type: ignore[method-assign]
    claim(world.tasks, now=world.clock.now())

    report = sweep(world.sweeper())

    assert report.recovered == 0
    assert (world.task().status, world.task().fence) == (TaskStatus.RUNNING, 2)


# Outbox ---------------------------------------------------------------------------------------


def a_row(task_id: str = "t-1") -> OutboxRow:
    return OutboxRow(
        task_id=task_id, row=github_row(1, "comment", 1), payload={"body": "hi"}, created_at=NOON
    )


def test_rows_that_no_stream_record_got_through_are_handed_to_the_publisher(world: World) -> None:
    world.outbox.put(a_row())
    world.clock.advance(timedelta(minutes=10))

    report = sweep(world.sweeper())

    assert world.functions.invoked == [
        ("publisher", {"rows": [{"taskId": "t-1", "row": "github#0001#comment#1"}]})
    ]
    assert report.published == 1


def test_a_publisher_that_does_not_answer_does_not_stop_the_sweep(world: World) -> None:
    world.outbox.put(a_row())
    world.functions.answers["publisher"] = UnavailableError("no answer")
    world.clock.advance(timedelta(minutes=10))

    sweep(world.sweeper())


def test_an_empty_house_costs_no_writes(world: World) -> None:
    assert sweep(world.sweeper()) == SweepReport()
    assert world.functions.invoked == []
    assert world.wake_ups.sent == []


def test_a_delayed_task_may_wait_longer_than_the_queue_timeout(world: World) -> None:
    add(world.tasks, run_after=NOON + 3 * QUEUE_TIMEOUT)
    world.clock.advance(3 * QUEUE_TIMEOUT)

    sweep(world.sweeper())

    task = world.task()
    assert (task.status, task.queued_at) == (TaskStatus.PENDING, world.clock.now())
    assert replace(task, queued_at=None).run_after is None


@pytest.mark.parametrize("failure", [UnavailableError("throttled"), ValueError("a strange row")])
def test_a_task_that_cannot_be_looked_after_holds_up_no_other(
    world: World, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    for task_id in ("t-1", "t-2", "t-3"):
        add(world.tasks, task_id, run_after=NOON + SECOND)
    release = world.tasks.make_runnable

    def breaks_one(task: Task, *, now: datetime) -> None:
        if task.id == "t-2":
            raise failure
        release(task, now=now)

    world.tasks.make_runnable = breaks_one  # type: ignore[method-assign]
    world.clock.advance(timedelta(seconds=2))

    report = sweep(world.sweeper())

    assert (report.released, world.task("t-1").run_after, world.task("t-3").run_after) == (
        2,
        None,
        None,
    )
    assert "sweep of task t-2 broke" in caplog.text


def test_a_store_that_does_not_answer_ends_the_sweep(world: World) -> None:
    for number in range(20):
        add(world.tasks, f"t-{number}", run_after=NOON + SECOND)
    tried: list[str] = []

    def breaks(task: Task, *, now: datetime) -> None:
        tried.append(f"{task.id} at {now}")
        raise UnavailableError("throttled")

    world.tasks.make_runnable = breaks  # type: ignore[method-assign]
    world.clock.advance(timedelta(seconds=2))

    with pytest.raises(UnavailableError):
        sweep(world.sweeper())
    assert len(tried) == 5
