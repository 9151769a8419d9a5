"""Events' tasks in the concurrency groups that their specialists' files name."""

from dataclasses import replace

import pytest

from nightdesk.domain.concurrency import group_in, group_of, group_shown
from nightdesk.domain.errors import UnavailableError
from nightdesk.domain.specialist import Concurrency, ConcurrencyGroup, EventTrigger, OnConflict
from nightdesk.domain.task import LEASE, Target, Task, TaskStatus
from tests.fakes.specialists import specialist
from tests.poller.world import PollerWorld

ANY = EventTrigger(event="issues")
REPO = "octo-org/widgets"


@pytest.fixture
def world() -> PollerWorld:
    world = PollerWorld()
    world.watch()
    return world


def wants(
    world: PollerWorld, group: ConcurrencyGroup, conflict: OnConflict = OnConflict.QUEUE
) -> None:
    world.wants("enricher", ANY, concurrency=Concurrency(group=group, on_conflict=conflict))


def tasks(world: PollerWorld) -> list[Task]:
    return list(world.tasks.tasks.values())


@pytest.mark.parametrize(
    ("group", "names"),
    [
        (
            ConcurrencyGroup.ISSUE,
            {f"default#issue:{REPO}#1:enricher", f"default#issue:{REPO}#2:enricher"},
        ),
        (ConcurrencyGroup.REPOSITORY, {f"default#repository:{REPO}:enricher"}),
        (ConcurrencyGroup.SPECIALIST, {"default#specialist:enricher"}),
    ],
)
def test_the_group_is_named_after_what_excludes(
    world: PollerWorld, group: ConcurrencyGroup, names: set[str]
) -> None:
    wants(world, group)
    for number in (1, 2):
        world.happens(number)
    world.poll()

    assert {task.group for task in tasks(world)} == names
    assert not any(task.supersedes for task in tasks(world))


def test_without_concurrency_there_is_no_group(world: PollerWorld) -> None:
    world.happens(1)
    world.poll()

    (task,) = tasks(world)
    assert (task.group, task.supersedes, task.queued_at) == (None, False, task.created_at)


def test_a_newer_event_of_an_issue_supersedes_the_older_ones(world: PollerWorld) -> None:
    wants(world, ConcurrencyGroup.ISSUE, OnConflict.SUPERSEDE)
    world.happens(1)
    world.happens(2)
    world.poll()
    first, other = tasks(world)
    world.tasks.claim(
        first,
        world.tasks.slots()[0],
        message_id="m",
        now=world.clock.now(),
        lease_until=world.clock.now() + LEASE,
        reserved_micros=0,
    )
    world.clock.advance(world.settings.interval)
    world.happens(1, event_id="e1b", action="edited")
    world.poll()

    newer = tasks(world)[-1]
    assert newer.group == first.group
    assert newer.supersedes
    stopped = world.tasks.tasks[first.id]
    assert (stopped.cancel_requested, stopped.superseded_by) == (True, newer.id)
    assert world.tasks.tasks[other.id].status is TaskStatus.PENDING


def test_a_task_is_made_although_the_older_ones_could_not_be_ended(world: PollerWorld) -> None:
    wants(world, ConcurrencyGroup.ISSUE, OnConflict.SUPERSEDE)

    def unavailable(*_: object, **__: object) -> list[Task]:
        raise UnavailableError("DynamoDB")

    world.tasks.group_waiting = unavailable  # type: ignore[method-assign]
    world.happens(1)

    assert world.poll_one()["eventsProcessed"] == 1
    assert len(world.wake_ups.sent) == 1


def test_approvals_are_fixed_at_creation(world: PollerWorld) -> None:
    world.wants("enricher", ANY, approvals=("comment",))
    world.happens(1)
    world.poll()

    (origin,) = world.tasks.origins.values()
    assert origin.approvals == ("comment",)
    assert len(origin.delimiter) == 32


def test_a_group_without_a_target_can_only_be_the_specialists() -> None:
    target = Target(repo=REPO, repo_id=1, number=7, kind="issue")
    for group in ConcurrencyGroup:
        named = replace(specialist("s"), concurrency=Concurrency(group=group))
        alone = group_of(named, "team", None)
        assert (alone is not None) == (group is ConcurrencyGroup.SPECIALIST)
        assert group_of(named, "team", target) is not None
        assert group_of(named, "other", target) != group_of(named, "team", target)
    assert group_of(specialist("s"), "team", target) is None


@pytest.mark.parametrize("name", ["g", "a#b", "#", " x "])
def test_a_group_is_shown_as_it_was_named(name: str) -> None:
    assert group_shown(group_in("team", name)) == name
