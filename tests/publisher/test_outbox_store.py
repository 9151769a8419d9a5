"""One set of tests for the fake and for DynamoDB (moto)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from nightdesk.adapters.dynamodb.outbox_store import DynamoOutboxStore
from nightdesk.adapters.dynamodb.task_items import outbox_item
from nightdesk.domain.errors import ConditionFailedError
from nightdesk.domain.outbox import OutboxRow, OutboxState
from nightdesk.domain.ports import OutboxStore
from tests.fakes.clock import NOON
from tests.fakes.outbox_store import FakeOutboxStore

MINUTE = timedelta(minutes=1)
Put = Callable[[OutboxRow], object]


@pytest.fixture(params=["fake", "dynamodb"])
def store(request: pytest.FixtureRequest) -> OutboxStore:
    if request.param == "fake":
        return FakeOutboxStore()
    request.getfixturevalue("aws_tables")
    return DynamoOutboxStore()


@pytest.fixture
def put(store: OutboxStore) -> Put:
    """Rows are put by the task store's transactions."""
    if isinstance(store, FakeOutboxStore):
        return store.put

    def save(row: OutboxRow) -> None:
        outbox_item(row, retention=timedelta(days=90)).save()

    return save


def row(task_id: str = "t-1", name: str = "github#0001#comment#1") -> OutboxRow:
    payload = {"body": "Hällo", "footer": {"model": "m", "durationSeconds": 3}}
    return OutboxRow(task_id=task_id, row=name, payload=payload, created_at=NOON)


def existing(store: OutboxStore, put: Put) -> OutboxRow:
    put(row())
    found = store.get("t-1", "github#0001#comment#1")
    assert found is not None
    return found


def test_a_row_reads_back_as_it_was_put(store: OutboxStore, put: Put) -> None:
    found = existing(store, put)
    assert found.payload == row().payload
    assert (found.state, found.tries, found.created_at) == (OutboxState.PENDING, 0, NOON)
    assert found.due_at == NOON
    assert store.get("t-1", "github#0001#comment#2") is None


def test_a_lease_counts_the_try_and_hides_the_row(store: OutboxStore, put: Put) -> None:
    leased = store.lease(existing(store, put), until=NOON + MINUTE)

    assert (leased.tries, leased.due_at) == (1, NOON + MINUTE)
    assert store.get("t-1", leased.row) == leased
    assert store.due(now=NOON, limit=10) == []
    assert store.due(now=NOON + MINUTE, limit=10) == [leased]


def test_only_one_can_lease_a_row_as_it_was_read(store: OutboxStore, put: Put) -> None:
    read = existing(store, put)
    store.lease(read, until=NOON + MINUTE)
    with pytest.raises(ConditionFailedError):
        store.lease(read, until=NOON + MINUTE)


def test_a_row_that_is_done_is_final(store: OutboxStore, put: Put) -> None:
    leased = store.lease(existing(store, put), until=NOON + MINUTE)
    store.done(leased, result_url="https://github.com/o/r/issues/1")

    done = store.get("t-1", leased.row)
    assert done is not None
    assert (done.state, done.due_at) == (OutboxState.DONE, None)
    assert done.result_url == "https://github.com/o/r/issues/1"
    assert store.due(now=NOON + 100 * MINUTE, limit=10) == []
    for change in (
        lambda: store.lease(done, until=NOON + MINUTE),
        lambda: store.done(leased, result_url="x"),
        lambda: store.failed(leased, error="x", next_try=None),
    ):
        with pytest.raises(ConditionFailedError):
            change()


def test_a_row_without_a_url_can_be_done(store: OutboxStore, put: Put) -> None:
    store.done(store.lease(existing(store, put), until=NOON + MINUTE), result_url="")
    done = store.get("t-1", "github#0001#comment#1")
    assert done is not None
    assert (done.state, done.result_url) == (OutboxState.DONE, "")


def test_a_failed_row_is_due_again_at_its_next_try(store: OutboxStore, put: Put) -> None:
    leased = store.lease(existing(store, put), until=NOON + MINUTE)
    store.failed(leased, error="GitHub: 502", next_try=NOON + 5 * MINUTE)

    assert store.due(now=NOON + 4 * MINUTE, limit=10) == []
    (waiting,) = store.due(now=NOON + 5 * MINUTE, limit=10)
    assert (waiting.state, waiting.tries) == (OutboxState.PENDING, 1)
    assert waiting.last_error == "GitHub: 502"
    store.done(store.lease(waiting, until=NOON + 6 * MINUTE), result_url="u")
    done = store.get("t-1", leased.row)
    assert done is not None
    assert done.last_error == ""


def test_a_dead_row_is_final_and_says_why(store: OutboxStore, put: Put) -> None:
    leased = store.lease(existing(store, put), until=NOON + MINUTE)
    store.failed(leased, error="x" * 1_000, next_try=None)

    dead = store.get("t-1", leased.row)
    assert dead is not None
    assert (dead.state, dead.due_at, dead.last_error) == (OutboxState.DEAD, None, "x" * 300)
    assert store.due(now=NOON + 100 * MINUTE, limit=10) == []


def test_who_has_lost_the_lease_changes_nothing(store: OutboxStore, put: Put) -> None:
    lost = store.lease(existing(store, put), until=NOON + MINUTE)
    store.lease(lost, until=NOON + 3 * MINUTE)

    with pytest.raises(ConditionFailedError):
        store.done(lost, result_url="x")
    with pytest.raises(ConditionFailedError):
        store.failed(lost, error="x", next_try=None)


def test_due_rows_come_longest_waiting_first_and_no_more_than_asked_for(
    store: OutboxStore, put: Put
) -> None:
    for number in range(6):
        put(row(f"t-{number}"))
        found = store.get(f"t-{number}", row().row)
        assert found is not None
        store.lease(found, until=NOON + (6 - number) * MINUTE)

    due = store.due(now=NOON + 3 * MINUTE, limit=10)
    assert [item.task_id for item in due] == ["t-5", "t-4", "t-3"]
    assert len(store.due(now=NOON + 10 * MINUTE, limit=2)) == 2


def test_a_row_that_does_not_exist_cannot_be_leased(store: OutboxStore) -> None:
    with pytest.raises(ConditionFailedError):
        store.lease(row(), until=NOON + MINUTE)


def test_a_row_is_put_once(store: OutboxStore) -> None:
    assert store.put(row())
    assert not store.put(replace(row(), payload={"body": "another"}))

    found = store.get("t-1", row().row)
    assert found is not None
    assert (found.payload, found.due_at) == (row().payload, NOON)
    assert store.due(now=NOON, limit=5) == [found]


def test_rows_of_a_task_are_found_by_the_beginning_of_their_names(store: OutboxStore) -> None:
    for name in ("notify#2", "notify#1", "github#1"):
        store.put(row(name=name))
    store.put(row("t-2", "notify#3"))

    assert [found.row for found in store.of_task("t-1", "notify#")] == ["notify#1", "notify#2"]


def dead(store: OutboxStore, task_id: str, *, workspace: str, at: int = 0) -> OutboxRow:
    created = NOON + at * MINUTE
    store.put(replace(row(task_id), workspace_id=workspace, created_at=created))
    read = store.get(task_id, row().row)
    assert read is not None
    store.failed(store.lease(read, until=NOON + MINUTE), error="gone", next_try=None)
    found = store.get(task_id, row().row)
    assert found is not None
    return found


def test_dead_rows_are_listed_by_workspace_the_newest_first(store: OutboxStore) -> None:
    old, new = dead(store, "t-1", workspace="team"), dead(store, "t-2", workspace="team", at=5)
    dead(store, "t-3", workspace="other")
    dead(store, "t-4", workspace="")

    assert store.dead("team", limit=5) == [new, old]
    assert store.dead("team", limit=1) == [new]
    assert store.dead("nobody", limit=5) == []


def test_a_dead_row_can_be_sent_again_with_all_its_tries(store: OutboxStore) -> None:
    gone = dead(store, "t-1", workspace="team")
    again = store.send_again(gone, now=NOON + MINUTE)

    assert (again.state, again.tries, again.payload) == (OutboxState.PENDING, 0, gone.payload)
    assert store.dead("team", limit=5) == []
    assert store.due(now=NOON + MINUTE, limit=5) == [again]
    assert store.get("t-1", again.row) == again


def test_only_a_dead_row_is_sent_again(store: OutboxStore) -> None:
    gone = dead(store, "t-1", workspace="team")
    store.send_again(gone, now=NOON)

    with pytest.raises(ConditionFailedError):
        store.send_again(gone, now=NOON)
    with pytest.raises(ConditionFailedError):
        store.send_again(row("t-9"), now=NOON)
    assert store.get("t-9", row().row) is None


def test_a_wait_that_was_asked_for_is_counted_apart(store: OutboxStore, put: Put) -> None:
    leased = store.lease(existing(store, put), until=NOON + MINUTE)
    store.failed(leased, error="429", next_try=NOON + MINUTE, waits=True)
    again = store.lease(stored(store), until=NOON + 2 * MINUTE)
    assert (again.tries, again.waits) == (2, 1)
    store.failed(again, error="502", next_try=NOON + 2 * MINUTE)
    assert (stored(store).tries, stored(store).waits) == (2, 1)


def stored(store: OutboxStore) -> OutboxRow:
    found = store.get("t-1", "github#0001#comment#1")
    assert found is not None
    return found
