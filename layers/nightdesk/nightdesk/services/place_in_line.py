"""Where a runnable task stands in the line, and when it will start, as far as one can tell."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from nightdesk.domain.ports import Clock, TaskStore
from nightdesk.domain.task import Task, TaskStatus

#: Counting further costs more than the number is worth.
COUNTED_TO = 1_000
#: The newest completed tasks whose mean duration is taken for that of those ahead.
_SAMPLE = 10


@dataclass(frozen=True, slots=True)
class Place:
    """`position` 1 is next; None = beyond COUNTED_TO. `estimated_start` None = unknown."""

    position: int | None
    estimated_start: datetime | None


def place_in_line(task: Task, *, tasks: TaskStore, clock: Clock) -> Place | None:
    """The task's place; None when it does not stand in the line.

    The estimate knows nothing of tasks that will come with a higher priority, of pauses and of
    budgets.
    """
    if task.status is not TaskStatus.PENDING or task.run_after is not None:
        return None
    ahead = tasks.count_ahead(task, most=COUNTED_TO)
    if ahead >= COUNTED_TO:
        return Place(None, None)
    page = tasks.list_page(
        task.workspace_id, status=TaskStatus.COMPLETED, limit=_SAMPLE, cursor=None
    )
    durations = [_duration(done) for done in page.tasks]
    slots = [slot.task_id is None for slot in tasks.slots()]
    start = estimated_start(
        ahead, free=sum(slots), slots=len(slots), durations=durations, now=clock.now()
    )
    return Place(ahead + 1, start)


def estimated_start(
    ahead: int, *, free: int, slots: int, durations: Sequence[timedelta], now: datetime
) -> datetime | None:
    """When a slot comes free for a task with `ahead` others before it.

    A free slot takes the head of the line at once; each further one waits for the end of a task,
    and with all slots at work one ends every mean duration / slots.
    """
    ends_needed = ahead + 1 - free
    if ends_needed <= 0:
        return now
    if not durations:
        return None
    mean = sum(durations, timedelta(0)) / len(durations)
    return now + mean * ends_needed / slots


def _duration(done: Task) -> timedelta:
    """How long it held a slot, about: the time that it waited for people is taken off."""
    if done.started_at is None or done.completed_at is None:
        return timedelta(0)
    waited = timedelta(milliseconds=done.waited_ms)
    return max(timedelta(0), done.completed_at - done.started_at - waited)
