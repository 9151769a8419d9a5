"""Which task an executor takes for a wake-up: recovery first, then the best that may start."""

from dataclasses import replace
from datetime import timedelta

import pytest

from nightdesk.domain.errors import ErrorCode
from nightdesk.domain.ports import Release
from nightdesk.domain.task import LEASE, QUEUE_TIMEOUT, TaskStatus
from nightdesk.services.claim_task import WakeUp, claim_next
from tests.engine.examples import add, claim
from tests.engine.world import World
from tests.fakes.clock import NOON

SECOND = timedelta(seconds=1)


def test_a_wake_up_claims_the_best_runnable_task_and_not_the_one_it_names(world: World) -> None:
    add(world.tasks, "older")
    add(world.tasks, "named", at=NOON + SECOND)

    claimed = world.claim("named")

    assert claimed is not None
    assert claimed.task.id == "older"
    assert claimed.others_wait


def test_a_wake_up_with_nothing_to_do_ends_well(world: World) -> None:
    assert world.claim("nobody") is None
    assert world.wake_ups.sent == []


def test_a_task_that_the_index_does_not_show_yet_is_found_by_the_wake_up(world: World) -> None:
    add(world.tasks, "fresh")
    world.tasks.hidden_from_index.add("fresh")

    claimed = world.claim("fresh")

    assert claimed is not None
    assert claimed.task.id == "fresh"


def test_a_delayed_task_starts_with_its_wake_up_once_it_is_due(world: World) -> None:
    add(world.tasks, "later", run_after=NOON + 5 * SECOND)

    assert world.claim("later") is None
    world.clock.advance(5 * SECOND)
    claimed = world.claim("later")

    assert claimed is not None
    assert claimed.task.run_after is None


def test_two_executors_with_the_same_message_make_one_session(world: World) -> None:
    add(world.tasks, "t-1")

    first = world.claim("t-1", message_id="m-1")
    second = world.claim("t-1", message_id="m-1")

    assert first is not None
    assert second is None
    task = world.task("t-1")
    assert (task.attempts, task.fence) == (1, 1)


def test_five_tasks_are_two_running_and_three_pending(world: World) -> None:
    for number in range(5):
        add(world.tasks, f"t-{number}", at=NOON + number * SECOND)

    for number in range(5):
        world.claim(f"t-{number}", message_id=f"m-{number}", alive=True)

    statuses = [world.task(f"t-{number}").status for number in range(5)]
    assert statuses == [TaskStatus.RUNNING] * 2 + [TaskStatus.PENDING] * 3


def test_a_wake_up_without_a_free_slot_comes_again_later(world: World) -> None:
    for number in range(3):
        add(world.tasks, f"t-{number}", at=NOON + number * SECOND)
    world.claim("t-0", message_id="m-0")
    world.claim("t-1", message_id="m-1")

    assert world.claim("t-2", message_id="m-2", alive=True) is None

    assert world.wake_ups.sent == [("t-2", timedelta(seconds=15))]


def test_a_redelivered_message_resumes_its_own_task_before_any_other(world: World) -> None:
    add(world.tasks, "lost")
    world.claim("lost", message_id="m-1")
    add(world.tasks, "urgent", at=NOON - timedelta(hours=3))
    world.clock.advance(LEASE)

    claimed = world.claim("lost", message_id="m-1", receives=2)

    assert claimed is not None
    assert (claimed.task.id, claimed.task.attempts, claimed.task.fence) == ("lost", 2, 2)


def test_a_redelivered_message_waits_out_the_rest_of_the_lease(world: World) -> None:
    add(world.tasks, "lost")
    world.claim("lost", message_id="m-1")
    world.clock.advance(20 * SECOND)

    claimed = world.claim("lost", message_id="m-1", receives=2)

    assert claimed is not None
    assert claimed.task.fence == 2
    assert world.clock.slept == [10 * SECOND]


def test_a_redelivered_message_leaves_a_live_executor_alone(world: World) -> None:
    add(world.tasks, "slow")
    world.claim("slow", message_id="m-1")

    assert world.claim("slow", message_id="m-1", receives=2, alive=True) is None

    assert world.task("slow").fence == 1
    assert world.wake_ups.sent == [("slow", timedelta(seconds=15))]


def test_a_slot_of_a_dead_executor_is_recovered_and_never_overwritten(world: World) -> None:
    for number in range(3):
        add(world.tasks, f"t-{number}", at=NOON + number * SECOND)
    world.claim("t-0", message_id="m-0")
    world.claim("t-1", message_id="m-1")
    world.clock.advance(LEASE)

    claimed = world.claim("t-2", message_id="m-2")

    assert claimed is not None
    assert (claimed.task.id, claimed.task.attempts) == ("t-0", 2)
    assert world.task("t-2").status is TaskStatus.PENDING


@pytest.mark.parametrize(
    "wake_up", [("next", "m-3", 1), ("deadly", "m-1", 2)], ids=["another's", "its own"]
)
def test_who_waited_for_a_dead_executor_and_ended_its_task_starts_the_next_at_once(
    wake_up: tuple[str, str, int], world: World
) -> None:
    add(world.tasks, "deadly", max_attempts=1)
    world.claim("deadly", message_id="m-1")
    world.clock.advance(10 * SECOND)
    add(world.tasks, "slow", at=NOON + SECOND)
    world.claim("slow", message_id="m-2")
    add(world.tasks, "next", at=NOON + 2 * SECOND)
    hint, message_id, receives = wake_up

    claimed = world.claim(hint, message_id=message_id, receives=receives)

    assert world.task("deadly").status is TaskStatus.FAILED
    assert claimed is not None
    assert claimed.task.id == "next"
    assert sum(world.clock.slept, timedelta()) == 20 * SECOND
    assert world.wake_ups.sent == []


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"cancel_requested": True}, TaskStatus.CANCELLED, None),
        ({"max_attempts": 1}, TaskStatus.FAILED, ErrorCode.EXECUTOR_LOST),
        ({"timeout_ms": 30_000}, TaskStatus.FAILED, ErrorCode.TASK_TIMEOUT),
    ],
)
def test_a_lost_task_that_may_not_go_on_ends_and_frees_its_slot(
    world: World, change: dict[str, object], status: TaskStatus, code: ErrorCode | None
) -> None:
    add(world.tasks, "lost")
    world.claim("lost", message_id="m-1")
    world.tasks.tasks["lost"] = replace(world.task("lost"), **change)  # type: ignore[arg-type]
    world.clock.advance(LEASE)

    claimed = world.claim("lost", message_id="m-1", receives=2)

    assert claimed is None
    task = world.task("lost")
    assert task.status is status
    assert (task.error.code if task.error else None) == code
    assert all(slot.task_id is None for slot in world.tasks.slots())


def test_a_hand_over_goes_on_as_the_same_attempt(world: World) -> None:
    add(world.tasks, "t-1")
    task = claim(world.tasks, "t-1")
    world.tasks.release(
        task, Release(status=TaskStatus.PENDING, continuing=True, hop=True), now=NOON
    )

    claimed = world.claim("t-1")

    assert claimed is not None
    assert (claimed.task.attempts, claimed.task.fence) == (1, 2)


def test_a_task_that_waited_too_long_is_failed_and_not_started(world: World) -> None:
    add(world.tasks, "stale")
    world.clock.advance(QUEUE_TIMEOUT)

    assert world.claim("stale") is None

    error = world.task("stale").error
    assert error is not None
    assert error.code is ErrorCode.QUEUE_TIMEOUT


def test_a_claim_that_somebody_else_wins_is_tried_on_the_next_task(world: World) -> None:
    add(world.tasks, "t-0")
    add(world.tasks, "t-1", at=NOON + SECOND)
    world.tasks.before_claim = lambda: claim(world.tasks, "t-0", message_id="rival")

    claimed = world.claim("t-0", message_id="m-2")

    assert claimed is not None
    assert (claimed.task.id, claimed.task.slot) == ("t-1", 1)


def test_what_was_set_aside_for_a_lost_call_is_set_aside_again(world: World) -> None:
    add(world.tasks, "t-1")
    world.claim("t-1", message_id="m-1")
    world.tasks.tasks["t-1"] = replace(world.task("t-1"), reserved_micros=40, cost_micros=2)
    world.clock.advance(LEASE)

    claimed = world.claim("t-1", message_id="m-1", receives=2)

    assert claimed is not None
    assert (claimed.task.cost_micros, claimed.task.reserved_micros) == (42, 40)


@pytest.mark.parametrize("hint", ["", "x" * 3_000])
def test_a_wake_up_that_names_no_task_is_a_wake_up_all_the_same(world: World, hint: str) -> None:
    add(world.tasks, "t-1")

    claimed = claim_next(
        WakeUp(hint, "m-1"), ports=world.executor(), give_up_at=NOON + timedelta(minutes=10)
    )

    assert claimed is not None
    assert claimed.task.id == "t-1"
