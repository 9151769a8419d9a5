"""Cancelling a task in each of its states, and while it changes."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightdesk.domain.api_key import ApiKey
from nightdesk.domain.errors import CancelRequestedError, ConflictError, TaskNotFoundError
from nightdesk.domain.ports import Progress, Release
from nightdesk.domain.session import Entry, EntryKind
from nightdesk.domain.task import LEASE, TERMINAL, Origin, Task, TaskStatus
from nightdesk.services.cancel_task import cancel_task
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.task_store import FakeTaskStore

KEY = ApiKey(id="k", workspace_id="team", created_at=NOON)


def pending(store: FakeTaskStore) -> Task:
    task = Task(
        id="t-1",
        workspace_id="team",
        agent_id="developer",
        title="T",
        created_at=NOON,
        updated_at=NOON,
    )
    store.create(task, Origin(task_id=task.id, prompt="Do it", created_at=NOON))
    return task


def claimed(store: FakeTaskStore) -> Task:
    return store.claim(
        pending(store),
        store.slots()[0],
        message_id="m",
        now=NOON,
        lease_until=NOON + LEASE,
        reserved_micros=0,
    )


@pytest.fixture
def store() -> FakeTaskStore:
    return FakeTaskStore()


def cancel(store: FakeTaskStore, clock: FakeClock) -> Task:
    return cancel_task("t-1", key=KEY, tasks=store, clock=clock)


@pytest.mark.parametrize("status", [TaskStatus.PENDING, TaskStatus.WAITING, TaskStatus.RUNNING])
def test_what_no_session_holds_is_cancelled_at_once(
    store: FakeTaskStore, clock: FakeClock, status: TaskStatus
) -> None:
    store.tasks["t-1"] = replace(pending(store), status=status)

    assert cancel(store, clock).status is TaskStatus.CANCELLED
    assert store.tasks["t-1"].completed_at == NOON


def test_a_session_that_was_told_to_stop_writes_no_step_and_cannot_complete(
    store: FakeTaskStore, clock: FakeClock
) -> None:
    task = claimed(store)

    assert cancel(store, clock).status is TaskStatus.RUNNING

    step = Entry(task.id, 1, 1, EntryKind.OUTPUT, NOON, {"result": "x"})
    with pytest.raises(CancelRequestedError):
        store.step(task, step, Progress(), lease_until=NOON + LEASE)
    with pytest.raises(CancelRequestedError):
        store.release(task, Release(status=TaskStatus.COMPLETED, entry=step), now=NOON)
    ended = store.release(task, Release(status=TaskStatus.CANCELLED), now=NOON)
    assert ended.status is TaskStatus.CANCELLED


def test_a_dead_executors_task_is_cancelled_at_once_and_its_slot_is_free(
    store: FakeTaskStore, clock: FakeClock
) -> None:
    claimed(store)
    clock.advance(LEASE + timedelta(seconds=1))

    assert cancel(store, clock).status is TaskStatus.CANCELLED
    assert all(slot.task_id is None for slot in store.slots())


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_what_has_ended_cannot_be_cancelled(
    store: FakeTaskStore, clock: FakeClock, status: TaskStatus
) -> None:
    store.tasks["t-1"] = replace(pending(store), status=status)

    with pytest.raises(ConflictError):
        cancel(store, clock)


def test_another_workspaces_task_cannot_be_cancelled(
    store: FakeTaskStore, clock: FakeClock
) -> None:
    task = pending(store)
    store.tasks["t-1"] = replace(task, workspace_id="elsewhere")

    with pytest.raises(TaskNotFoundError):
        cancel(store, clock)


@given(moment=st.timedeltas(timedelta(0), 3 * LEASE), waits=st.booleans())
def test_a_cancel_that_was_accepted_is_never_lost(moment: timedelta, *, waits: bool) -> None:
    """Whenever it comes, the task is CANCELLED, or its session cannot do anything else."""
    store, clock = FakeTaskStore(), FakeClock()
    task = pending(store) if waits else claimed(store)
    clock.advance(moment)

    answer = cancel(store, clock)

    if answer.status is TaskStatus.RUNNING:
        with pytest.raises(CancelRequestedError):
            store.release(task, Release(status=TaskStatus.COMPLETED), now=clock.now())
    else:
        assert store.tasks["t-1"].status is TaskStatus.CANCELLED
