"""What every `TaskStore` guarantees: the same tests on the fake and on DynamoDB (moto)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from nightdesk.domain.errors import (
    CancelRequestedError,
    ConditionFailedError,
    ErrorCode,
    InvalidInputError,
    LeaseLostError,
    NotClaimableError,
)
from nightdesk.domain.model import Usage
from nightdesk.domain.outbox import OutboxRow, github_row
from nightdesk.domain.ports import Progress, Release, TaskStore
from nightdesk.domain.session import EntryKind
from nightdesk.domain.task import (
    LEASE,
    QUEUE_TIMEOUT,
    Limits,
    Priority,
    Target,
    Task,
    TaskError,
    TaskStatus,
    Trigger,
)
from tests.engine.examples import a_task, add, an_entry, an_origin, claim
from tests.fakes.clock import NOON

SECOND = timedelta(seconds=1)
FAILURE = TaskError(ErrorCode.EXECUTION_ERROR, "it broke")


def get(store: TaskStore, task_id: str = "t-1") -> Task:
    task = store.get(task_id)
    assert task is not None
    return task


# Creating and reading -------------------------------------------------------------------------


def test_a_created_task_reads_back_as_it_was(store: TaskStore) -> None:
    task = a_task(priority=Priority.HIGH, run_after=NOON + SECOND, triggered_by="github:issues")
    origin = an_origin(
        prompt="Ünïcode 🎉",
        limits=Limits(turns=3, cost_micros=500_000),
        intents=(("comment", 1),),
        allowed_labels=("bug",),
        target=Target(repo="o/r", repo_id=1, number=7, kind="issue", url="https://x", head_sha=""),
        trigger=Trigger(event="issues.opened", key="issue:1:opened", actor="ann"),
        request_hash="abc",
    )

    assert store.create(task, origin)

    assert store.get("t-1") == task
    assert store.get_origin("t-1") == origin


def test_nothing_is_read_of_an_unknown_task(store: TaskStore) -> None:
    assert store.get("nobody") is None
    assert store.get_origin("nobody") is None
    assert store.entry("nobody", 1, 1) is None
    assert store.entries("nobody", 1) == []


def test_a_second_create_under_one_id_changes_nothing(store: TaskStore) -> None:
    first = add(store)

    assert not store.create(a_task(title="Other"), an_origin(prompt="Other"))

    assert store.get("t-1") == first
    assert store.get_origin("t-1") == an_origin()


def test_a_seen_key_makes_one_task_for_ever(store: TaskStore) -> None:
    assert store.create(a_task("t-1"), an_origin("t-1"), seen_keys=("issue:1:opened", "other"))
    store.delete(get(store))

    assert not store.create(a_task("t-2"), an_origin("t-2"), seen_keys=("issue:1:opened",))
    assert not store.create(a_task("t-2"), an_origin("t-2"), seen_keys=("new", "other"))
    assert store.get("t-2") is None
    assert store.get_origin("t-2") is None

    assert store.create(a_task("t-2"), an_origin("t-2"), seen_keys=("new",))


def test_lists_are_newest_first_and_paged_without_gaps(store: TaskStore) -> None:
    for number in range(5):
        add(store, f"t-{number}", at=NOON + number * SECOND)
    add(store, "other", at=NOON, workspace_id="elsewhere")

    ids: list[str] = []
    cursor = None
    for _ in range(10):
        page = store.list_page("default", status=None, limit=2, cursor=cursor)
        ids.extend(task.id for task in page.tasks)
        cursor = page.cursor
        if cursor is None:
            break

    assert ids == ["t-4", "t-3", "t-2", "t-1", "t-0"]


def test_lists_can_be_narrowed_to_a_status(store: TaskStore) -> None:
    add(store, "t-1")
    add(store, "t-2")
    claim(store, "t-1")

    def ids(status: TaskStatus) -> list[str]:
        page = store.list_page("default", status=status, limit=10, cursor=None)
        return [task.id for task in page.tasks]

    assert ids(TaskStatus.RUNNING) == ["t-1"]
    assert ids(TaskStatus.PENDING) == ["t-2"]
    assert ids(TaskStatus.FAILED) == []


@pytest.mark.parametrize("cursor", ["nonsense", "bm9wZQ==", "ü", "MQ==", "W10=", "WzEsMiwzXQ=="])
def test_a_cursor_that_no_list_answered_is_refused(store: TaskStore, cursor: str) -> None:
    with pytest.raises(InvalidInputError):
        store.list_page("default", status=None, limit=2, cursor=cursor)


def test_a_cursor_of_another_workspace_is_refused(store: TaskStore) -> None:
    for number in range(3):
        add(store, f"t-{number}", at=NOON + number * SECOND)
    cursor = store.list_page("default", status=None, limit=1, cursor=None).cursor

    with pytest.raises(InvalidInputError):
        store.list_page("elsewhere", status=None, limit=1, cursor=cursor)


# The line of runnable tasks -------------------------------------------------------------------


def test_priority_and_age_are_one_line(store: TaskStore) -> None:
    add(store, "low", priority=Priority.LOW)
    add(store, "normal", at=NOON + 10 * SECOND)
    add(store, "high", at=NOON + 20 * SECOND, priority=Priority.HIGH)
    add(store, "old-low", at=NOON - timedelta(hours=2), priority=Priority.LOW)

    line = [candidate.task_id for candidate in store.runnable(limit=10)]

    assert line == ["old-low", "high", "normal", "low"]


def test_the_line_shows_the_best_few_and_their_workspaces(store: TaskStore) -> None:
    for number in range(4):
        add(store, f"t-{number}", at=NOON + number * SECOND, workspace_id=f"w-{number}")

    best = store.runnable(limit=2)

    assert [(c.task_id, c.workspace_id) for c in best] == [("t-0", "w-0"), ("t-1", "w-1")]


def test_a_delayed_task_stands_in_line_only_once_it_is_made_runnable(store: TaskStore) -> None:
    task = add(store, run_after=NOON + 5 * SECOND)
    assert store.runnable(limit=5) == []
    assert store.due(now=NOON + 4 * SECOND, limit=5) == []
    assert [t.id for t in store.due(now=NOON + 5 * SECOND, limit=5)] == ["t-1"]

    store.make_runnable(task, now=NOON + 5 * SECOND)
    store.make_runnable(task, now=NOON + 6 * SECOND)

    assert [c.task_id for c in store.runnable(limit=5)] == ["t-1"]
    assert get(store).run_after is None
    assert store.due(now=NOON + timedelta(hours=1), limit=5) == []


def test_a_delay_that_is_over_for_somebody_else_is_not_ended_twice(store: TaskStore) -> None:
    task = add(store, run_after=NOON + 5 * SECOND)
    store.make_runnable(task, now=NOON + 5 * SECOND)

    store.make_runnable(task, now=NOON + 6 * SECOND)

    assert get(store).queued_at == NOON + 5 * SECOND


def test_only_the_delay_that_was_read_is_ended(store: TaskStore) -> None:
    task = add(store, run_after=NOON + 5 * SECOND)

    store.make_runnable(replace(task, run_after=NOON + SECOND), now=NOON + SECOND)

    assert get(store) == task


def test_a_delayed_task_that_was_edited_meanwhile_is_left_to_the_next_sweep(
    store: TaskStore,
) -> None:
    task = add(store, run_after=NOON + 5 * SECOND)
    high = store.edit(task, title=None, agent_id=None, priority=Priority.HIGH, now=NOON + SECOND)

    store.make_runnable(task, now=NOON + 5 * SECOND)

    assert get(store) == high
    assert store.runnable(limit=5) == []


def test_what_waits_too_long_in_line_becomes_due(store: TaskStore) -> None:
    add(store)

    assert store.due(now=NOON + QUEUE_TIMEOUT - SECOND, limit=5) == []
    assert [t.id for t in store.due(now=NOON + QUEUE_TIMEOUT, limit=5)] == ["t-1"]


# Claiming -------------------------------------------------------------------------------------


def test_a_claim_takes_task_and_slot_together(store: TaskStore) -> None:
    add(store)

    task = claim(store, message_id="m-7")

    assert task == get(store)
    assert (task.status, task.attempts, task.fence) == (TaskStatus.RUNNING, 1, 1)
    assert (task.lease_until, task.started_at) == (NOON + LEASE, NOON)
    assert task.result_session_id
    slot = store.slots()[0]
    assert (slot.task_id, slot.fence, slot.message_id) == ("t-1", 1, "m-7")
    assert store.runnable(limit=5) == []


def test_a_task_that_was_claimed_meanwhile_cannot_be_claimed(store: TaskStore) -> None:
    as_read = add(store)
    claim(store)

    with pytest.raises(NotClaimableError):
        store.claim(
            as_read,
            store.slots()[1],
            message_id="m-2",
            now=NOON,
            lease_until=NOON + LEASE,
            reserved_micros=0,
        )

    assert store.slots()[1].task_id is None
    assert get(store).fence == 1


def test_a_slot_that_was_taken_meanwhile_cannot_be_taken(store: TaskStore) -> None:
    add(store, "t-1")
    second = add(store, "t-2")
    free_as_read = store.slots()[0]
    claim(store, "t-1")

    with pytest.raises(NotClaimableError):
        store.claim(
            second,
            free_as_read,
            message_id="m-2",
            now=NOON,
            lease_until=NOON + LEASE,
            reserved_micros=0,
        )

    assert get(store, "t-2").status is TaskStatus.PENDING
    assert store.slots()[0].task_id == "t-1"


def test_a_task_that_was_edited_meanwhile_cannot_be_claimed(store: TaskStore) -> None:
    as_read = add(store)
    later = NOON + SECOND
    store.edit(as_read, title=None, agent_id=None, priority=None, now=later)

    with pytest.raises(NotClaimableError):
        store.claim(
            as_read,
            store.slots()[0],
            message_id="m",
            now=later,
            lease_until=later + LEASE,
            reserved_micros=0,
        )


def test_an_expired_lease_is_recovered_in_its_own_slot_under_a_new_fence(store: TaskStore) -> None:
    add(store)
    claim(store, message_id="m-1")

    task = claim(store, now=NOON + LEASE, message_id="m-1-again")

    assert (task.fence, task.attempts, task.slot) == (2, 2, 0)
    slot = store.slots()[0]
    assert (slot.task_id, slot.fence, slot.message_id) == ("t-1", 2, "m-1-again")


def test_a_lease_that_was_renewed_meanwhile_cannot_be_recovered(store: TaskStore) -> None:
    add(store)
    as_read = claim(store)
    later = NOON + 10 * SECOND
    store.heartbeat(as_read, lease_until=later + LEASE)

    with pytest.raises(NotClaimableError):
        store.claim(
            as_read,
            store.slots()[0],
            message_id="m",
            now=NOON + LEASE,
            lease_until=NOON + 2 * LEASE,
            reserved_micros=0,
        )


def test_a_lost_task_is_recovered_in_no_other_slot_than_its_own(store: TaskStore) -> None:
    add(store, "t-1")
    add(store, "t-2")
    claim(store, "t-1", slot=0)
    claim(store, "t-2", slot=1)

    with pytest.raises(NotClaimableError):
        claim(store, "t-1", now=NOON + LEASE, slot=1)

    assert [slot.task_id for slot in store.slots()] == ["t-1", "t-2"]
    assert get(store, "t-1").fence == 1


def test_a_slot_that_an_earlier_claim_left_behind_is_not_its_own(store: TaskStore) -> None:
    add(store)
    leaves_its_slot = replace(claim(store, slot=0), slot=None)
    store.release(leaves_its_slot, Release(status=TaskStatus.PENDING), now=NOON)
    claim(store, slot=1)

    with pytest.raises(NotClaimableError):
        claim(store, now=NOON + LEASE, slot=0)

    assert [slot.fence for slot in store.slots()] == [1, 2]


def test_one_read_shows_all_that_a_claim_decides_on(store: TaskStore) -> None:
    add(store, "t-1")
    add(store, "t-2")
    claim(store, "t-1", slot=1)

    view = store.view_for_claim(["t-2", "t-1", "gone", "t-2"])

    assert {i: t.status for i, t in view.tasks.items()} == {
        "t-1": TaskStatus.RUNNING,
        "t-2": TaskStatus.PENDING,
    }
    assert view.origins["t-2"] == an_origin("t-2")
    assert [slot.task_id for slot in view.slots] == [None, "t-1"]
    assert [slot.number for slot in store.view_for_claim([]).slots] == [0, 1]


def test_what_was_set_aside_by_a_lost_executor_counts_as_spent(store: TaskStore) -> None:
    add(store)
    task = claim(store)
    store.step(task, an_entry(), Progress(cost_micros=5, reserved_micros=70), lease_until=NOON)

    recovered = claim(store, now=NOON + LEASE)

    assert (recovered.cost_micros, recovered.reserved_micros) == (75, 0)
    assert get(store) == recovered


# Steps ----------------------------------------------------------------------------------------


def test_a_step_writes_entry_and_progress_together(store: TaskStore) -> None:
    add(store)
    task = claim(store)
    later = NOON + 3 * SECOND
    entry = an_entry(at=later, kind=EntryKind.TURN, data={"message": {"role": "assistant"}})
    usage = Usage(input=10, output=20, cache_read=30, cache_write=5)
    progress = Progress(
        activity="Running: read_file a.py", tool_calls=1, usage=usage, cost_micros=9
    )

    task = store.step(task, entry, progress, lease_until=later + LEASE)

    assert task == get(store)
    assert (task.current_activity, task.tool_call_count) == ("Running: read_file a.py", 1)
    assert (task.input_tokens, task.output_tokens, task.cache_read_tokens) == (15, 20, 30)
    assert (task.cost_micros, task.last_entry, task.last_activity) == (9, 1, later)
    assert task.lease_until == later + LEASE
    assert store.entries("t-1", 1) == [entry]
    assert store.entry("t-1", 1, 1) == entry


def test_the_journal_is_read_in_order_and_from_any_entry_on(store: TaskStore) -> None:
    add(store)
    task = claim(store)
    for seq in range(1, 13):
        task = store.step(task, an_entry(seq=seq), Progress(), lease_until=NOON + LEASE)

    assert [e.seq for e in store.entries("t-1", 1)] == list(range(1, 13))
    assert [e.seq for e in store.entries("t-1", 1, after=10)] == [11, 12]
    assert store.entries("t-1", 2) == []


def test_a_zombie_cannot_step(store: TaskStore) -> None:
    add(store)
    zombie = claim(store)
    claim(store, now=NOON + LEASE)

    with pytest.raises(LeaseLostError):
        store.step(zombie, an_entry(), Progress(activity="x"), lease_until=NOON + LEASE)

    assert store.entries("t-1", 1) == []
    assert get(store).current_activity is None


def test_nobody_steps_on_a_task_that_has_ended(store: TaskStore) -> None:
    add(store)
    task = claim(store)
    store.release(task, Release(status=TaskStatus.FAILED, error=FAILURE), now=NOON)

    with pytest.raises(LeaseLostError):
        store.step(task, an_entry(), Progress(), lease_until=NOON + LEASE)

    assert store.entries("t-1", 1) == []


def test_no_step_starts_after_a_cancel(store: TaskStore) -> None:
    add(store)
    task = claim(store)
    store.request_cancel(get(store), now=NOON + SECOND)

    with pytest.raises(CancelRequestedError):
        store.step(task, an_entry(), Progress(activity="x"), lease_until=NOON + LEASE)

    assert store.entries("t-1", 1) == []
    assert get(store).current_activity is None


def test_an_entry_is_never_overwritten(store: TaskStore) -> None:
    add(store)
    task = claim(store)
    first = an_entry(data={"text": "first", "by": "x"})
    store.step(task, first, Progress(), lease_until=NOON + LEASE)

    with pytest.raises(LeaseLostError):
        store.step(
            task,
            replace(first, data={"text": "second", "by": "x"}),
            Progress(activity="x"),
            lease_until=NOON + LEASE,
        )

    assert store.entry("t-1", 1, 1) == first


def test_an_entry_is_not_overwritten_by_the_end_either(store: TaskStore) -> None:
    add(store)
    task = claim(store)
    store.step(task, an_entry(), Progress(), lease_until=NOON + LEASE)
    end = an_entry(kind=EntryKind.FAILURE, data={"code": "X"})

    with pytest.raises(LeaseLostError):
        store.release(task, Release(status=TaskStatus.FAILED, entry=end), now=NOON)

    assert get(store).status is TaskStatus.RUNNING
    assert store.entry("t-1", 1, 1) == an_entry()


# Heartbeats -----------------------------------------------------------------------------------


def test_a_heartbeat_renews_the_lease_and_tells_of_a_cancel(store: TaskStore) -> None:
    add(store)
    task = claim(store)
    later = NOON + 4 * SECOND

    assert not store.heartbeat(task, lease_until=later + LEASE)
    assert get(store).lease_until == later + LEASE
    store.request_cancel(get(store), now=later)
    assert store.heartbeat(task, lease_until=later + SECOND + LEASE)


def test_a_zombie_cannot_renew_the_lease(store: TaskStore) -> None:
    add(store)
    zombie = claim(store)
    mine = claim(store, now=NOON + LEASE)

    with pytest.raises(LeaseLostError):
        store.heartbeat(zombie, lease_until=NOON + 9 * LEASE)

    assert get(store).lease_until == mine.lease_until


def test_a_heartbeat_does_not_revive_a_task_that_has_ended(store: TaskStore) -> None:
    add(store)
    task = claim(store)
    store.release(task, Release(status=TaskStatus.FAILED, error=FAILURE), now=NOON)

    with pytest.raises(LeaseLostError):
        store.heartbeat(task, lease_until=NOON + LEASE)

    assert get(store).lease_until is None


# Leaving RUNNING ------------------------------------------------------------------------------


def test_the_end_is_one_transaction_with_slot_entry_and_outbox(store: TaskStore) -> None:
    add(store)
    task = claim(store)
    end = NOON + 9 * SECOND
    output = an_entry(at=end, kind=EntryKind.OUTPUT, data={"result": "done"})
    row = OutboxRow(
        task_id="t-1", row=github_row(1, "comment", 1), payload={"body": "hi"}, created_at=end
    )

    done = store.release(
        task,
        Release(status=TaskStatus.COMPLETED, entry=output, rows=(row,)),
        now=end,
    )

    assert done == get(store)
    assert (done.status, done.completed_at) == (TaskStatus.COMPLETED, end)
    assert (done.lease_until, done.slot, done.last_entry) == (None, None, 1)
    assert store.slots()[0].task_id is None
    assert store.entry("t-1", 1, 1) == output


def test_a_zombie_cannot_end_the_task_nor_free_the_slot(store: TaskStore) -> None:
    add(store)
    zombie = claim(store)
    claim(store, now=NOON + LEASE)

    with pytest.raises(LeaseLostError):
        store.release(zombie, Release(status=TaskStatus.COMPLETED, entry=an_entry()), now=NOON)

    assert get(store).status is TaskStatus.RUNNING
    assert store.slots()[0].task_id == "t-1"
    assert store.entries("t-1", 1) == []


def test_a_zombie_that_knows_no_slot_cannot_end_the_task_either(store: TaskStore) -> None:
    add(store)
    zombie = replace(claim(store), slot=None)
    claim(store, now=NOON + LEASE)

    with pytest.raises(LeaseLostError):
        store.release(zombie, Release(status=TaskStatus.COMPLETED), now=NOON)

    assert get(store).status is TaskStatus.RUNNING


def test_a_task_whose_slot_was_given_away_frees_it_not(store: TaskStore) -> None:
    add(store, "t-1")
    add(store, "t-2")
    task = claim(store, "t-1")
    store.free_slot(store.slots()[0])
    claim(store, "t-2")

    with pytest.raises(LeaseLostError):
        store.release(task, Release(status=TaskStatus.COMPLETED), now=NOON)

    assert store.slots()[0].task_id == "t-2"
    assert get(store, "t-1").status is TaskStatus.RUNNING


def test_a_slot_that_an_earlier_claim_left_behind_is_not_freed(store: TaskStore) -> None:
    add(store)
    leaves_its_slot = replace(claim(store, slot=0), slot=None)
    store.release(leaves_its_slot, Release(status=TaskStatus.PENDING), now=NOON)
    task = replace(claim(store, slot=1), slot=0)

    with pytest.raises(LeaseLostError):
        store.release(task, Release(status=TaskStatus.COMPLETED), now=NOON)

    assert [slot.fence for slot in store.slots()] == [1, 2]


@pytest.mark.parametrize("status", [TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.PENDING])
def test_a_cancel_that_was_accepted_wins_over_every_other_end(
    store: TaskStore, status: TaskStatus
) -> None:
    add(store)
    task = claim(store)
    store.request_cancel(get(store), now=NOON)

    with pytest.raises(CancelRequestedError):
        store.release(task, Release(status=status), now=NOON)

    store.release(task, Release(status=TaskStatus.CANCELLED), now=NOON)
    cancelled = get(store)
    assert cancelled.status is TaskStatus.CANCELLED
    assert store.slots()[0].task_id is None


def test_a_hand_over_keeps_place_and_attempt(store: TaskStore) -> None:
    add(store, "t-1")
    add(store, "t-2", at=NOON + SECOND)
    task = claim(store, "t-1")

    store.release(
        task,
        Release(status=TaskStatus.PENDING, continuing=True, hop=True),
        now=NOON + 60 * SECOND,
    )

    assert [c.task_id for c in store.runnable(limit=5)] == ["t-1", "t-2"]
    again = claim(store, "t-1", now=NOON + 61 * SECOND)
    assert (again.attempts, again.hops, again.fence) == (1, 1, 2)
    assert again.started_at == NOON


def test_a_retry_is_delayed_and_counts_as_an_attempt(store: TaskStore) -> None:
    add(store)
    task = claim(store)
    later = NOON + 7 * SECOND

    waiting = store.release(
        task, Release(status=TaskStatus.PENDING, error=FAILURE, run_after=later), now=NOON
    )

    assert waiting == get(store)
    assert waiting.error == FAILURE
    assert store.runnable(limit=5) == []
    assert [t.id for t in store.due(now=later, limit=5)] == ["t-1"]
    again = claim(store, now=later)
    assert (again.attempts, again.error, again.run_after) == (2, None, None)


# Without a session ----------------------------------------------------------------------------


def test_a_pending_task_can_be_ended_at_once(store: TaskStore) -> None:
    task = add(store)

    ended = store.end_unclaimed(task, TaskStatus.CANCELLED, None, now=NOON)

    assert ended == get(store)
    assert (ended.status, ended.completed_at) == (TaskStatus.CANCELLED, NOON)
    assert store.runnable(limit=5) == []
    assert store.due(now=NOON + 2 * QUEUE_TIMEOUT, limit=5) == []


def test_a_task_that_was_claimed_meanwhile_is_not_ended_as_pending(store: TaskStore) -> None:
    as_read = add(store)
    claim(store)

    with pytest.raises(ConditionFailedError):
        store.end_unclaimed(as_read, TaskStatus.CANCELLED, None, now=NOON)

    assert get(store).status is TaskStatus.RUNNING


def test_an_expired_task_ends_with_its_slot(store: TaskStore) -> None:
    add(store)
    task = claim(store)

    ended = store.end_expired(
        task, Release(status=TaskStatus.FAILED, error=FAILURE), now=NOON + LEASE
    )

    assert ended == get(store)
    assert ended.error == FAILURE
    assert store.slots()[0].task_id is None


def test_a_task_whose_executor_lives_is_not_ended_as_expired(store: TaskStore) -> None:
    add(store)
    as_read = claim(store)
    store.heartbeat(as_read, lease_until=NOON + SECOND + LEASE)

    with pytest.raises(ConditionFailedError):
        store.end_expired(as_read, Release(status=TaskStatus.FAILED, error=FAILURE), now=NOON)

    assert get(store).status is TaskStatus.RUNNING
    assert store.slots()[0].task_id == "t-1"


def test_only_a_running_task_can_be_asked_to_stop(store: TaskStore) -> None:
    task = add(store)

    with pytest.raises(ConditionFailedError):
        store.request_cancel(task, now=NOON)

    assert not get(store).cancel_requested


def test_a_request_to_stop_one_run_does_not_stop_the_next(store: TaskStore) -> None:
    add(store)
    first = claim(store)
    failed = store.release(first, Release(status=TaskStatus.FAILED, error=FAILURE), now=NOON)
    store.start_new_run(failed, now=NOON)
    claim(store)

    with pytest.raises(ConditionFailedError):
        store.request_cancel(first, now=NOON)

    assert not get(store).cancel_requested


def test_a_cancel_request_survives_the_next_heartbeat(store: TaskStore) -> None:
    add(store)
    task = claim(store)
    asked = store.request_cancel(get(store), now=NOON)
    assert asked.cancel_requested

    store.heartbeat(task, lease_until=NOON + LEASE)

    assert get(store).cancel_requested


def test_an_edit_changes_the_task_and_its_prompt(store: TaskStore) -> None:
    task = add(store)

    edited = store.edit(
        task,
        title="New title",
        agent_id="developer",
        priority=Priority.HIGH,
        now=NOON + SECOND,
        origin=an_origin(prompt="New prompt"),
    )

    assert edited == get(store)
    assert (edited.title, edited.agent_id) == ("New title", "developer")
    assert edited.priority is Priority.HIGH
    origin = store.get_origin("t-1")
    assert origin is not None
    assert origin.prompt == "New prompt"


def test_a_task_that_was_claimed_meanwhile_is_not_edited(store: TaskStore) -> None:
    as_read = add(store)
    claim(store)

    with pytest.raises(ConditionFailedError):
        store.edit(
            as_read,
            title="x",
            agent_id=None,
            priority=None,
            now=NOON,
            origin=an_origin(prompt="y"),
        )

    assert get(store).title == "An example"
    origin = store.get_origin("t-1")
    assert origin is not None
    assert origin.prompt == "Find it."


def test_an_edited_priority_moves_the_task_in_line(store: TaskStore) -> None:
    add(store, "t-1")
    second = add(store, "t-2", at=NOON + SECOND)

    store.edit(second, title=None, agent_id=None, priority=Priority.HIGH, now=NOON)

    assert [c.task_id for c in store.runnable(limit=5)] == ["t-2", "t-1"]


def test_a_retry_by_a_person_is_a_new_run_with_everything_at_its_start(store: TaskStore) -> None:
    add(store)
    task = claim(store)
    task = store.step(task, an_entry(), Progress(tool_calls=3), lease_until=NOON + LEASE)
    failed = store.release(task, Release(status=TaskStatus.FAILED, error=FAILURE), now=NOON)

    again = store.start_new_run(failed, now=NOON + SECOND)

    assert again == get(store)
    assert (again.status, again.run, again.attempts) == (TaskStatus.PENDING, 2, 0)
    assert (again.error, again.result_session_id, again.tool_call_count) == (None, None, 0)
    assert (again.started_at, again.completed_at, again.last_entry) == (None, None, 0)
    assert [c.task_id for c in store.runnable(limit=5)] == ["t-1"]
    task = claim(store)
    assert (task.attempts, task.fence) == (1, 2)
    task = store.step(task, an_entry(run=2), Progress(), lease_until=NOON + LEASE)
    assert [e.run for e in store.entries("t-1", 2)] == [2]
    assert len(store.entries("t-1", 1)) == 1


def test_a_task_is_retried_once_when_two_people_ask(store: TaskStore) -> None:
    add(store)
    task = claim(store)
    failed = store.release(task, Release(status=TaskStatus.FAILED, error=FAILURE), now=NOON)
    store.start_new_run(failed, now=NOON)

    with pytest.raises(ConditionFailedError):
        store.start_new_run(failed, now=NOON)

    assert get(store).run == 2


@pytest.mark.parametrize("first_end", [TaskStatus.FAILED, TaskStatus.CANCELLED])
def test_a_retry_of_an_earlier_run_does_not_retry_a_later_one(
    store: TaskStore, first_end: TaskStatus
) -> None:
    pending = add(store)
    if first_end is TaskStatus.FAILED:
        first = store.release(claim(store), Release(status=first_end), now=NOON)
    else:
        first = store.end_unclaimed(pending, first_end, None, now=NOON)
    store.start_new_run(first, now=NOON)
    second = store.release(claim(store), Release(status=first_end), now=NOON)

    with pytest.raises(ConditionFailedError):
        store.start_new_run(first, now=NOON)

    assert get(store) == second


def test_a_deleted_task_is_gone_and_one_that_started_meanwhile_is_not(store: TaskStore) -> None:
    first = add(store, "t-1")
    second = add(store, "t-2")
    claim(store, "t-2")

    store.delete(first)
    with pytest.raises(ConditionFailedError):
        store.delete(second)

    assert store.get("t-1") is None
    assert get(store, "t-2").status is TaskStatus.RUNNING


def test_the_publication_is_shown_and_never_brings_a_deleted_task_back(store: TaskStore) -> None:
    add(store, "t-1")
    gone = add(store, "t-2")
    store.delete(gone)

    store.set_publication("t-1", "https://github.com/o/r/issues/1#issuecomment-1")
    store.set_publication("t-2", "https://github.com/o/r/issues/2#issuecomment-2")

    assert get(store).publication == "https://github.com/o/r/issues/1#issuecomment-1"
    assert store.get("t-2") is None


def test_what_runs_is_found_without_its_workspace(store: TaskStore) -> None:
    add(store, "t-1")
    add(store, "t-2", workspace_id="elsewhere")
    add(store, "t-3")
    claim(store, "t-2")

    assert [task.id for task in store.running()] == ["t-2"]


def test_a_slot_is_freed_by_hand_only_as_it_was_read(store: TaskStore) -> None:
    add(store, "t-1")
    claim(store, "t-1")
    held = store.slots()[0]

    store.free_slot(replace(held, fence=7))
    store.free_slot(replace(held, task_id="t-2"))
    assert store.slots()[0] == held

    store.free_slot(store.slots()[0])
    assert store.slots()[0].task_id is None
