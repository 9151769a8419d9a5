"""Cancel a task. A cancel that is accepted before the terminal write always wins.

What runs cannot be cancelled by writing a word over it: its session would go on spending, and its
slot would be given to another. So a running task keeps the status RUNNING, with `cancelRequested`,
until its session has really stopped; no step is written from then on, and it ends CANCELLED.
"""

from nightdesk.domain.api_key import ApiKey
from nightdesk.domain.errors import ConditionFailedError, ConflictError
from nightdesk.domain.ports import Clock, Release, TaskStore
from nightdesk.domain.task import Task, TaskStatus
from nightdesk.services.task_access import TRIES, keeps_changing, visible_task


def cancel_task(task_id: str, *, key: ApiKey, tasks: TaskStore, clock: Clock) -> Task:
    """Cancel the task, or ask its session to stop.

    Returns the task: CANCELLED, or RUNNING with `cancel_requested`.

    Raises:
        TaskNotFoundError: no such task within the key's scope.
        ConflictError: it had ended already, or kept changing.
    """
    for _ in range(TRIES):
        task = visible_task(task_id, key=key, tasks=tasks)
        if task.status.is_terminal:
            raise ConflictError(f"The task is {task.status} already")
        try:
            return stop(task, tasks=tasks, clock=clock)
        except ConditionFailedError:
            continue  # it has moved meanwhile; look again
    raise keeps_changing()


def stop(task: Task, *, tasks: TaskStore, clock: Clock) -> Task:
    """Cancel a task that has not ended, as it was read.

    Raises:
        ConditionFailedError: it has changed since it was read.
    """
    now = clock.now()
    if task.status is not TaskStatus.RUNNING or (task.slot is None and task.lease_until is None):
        # No session holds it: it waits, or it is an orphan.
        return tasks.end_unclaimed(task, TaskStatus.CANCELLED, None, now=now)
    if not task.has_live_lease(now):
        # Its executor is gone; nobody is there to be asked.
        return tasks.end_expired(task, Release(status=TaskStatus.CANCELLED), now=now)
    if task.cancel_requested:
        return task
    return tasks.request_cancel(task, now=now)
