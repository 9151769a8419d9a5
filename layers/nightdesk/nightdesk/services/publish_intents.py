"""Write to GitHub what tasks have put into the outbox, each effect exactly once.

A stream record, or the sweeper, only says "look at this row". The row is leased, tried once, and
the outcome or the time of the next try is stored. A comment is looked for by its hidden marker
before it is written, so that a lost answer or a kill between any two calls doubles nothing; what
comes after the writing (the task's publication, the row's end) may be repeated.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from nightdesk.domain.errors import ErrorCode, PermanentError, TransientError
from nightdesk.domain.github_ports import GithubCredentialsError, Publishing, Repository
from nightdesk.domain.outbox import OutboxRow
from nightdesk.domain.ports import Clock, OutboxStore, TaskStore
from nightdesk.domain.publication import (
    allowed_labels,
    comment_body,
    intent_of_row,
    is_marked,
    marker_of,
)
from nightdesk.domain.task import Origin, Target
from nightdesk.services.outbox_rows import Outcome, RowPorts, try_row, wait_in_steps

logger = logging.getLogger(__name__)

#: GitHub's clock and ours may differ; our own comment must not fall before the search begins.
CLOCK_DIFFERENCE = timedelta(minutes=5)
_REASON_CHARACTERS = 200


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
    rows = RowPorts(outbox=ports.outbox, clock=ports.clock)
    return try_row(task_id, row_name, _Publisher(ports), rows)


@dataclass(frozen=True, slots=True)
class _Publisher:
    """What the rows of GitHub mean (`Consumer`)."""

    ports: PublisherPorts
    name: str = "Publisher"

    def apply(self, row: OutboxRow) -> str:
        try:
            return _apply(row, self.ports)
        except GithubCredentialsError as error:  # somebody will mend the token
            raise TransientError(str(error)) from error

    def applied(self, row: OutboxRow, url: str) -> None:
        if url:
            self.ports.tasks.set_publication(row.task_id, url)

    def given_up(self, row: OutboxRow, reason: str) -> None:
        task = self.ports.tasks.get(row.task_id)
        if task is not None and not task.publication:  # refused labels must not hide a comment
            failed = f"failed: {reason[:_REASON_CHARACTERS]}"
            self.ports.tasks.set_publication(row.task_id, failed)

    def wait_after(self, tries: int) -> timedelta | None:
        return wait_in_steps(tries)


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
