"""Wait until a task ends or waits for an answer, by reading it: no caller holds a slot for that."""

from datetime import datetime, timedelta

from nightdesk.domain.ports import Clock, TaskStore
from nightdesk.domain.task import Task, TaskStatus

#: Reads in the first second, when short tasks end; then one a second: 25 s cost some 28 reads.
FIRST_PAUSES = (timedelta(milliseconds=150), timedelta(milliseconds=350), timedelta(seconds=0.5))
PAUSE = timedelta(seconds=1)


def wait_for_task(task: Task, *, until: datetime, tasks: TaskStore, clock: Clock) -> Task:
    """The task when it has settled, or as it is at `until`. One that is gone stays as last seen."""
    pauses = iter(FIRST_PAUSES)
    while not has_settled(task):
        left = until - clock.now()
        if left <= timedelta(0):
            break
        clock.sleep(min(next(pauses, PAUSE), left))
        read = tasks.get(task.id)
        if read is None:
            break
        task = read
    return task


def has_settled(task: Task) -> bool:
    """Ended, or waiting for an answer: nothing more happens by itself."""
    return task.status.is_terminal or task.status is TaskStatus.WAITING
