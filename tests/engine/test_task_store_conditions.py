"""What each condition of the task store's writes is for, where no other test tells: the same tests
on the fake and on DynamoDB (moto). The mutation check (tests/mutations) asked for them.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from nightdesk.adapters.dynamodb.tables import TaskItem
from nightdesk.adapters.dynamodb.task_items import attributes_of
from nightdesk.domain.errors import BudgetSpentError, ConditionFailedError, NotClaimableError
from nightdesk.domain.ports import BudgetCharge, Release, TaskStore
from nightdesk.domain.task import LEASE, Task, TaskStatus
from tests.engine.examples import a_task, add, an_origin, claim
from tests.fakes.clock import NOON
from tests.fakes.task_store import FakeTaskStore


def get(store: TaskStore, task_id: str = "t-1") -> Task:
    task = store.get(task_id)
    assert task is not None
    return task


def waiting(store: TaskStore) -> Task:
    add(store)
    return store.release(claim(store), Release(status=TaskStatus.WAITING), now=NOON)


# As read --------------------------------------------------------------------------------------


def test_a_task_that_was_cancelled_while_it_waited_takes_no_answer(store: TaskStore) -> None:
    as_read = waiting(store)
    cancelled = store.end_unclaimed(as_read, TaskStatus.CANCELLED, None, now=NOON)

    with pytest.raises(ConditionFailedError):
        store.send_mail(as_read, kind="text", text="Go on.", by="ann", now=NOON)
    with pytest.raises(ConditionFailedError):
        store.end_unclaimed(as_read, TaskStatus.FAILED, None, now=NOON)

    assert get(store) == cancelled


def test_a_lease_of_a_later_claim_is_another_lease_though_it_ends_alike(store: TaskStore) -> None:
    add(store)
    first = claim(store)
    store.release(first, Release(status=TaskStatus.PENDING), now=NOON)
    second = claim(store)
    assert second.lease_until == first.lease_until

    with pytest.raises(ConditionFailedError):
        store.delete(first)

    assert get(store) == second


def test_a_message_between_read_and_recovery_is_not_overlooked(store: TaskStore) -> None:
    add(store)
    as_read = claim(store)
    store.send_mail(as_read, kind="text", text="Wait!", by="ann", now=NOON)

    with pytest.raises(NotClaimableError):
        store.claim(
            as_read,
            store.slots()[0],
            message_id="m",
            now=NOON + LEASE,
            lease_until=NOON + 2 * LEASE,
            reserved_micros=0,
        )

    assert get(store).fence == 1


def test_a_task_that_somebody_waits_for_since_it_was_read_does_not_end_unnoticed(
    store: TaskStore,
) -> None:
    as_read = add(store)
    assert store.create(a_task("t-2"), an_origin("t-2"), awaits=[as_read])

    with pytest.raises(ConditionFailedError):
        store.end_unclaimed(as_read, TaskStatus.CANCELLED, None, now=NOON)

    assert get(store).status is TaskStatus.PENDING


def test_a_row_that_was_put_by_hand_without_a_run_can_be_ended(store: TaskStore) -> None:
    by_hand = a_task(status=TaskStatus.RUNNING)
    if isinstance(store, FakeTaskStore):
        store.tasks[by_hand.id] = by_hand
    else:
        stored = attributes_of(by_hand, retention=timedelta(days=90))
        TaskItem(by_hand.id, **{k: v for k, v in stored.items() if k != "run"}).save()

    ended = store.end_unclaimed(get(store), TaskStatus.FAILED, None, now=NOON)

    assert get(store) == ended


# Messages -------------------------------------------------------------------------------------


def test_a_message_to_one_run_does_not_reach_the_next(store: TaskStore) -> None:
    add(store)
    first = claim(store)
    failed = store.release(first, Release(status=TaskStatus.FAILED), now=NOON)
    store.start_new_run(failed, now=NOON)
    second = claim(store)

    with pytest.raises(ConditionFailedError):
        store.send_mail(first, kind="text", text="For the first.", by="ann", now=NOON)

    assert get(store) == second


def test_a_message_is_numbered_after_what_is_in_the_inbox(store: TaskStore) -> None:
    add(store)
    task = claim(store)

    with pytest.raises(ConditionFailedError):
        store.send_mail(replace(task, inbox=4), kind="text", text="The 5th.", by="ann", now=NOON)

    assert get(store) == task


# Dependants, publication, budget --------------------------------------------------------------


def test_dependants_of_a_run_that_was_retried_meanwhile_are_not_settled(store: TaskStore) -> None:
    task = add(store)
    assert store.create(a_task("t-2"), an_origin("t-2"), awaits=[task])
    ended = store.end_unclaimed(get(store), TaskStatus.FAILED, None, now=NOON)
    store.start_new_run(ended, now=NOON)

    store.dependants_settled(ended)

    assert get(store).has_dependants


def test_a_publication_makes_no_task(store: TaskStore) -> None:
    store.set_publication("nobody", "https://github.com/o/r/issues/1#issuecomment-1")

    assert store.get("nobody") is None


def test_a_budget_of_two_tasks_lets_two_start_and_no_third(store: TaskStore) -> None:
    charge = BudgetCharge(day="2026-11-21", micros=0, tasks=1, most_tasks=2)
    for task_id in ("t-1", "t-2", "t-3"):
        add(store, task_id)

    def start(task_id: str, slot: int) -> Task:
        return store.claim(
            get(store, task_id),
            store.slots()[slot],
            message_id="m",
            now=NOON,
            lease_until=NOON + LEASE,
            reserved_micros=0,
            charge=charge,
        )

    first = start("t-1", 0)
    start("t-2", 1)
    store.release(first, Release(status=TaskStatus.COMPLETED), now=NOON)

    with pytest.raises(BudgetSpentError):
        start("t-3", 0)
