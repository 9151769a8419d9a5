"""What a waiting task asks."""

from dataclasses import dataclass

from nightdesk.domain.ports import TaskStore
from nightdesk.domain.session import EntryKind
from nightdesk.domain.task import Task, TaskStatus

APPROVAL = "approval"


@dataclass(frozen=True, slots=True)
class Question:
    """`reason`: "question" wants words, "approval" a decision."""

    reason: str
    text: str


def show_question(task: Task, *, tasks: TaskStore) -> Question | None:
    """The question of a WAITING task: a session that waits has ended with it. Else None."""
    if task.status is not TaskStatus.WAITING or not task.last_entry:
        return None
    entry = tasks.entry(task.id, task.run, task.last_entry)
    if entry is None or entry.kind is not EntryKind.WAIT:
        return None
    return Question(str(entry.data["reason"]), str(entry.data["text"]))
