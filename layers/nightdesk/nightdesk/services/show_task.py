"""One task with what it was asked and what it answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nightdesk.domain.api_key import ApiKey
from nightdesk.domain.ports import TaskStore
from nightdesk.domain.session import EntryKind
from nightdesk.domain.task import Origin, Task, TaskStatus
from nightdesk.services.task_access import visible_task


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task, its origin (None = its retention is over), the `data` of its final answer, and of
    what it waits for: {"reason": "approval" | "question", "text": str, ...}.
    """

    task: Task
    origin: Origin | None
    output: Mapping[str, Any] | None = None
    waiting_for: Mapping[str, Any] | None = None


def show_task(task_id: str, *, key: ApiKey, tasks: TaskStore) -> TaskView:
    """The task as its caller sees it.

    Raises:
        TaskNotFoundError: no such task within the key's scope.
    """
    return view_of(visible_task(task_id, key=key, tasks=tasks), tasks)


def view_of(task: Task, tasks: TaskStore) -> TaskView:
    """The task with its origin and, when it has completed or waits, its answer or its question."""
    origin = tasks.get_origin(task.id)
    match task.status:
        case TaskStatus.COMPLETED:
            return TaskView(task, origin, output=_newest(task, EntryKind.OUTPUT, tasks))
        case TaskStatus.WAITING:
            return TaskView(task, origin, waiting_for=_newest(task, EntryKind.WAIT, tasks))
        case _:
            return TaskView(task, origin)


def _newest(task: Task, kind: EntryKind, tasks: TaskStore) -> Mapping[str, Any] | None:
    """A session ends with its answer, and pauses with its question: both are its newest entry."""
    if not task.last_entry:
        return None
    entry = tasks.entry(task.id, task.run, task.last_entry)
    return entry.data if entry is not None and entry.kind is kind else None
