"""Write to GitHub what tasks have put into the outbox, each effect exactly once.

A stream record, or the sweeper, only says "look at this row". The row is leased, tried once, and
the outcome or the time of the next try is stored. A comment is looked for by its hidden marker
before it is written, so that a lost answer or a kill between any two calls doubles nothing; what
comes after the writing (the task's publication, the row's end) may be repeated.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from nightdesk.domain.errors import (
    ConditionFailedError,
    ErrorCode,
    PermanentError,
    TransientError,
    TryLaterError,
)
from nightdesk.domain.github_ports import GithubCredentialsError, Publishing, Repository
from nightdesk.domain.outbox import OUTBOX_LEASE, RETRY_AFTER, OutboxRow, OutboxState
from nightdesk.domain.ports import Clock, OutboxStore, TaskStore
from nightdesk.domain.publication import (
    allowed_labels,
    comment_body,
    intent_of_row,
    is_marked,
    marker_of,
)
from nightdesk.domain.task import Origin, Target

logger = logging.getLogger(__name__)

#: GitHub's clock and ours may differ; our own comment must not fall before the search begins.
CLOCK_DIFFERENCE = timedelta(minutes=5)
#: Rate limits do not use up tries, but a result this old interests nobody.
TOO_OLD = timedelta(days=1)
_REASON_CHARACTERS = 200


class Outcome(StrEnum):
    """What became of a row."""

    DONE = "done"
    #: Somebody else has it, it waits for its next try, or it has ended.
    LEFT = "left"
    TRY_AGAIN = "try_again"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublisherPorts:
    outbox: OutboxStore
    tasks: TaskStore
    github: Publishing
    clock: Clock


def publish_row(task_id: str, row_name: str, ports: PublisherPorts) -> Outcome:
    """Try the row once, if it is due.

    Raises:
        UnavailableError: the store did not answer; the row is tried again when its lease ends.
    """
    row = ports.outbox.get(task_id, row_name)
    if row is None or row.state is not OutboxState.PENDING or _is_held(row, ports.clock.now()):
        return Outcome.LEFT
    try:
        leased = ports.outbox.lease(row, until=ports.clock.now() + OUTBOX_LEASE)
        return _try_once(leased, ports)
    except ConditionFailedError:  # another publisher was faster, or has taken over since
        return Outcome.LEFT


def _is_held(row: OutboxRow, now: datetime) -> bool:
    """Leased, or waiting for its next try. A new row is due at once, whatever its time says."""
    return row.tries > 0 and row.due_at is not None and row.due_at > now


def _try_once(row: OutboxRow, ports: PublisherPorts) -> Outcome:
    try:
        _check_age(row, ports.clock.now())
        url = _apply(row, ports)
    except TryLaterError as error:
        return _wait(row, error, ports)
    except (TransientError, GithubCredentialsError) as error:
        return _fail(row, str(error), ports, again=True)
    except PermanentError as error:
        return _fail(row, str(error), ports, again=False)
    # The row ends last, so that a kill in between repeats this instead of leaving it out.
    if url:
        ports.tasks.set_publication(row.task_id, url)
    ports.outbox.done(row, result_url=url)
    logger.info("[Publisher] %s %s: done %s", row.task_id, row.row, url)
    return Outcome.DONE


def _check_age(row: OutboxRow, now: datetime) -> None:
    """A row whose every try was cut before its outcome was stored has to end too."""
    if row.tries > len(RETRY_AFTER) + 1 and now - row.created_at > TOO_OLD:
        raise PermanentError(f"given up: {row.last_error or 'no try came to an end'}")


def _wait(row: OutboxRow, error: TryLaterError, ports: PublisherPorts) -> Outcome:
    now = ports.clock.now()
    if now - row.created_at > TOO_OLD:
        return _fail(row, str(error), ports, again=False)
    ports.outbox.failed(row, error=str(error), next_try=now + error.retry_after)
    logger.warning("[Publisher] %s %s: %s", row.task_id, row.row, error)
    return Outcome.TRY_AGAIN


def _fail(row: OutboxRow, reason: str, ports: PublisherPorts, *, again: bool) -> Outcome:
    logger.warning("[Publisher] %s %s: %s", row.task_id, row.row, reason)
    if again and row.tries <= len(RETRY_AFTER):
        next_try = ports.clock.now() + RETRY_AFTER[row.tries - 1]
        ports.outbox.failed(row, error=reason, next_try=next_try)
        return Outcome.TRY_AGAIN
    task = ports.tasks.get(row.task_id)
    if task is not None and not task.publication:  # refused labels must not hide a comment
        ports.tasks.set_publication(row.task_id, f"failed: {reason[:_REASON_CHARACTERS]}")
    ports.outbox.failed(row, error=reason, next_try=None)
    return Outcome.DEAD


# The effects ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Work:
    """An intent with all that it may touch: the target comes from Origins alone."""

    row: OutboxRow
    origin: Origin
    target: Target
    repo: str


def _apply(row: OutboxRow, ports: PublisherPorts) -> str:
    """Make the effect true; its URL, or "" when it has none.

    Raises:
        PermanentError: it is not allowed, or GitHub refuses it for good.
        TransientError, TryLaterError: it may work later.
    """
    intent, number = intent_of_row(row.row)
    effect = _EFFECTS.get(intent)
    if effect is None:
        raise PermanentError(f"there is no intent {intent!r}")
    origin = ports.tasks.get_origin(row.task_id)
    if origin is None or origin.target is None:
        raise PermanentError("the task has no target on GitHub")
    if number > origin.allows(intent):
        raise PermanentError(f"the specialist may propose {origin.allows(intent)} x {intent}")
    repository = ports.github.repository(origin.target.repo)
    _check_same(repository, origin.target)
    return effect(_Work(row, origin, origin.target, repository.full_name), ports)


def _check_same(repository: Repository, target: Target) -> None:
    """A name that was given up and taken by somebody else must not receive our results."""
    if target.repo_id and repository.id != target.repo_id:
        message = f"{target.repo} is another repository now"
        raise PermanentError(message, ErrorCode.REPOSITORY_UNREACHABLE)


def _comment(work: _Work, ports: PublisherPorts) -> str:
    task_id = work.row.task_id
    task = ports.tasks.get(task_id)
    specialist = task.agent_id if task else "specialist"
    marker = marker_of(specialist, task_id, work.row.row)
    body = comment_body(work.row.payload, specialist=specialist, task_id=task_id, marker=marker)
    own_id = ports.github.own_account().id
    since = work.origin.created_at - CLOCK_DIFFERENCE
    for comment in ports.github.comments_since(work.repo, work.target.number, since):
        if comment.author_id == own_id and is_marked(comment.body, task_id, work.row.row):
            return comment.url
    return ports.github.comment(work.repo, work.target.number, body).url


def _labels(work: _Work, ports: PublisherPorts) -> str:
    """Adding a label twice changes nothing, so nothing is looked for."""
    allowed = work.origin.allowed_labels or tuple(ports.github.labels_of_repository(work.repo))
    wanted = work.row.payload.get("labels")
    labels = allowed_labels(wanted, allowed)
    logger.info("[Publisher] %s: labels %s of the proposed %s", work.row.task_id, labels, wanted)
    ports.github.add_labels(work.repo, work.target.number, labels)
    return ""


_EFFECTS: dict[str, Callable[[_Work, PublisherPorts], str]] = {
    "comment": _comment,
    "labels": _labels,
}
