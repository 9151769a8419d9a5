"""Who wants to be called back is told of every change that counts, whoever makes it: the same
tests on the fake and on DynamoDB (moto).
"""

import pytest

from nightdesk.adapters.dynamodb.outbox_store import DynamoOutboxStore
from nightdesk.domain.errors import (
    ConditionFailedError,
    ErrorCode,
    NotClaimableError,
    StaleTaskError,
)
from nightdesk.domain.notices import NOTIFY, as_told
from nightdesk.domain.outbox import OutboxRow, OutboxState
from nightdesk.domain.ports import OutboxStore, Progress, Release, TaskStore
from nightdesk.domain.task import LEASE, Task, TaskError, TaskStatus
from tests.engine.examples import add, an_entry, claim
from tests.fakes.clock import NOON
from tests.fakes.outbox_store import FakeOutboxStore
from tests.fakes.task_store import FakeTaskStore

FAILURE = TaskError(ErrorCode.TASK_TIMEOUT, "Too long")


def notices_of(store: TaskStore, task_id: str = "t-1") -> list[OutboxRow]:
    outbox: OutboxStore = (
        FakeOutboxStore(store.rows) if isinstance(store, FakeTaskStore) else DynamoOutboxStore()
    )
    return outbox.of_task(task_id, NOTIFY)


def names(store: TaskStore) -> list[str]:
    return [row.row for row in notices_of(store)]


def claimed_by_a_workspace_that_wants_it(store: TaskStore) -> Task:
    task = add(store)
    return store.claim(
        task,
        store.slots()[0],
        message_id="m-1",
        now=NOON,
        lease_until=NOON + LEASE,
        reserved_micros=0,
        calls_back=True,
    )


@pytest.mark.parametrize(
    "status",
    [TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.WAITING],
)
def test_a_session_that_ends_or_waits_tells_it_in_the_same_transaction(
    store: TaskStore, status: TaskStatus
) -> None:
    add(store, has_callbacks=True)
    left = store.release(claim(store), Release(status=status, error=FAILURE), now=NOON)

    (told,) = notices_of(store)
    assert told.row == f"notify#0001#000001#{status.value}"
    assert (told.state, told.due_at) == (OutboxState.PENDING, NOON)
    assert told.workspace_id == "default"
    assert as_told(left, told) == left


def test_a_session_that_goes_on_later_tells_nothing(store: TaskStore) -> None:
    add(store, has_callbacks=True)
    store.release(claim(store), Release(status=TaskStatus.PENDING), now=NOON)

    assert notices_of(store) == []


def test_a_session_of_which_nobody_wants_to_hear_writes_nothing(store: TaskStore) -> None:
    add(store)
    store.release(claim(store), Release(status=TaskStatus.COMPLETED), now=NOON)

    assert notices_of(store) == []


def test_the_claim_says_that_the_workspace_wants_to_hear_of_it(store: TaskStore) -> None:
    task = claimed_by_a_workspace_that_wants_it(store)
    assert task.has_callbacks
    assert store.get("t-1") == task
    store.release(task, Release(status=TaskStatus.COMPLETED), now=NOON)

    assert names(store) == ["notify#0001#000001#COMPLETED"]


def test_an_end_without_a_session_is_always_told_for_nobody_has_looked(store: TaskStore) -> None:
    store.end_unclaimed(add(store), TaskStatus.FAILED, FAILURE, now=NOON)

    assert names(store) == ["notify#0001#000000#FAILED"]


def test_the_end_of_a_task_whose_executor_is_gone_is_told(store: TaskStore) -> None:
    add(store)
    gone = claim(store)
    store.end_expired(gone, Release(status=TaskStatus.FAILED, error=FAILURE), now=NOON + LEASE)

    assert names(store) == ["notify#0001#000001#FAILED"]


def test_a_task_that_is_recovered_is_not_told_of(store: TaskStore) -> None:
    add(store, has_callbacks=True)
    store.end_expired(claim(store), Release(status=TaskStatus.PENDING), now=NOON + LEASE)

    assert notices_of(store) == []


def test_a_wait_and_the_end_after_it_are_two_notices(store: TaskStore) -> None:
    add(store, has_callbacks=True)
    waiting = store.release(claim(store), Release(status=TaskStatus.WAITING), now=NOON)
    store.send_mail(waiting, kind="text", text="Go on.", by="ann", now=NOON)
    store.release(claim(store), Release(status=TaskStatus.WAITING), now=NOON)
    again = store.get("t-1")
    assert again is not None
    store.end_unclaimed(again, TaskStatus.CANCELLED, None, now=NOON)

    assert names(store) == [
        "notify#0001#000001#WAITING",
        "notify#0001#000002#CANCELLED",
        "notify#0001#000002#WAITING",
    ]


def test_a_callback_that_comes_while_it_runs_is_not_overlooked(store: TaskStore) -> None:
    add(store)
    task = claim(store)
    wanted = store.want_callbacks("t-1")
    assert wanted is not None
    assert (wanted.has_callbacks, wanted.status) == (True, TaskStatus.RUNNING)

    store.step(task, an_entry(), Progress(), lease_until=NOON + LEASE)
    with pytest.raises(StaleTaskError) as stale:
        store.release(task, Release(status=TaskStatus.COMPLETED), now=NOON)

    assert stale.value.has_callbacks
    assert notices_of(store) == []


def test_a_callback_that_comes_before_the_claim_is_not_overlooked(store: TaskStore) -> None:
    as_read = add(store)
    store.want_callbacks("t-1")

    with pytest.raises(NotClaimableError):
        store.claim(
            as_read,
            store.slots()[0],
            message_id="m-1",
            now=NOON,
            lease_until=NOON + LEASE,
            reserved_micros=0,
        )
    with pytest.raises(ConditionFailedError):
        store.end_unclaimed(as_read, TaskStatus.CANCELLED, None, now=NOON)


def test_a_callback_may_be_asked_for_again_and_of_a_task_that_is_gone(store: TaskStore) -> None:
    task = add(store)
    assert store.want_callbacks("t-1") == store.want_callbacks("t-1")
    wanted = store.get("t-1")
    assert wanted is not None
    store.delete(wanted)

    assert store.want_callbacks(task.id) is None
    assert store.get("t-1") is None


def test_a_notice_tells_of_the_change_though_a_new_run_has_begun(store: TaskStore) -> None:
    add(store, has_callbacks=True)
    failed = store.release(claim(store), Release(status=TaskStatus.FAILED, error=FAILURE), now=NOON)
    store.start_new_run(failed, now=NOON + LEASE)
    now = store.get("t-1")
    assert now is not None
    assert now.has_callbacks

    (told,) = notices_of(store)
    then = as_told(now, told)
    assert (then.run, then.status, then.error) == (1, TaskStatus.FAILED, FAILURE)
    assert then.completed_at == NOON
