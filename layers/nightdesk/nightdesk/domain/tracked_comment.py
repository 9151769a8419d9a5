"""The tracking comment: what is known of one, and what it says.

What is shown is rendered from the task as it is when the publisher looks; the rows that tell it to
look (domain/tracking) bring along the little that the task itself does not hold.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from nightdesk.domain.errors import ErrorCode
from nightdesk.domain.task import Task, TaskStatus
from nightdesk.domain.tracking import QUESTION_MAX

#: A publisher's lease on a comment outlasts its function (60 s) and any request that it made.
COMMENT_LEASE = timedelta(seconds=90)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A task in the comment's history; the newest is shown. Ordered by its creation."""

    task_id: str
    created_at: datetime
    run: int = 1

    @property
    def order(self) -> tuple[datetime, str, int]:
        return self.created_at, self.task_id, self.run


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedComment:
    """One comment of ours that is edited again and again, by one publisher at a time.

    `key` is what the comment is about; with the sticky kind, several tasks share it.
    """

    key: str
    #: When we first looked after it; nothing that we wrote under this key is older.
    began_at: datetime
    #: 0 = none is known.
    comment_id: int = 0
    #: The newest task that has had something to say, and the newest result.
    owner: Shown | None = None
    result: Shown | None = None
    #: Of the owner's run: the newest entry that a row told of, and what it told.
    entry: int = 0
    tools: Mapping[str, int] | None = None
    question: str = ""
    reason: str = ""
    #: GitHub asked to be left alone until then.
    not_before: datetime | None = None
    #: Raised by each lease; only its holder may store.
    version: int = 0

    def told(self, task: Shown, payload: Mapping[str, Any]) -> "TrackedComment":
        """With what a row of the task brought; nothing that is older than what is known."""
        known = self
        if known.owner is None or known.owner.order < task.order:
            known = replace(known, owner=task, entry=0, tools=None, question="", reason="")
        elif known.owner.order > task.order:
            return known
        entry = payload.get("entry")
        if isinstance(entry, int) and entry >= known.entry:
            question = str(payload.get("question", ""))[:QUESTION_MAX]
            reason = str(payload.get("reason", ""))
            tools = _counts(payload.get("tools")) or known.tools
            known = replace(known, entry=entry, tools=tools, question=question, reason=reason)
        return known

    def resulted(self, task: Shown) -> "TrackedComment":
        """With the result of the task, unless there is a newer one."""
        known = self.told(task, {})
        if known.result is None or known.result.order < task.order:
            return replace(known, result=task)
        return known


def _counts(value: object) -> dict[str, int]:
    if not isinstance(value, Mapping):
        return {}
    return {
        str(name)[:40]: count for name, count in value.items() if isinstance(count, int) and count
    }


class TrackedComments(Protocol):
    """What is remembered of the comments. Writes are conditional: one publisher at a time."""

    def lease(self, key: str, *, now: datetime, until: datetime) -> TrackedComment:
        """Take the comment for one look, and read what is known of it.

        Raises:
            ConditionFailedError: another publisher holds it.
        """
        ...

    def store(self, comment: TrackedComment, *, now: datetime) -> None:
        """Remember it and give the lease back.

        Raises:
            ConditionFailedError: our lease ran out and another one took it; nothing is stored.
        """
        ...


# What the comment says ----------------------------------------------------------------------------

_MILESTONES = (
    (("read_issue", "read_diff"), "Read what it is about"),
    (("list_files", "search_code", "locate_code", "read_history"), "Looked for the places"),
    (("read_file",), "Read the code"),
)
_NEXT_STEPS = {
    ErrorCode.MODEL_AUTH: "The model's credentials were refused: somebody who runs this service "
    "has to set them right, then retry.",
    ErrorCode.BUDGET_EXCEEDED: "Raise its `limits`, or split the work, then start it again.",
    ErrorCode.TURN_LIMIT: "Raise its `limits`, or split the work, then start it again.",
    ErrorCode.TASK_TIMEOUT: "Raise `limits.timeout`, or split the work, then start it again.",
    ErrorCode.SPECIALIST_INVALID: "Mend the specialist's file, then retry.",
    ErrorCode.REPOSITORY_UNREACHABLE: "Check that the service's token reads this repository.",
    ErrorCode.WAIT_EXPIRED: "Nobody answered in time. Retry when somebody can.",
}
_RETRY = "To try again: `POST /api/background-tasks/{id}/retry`, or start it again here."
_ANSWER = 'To answer: `POST /api/background-tasks/{id}/messages` with `{{"text": "…"}}`{more}.'


def status_text(task: Task, comment: TrackedComment) -> str:
    """Markdown, not sanitised yet: where the task stands."""
    name = _code(task.agent_id)
    match task.status:
        case TaskStatus.RUNNING:
            attempt = f" (attempt {task.attempts})" if task.attempts > 1 else ""
            now = f"\n\nNow: {_code(task.current_activity)}" if task.current_activity else ""
            text = f"{name} **is working on this**{attempt}.\n\n{_checklist(task, comment)}{now}"
        case TaskStatus.PENDING if task.error is not None:
            failed = f"Attempt {task.attempts} failed: {_error(task)}"
            text = f"{name} **tries again soon.** {failed}\n\n{_checklist(task, comment)}"
        case TaskStatus.PENDING:
            text = f"{name} **waits for its turn.**\n\n{_checklist(task, comment)}"
        case TaskStatus.WAITING:
            text = f"{name} **waits for a person.**\n\n{_question(task, comment)}"
        case TaskStatus.FAILED:
            text = f"{name} **failed**: {_error(task)}\n\n{_next_step(task)}"
        case TaskStatus.CANCELLED if task.superseded_by:
            newer = task.superseded_by[:8]
            text = f"{name} **stopped**: newer work (task `{newer}`) takes its place."
        case TaskStatus.CANCELLED:
            text = f"{name} **was cancelled.**"
        case TaskStatus.COMPLETED:
            text = f"{name} **is done.**\n\n{_checklist(task, comment)}"
    return text


def _next_step(task: Task) -> str:
    step = _NEXT_STEPS.get(task.error.code) if task.error else None
    retry = _RETRY.format(id=task.id)
    return f"{step} {retry}" if step else retry


def _checklist(task: Task, comment: TrackedComment) -> str:
    """Only what has happened is ticked; counts come from the journal, and never fall in a run."""
    lines = ["- [x] Started"]
    tools = comment.tools or {}
    known = {tool for names, _ in _MILESTONES for tool in names}
    for names, words in _MILESTONES:
        if count := sum(tools.get(name, 0) for name in names):
            lines.append(f"- [x] {words} ({count} {'step' if count == 1 else 'steps'})")
    if others := sum(count for name, count in tools.items() if name not in known):
        lines.append(f"- [x] Prepared {others} {'proposal' if others == 1 else 'proposals'}")
    done = "x" if task.status is TaskStatus.COMPLETED else " "
    lines.append(f"- [{done}] Answer")
    return "\n".join(lines)


def _question(task: Task, comment: TrackedComment) -> str:
    known = comment.entry == task.last_entry and comment.question
    asked = comment.question if known else (task.current_activity or "It has a question.")
    quoted = "\n".join(f"> {line}" for line in asked.splitlines() or [""])
    approval = known and comment.reason == "approval"
    more = ', or `{"action": "approve"}` or `{"action": "deny"}`' if approval else ""
    words = "It asks for approval:" if approval else "It asks:"
    return f"{words}\n\n{quoted}\n\n{_ANSWER.format(id=task.id, more=more)}"


def _error(task: Task) -> str:
    if task.error is None:
        return "without a reason"
    return f"`{task.error.code.value}`. {_code(task.error.message)}"


def _code(text: str) -> str:
    """As code, so that nothing in a name or an error can be more than words."""
    line = " ".join(text.replace("`", "'").split())
    return f"`{line}`" if line else ""
