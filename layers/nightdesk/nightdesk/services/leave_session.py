"""Leave a session before its end: bring the task where the reason for stopping says.

A cancel that arrives meanwhile wins. Being killed before the release leaves a lease that runs out;
being killed after it and before the wake-up leaves a task that the sweeper wakes.
"""

import logging
from datetime import datetime, timedelta

from nightdesk.domain.errors import (
    CancelRequestedError,
    ErrorCode,
    HandOverError,
    LeaseLostError,
    PermanentError,
    TransientError,
    TryLaterError,
)
from nightdesk.domain.ports import Release
from nightdesk.domain.recovery import MAX_HOPS
from nightdesk.domain.retry import backoff
from nightdesk.domain.session import EntryKind
from nightdesk.domain.task import VISIBILITY, Task, TaskError, TaskStatus
from nightdesk.services.engine_ports import ExecutorPorts
from nightdesk.services.held_task import HeldTask

logger = logging.getLogger(__name__)

#: An invocation that had a task for this long and finished no step is no accident.
ENOUGH_FOR_A_STEP = timedelta(minutes=5)


def leave_session(held: HeldTask, reason: Exception, ports: ExecutorPorts) -> Task | None:
    """Release the task as the reason demands, and wake it if it is to go on.

    Returns the task as it was left; None when it is, or may be, another executor's.
    """
    task = held.task
    if isinstance(reason, LeaseLostError):
        logger.warning("[BGWorker] Task %s is another executor's now", task.id)
        return None
    release, wake_after = _release_for(held, reason, ports)
    try:
        left = held.release(release)
    except CancelRequestedError:
        left = held.release(Release(status=TaskStatus.CANCELLED))
    except LeaseLostError:
        # Taken over, or a step whose answer was lost has been applied after all: then our lease
        # runs out, and whoever is woken after that goes on from the journal.
        logger.warning("[BGWorker] Task %s is not as we left it; it will be looked at", task.id)
        ports.wake_ups.send(task.id, delay=VISIBILITY)
        return None
    logger.info("[BGWorker] Task %s left RUNNING for %s: %s", task.id, left.status.value, reason)
    if left.status is TaskStatus.PENDING:
        ports.wake_ups.send(task.id, delay=wake_after)
    return left


def _release_for(
    held: HeldTask, reason: Exception, ports: ExecutorPorts
) -> tuple[Release, timedelta]:
    """How the task leaves RUNNING, and how long until it should be woken if it is to go on."""
    now, task, at_once = ports.clock.now(), held.task, timedelta(0)
    match reason:
        case CancelRequestedError():
            return Release(status=TaskStatus.CANCELLED), at_once
        case HandOverError():
            return _handed_over(held, now), at_once
        case TryLaterError():
            wait = reason.retry_after
            later = Release(status=TaskStatus.PENDING, continuing=True, run_after=now + wait)
            return later, wait
        case TransientError() if task.attempts < task.max_attempts:
            wait = backoff(task.attempts, jitter=ports.dice.jitter())
            return _retried(held, TaskError(reason.code, str(reason)), now + wait), wait
        case PermanentError() | TransientError():
            return _failed(held, TaskError(reason.code, str(reason))), at_once
        case _:
            return _failed(held, TaskError(ErrorCode.EXECUTION_ERROR, str(reason))), at_once


def _handed_over(held: HeldTask, now: datetime) -> Release:
    """Go on in another invocation, unless that would go on for ever."""
    if held.steps_here == 0 and now - held.held_since >= ENOUGH_FOR_A_STEP:
        nothing = "No step was finished within one whole invocation"
        return _failed(held, TaskError(ErrorCode.NO_PROGRESS, nothing))
    if held.task.hops >= MAX_HOPS:
        often = f"Handed over {held.task.hops} times without an end"
        return _failed(held, TaskError(ErrorCode.NO_PROGRESS, often))
    return Release(status=TaskStatus.PENDING, continuing=True, hop=True)


def _failed(held: HeldTask, error: TaskError) -> Release:
    data = {"code": error.code.value, "message": error.message, "retry": False}
    entry = held.end_entry(EntryKind.FAILURE, data)
    return Release(status=TaskStatus.FAILED, error=error, entry=entry)


def _retried(held: HeldTask, error: TaskError, run_after: datetime) -> Release:
    data = {"code": error.code.value, "message": error.message, "retry": True}
    entry = held.end_entry(EntryKind.FAILURE, data)
    return Release(status=TaskStatus.PENDING, error=error, run_after=run_after, entry=entry)
