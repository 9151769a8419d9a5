"""What every `TaskStore` guarantees about groups, budgets, messages and dependants: the same tests
on the fake and on DynamoDB (moto).
"""

from datetime import timedelta

import pytest

from nightdesk.domain.errors import (
    BudgetSpentError,
    ConditionFailedError,
    ErrorCode,
    GroupBusyError,
    LeaseLostError,
    NotClaimableError,
    StaleTaskError,
)
from nightdesk.domain.ports import (
    BudgetCharge,
    Progress,
    Release,
    TaskStore,
    WorkspaceSettings,
)
from nightdesk.domain.task import (
    LEASE,
    WAIT_TIMEOUT,
    Hold,
    Task,
    TaskError,
    TaskStatus,
)
from tests.engine.examples import a_task, add, an_entry, an_origin, claim
from tests.fakes.clock import NOON

SECOND = timedelta(seconds=1)
GROUP = "default#issue:octo/demo#7"
DAY = "2026-11-21"
FAILURE = TaskError(ErrorCode.EXECUTION_ERROR, "it broke")


def get(store: TaskStore, task_id: str = "t-1") -> Task:
    task = store.get(task_id)
    assert task is not None
    return task


# Groups ---------------------------------------------------------------------------------------


def test_a_group_has_one_running_task_whatever_slots_are_free(store: TaskStore) -> None:
    add(store, "t-1", group=GROUP)
    add(store, "t-2", group=GROUP)
    claim(store, "t-1", slot=0)

    with pytest.raises(GroupBusyError) as refused:
        claim(store, "t-2", slot=1)

    assert refused.value.holder == "t-1"
    assert store.group_holder(GROUP) == "t-1"
    assert get(store, "t-2").status is TaskStatus.PENDING
    assert store.slots()[1].task_id is None


def test_other_groups_are_not_in_the_way(store: TaskStore) -> None:
    add(store, "t-1", group=GROUP)
    add(store, "t-2", group="default#other")
    add(store, "t-3")
    claim(store, "t-1", slot=0)

    claim(store, "t-2", slot=1)

    assert store.group_holder("default#other") == "t-2"
    assert store.group_holder("default#nobody") is None


@pytest.mark.parametrize(
    "status", [TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.PENDING, TaskStatus.WAITING]
)
def test_the_group_is_free_again_with_the_same_write_that_frees_the_slot(
    store: TaskStore, status: TaskStatus
) -> None:
    add(store, "t-1", group=GROUP)
    add(store, "t-2", group=GROUP)
    task = claim(store, "t-1")

    store.release(task, Release(status=status), now=NOON)

    assert store.group_holder(GROUP) is None
    claim(store, "t-2")
    assert store.group_holder(GROUP) == "t-2"


def test_a_lost_task_is_recovered_with_its_group_under_the_new_fence(store: TaskStore) -> None:
    add(store, "t-1", group=GROUP)
    zombie = claim(store, "t-1")
    recovered = claim(store, "t-1", now=NOON + LEASE)

    assert store.group_holder(GROUP) == "t-1"
    with pytest.raises(LeaseLostError):
        store.release(zombie, Release(status=TaskStatus.COMPLETED), now=NOON)
    assert store.group_holder(GROUP) == "t-1"
    store.release(recovered, Release(status=TaskStatus.COMPLETED), now=NOON)
    assert store.group_holder(GROUP) is None


def test_a_group_that_another_task_holds_by_hand_cannot_be_recovered_into(
    store: TaskStore,
) -> None:
    add(store, "t-1", group=GROUP)
    claim(store, "t-1")
    store.free_group(GROUP, "t-1")
    add(store, "t-2", group=GROUP)
    claim(store, "t-2", slot=1)

    with pytest.raises(NotClaimableError):
        claim(store, "t-1", now=NOON + LEASE)

    assert store.group_holder(GROUP) == "t-2"


def test_a_group_is_freed_by_hand_only_from_the_holder_named(store: TaskStore) -> None:
    add(store, "t-1", group=GROUP)
    claim(store, "t-1")

    store.free_group(GROUP, "t-2")
    assert store.group_holder(GROUP) == "t-1"

    store.free_group(GROUP, "t-1")
    assert store.group_holder(GROUP) is None


def test_what_waits_in_a_group_is_listed_best_first_held_or_not(store: TaskStore) -> None:
    add(store, "t-2", group=GROUP, at=NOON + SECOND)
    first = add(store, "t-1", group=GROUP)
    add(store, "elsewhere", group="default#other")
    add(store, "running", group="default#third")
    store.hold(first, Hold.GROUP, until=NOON + SECOND)

    assert [task.id for task in store.group_waiting(GROUP, limit=5)] == ["t-1", "t-2"]
    task = claim(store, "t-2")
    assert [task.id for task in store.group_waiting(GROUP, limit=5)] == ["t-1"]
    store.release(task, Release(status=TaskStatus.WAITING), now=NOON)
    assert [task.id for task in store.group_waiting(GROUP, limit=5)] == ["t-1", "t-2"]


# Holding --------------------------------------------------------------------------------------


def test_what_is_held_is_out_of_the_line_until_it_is_looked_at(store: TaskStore) -> None:
    task = add(store)

    store.hold(task, Hold.BUDGET, until=NOON + 60 * SECOND)

    held = get(store)
    assert (held.held, held.run_after) == (Hold.BUDGET, NOON + 60 * SECOND)
    assert store.runnable(limit=5) == []
    assert store.due(now=NOON + 59 * SECOND, limit=5) == []
    assert [t.id for t in store.due(now=NOON + 60 * SECOND, limit=5)] == ["t-1"]
    store.make_runnable(held, now=NOON + 60 * SECOND)
    assert [c.task_id for c in store.runnable(limit=5)] == ["t-1"]
    assert get(store).held is None


def test_a_task_that_started_meanwhile_is_not_held(store: TaskStore) -> None:
    as_read = add(store)
    claim(store)

    store.hold(as_read, Hold.PAUSED, until=NOON + SECOND)

    assert (get(store).status, get(store).held) == (TaskStatus.RUNNING, None)


def test_the_tasks_ahead_are_counted_up_to_a_bound(store: TaskStore) -> None:
    for number in range(4):
        add(store, f"t-{number}", at=NOON + number * SECOND)

    last = get(store, "t-3")

    assert store.count_ahead(last, most=1000) == 3
    assert store.count_ahead(last, most=2) == 2
    assert store.count_ahead(get(store, "t-0"), most=1000) == 0


# Budgets --------------------------------------------------------------------------------------


def charge(**fields: int) -> BudgetCharge:
    base = {"micros": 100, "tasks": 1}
    return BudgetCharge(day=DAY, **(base | fields))


def claim_charged(store: TaskStore, task_id: str, wanted: BudgetCharge, slot: int = 0) -> Task:
    return store.claim(
        get(store, task_id),
        store.slots()[slot],
        message_id="m",
        now=NOON,
        lease_until=NOON + LEASE,
        reserved_micros=0,
        charge=wanted,
    )


def test_the_day_of_a_workspace_bounds_its_tasks(store: TaskStore) -> None:
    add(store, "t-1")
    add(store, "t-2")
    claim_charged(store, "t-1", charge(most_tasks=1))

    with pytest.raises(BudgetSpentError):
        claim_charged(store, "t-2", charge(most_tasks=1), slot=1)

    assert get(store, "t-2").status is TaskStatus.PENDING
    assert store.slots()[1].task_id is None


def test_the_full_cap_is_charged_at_the_claim_and_settled_at_the_end(store: TaskStore) -> None:
    add(store, "t-1")
    add(store, "t-2")
    first = claim_charged(store, "t-1", charge(micros=100, most_micros=150))
    with pytest.raises(BudgetSpentError):
        claim_charged(store, "t-2", charge(micros=100, most_micros=150), slot=1)

    first = store.step(first, an_entry("t-1"), Progress(cost_micros=30), lease_until=NOON + LEASE)
    end = Release(status=TaskStatus.COMPLETED, progress=Progress(cost_micros=20))
    done = store.release(first, end, now=NOON)

    assert (done.charged_micros, done.charged_day) == (0, None)
    claim_charged(store, "t-2", charge(micros=100, most_micros=150), slot=1)


def test_what_was_really_spent_stays_counted(store: TaskStore) -> None:
    add(store, "t-1")
    add(store, "t-2")
    first = claim_charged(store, "t-1", charge(micros=100, most_micros=150))
    end = Release(status=TaskStatus.COMPLETED, progress=Progress(cost_micros=51))
    store.release(first, end, now=NOON)

    with pytest.raises(BudgetSpentError):
        claim_charged(store, "t-2", charge(micros=100, most_micros=150))


def test_workspaces_and_days_have_budgets_of_their_own(store: TaskStore) -> None:
    add(store, "t-1")
    add(store, "t-2", workspace_id="elsewhere")
    claim_charged(store, "t-1", charge(most_tasks=1))

    claim_charged(store, "t-2", charge(most_tasks=1), slot=1)

    assert get(store, "t-2").status is TaskStatus.RUNNING


def test_settings_are_kept_and_shown_with_the_claims_view(store: TaskStore) -> None:
    assert store.workspace_settings("team") == WorkspaceSettings()
    settings = WorkspaceSettings(paused=True, tasks_per_day=3, cost_micros_per_day=4)

    store.set_workspace_settings("team", settings)
    store.set_workspace_settings("*", WorkspaceSettings(paused=True))

    assert store.workspace_settings("team") == settings
    view = store.view_for_claim([], workspace_ids=["team", "other"])
    assert view.settings == {"team": settings, "*": WorkspaceSettings(paused=True)}


# Messages -------------------------------------------------------------------------------------


def test_a_message_to_a_running_task_refuses_the_next_write_until_it_is_known(
    store: TaskStore,
) -> None:
    add(store)
    task = claim(store)

    told = store.send_mail(get(store), kind="text", text="Hi", by="ann", now=NOON)

    assert (told.status, told.inbox) == (TaskStatus.RUNNING, 1)
    with pytest.raises(StaleTaskError) as stale:
        store.step(task, an_entry(), Progress(), lease_until=NOON + LEASE)
    assert (stale.value.inbox, stale.value.has_dependants) == (1, False)
    with pytest.raises(StaleTaskError):
        store.release(task, Release(status=TaskStatus.FAILED, error=FAILURE), now=NOON)
    assert store.entries("t-1", 1) == []
    [mail] = store.mail(get(store))
    assert (mail.number, mail.kind, mail.text, mail.by, mail.at) == (1, "text", "Hi", "ann", NOON)


def test_messages_are_taken_in_once_and_in_their_order(store: TaskStore) -> None:
    add(store)
    task = claim(store)
    store.send_mail(get(store), kind="text", text="one", by="ann", now=NOON)
    task = store.send_mail(get(store), kind="text", text="two", by="bob", now=NOON)

    assert [mail.text for mail in store.mail(task)] == ["one", "two"]
    task = store.step(task, an_entry(), Progress(messages_read=1), lease_until=NOON + LEASE)

    assert task == get(store)
    assert [mail.text for mail in store.mail(task)] == ["two"]
    assert store.entries("t-1", 1) == [an_entry()]


def test_a_heartbeat_does_not_stop_a_message(store: TaskStore) -> None:
    add(store)
    claim(store)
    as_read = get(store)
    store.heartbeat(as_read, lease_until=NOON + 2 * LEASE)

    assert store.send_mail(as_read, kind="text", text="Hi", by="ann", now=NOON).inbox == 1


def test_two_messages_at_once_are_two_messages(store: TaskStore) -> None:
    add(store)
    claim(store)
    as_read = get(store)
    store.send_mail(as_read, kind="text", text="one", by="ann", now=NOON)

    with pytest.raises(ConditionFailedError):
        store.send_mail(as_read, kind="text", text="two", by="bob", now=NOON)

    assert [mail.text for mail in store.mail(get(store))] == ["one"]


def test_a_task_that_waits_holds_no_slot_and_goes_on_with_the_answer(store: TaskStore) -> None:
    add(store)
    task = claim(store)
    waiting = store.release(task, Release(status=TaskStatus.WAITING), now=NOON)
    assert waiting == get(store)
    assert all(slot.task_id is None for slot in store.slots())
    assert store.runnable(limit=5) == []
    assert waiting.deadline == NOON + timedelta(milliseconds=waiting.timeout_ms)

    later = NOON + timedelta(hours=3)
    told = store.send_mail(waiting, kind="approve", text="", by="ann", now=later)

    assert told == get(store)
    assert (told.status, told.waited_ms) == (TaskStatus.PENDING, 3 * 3_600_000)
    assert told.deadline == later + timedelta(milliseconds=told.timeout_ms)
    assert [c.task_id for c in store.runnable(limit=5)] == ["t-1"]
    assert claim(store, now=later).attempts == 1


def test_a_question_is_answered_once(store: TaskStore) -> None:
    add(store)
    waiting = store.release(claim(store), Release(status=TaskStatus.WAITING), now=NOON)
    store.send_mail(waiting, kind="approve", text="", by="ann", now=NOON)

    with pytest.raises(ConditionFailedError):
        store.send_mail(waiting, kind="deny", text="no", by="bob", now=NOON)


def test_a_task_that_ended_takes_no_message(store: TaskStore) -> None:
    add(store)
    task = claim(store)
    store.release(task, Release(status=TaskStatus.FAILED, error=FAILURE), now=NOON)

    with pytest.raises(ConditionFailedError):
        store.send_mail(task, kind="text", text="Hi", by="ann", now=NOON)

    assert get(store).inbox == 0


def test_messages_of_an_earlier_run_are_not_those_of_the_next(store: TaskStore) -> None:
    add(store)
    claim(store)
    task = store.send_mail(get(store), kind="text", text="old", by="ann", now=NOON)
    failed = store.release(task, Release(status=TaskStatus.FAILED, error=FAILURE), now=NOON)
    again = store.start_new_run(failed, now=NOON)

    assert (again.inbox, store.mail(again)) == (0, [])
    claim(store)
    with pytest.raises(ConditionFailedError):
        store.send_mail(task, kind="text", text="late", by="ann", now=NOON)


def test_what_waits_too_long_becomes_due(store: TaskStore) -> None:
    add(store)
    store.release(claim(store), Release(status=TaskStatus.WAITING), now=NOON)

    assert store.due(now=NOON + WAIT_TIMEOUT - SECOND, limit=5) == []
    assert [t.id for t in store.due(now=NOON + WAIT_TIMEOUT, limit=5)] == ["t-1"]


# Dependants -----------------------------------------------------------------------------------


def add_dependant(store: TaskStore, *awaited: Task) -> Task:
    task = a_task("after", held=Hold.DEPENDENCIES, run_after=NOON + timedelta(minutes=5))
    origin = an_origin("after", depends_on=tuple(a.id for a in awaited))
    assert store.create(task, origin, awaits=awaited)
    return task


def test_a_task_that_is_waited_for_knows_it_in_the_same_write(store: TaskStore) -> None:
    first = add(store, "t-1")
    second = add(store, "t-2")

    dependant = add_dependant(store, first, second)

    assert get(store, "after") == dependant
    assert store.dependants("t-1") == store.dependants("t-2") == ["after"]
    assert get(store, "t-1").has_dependants
    assert get(store, "t-2").has_dependants
    assert [c.task_id for c in store.runnable(limit=5)] == ["t-1", "t-2"]


def test_nobody_waits_for_a_task_that_has_ended_meanwhile(store: TaskStore) -> None:
    as_read = add(store, "t-1")
    store.end_unclaimed(as_read, TaskStatus.CANCELLED, None, now=NOON)

    with pytest.raises(ConditionFailedError):
        add_dependant(store, as_read)

    assert store.get("after") is None
    assert store.dependants("t-1") == []


def test_a_running_task_cannot_end_without_knowing_who_waits(store: TaskStore) -> None:
    add(store, "t-1")
    task = claim(store, "t-1")
    add_dependant(store, get(store, "t-1"))

    store.step(task, an_entry("t-1"), Progress(), lease_until=NOON + LEASE)
    with pytest.raises(StaleTaskError) as stale:
        store.release(task, Release(status=TaskStatus.COMPLETED), now=NOON)

    assert stale.value.has_dependants


def test_an_ended_task_is_due_until_its_dependants_are_settled(store: TaskStore) -> None:
    first = add(store, "t-1")
    add_dependant(store, first)

    ended = store.end_unclaimed(get(store, "t-1"), TaskStatus.CANCELLED, None, now=NOON)

    assert [t.id for t in store.due(now=NOON, limit=5)] == ["t-1"]
    store.dependants_settled(ended)
    store.dependants_settled(ended)
    assert store.due(now=NOON, limit=5) == []
    assert not get(store, "t-1").has_dependants


def test_a_repeated_create_with_dependencies_changes_nothing(store: TaskStore) -> None:
    first = add(store, "t-1")
    task = add_dependant(store, first)

    assert not store.create(task, an_origin("after"), awaits=[get(store, "t-1")])


# Cancelling -----------------------------------------------------------------------------------


def test_a_superseded_task_names_the_one_that_superseded_it(store: TaskStore) -> None:
    pending = add(store, "t-1")
    add(store, "t-2")
    running = claim(store, "t-2")

    store.end_unclaimed(pending, TaskStatus.CANCELLED, None, now=NOON, superseded_by="t-9")
    store.request_cancel(running, now=NOON, superseded_by="t-9")
    store.release(running, Release(status=TaskStatus.CANCELLED), now=NOON)

    assert get(store, "t-1").superseded_by == get(store, "t-2").superseded_by == "t-9"


def test_a_cancel_is_not_lost_between_a_sweepers_read_and_its_write(store: TaskStore) -> None:
    add(store)
    as_swept = claim(store)
    store.request_cancel(as_swept, now=NOON)

    with pytest.raises(ConditionFailedError):
        store.end_expired(as_swept, Release(status=TaskStatus.PENDING), now=NOON + LEASE)
    with pytest.raises(NotClaimableError):
        store.claim(
            as_swept,
            store.slots()[0],
            message_id="m",
            now=NOON + LEASE,
            lease_until=NOON + 2 * LEASE,
            reserved_micros=0,
        )


def test_a_task_of_another_run_is_not_as_it_was_read(store: TaskStore) -> None:
    cancelled = store.end_unclaimed(add(store), TaskStatus.CANCELLED, None, now=NOON)
    again = store.start_new_run(cancelled, now=NOON)
    store.end_unclaimed(again, TaskStatus.CANCELLED, None, now=NOON)

    with pytest.raises(ConditionFailedError):
        store.start_new_run(cancelled, now=NOON)


def test_the_id_of_a_deleted_task_stays_taken(store: TaskStore) -> None:
    task = add(store)
    store.delete(task)

    assert not store.create(task, an_origin())

    assert store.get("t-1") is None
    assert store.view_for_claim(["t-1"]).tasks == {}
    assert store.list_page("default", status=None, limit=5, cursor=None).tasks == ()
    assert store.runnable(limit=5) == []
    assert store.due(now=NOON + timedelta(days=9), limit=5) == []
