"""Once a minute: start what a schedule has made due, once for each due time.

A schedule's next time is remembered; the first sweep that sees a schedule starts nothing. After an
outage, or a pause, only the latest of the missed times is made up for. First the task, then the
next time: a sweep that is cut between the two makes the next one find the task there already,
because its id is derived from the due time. Two sweeps at once are the same case.
"""

import logging
from dataclasses import dataclass
from datetime import datetime

from nightdesk.domain.concurrency import group_of, supersedes_older
from nightdesk.domain.errors import ConditionFailedError, NightdeskError, TransientError
from nightdesk.domain.ports import Clock, Dice, Specialists, TaskStore, WakeUps
from nightdesk.domain.schedule import last_due
from nightdesk.domain.schedules import (
    DueTimes,
    Schedule,
    schedule_prompt,
    schedule_title,
    schedules_of,
)
from nightdesk.domain.task import TITLE_MAX, Origin, Task, Trigger, TriggerSource
from nightdesk.services.concurrency_groups import supersede_older
from nightdesk.services.manage_workspace import EVERYBODY

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerPorts:
    """`workspace_id` is where the schedules of specialist files belong."""

    tasks: TaskStore
    due_times: DueTimes
    specialists: Specialists
    wake_ups: WakeUps
    clock: Clock
    dice: Dice
    workspace_id: str


def run_schedules(ports: SchedulerPorts) -> tuple[str, ...]:
    """Create the tasks of all schedules that are due; answers the ids of those that are new.

    What fails for one schedule is logged, stops no other, and is tried again by the next sweep.
    """
    planned = schedules_of(ports.specialists.load(), ports.workspace_id)
    created: list[str] = []
    try:
        known = dict(ports.due_times.all())
    except NightdeskError as error:
        logger.warning("[Schedules] not looked at: %s", error)
        return ()
    for schedule in planned:
        seen = known.pop(schedule.key, None)
        try:
            created += _run_one(schedule, seen, ports)
        except ConditionFailedError:
            logger.info("[Schedules] %s: another sweep was faster", schedule.key)
        except NightdeskError as error:
            logger.warning("[Schedules] %s: %s", schedule.key, error)
    for key, seen in known.items():
        _forget(key, seen, ports)
    return tuple(created)


def _run_one(schedule: Schedule, seen: datetime | None, ports: SchedulerPorts) -> list[str]:
    now = ports.clock.now()
    if seen is None:
        ports.due_times.begin(schedule.key, schedule.next_due(now))
        return []
    if now < seen or _is_paused(schedule.workspace_id, ports):
        return []
    trigger = schedule.trigger
    due = last_due(trigger.cron, trigger.timezone, since=seen, now=now) or seen
    created = _create(schedule, due, ports)
    ports.due_times.move(schedule.key, seen=seen, due=schedule.next_due(now))
    return [schedule.task_id(due)] if created else []


def _is_paused(workspace_id: str, ports: SchedulerPorts) -> bool:
    """Nothing is piled up during a pause; the latest time is made up for when it ends."""
    return any(ports.tasks.workspace_settings(w).paused for w in (workspace_id, EVERYBODY))


def _create(schedule: Schedule, due: datetime, ports: SchedulerPorts) -> bool:
    """Put the task and wake an executor; False when the task exists already."""
    task = _task(schedule, due, ports)
    if not ports.tasks.create(task, _origin(schedule, due, task, ports)):
        return False
    logger.info("[Schedules] task %s: %s of %s", task.id, schedule.key, due.isoformat())
    try:
        ports.wake_ups.send(task.id)
        supersede_older(task, tasks=ports.tasks, clock=ports.clock)
    except TransientError as error:  # the sweeper, and the task itself, make good for both
        logger.warning("[Schedules] task %s: %s", task.id, error)
    return True


def _task(schedule: Schedule, due: datetime, ports: SchedulerPorts) -> Task:
    now, specialist = ports.clock.now(), schedule.specialist
    group = group_of(specialist, schedule.workspace_id, schedule.target)
    return Task(
        id=schedule.task_id(due),
        workspace_id=schedule.workspace_id,
        agent_id=specialist.id,
        title=schedule_title(schedule)[:TITLE_MAX],
        created_at=now,
        updated_at=now,
        queued_at=now,
        trigger_source=TriggerSource.SCHEDULE,
        triggered_by=f"schedule:{schedule.id}",
        timeout_ms=specialist.timeout_ms,
        group=group,
        supersedes=group is not None and supersedes_older(specialist),
    )


def _origin(schedule: Schedule, due: datetime, task: Task, ports: SchedulerPorts) -> Origin:
    """There is no issue that the result could be published to: it is the task's output."""
    return Origin(
        task_id=task.id,
        prompt=schedule_prompt(schedule, due),
        created_at=task.created_at,
        limits=schedule.specialist.limits,
        intents=schedule.intents,
        allowed_labels=schedule.specialist.allowed_labels,
        approvals=schedule.specialist.approvals,
        delimiter=ports.dice.token(),
        target=schedule.target,
        trigger=Trigger(event="schedule", key=f"{schedule.id}/{due.isoformat()}"),
    )


def _forget(key: str, seen: datetime, ports: SchedulerPorts) -> None:
    """A schedule that comes back later must not make up for the time between."""
    try:
        ports.due_times.forget(key, seen=seen)
    except NightdeskError as error:
        logger.info("[Schedules] %s: not forgotten: %s", key, error)
