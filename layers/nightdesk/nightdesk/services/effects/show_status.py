"""The commit status of a pull request's head that says where a task stands.

A status and not a check run: a personal token may set it too. Of one context the newest counts, so
one publisher at a time sets it, after it has read the task; what it sets is never older than what
is there. Setting the same again, after a lost answer, changes nothing that people see.
"""

import logging
from dataclasses import replace
from datetime import timedelta

from nightdesk.domain.errors import (
    ConditionFailedError,
    NightdeskError,
    PermanentError,
    TryLaterError,
)
from nightdesk.domain.sanitiser import Kind, Policy, sanitise
from nightdesk.domain.task import Task, TaskStatus
from nightdesk.domain.tracked_comment import COMMENT_LEASE, TrackedComment
from nightdesk.services.effects.work import Work
from nightdesk.services.publisher_ports import PublisherPorts

logger = logging.getLogger(__name__)

#: GitHub's limit for a description.
_DESCRIPTION_MAX = 140
_HELD_WAIT = timedelta(seconds=10)


def show_status(work: Work, ports: PublisherPorts) -> None:
    """Raises TryLaterError when another publisher is at it."""
    if not (work.origin.shows_status and work.target.head_sha):
        return
    now = ports.clock.now()
    key = f"status-{work.row.task_id}"
    try:
        known = ports.tracked.lease(key, now=now, until=now + COMMENT_LEASE)
    except ConditionFailedError as error:
        busy = "another publisher sets the status"
        raise TryLaterError(busy, retry_after=_HELD_WAIT) from error
    try:
        known = replace(known, reason=_set(work, known.reason, ports))
    except PermanentError as error:  # no permission, or no such commit: the result matters more
        logger.warning("[Publisher] %s: no commit status: %s", work.row.task_id, error)
    except NightdeskError:
        _give_back(known, ports)
        raise
    _give_back(known, ports)


def _give_back(known: TrackedComment, ports: PublisherPorts) -> None:
    try:
        ports.tracked.store(known, now=ports.clock.now())
    except ConditionFailedError as error:
        lost = "the status's lease ran out"
        raise TryLaterError(lost, retry_after=_HELD_WAIT) from error


def _set(work: Work, shown: str, ports: PublisherPorts) -> str:
    """Set it, if it says something else; what it says now."""
    task = ports.tasks.get(work.row.task_id)
    if task is None:
        return shown
    state, words = _state_of(task)
    description = sanitise(words, Policy(kind=Kind.TITLE, max_characters=_DESCRIPTION_MAX))
    wanted = f"{state} {description}"
    if wanted != shown:
        ports.github.set_status(
            work.repo,
            work.target.head_sha,
            state=state,
            context=f"nightdesk/{task.agent_id}",
            description=description,
        )
    return wanted


def _state_of(task: Task) -> tuple[str, str]:
    match task.status:
        case TaskStatus.RUNNING:
            done = f", {task.tool_call_count} steps" if task.tool_call_count else ""
            return "pending", f"Working{done}"
        case TaskStatus.PENDING:
            return "pending", "Waits for its turn"
        case TaskStatus.WAITING:
            return "pending", "Waits for a person"
        case TaskStatus.COMPLETED:
            return "success", "Done"
        case TaskStatus.FAILED:
            code = task.error.code.value if task.error else "FAILED"
            return "error", f"Failed: {code}"
        case TaskStatus.CANCELLED:
            return "error", "Gave way to newer work" if task.superseded_by else "Cancelled"
