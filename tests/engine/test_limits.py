"""Groups, budgets of the day, the pause switch, turns between workspaces, and dependencies."""

from datetime import timedelta

import pytest

from nightdesk.domain.errors import ErrorCode
from nightdesk.domain.ports import Release, WorkspaceSettings
from nightdesk.domain.session import EntryKind
from nightdesk.domain.task import (
    HOLD_FOR,
    LEASE,
    Hold,
    Limits,
    OnDependencyFailure,
    Task,
    TaskStatus,
)
from nightdesk.services.answer_wake_up import answer_wake_up
from nightdesk.services.claim_task import WakeUp
from nightdesk.services.recover_tasks import sweep
from tests.engine.examples import a_task, add, an_origin
from tests.engine.world import World
from tests.fakes.clock import NOON
from tests.fakes.model import says

SECOND = timedelta(seconds=1)
GROUP = "default#issue:octo/demo#7"
COMPLETED = Release(status=TaskStatus.COMPLETED)


def wake(world: World, task_id: str, message_id: str = "m-1") -> None:
    """One whole invocation of an executor."""
    answer_wake_up(
        WakeUp(task_id, message_id),
        ports=world.executor(),
        deadline=world.clock.now() + timedelta(minutes=15),
    )


# Groups ---------------------------------------------------------------------------------------


def test_the_second_of_a_group_waits_outside_the_line_and_another_task_runs(world: World) -> None:
    add(world.tasks, "t-1", group=GROUP)
    add(world.tasks, "t-2", group=GROUP, at=NOON + SECOND)
    add(world.tasks, "t-3", at=NOON + 2 * SECOND)
    world.claim("t-1", message_id="m-1")

    claimed = world.claim("t-2", message_id="m-2")

    assert claimed is not None
    assert claimed.task.id == "t-3"
    assert world.task("t-2").held is Hold.GROUP
    assert world.tasks.runnable(limit=5) == []


def test_the_next_of_a_group_starts_when_the_first_ends(world: World) -> None:
    add(world.tasks, "t-1", group=GROUP)
    add(world.tasks, "t-2", group=GROUP, at=NOON + SECOND)
    world.model.will(says("One."), says("Two."))
    world.tasks.hold(world.task("t-2"), Hold.GROUP, until=NOON + HOLD_FOR)

    wake(world, "t-1")

    assert world.task("t-1").status is TaskStatus.COMPLETED
    assert [task_id for task_id, _ in world.wake_ups.sent] == ["t-2"]
    wake(world, "t-2")
    assert world.task("t-2").status is TaskStatus.COMPLETED


@pytest.mark.parametrize("by", ["a wake-up", "the sweep"])
def test_the_next_of_a_group_starts_when_the_first_is_given_up(by: str, world: World) -> None:
    add(world.tasks, "t-1", group=GROUP, max_attempts=1)
    add(world.tasks, "t-2", group=GROUP, at=NOON + SECOND)
    world.claim("t-1", message_id="m-1")
    assert world.claim("t-2", message_id="m-2") is None
    assert world.task("t-2").held is Hold.GROUP
    world.clock.advance(LEASE)

    if by == "the sweep":
        sweep(world.sweeper())
    else:
        claimed = world.claim("t-1", message_id="m-1", receives=2)
        assert claimed is not None
        assert claimed.task.id == "t-2"

    assert world.task("t-1").status is TaskStatus.FAILED
    assert world.task("t-2").held is None
    assert "t-2" in [task_id for task_id, _ in world.wake_ups.sent]


@pytest.mark.parametrize("by", ["a wake-up", "the sweep"])
def test_dependants_of_a_task_that_is_given_up_are_settled_at_once(by: str, world: World) -> None:
    task = add(world.tasks, "t-1", max_attempts=1)
    waiting = a_task("t-2", held=Hold.DEPENDENCIES, run_after=NOON + HOLD_FOR)
    origin = an_origin("t-2", depends_on=("t-1",))
    assert world.tasks.create(waiting, origin, awaits=[task])
    world.claim("t-1", message_id="m-1")
    world.clock.advance(LEASE)

    if by == "the sweep":
        sweep(world.sweeper())
    else:
        assert world.claim("t-1", message_id="m-1", receives=2) is None

    error = world.task("t-2").error
    assert error is not None
    assert error.code is ErrorCode.DEPENDENCY_FAILED
    assert not world.task("t-1").has_dependants


def test_a_group_whose_task_ends_while_another_is_being_held_is_not_stuck(world: World) -> None:
    add(world.tasks, "t-1", group=GROUP)
    add(world.tasks, "t-2", group=GROUP, at=NOON + SECOND)
    claimed = world.claim("t-1", message_id="m-1")
    assert claimed is not None
    hold = world.tasks.hold

    def ends_first(task: Task, reason: Hold, *, until: object) -> None:
        world.tasks.end_expired(world.task("t-1"), COMPLETED, now=world.clock.now())
        hold(task, reason, until=until)  # type: ignore[arg-type]

    world.tasks.hold = ends_first  # type: ignore[method-assign]

    second = world.claim("t-2", message_id="m-2")

    assert second is not None
    assert second.task.id == "t-2"


def test_a_group_that_was_not_passed_on_is_found_by_the_sweep(world: World) -> None:
    add(world.tasks, "t-1", group=GROUP)
    task = add(world.tasks, "t-2", group=GROUP)
    world.claim("t-1")
    world.tasks.hold(task, Hold.GROUP, until=NOON + HOLD_FOR)

    world.clock.advance(HOLD_FOR)
    world.tasks.heartbeat(world.task("t-1"), lease_until=world.clock.now() + LEASE)
    sweep(world.sweeper())
    assert world.task("t-2").held is Hold.GROUP

    world.tasks.end_expired(world.task("t-1"), COMPLETED, now=world.clock.now())
    world.clock.advance(HOLD_FOR)
    sweep(world.sweeper())
    assert world.task("t-2").held is None
    assert "t-2" in [task_id for task_id, _ in world.wake_ups.sent]


def test_a_group_held_by_a_row_that_was_removed_by_hand_is_freed_by_the_sweep(
    world: World,
) -> None:
    add(world.tasks, "t-1", group=GROUP)
    task = add(world.tasks, "t-2", group=GROUP)
    world.claim("t-1")
    world.tasks.hold(task, Hold.GROUP, until=NOON + HOLD_FOR)
    del world.tasks.tasks["t-1"]
    world.clock.advance(HOLD_FOR)

    sweep(world.sweeper())

    assert world.tasks.group_holder(GROUP) is None
    assert world.task("t-2").held is None


def test_a_newer_task_supersedes_the_older_ones_of_its_group(world: World) -> None:
    for number in range(3):
        add(
            world.tasks,
            f"t-{number}",
            group=GROUP,
            supersedes=True,
            at=NOON + number * SECOND,
        )
    world.claim("t-0", message_id="m-0")
    world.tasks.hold(world.task("t-1"), Hold.GROUP, until=NOON + HOLD_FOR)

    assert world.claim("t-2", message_id="m-2") is None

    assert world.task("t-0").cancel_requested
    assert world.task("t-0").superseded_by == "t-2"
    older = world.task("t-1")
    assert (older.status, older.superseded_by) == (TaskStatus.CANCELLED, "t-2")
    assert world.task("t-2").held is Hold.GROUP


def test_an_older_task_never_supersedes_a_newer_one(world: World) -> None:
    add(world.tasks, "new", group=GROUP, supersedes=True, at=NOON + SECOND)
    world.claim("new", message_id="m-0")
    add(world.tasks, "old", group=GROUP, supersedes=True)

    world.claim("old", message_id="m-1")

    assert not world.task("new").cancel_requested
    assert world.task("old").held is Hold.GROUP


# Budgets of the day and the pause switch ------------------------------------------------------


def test_a_workspace_whose_tasks_of_the_day_are_spent_waits_and_others_run(world: World) -> None:
    world.tasks.set_workspace_settings("default", WorkspaceSettings(tasks_per_day=1))
    add(world.tasks, "t-1")
    add(world.tasks, "t-2")
    add(world.tasks, "other", workspace_id="other", at=NOON + 60 * SECOND)
    world.claim("t-1", message_id="m-1")

    claimed = world.claim("t-2", message_id="m-2")

    assert claimed is not None
    assert claimed.task.id == "other"
    world.tasks.end_expired(claimed.task, COMPLETED, now=world.clock.now())
    assert world.claim("t-2", message_id="m-3") is None
    assert world.task("t-2").held is Hold.BUDGET


def test_the_next_day_has_a_budget_of_its_own(world: World) -> None:
    world.tasks.set_workspace_settings("default", WorkspaceSettings(tasks_per_day=1))
    add(world.tasks, "t-1")
    world.model.will(says("One."), says("Two."))
    wake(world, "t-1")
    add(world.tasks, "t-2")
    wake(world, "t-2")
    assert world.task("t-2").held is Hold.BUDGET

    world.clock.advance(timedelta(hours=13))
    sweep(world.sweeper())
    wake(world, "t-2")

    assert world.task("t-2").status is TaskStatus.COMPLETED


def test_dollars_are_reserved_before_the_first_call_and_settled_after_the_last(
    world: World,
) -> None:
    world.tasks.set_workspace_settings("default", WorkspaceSettings(cost_micros_per_day=1_500))
    world.price_per_token = 1
    for task_id in ("t-1", "t-2"):
        add(world.tasks, task_id)
        capped = an_origin(task_id, limits=Limits(cost_micros=1_000))
        world.tasks.origins[task_id] = capped
    world.claim("t-1", message_id="m-1")

    assert world.claim("t-2", message_id="m-2") is None

    assert world.task("t-2").held is Hold.BUDGET
    assert world.tasks.budgets[("default", "2026-11-21")] == (1, 1_000)


def test_a_retry_counts_as_the_same_task_of_the_day(world: World) -> None:
    world.tasks.set_workspace_settings("default", WorkspaceSettings(tasks_per_day=1))
    add(world.tasks, "t-1")
    world.model.will(ConnectionResetError("gone"), says("Done."))
    wake(world, "t-1")
    assert world.task("t-1").status is TaskStatus.PENDING
    world.clock.advance(10 * SECOND)

    wake(world, "t-1")

    assert world.task("t-1").status is TaskStatus.COMPLETED
    assert world.tasks.budgets[("default", "2026-11-21")][0] == 1


def test_a_paused_workspace_starts_nothing_and_others_run(world: World) -> None:
    world.tasks.set_workspace_settings("default", WorkspaceSettings(paused=True))
    add(world.tasks, "t-1")
    add(world.tasks, "other", workspace_id="other", at=NOON + SECOND)

    claimed = world.claim("t-1")

    assert claimed is not None
    assert claimed.task.id == "other"
    assert world.task("t-1").held is Hold.PAUSED


def test_a_pause_of_everything_starts_nothing_at_all_but_recovers_what_runs(world: World) -> None:
    add(world.tasks, "t-1")
    world.claim("t-1", message_id="m-1")
    add(world.tasks, "t-2")
    world.tasks.set_workspace_settings("*", WorkspaceSettings(paused=True))

    assert world.claim("t-2", message_id="m-2") is None
    assert (world.task("t-2").status, world.task("t-2").held) == (TaskStatus.PENDING, None)

    world.clock.advance(LEASE)
    claimed = world.claim("t-1", message_id="m-1", receives=2)
    assert claimed is not None
    assert claimed.task.id == "t-1"


# Turns ----------------------------------------------------------------------------------------


def test_a_workspace_with_many_tasks_does_not_keep_the_others_waiting(world: World) -> None:
    for number in range(10):
        add(world.tasks, f"busy-{number}", workspace_id="busy", at=NOON + number * SECOND)
    add(world.tasks, "quiet", workspace_id="quiet", at=NOON + 60 * SECOND)
    world.model.will(*[says("Done.") for _ in range(3)])

    order = []
    for number in range(3):
        claimed = world.claim("nobody", message_id=f"m-{number}")
        assert claimed is not None
        order.append(claimed.task.id)
        world.tasks.end_expired(claimed.task, COMPLETED, now=world.clock.now())

    assert order[0] == "busy-0"
    assert "quiet" in order


# Dependencies ---------------------------------------------------------------------------------


def add_dependant(
    world: World,
    *awaited: str,
    policy: OnDependencyFailure = OnDependencyFailure.FAIL,
    task_id: str = "after",
    quotes: bool = False,
) -> None:
    task = a_task(task_id, held=Hold.DEPENDENCIES, run_after=NOON + HOLD_FOR)
    origin = an_origin(
        task_id,
        depends_on=awaited,
        on_dependency_failure=policy,
        quotes_outputs=quotes,
        delimiter="0123456789abcdef",
    )
    unfinished = [t for i in awaited if not (t := world.task(i)).status.is_terminal]
    assert world.tasks.create(task, origin, awaits=unfinished)


def test_a_dependant_starts_when_the_last_of_its_dependencies_completes(world: World) -> None:
    add(world.tasks, "t-1")
    add(world.tasks, "t-2", at=NOON + SECOND)
    add_dependant(world, "t-1", "t-2")
    world.model.will(says("One."), says("Two."), says("After."))

    wake(world, "t-1")
    assert world.task("after").held is Hold.DEPENDENCIES
    wake(world, "t-2")
    assert world.task("after").held is None
    wake(world, "after")

    assert world.task("after").status is TaskStatus.COMPLETED
    assert not world.task("t-1").has_dependants


def test_a_dependant_is_not_started_by_its_own_wake_up(world: World) -> None:
    add(world.tasks, "t-1", run_after=NOON + timedelta(days=1))
    add_dependant(world, "t-1")
    world.clock.advance(timedelta(hours=1))

    assert world.claim("after") is None


@pytest.mark.parametrize(
    ("policy", "status"),
    [
        (OnDependencyFailure.FAIL, TaskStatus.FAILED),
        (OnDependencyFailure.SKIP, TaskStatus.CANCELLED),
        (OnDependencyFailure.RUN_ANYWAY, TaskStatus.PENDING),
    ],
)
def test_a_dependency_that_fails_does_to_its_dependant_as_it_says(
    world: World, policy: OnDependencyFailure, status: TaskStatus
) -> None:
    add(world.tasks, "t-1", max_attempts=1)
    add_dependant(world, "t-1", policy=policy)
    world.model.will(ConnectionResetError("gone"))

    wake(world, "t-1")

    after = world.task("after")
    assert (after.status, after.held) == (status, Hold.DEPENDENCIES if after.held else None)
    if policy is OnDependencyFailure.FAIL:
        assert after.error is not None
        assert after.error.code is ErrorCode.DEPENDENCY_FAILED
        assert "t-1" in after.error.message


def test_a_failure_goes_down_a_whole_chain(world: World) -> None:
    add(world.tasks, "t-1", max_attempts=1)
    add_dependant(world, "t-1", task_id="second")
    add_dependant(world, "second", task_id="third")
    world.model.will(ConnectionResetError("gone"))

    wake(world, "t-1")

    assert world.task("second").status is TaskStatus.FAILED
    assert world.task("third").status is TaskStatus.FAILED


def test_dependants_are_looked_after_by_the_sweep_if_the_executor_dies_first(
    world: World,
) -> None:
    task = add(world.tasks, "t-1")
    add_dependant(world, "t-1")
    world.tasks.end_unclaimed(world.task(task.id), TaskStatus.CANCELLED, None, now=NOON)

    sweep(world.sweeper())

    assert world.task("after").status is TaskStatus.FAILED
    assert not world.task("t-1").has_dependants


def test_a_dependant_added_while_the_task_runs_is_looked_after_too(world: World) -> None:
    add(world.tasks, "t-1")

    def adds(*_: object) -> object:
        add_dependant(world, "t-1")
        return says("One.")

    world.model.will(adds)  # type: ignore[arg-type]
    wake(world, "t-1")

    assert world.task("t-1").status is TaskStatus.COMPLETED
    assert world.task("after").held is None


def test_the_outputs_of_dependencies_are_quoted_as_data(world: World) -> None:
    add(world.tasks, "t-1")
    add_dependant(world, "t-1", quotes=True)
    world.model.will(says("The first answer."), says("The second."))

    wake(world, "t-1")
    wake(world, "after")

    opening = world.model.requests[-1].messages[0]["content"][0]["text"]
    assert opening.startswith("Find it.")
    assert "The first answer." in opening
    assert 'id="0123456789abcdef"' in opening
    assert [e.kind for e in world.tasks.entries("after", 1)] == [EntryKind.OUTPUT]


def test_a_newer_task_that_starts_first_supersedes_the_older_ones_then(world: World) -> None:
    add(world.tasks, "old", group=GROUP, supersedes=True, run_after=NOON + 60 * SECOND)
    add(world.tasks, "new", group=GROUP, supersedes=True, at=NOON + SECOND)

    claimed = world.claim("new")

    assert claimed is not None
    old = world.task("old")
    assert (old.status, old.superseded_by) == (TaskStatus.CANCELLED, "new")


def test_a_task_that_waits_for_a_person_is_superseded_too(world: World) -> None:
    add(world.tasks, "old", group=GROUP, supersedes=True)
    claimed = world.claim("old")
    assert claimed is not None
    world.tasks.release(claimed.task, Release(status=TaskStatus.WAITING), now=NOON)
    add(world.tasks, "new", group=GROUP, supersedes=True, at=NOON + SECOND)

    world.claim("new")

    assert world.task("old").status is TaskStatus.CANCELLED
    assert world.task("new").status is TaskStatus.RUNNING
