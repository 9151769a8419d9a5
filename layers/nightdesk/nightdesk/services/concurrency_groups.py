"""Concurrency groups: at most one task of a group runs; the others wait, or end the older ones.

The group's permit is part of the claim's and the release's transactions. What is here only moves
the waiting ones along; being killed anywhere leaves a held task that the sweeper looks at.
"""

import logging

from nightdesk.domain.errors import ConditionFailedError
from nightdesk.domain.ports import Clock, TaskStore, WakeUps
from nightdesk.domain.task import Hold, Task, TaskStatus

logger = logging.getLogger(__name__)

#: More tasks than this that wait in one group are moved along by later calls.
_AT_ONCE = 25


def supersede_older(task: Task, *, tasks: TaskStore, clock: Clock) -> None:
    """End the older tasks of this one's group: CANCELLED, with `superseded_by`."""
    if not (task.group and task.supersedes):
        return
    now = clock.now()
    for other in tasks.group_waiting(task.group, limit=_AT_ONCE):
        if other.id != task.id and other.created_at <= task.created_at:
            _end_pending(other, task, tasks, clock)
    holder_id = tasks.group_holder(task.group)
    holder = tasks.get(holder_id) if holder_id and holder_id != task.id else None
    if holder is None or holder.created_at > task.created_at or holder.cancel_requested:
        return
    try:
        tasks.request_cancel(holder, now=now, superseded_by=task.id)
    except ConditionFailedError:
        return  # it has ended by itself
    logger.info("[BGWorker] Task %s is superseded by %s", holder.id, task.id)


def _end_pending(other: Task, newer: Task, tasks: TaskStore, clock: Clock) -> None:
    try:
        tasks.end_unclaimed(
            other, TaskStatus.CANCELLED, None, now=clock.now(), superseded_by=newer.id
        )
    except ConditionFailedError:
        return  # it has started or ended meanwhile; if it runs, its claim has the group
    logger.info("[BGWorker] Task %s is superseded by %s", other.id, newer.id)


def pass_group_on(ended: Task, *, tasks: TaskStore, wake_ups: WakeUps, clock: Clock) -> None:
    """The group is free: put its next task in line, and wake an executor."""
    if not ended.group:
        return
    for waiting in tasks.group_waiting(ended.group, limit=_AT_ONCE):
        if waiting.held is Hold.GROUP:
            tasks.make_runnable(waiting, now=clock.now())
            wake_ups.send(waiting.id)
            return
