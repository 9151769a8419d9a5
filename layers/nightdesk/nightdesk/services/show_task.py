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
    """A task, its origin (None = its retention is over) and the `data` of its final answer."""

    task: Task
    origin: Origin | None
    output: Mapping[str, Any] | None = None


def show_task(task_id: str, *, key: ApiKey, tasks: TaskStore) -> TaskView:
    """The task as its caller sees it.

    Raises:
        TaskNotFoundError: no such task within the key's scope.
    """
    return view_of(visible_task(task_id, key=key, tasks=tasks), tasks)


def view_of(task: Task, tasks: TaskStore) -> TaskView:
    """The task with its origin and, when it has completed, its answer."""
    return TaskView(task, tasks.get_origin(task.id), _output(task, tasks))


def _output(task: Task, tasks: TaskStore) -> Mapping[str, Any] | None:
    """A session ends with its answer, so the newest entry of a completed run is the answer."""
    if task.status is not TaskStatus.COMPLETED or not task.last_entry:
        return None
    entry = tasks.entry(task.id, task.run, task.last_entry)
    return entry.data if entry is not None and entry.kind is EntryKind.OUTPUT else None
