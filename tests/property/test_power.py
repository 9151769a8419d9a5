"""The state machine notices: each defect that is planted here makes it fail.

A proof that cannot fail proves nothing. Each entry of `DEFECTS` takes one guarantee out of the
engine; `make prove` demands that the machine finds every one of them.
"""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from nightdesk.domain.errors import ConditionFailedError, LeaseLostError
from nightdesk.domain.session import Entry
from nightdesk.domain.task import Task, TaskStatus
from nightdesk.services import claim_task, recover_tasks, run_session
from tests.fakes.github import FakePublishing
from tests.fakes.outbox_store import FakeOutboxStore
from tests.fakes.task_store import FakeTaskStore
from tests.property.test_engine import Engine

Patch = Callable[[pytest.MonkeyPatch], None]


def replacing(owner: object, name: str, value: Any) -> Patch:
    return lambda patch: patch.setattr(owner, name, value)


def zombies_may_write(store: FakeTaskStore, task: Task, *, cancellable: bool) -> None:
    if store.tasks[task.id].status is not TaskStatus.RUNNING:
        raise LeaseLostError(task.id)


def cancels_are_not_seen(store: FakeTaskStore, task: Task, *, cancellable: bool) -> None:
    current = store.tasks.get(task.id)
    if current is None or (current.status, current.fence) != (TaskStatus.RUNNING, task.fence):
        raise LeaseLostError(task.id)


def leases_are_not_compared(store: FakeTaskStore, task: Task) -> bool:
    current = store.tasks.get(task.id)
    return current is not None and (current.status, current.run) == (task.status, task.run)


def a_cancel_is_not_compared(store: FakeTaskStore, task: Task) -> bool:
    current = store.tasks.get(task.id)
    return (
        current is not None
        and (current.status, current.run, current.fence, current.lease_until, current.inbox)
        == (task.status, task.run, task.fence, task.lease_until, task.inbox)
        and (task.status is not TaskStatus.PENDING or current.updated_at == task.updated_at)
    )


def the_journal_may_be_overwritten(store: FakeTaskStore, entry: Entry) -> bool:
    return False


def nothing_is_an_outbox_lease(store: FakeOutboxStore, row: Any) -> Any:
    found = store.rows.get((row.task_id, row.row))
    if found is None:
        raise ConditionFailedError(row.row)
    return found


DEFECTS: dict[str, Patch] = {
    "zombies may write": replacing(FakeTaskStore, "_check_ours", zombies_may_write),
    "cancels are not seen": replacing(FakeTaskStore, "_check_ours", cancels_are_not_seen),
    "leases are not compared": replacing(FakeTaskStore, "_as_read", leases_are_not_compared),
    "a cancel is not compared": replacing(FakeTaskStore, "_as_read", a_cancel_is_not_compared),
    "messages are not looked for": replacing(FakeTaskStore, "_check_news", lambda *_, **__: None),
    "attempts are not bounded": replacing(claim_task, "end_of_expired", lambda _task, _now: None),
    "the sweep leaves lost tasks": replacing(recover_tasks, "_look_at_running", lambda _, r: r),
    "the sweep wakes nobody": replacing(recover_tasks, "_wake", lambda _ports: 0),
    "a comment is not looked for": replacing(FakePublishing, "comments_since", lambda *_: []),
    "outbox rows are not leased": replacing(
        FakeOutboxStore, "_as_read", nothing_is_an_outbox_lease
    ),
    "an answer needs no rows": replacing(run_session, "outbox_rows", lambda *_, **__: ()),
}


@pytest.mark.prove
@pytest.mark.parametrize("defect", DEFECTS)
def test_the_machine_finds_a_planted_defect(defect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    DEFECTS[defect](monkeypatch)
    machine: Any = seed(1)(type("Planted", (Engine,), {}))
    searching = settings(
        max_examples=4_000,
        stateful_step_count=80,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )

    with pytest.raises(AssertionError):
        run_state_machine_as_test(machine, settings=searching)
