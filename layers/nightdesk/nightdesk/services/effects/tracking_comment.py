"""The one comment of a task that shows where it stands and, at its end, its result.

Whatever a row says, the comment is made to show what is true when the publisher looks: the newest
task's state, or its result. One publisher at a time holds a comment, for longer than any request
that it makes can last; so what it writes is never older than what is there, and a kill between any
two calls is made good by the next look.
"""

from dataclasses import replace
from datetime import timedelta

from nightdesk.domain.errors import (
    ConditionFailedError,
    NightdeskError,
    PermanentError,
    TryLaterError,
)
from nightdesk.domain.github_ports import GithubNotFoundError, PostedComment
from nightdesk.domain.intents.names import COMMENT
from nightdesk.domain.outbox import github_row
from nightdesk.domain.publication import comment_body, is_of_thread, thread_marker
from nightdesk.domain.task import Task, TaskStatus
from nightdesk.domain.tracked_comment import COMMENT_LEASE, Shown, TrackedComment, status_text
from nightdesk.domain.tracking import is_status_row
from nightdesk.services.effects.work import CLOCK_DIFFERENCE, Work
from nightdesk.services.publisher_ports import PublisherPorts

#: Another publisher looks after the comment; it needs seconds, or it was killed.
_HELD_WAIT = timedelta(seconds=10)
#: Worth a new comment where there is none (any more); the rest is only worth an edit.
_WORTH_A_COMMENT = frozenset({TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.WAITING})


def show_task(work: Work, ports: PublisherPorts) -> str:
    """Make the comment true; its URL, or "" when there is none, or only a state in it.

    Raises:
        TryLaterError: another publisher holds the comment, or GitHub wants to be left alone.
    """
    task = ports.tasks.get(work.row.task_id)
    is_result = not is_status_row(work.row.row)
    if task is None and not is_result:
        return ""  # deleted by a person: there is no state to show
    specialist = task.agent_id if task else _specialist_of(work)
    comment = _lease(_key(work, specialist), ports)
    shown = Shown(
        task_id=work.row.task_id,
        created_at=work.origin.created_at,
        run=int(work.row.row.split("#")[1]),
    )
    comment = comment.resulted(shown) if is_result else comment.told(shown, work.row.payload)
    look = _Look(work, ports, specialist)
    try:
        comment, url = look.shown(comment)
    except NightdeskError as error:
        if isinstance(error, TryLaterError):
            comment = replace(comment, not_before=ports.clock.now() + error.retry_after)
        _store(comment, ports)
        raise
    _store(comment, ports)
    return url if is_result else ""


def _key(work: Work, specialist: str) -> str:
    if work.origin.tracking == "sticky":
        return f"{work.target.repo_id}-{work.target.number}-{specialist}"
    return f"task-{work.row.task_id}"


def _specialist_of(work: Work) -> str:
    footer = work.row.payload.get("footer")
    return str(footer.get("specialist", "")) if isinstance(footer, dict) else ""


def _lease(key: str, ports: PublisherPorts) -> TrackedComment:
    now = ports.clock.now()
    try:
        comment = ports.tracked.lease(key, now=now, until=now + COMMENT_LEASE)
    except ConditionFailedError as error:
        busy = "another publisher holds the comment"
        raise TryLaterError(busy, retry_after=_HELD_WAIT) from error
    if comment.not_before is not None and comment.not_before > now:
        wait = comment.not_before - now
        ports.tracked.store(comment, now=now)
        raise TryLaterError("GitHub asked for a pause", retry_after=wait)
    return replace(comment, not_before=None)


def _store(comment: TrackedComment, ports: PublisherPorts) -> None:
    try:
        ports.tracked.store(comment, now=ports.clock.now())
    except ConditionFailedError as error:  # ours no more: whoever has it now must look again
        lost = "the comment's lease ran out"
        raise TryLaterError(lost, retry_after=_HELD_WAIT) from error


class _Look:
    """One look at a comment, by the publisher that holds it."""

    def __init__(self, work: Work, ports: PublisherPorts, specialist: str) -> None:
        self._work = work
        self._ports = ports
        self._specialist = specialist

    def shown(self, comment: TrackedComment) -> tuple[TrackedComment, str]:
        """The comment with its id, after GitHub shows it as it is to be; and its URL."""
        there = self._there(comment)
        body, is_worth_it = self._body(comment)
        if not body:
            return comment, there.url if there else ""
        if there is None:
            if not is_worth_it:
                return comment, ""
            there = self._ports.github.comment(self._work.repo, self._work.target.number, body)
        elif there.body.strip() != body.strip():
            self._ports.github.edit_comment(self._work.repo, there.id, body)
        return replace(comment, comment_id=there.id), there.url

    # What is there ---------------------------------------------------------------------------

    def _there(self, comment: TrackedComment) -> PostedComment | None:
        """Our comment on GitHub: by the id that we know or, when an answer was lost, by its marker.

        The marker alone proves nothing: anybody can copy it. The author has to be us.
        """
        own_id = self._ports.github.own_account().id
        if comment.comment_id:
            try:
                known = self._ports.github.comment_by_id(self._work.repo, comment.comment_id)
            except GithubNotFoundError:
                known = None  # somebody deleted it
            if known is not None and self._is_ours(known, comment, own_id):
                return known
        since = comment.began_at - CLOCK_DIFFERENCE
        found = self._ports.github.comments_since(self._work.repo, self._work.target.number, since)
        return next((c for c in found if self._is_ours(c, comment, own_id)), None)

    def _is_ours(self, found: PostedComment, comment: TrackedComment, own_id: int) -> bool:
        return found.author_id == own_id and is_of_thread(found.body, comment.key)

    # What it is to say -----------------------------------------------------------------------

    def _body(self, comment: TrackedComment) -> tuple[str, bool]:
        """The whole text ("" = leave it), and whether it is worth a comment of its own."""
        owner, result = comment.owner, comment.result
        assert owner is not None
        task = self._ports.tasks.get(owner.task_id)
        is_first = comment.comment_id == 0
        if result is not None and result.task_id == owner.task_id:
            return self._result(comment, result), True
        if task is None or self._result_is_coming(task):
            return "", False
        is_worth_it = (
            task.status in _WORTH_A_COMMENT
            or (is_first and task.status is TaskStatus.RUNNING)
            # An older task's answer, which no other row will bring.
            or not is_status_row(self._work.row.row)
        )
        text = status_text(task, comment)
        if result is not None:
            text += f"\n\n---\n\n*Earlier result:*\n\n{self._text_of(result)}"
        return self._complete(comment, text, owner), is_worth_it

    def _result_is_coming(self, task: Task) -> bool:
        """Its row is there already: what it says must not be announced, and then replaced."""
        if task.status is not TaskStatus.COMPLETED:
            return False
        return self._ports.outbox.get(task.id, github_row(task.run, COMMENT, 1)) is not None

    def _result(self, comment: TrackedComment, result: Shown) -> str:
        try:
            return self._complete(comment, self._text_of(result), result)
        except PermanentError as error:
            words = f"**{self._specialist} is done**, but its result cannot be shown: {error}."
            return self._complete(comment, words, result)

    def _text_of(self, result: Shown) -> str:
        row = self._ports.outbox.get(result.task_id, github_row(result.run, COMMENT, 1))
        body = row.payload.get("body") if row else None
        return body if isinstance(body, str) else ""

    def _complete(self, comment: TrackedComment, text: str, of: Shown) -> str:
        row = github_row(of.run, COMMENT, 1)
        known = self._ports.outbox.get(of.task_id, row)
        footer = known.payload.get("footer") if known else None
        payload = {"body": text, "footer": footer or {}}
        marker = thread_marker(self._specialist, of.task_id, row, comment.key)
        return comment_body(payload, specialist=self._specialist, task_id=of.task_id, marker=marker)
