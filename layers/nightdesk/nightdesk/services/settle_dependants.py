"""Look after the tasks that waited for one that has ended: start them, or end them too.

The ended task stays marked until all of them are looked after, so that a crash in between leaves a
due row, and the sweeper does it again.
"""

import logging

from nightdesk.domain.errors import ConditionFailedError, ErrorCode
from nightdesk.domain.ports import Clock, TaskStore, WakeUps
from nightdesk.domain.task import Hold, OnDependencyFailure, Origin, Task, TaskError, TaskStatus

logger = logging.getLogger(__name__)


def settle_dependants(ended: Task, *, tasks: TaskStore, wake_ups: WakeUps, clock: Clock) -> None:
    """Decide about every dependant of a task that has ended. Harmless when repeated."""
    if not ended.has_dependants:
        return
    for dependant_id in tasks.dependants(ended.id):
        look_after(dependant_id, tasks=tasks, wake_ups=wake_ups, clock=clock)
    tasks.dependants_settled(ended)


def look_after(dependant_id: str, *, tasks: TaskStore, wake_ups: WakeUps, clock: Clock) -> None:
    """Start, end or leave waiting a task that waits for its dependencies."""
    view = tasks.view_for_claim([dependant_id])
    task, origin = view.tasks.get(dependant_id), view.origins.get(dependant_id)
    if task is None or origin is None or not _waits(task):
        return
    found = tasks.view_for_claim(origin.depends_on).tasks
    # A dependency that was deleted after its end cannot be told from one that failed.
    failed = [i for i in origin.depends_on if i not in found or _has_failed(found[i])]
    unfinished = [i for i, dependency in found.items() if not dependency.status.is_terminal]
    if failed and origin.on_dependency_failure is not OnDependencyFailure.RUN_ANYWAY:
        _end(task, origin, failed, tasks=tasks, wake_ups=wake_ups, clock=clock)
    elif not unfinished:
        tasks.make_runnable(task, now=clock.now())
        wake_ups.send(task.id)


def _waits(task: Task) -> bool:
    return task.status is TaskStatus.PENDING and task.held is Hold.DEPENDENCIES


def _has_failed(task: Task) -> bool:
    return task.status in (TaskStatus.FAILED, TaskStatus.CANCELLED)


def _end(
    task: Task,
    origin: Origin,
    failed: list[str],
    *,
    tasks: TaskStore,
    wake_ups: WakeUps,
    clock: Clock,
) -> None:
    """FAILED, or CANCELLED where it is to be skipped; then its own dependants."""
    error = TaskError(ErrorCode.DEPENDENCY_FAILED, f"Did not complete: {', '.join(failed)}")
    skips = origin.on_dependency_failure is OnDependencyFailure.SKIP
    status = TaskStatus.CANCELLED if skips else TaskStatus.FAILED
    try:
        ended = tasks.end_unclaimed(task, status, error, now=clock.now())
    except ConditionFailedError:
        return  # cancelled, edited or retried meanwhile; whoever did that left it due
    logger.info("[BGWorker] Task %s %s: a dependency did not complete", task.id, status.value)
    settle_dependants(ended, tasks=tasks, wake_ups=wake_ups, clock=clock)
