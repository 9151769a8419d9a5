"""What becomes of a task that nobody works on: pure rules for the executor and the sweeper."""

from datetime import datetime, timedelta

from nightdesk.domain.errors import ErrorCode
from nightdesk.domain.ports import Release
from nightdesk.domain.task import (
    ORPHAN_AFTER,
    ORPHAN_MESSAGE,
    QUEUE_TIMEOUT,
    WAIT_TIMEOUT,
    Task,
    TaskError,
    TaskStatus,
)

#: More hand-overs than this in one run is a loop: at 13 minutes each, more than the longest task.
MAX_HOPS = 20


def timeout_error(task: Task) -> TaskError:
    return TaskError(ErrorCode.TASK_TIMEOUT, f"Task timed out after {task.timeout_ms}ms")


def is_past_deadline(task: Task, now: datetime) -> bool:
    return task.deadline is not None and task.deadline <= now


def end_of_expired(task: Task, now: datetime) -> Release | None:
    """How a RUNNING task ends whose lease has run out; None = it may be claimed anew."""
    if task.cancel_requested:
        return Release(status=TaskStatus.CANCELLED)
    if is_past_deadline(task, now):
        return Release(status=TaskStatus.FAILED, error=timeout_error(task))
    if task.attempts >= task.max_attempts:
        lost = f"The executor was lost in attempt {task.attempts} of {task.max_attempts}"
        return Release(status=TaskStatus.FAILED, error=TaskError(ErrorCode.EXECUTOR_LOST, lost))
    return None


def orphan_error(task: Task, now: datetime) -> TaskError | None:
    """The error of a RUNNING task that has had no lease for five minutes; None = not an orphan.

    The engine never leaves such a row behind; one that was put there by hand, or by an older
    version, would otherwise stay RUNNING for ever. The rule is the predecessors' (1.6, path d).
    """
    since = task.started_at or task.created_at
    if task.lease_until is not None or now - since < ORPHAN_AFTER:
        return None
    return TaskError(ErrorCode.TASK_ORPHANED, ORPHAN_MESSAGE)


def wait_error() -> TaskError:
    days = int(WAIT_TIMEOUT / timedelta(days=1))
    return TaskError(ErrorCode.WAIT_EXPIRED, f"Nobody answered within {days} days")


def queue_error(task: Task, now: datetime) -> TaskError | None:
    """The error of a PENDING task that may start no more; None = it may."""
    if is_past_deadline(task, now):
        return timeout_error(task)
    waiting = now - (task.queued_at or task.created_at)
    if task.run_after is None and waiting >= QUEUE_TIMEOUT:
        hours = int(QUEUE_TIMEOUT / timedelta(hours=1))
        return TaskError(ErrorCode.QUEUE_TIMEOUT, f"Task was not started within {hours} hours")
    return None
