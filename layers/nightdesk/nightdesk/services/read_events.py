"""The public event log of a task, page by page."""

from dataclasses import dataclass

from nightdesk.domain.api_key import ApiKey
from nightdesk.domain.event_log import Event, event_log
from nightdesk.domain.ports import TaskStore
from nightdesk.domain.task import Task
from nightdesk.services.task_access import visible_task


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events of the task's present run; `more`: there are others already."""

    task: Task
    events: tuple[Event, ...]
    more: bool


def read_events(
    task_id: str, *, after: int, limit: int, key: ApiKey, tasks: TaskStore
) -> EventPage:
    """The events after number `after`, at most `limit`.

    Raises:
        TaskNotFoundError: no such task within the key's scope.
    """
    task = visible_task(task_id, key=key, tasks=tasks)
    # The numbers follow from the whole journal of the run, so all of it is read.
    log = event_log(tasks.entries(task.id, task.run))
    return EventPage(task, tuple(log[after : after + limit]), more=len(log) > after + limit)
