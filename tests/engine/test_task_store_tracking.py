"""A tracked task's changes write their rows, in both stores; nobody else's do."""

import pytest

from nightdesk.adapters.dynamodb.outbox_store import DynamoOutboxStore
from nightdesk.domain.ports import OutboxStore, Progress, Release, TaskStore
from nightdesk.domain.session import EntryKind
from nightdesk.domain.task import LEASE, Task, TaskStatus
from tests.engine.examples import add, an_entry, claim
from tests.fakes.clock import NOON
from tests.fakes.outbox_store import FakeOutboxStore
from tests.fakes.task_store import FakeTaskStore

STARTED, STEP = "github#0001#started#1", "github#0001#progress#1"


@pytest.fixture
def outbox(store: TaskStore) -> OutboxStore:
    return FakeOutboxStore(store.rows) if isinstance(store, FakeTaskStore) else DynamoOutboxStore()


def payload(outbox: OutboxStore, row: str) -> object:
    found = outbox.get("t-1", row)
    return None if found is None else found.payload


def step(store: TaskStore, task: Task, *, shown: bool) -> Task:
    progress = Progress(tools={"read_file": 2} if shown else None)
    return store.step(task, an_entry(), progress, lease_until=NOON + LEASE)


def test_claim_and_refreshing_step_of_a_tracked_task_write_rows(
    store: TaskStore, outbox: OutboxStore
) -> None:
    add(store, tracked=True)
    task = step(store, claim(store), shown=True)

    assert task.tracked
    assert payload(outbox, STARTED) == {}
    assert payload(outbox, STEP) == {"entry": 1, "tools": {"read_file": 2}}


def test_a_step_that_refreshes_nothing_writes_no_row(store: TaskStore, outbox: OutboxStore) -> None:
    add(store, tracked=True)
    step(store, claim(store), shown=False)
    assert payload(outbox, STEP) is None


def test_who_waits_is_shown_with_the_question(store: TaskStore, outbox: OutboxStore) -> None:
    add(store, tracked=True)
    entry = an_entry(kind=EntryKind.WAIT, data={"reason": "question", "text": "Which cache?"})
    store.release(claim(store), Release(status=TaskStatus.WAITING, entry=entry), now=NOON)
    asked = {"entry": 1, "reason": "question", "question": "Which cache?"}
    assert payload(outbox, "github#0001#waiting#1") == asked


def test_what_ends_without_a_session_is_shown_too(store: TaskStore, outbox: OutboxStore) -> None:
    task = add(store, tracked=True)
    store.end_unclaimed(task, TaskStatus.CANCELLED, None, now=NOON)
    assert payload(outbox, "github#0001#cancelled#0") == {"entry": 0}


def test_a_hand_over_of_the_same_attempt_is_not_shown(
    store: TaskStore, outbox: OutboxStore
) -> None:
    add(store, tracked=True)
    again = Release(status=TaskStatus.PENDING, continuing=True, hop=True)
    store.release(claim(store), again, now=NOON)
    assert payload(outbox, "github#0001#pending#1") is None


def test_a_task_that_nobody_tracks_writes_no_row(store: TaskStore, outbox: OutboxStore) -> None:
    add(store)
    task = step(store, claim(store), shown=True)
    store.release(task, Release(status=TaskStatus.FAILED), now=NOON)
    rows = (STARTED, STEP, "github#0001#failed#1")
    assert [payload(outbox, row) for row in rows] == [None, None, None]
