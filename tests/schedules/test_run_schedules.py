"""Each due time makes one task, whatever is cut, missed, paused or done twice."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightdesk.domain.errors import UnavailableError
from nightdesk.domain.ports import WorkspaceSettings
from nightdesk.domain.schedule import last_due
from nightdesk.domain.schedules import REPOSITORY
from nightdesk.domain.specialist import (
    Concurrency,
    ConcurrencyGroup,
    OnConflict,
    ScheduleTrigger,
    Specialist,
)
from nightdesk.domain.task import Task, TaskStatus, TriggerSource
from nightdesk.services.manage_workspace import EVERYBODY
from nightdesk.services.run_schedules import SchedulerPorts, run_schedules
from tests.fakes.clock import FakeClock, FakeDice
from tests.fakes.due_times import FakeDueTimes
from tests.fakes.kill import Kill, KillSwitch
from tests.fakes.specialists import FakeSpecialists, specialist
from tests.fakes.task_store import FakeTaskStore
from tests.fakes.wake_ups import FakeWakeUps

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
FRIDAY = datetime(2026, 11, 20, 5, 58, tzinfo=UTC)
MORNINGS = ScheduleTrigger(cron="0 6 * * *")


@dataclass
class World:
    clock: FakeClock = field(default_factory=lambda: FakeClock(FRIDAY))
    tasks: FakeTaskStore = field(default_factory=FakeTaskStore)
    due_times: FakeDueTimes = field(default_factory=FakeDueTimes)
    wake_ups: FakeWakeUps = field(default_factory=FakeWakeUps)
    specialists: FakeSpecialists = field(default_factory=FakeSpecialists)
    dice: FakeDice = field(default_factory=FakeDice)

    def plan(self, *triggers: ScheduleTrigger, **changes: object) -> None:
        planned: Specialist = replace(specialist("tidy"), schedules=triggers, **changes)  # type: ignore[arg-type]
        self.specialists.add(planned)

    def sweep(self, switch: KillSwitch | None = None) -> tuple[str, ...]:
        guard = switch or KillSwitch()
        ports = SchedulerPorts(
            tasks=guard.guard(self.tasks),
            due_times=guard.guard(self.due_times),
            specialists=self.specialists,
            wake_ups=guard.guard(self.wake_ups),
            clock=self.clock,
            dice=self.dice,
            workspace_id="default",
        )
        return run_schedules(ports)

    def sweep_for(self, time: timedelta, *, every: timedelta = MINUTE) -> None:
        for _ in range(time // every):
            self.sweep()
            self.clock.advance(every)

    def made(self) -> list[Task]:
        return list(self.tasks.tasks.values())

    def due(self) -> list[str]:
        """The due times that the tasks are for, from their origins."""
        keys = [self.tasks.origins[task.id].trigger for task in self.made()]
        return sorted(key.key.partition("/")[2] for key in keys if key)


@pytest.fixture
def world() -> World:
    return World()


def test_a_due_time_makes_one_task_that_says_what_it_is(world: World) -> None:
    world.plan(replace(MORNINGS, prompt="Tidy up at {timestamp} ({cronExpr}, {scheduleName})."))
    world.sweep_for(DAY)

    (task,) = world.made()
    assert (task.title, task.agent_id, task.trigger_source) == (
        "[Scheduled] Tidy",
        "tidy",
        TriggerSource.SCHEDULE,
    )
    assert task.triggered_by.startswith("schedule:tidy.")
    origin = world.tasks.origins[task.id]
    assert "Tidy up at 2026-11-20T06:00:00+00:00 (0 6 * * *, Tidy)." in origin.prompt
    assert (origin.target, origin.intents) == (None, ())
    assert [sent[0] for sent in world.wake_ups.sent] == [task.id]


def test_the_first_sweep_starts_nothing_however_late_it_is(world: World) -> None:
    world.clock.advance(timedelta(minutes=2))
    world.plan(MORNINGS)
    world.sweep_for(timedelta(hours=1))
    assert world.made() == []


def test_a_repository_can_be_read_and_only_a_new_issue_be_proposed(world: World) -> None:
    intents = (("comment", 1), ("issue", 2), ("labels", 1), ("pull_request", 1))
    world.plan(replace(MORNINGS, repo="octo-org/widgets"), intents=intents, allowed_labels=("bug",))
    world.sweep_for(timedelta(minutes=5))
    (origin,) = world.tasks.origins.values()
    assert origin.target is not None
    assert (origin.target.repo, origin.target.kind) == ("octo-org/widgets", REPOSITORY)
    assert origin.intents == (("issue", 2),)
    assert origin.allowed_labels == ("bug",)


def test_after_an_outage_the_latest_missed_time_is_made_up_for(world: World) -> None:
    world.plan(MORNINGS)
    world.sweep()
    world.clock.advance(5 * DAY)
    world.sweep_for(2 * MINUTE)
    assert world.due() == ["2026-11-24T06:00:00+00:00"]
    world.sweep_for(timedelta(hours=2))
    assert len(world.made()) == 2


@pytest.mark.parametrize("paused", ["default", EVERYBODY])
def test_a_pause_piles_nothing_up(world: World, paused: str) -> None:
    world.plan(MORNINGS)
    world.sweep()
    world.tasks.set_workspace_settings(paused, WorkspaceSettings(paused=True))
    world.sweep_for(3 * DAY, every=timedelta(hours=1))
    assert world.made() == []
    world.tasks.set_workspace_settings(paused, WorkspaceSettings())
    world.sweep_for(2 * MINUTE)
    assert world.due() == ["2026-11-22T06:00:00+00:00"]


def test_a_schedule_that_was_taken_out_and_put_back_does_not_run_at_once(world: World) -> None:
    world.plan(MORNINGS)
    world.sweep()
    world.plan()
    world.sweep()
    assert world.due_times.rows == {}
    world.clock.advance(2 * DAY)
    world.plan(MORNINGS)
    world.sweep_for(2 * MINUTE)
    assert world.made() == []


def test_another_prompt_is_the_same_schedule_and_another_zone_is_not(world: World) -> None:
    world.plan(MORNINGS)
    world.sweep()
    world.plan(replace(MORNINGS, prompt="Other words."))
    world.clock.advance(2 * MINUTE)
    assert len(world.sweep()) == 1
    world.plan(replace(MORNINGS, timezone="Asia/Tokyo"))
    assert world.sweep() == ()


def test_one_that_fails_stops_no_other(world: World) -> None:
    world.plan(MORNINGS)
    second = replace(specialist("watch"), schedules=(replace(MORNINGS, timezone="Etc/UTC"),))
    world.specialists.add(second)
    world.sweep()
    world.clock.advance(2 * MINUTE)
    create, failing = world.tasks.create, [UnavailableError("DynamoDB")]

    def fails_once(task: Task, *rest: object, **more: object) -> bool:
        if failing:
            raise failing.pop()
        return create(task, *rest, **more)  # type: ignore[arg-type]

    world.tasks.create = fails_once  # type: ignore[method-assign]
    assert len(world.sweep()) == 1
    assert len(world.sweep()) == 1
    assert {task.agent_id for task in world.made()} == {"tidy", "watch"}


def test_a_newer_run_ends_the_older_one_where_the_file_says_so(world: World) -> None:
    group = Concurrency(group=ConcurrencyGroup.SPECIALIST, on_conflict=OnConflict.SUPERSEDE)
    world.plan(MORNINGS, concurrency=group)
    world.sweep_for(2 * DAY, every=timedelta(hours=1))
    first, second = world.made()
    assert (first.status, second.status) == (TaskStatus.CANCELLED, TaskStatus.PENDING)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    cron=st.sampled_from(["0 6 * * *", "*/7 * * * *", "* * * * *", "30 2 * * *"]),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]),
    start=st.sampled_from(
        [FRIDAY, datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 10, 24, 22, tzinfo=UTC)]
    ),
    steps=st.lists(
        st.tuples(st.integers(0, 200), st.integers(0, 8), st.booleans()), min_size=1, max_size=25
    ),
)
def test_however_sweeps_are_cut_late_and_repeated_no_due_time_has_two_tasks_and_none_is_lost(
    cron: str, zone: str, start: datetime, steps: list[tuple[int, int, bool]]
) -> None:
    world = World(clock=FakeClock(start))
    world.plan(ScheduleTrigger(cron=cron, timezone=zone))
    world.sweep()
    for minutes, cut_at, twice in steps:
        world.clock.advance(minutes * MINUTE)
        before = len(world.made())
        ((_, seen),) = world.due_times.rows.items()
        try:
            world.sweep(KillSwitch(cut_at))
        except Kill:
            world.sweep()
        if twice:
            world.sweep()
        assert len(world.made()) - before <= 1
        latest = last_due(cron, zone, since=seen, now=world.clock.now())
        assert latest is None or latest.isoformat() in world.due()
        (due,) = world.due_times.rows.values()
        assert due > world.clock.now()
    assert len(set(world.due())) == len(world.due())
