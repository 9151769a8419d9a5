"""Delete tasks that do not run; what runs is cancelled instead."""

from dataclasses import dataclass
from datetime import timedelta

from nightdesk.domain.api_key import ApiKey
from nightdesk.domain.errors import ConditionFailedError, InvalidInputError
from nightdesk.domain.ports import Clock, TaskStore
from nightdesk.domain.task import Task, TaskStatus, TriggerSource
from nightdesk.services.cancel_task import stop
from nightdesk.services.task_access import TRIES, keeps_changing, may_see, visible_task

#: What may be deleted in bulk: not what runs, nor what waits for a person.
DELETABLE = (
    TaskStatus.PENDING,
    TaskStatus.COMPLETED,
    TaskStatus.FAILED,
    TaskStatus.CANCELLED,
)
#: A request deletes at most this many tasks, and then says that there are more.
BULK_PAGE, BULK_PAGES = 100, 5
BULK_TIME = timedelta(seconds=10)


def delete_task(task_id: str, *, key: ApiKey, tasks: TaskStore, clock: Clock) -> Task | None:
    """Delete a PENDING or ended task; stop one that runs or waits.

    Returns None when it was deleted, else the task: CANCELLED, or RUNNING with `cancel_requested`.

    Raises:
        TaskNotFoundError: no such task within the key's scope.
        ConflictError: it changed during every try.
    """
    for _ in range(TRIES):
        task = visible_task(task_id, key=key, tasks=tasks)
        try:
            if task.status is not TaskStatus.PENDING and not task.status.is_terminal:
                return stop(task, tasks=tasks, clock=clock)
            tasks.delete(task)
        except ConditionFailedError:
            continue  # it has started or ended meanwhile; look again
        return None
    raise keeps_changing()


@dataclass(frozen=True, slots=True)
class BulkDeletion:
    """How many were deleted. `more`: there may be others; `cursor` goes on from here (None = from
    the start).
    """

    deleted: int
    more: bool = False
    cursor: str | None = None


def delete_by_status(
    workspace_id: str,
    status: TaskStatus,
    *,
    trigger_source: TriggerSource | None,
    cursor: str | None,
    key: ApiKey,
    tasks: TaskStore,
    clock: Clock,
) -> BulkDeletion:
    """Delete the tasks of one status, a bounded number at a time.

    A task that starts meanwhile is left alone.

    Raises:
        ForbiddenError: the workspace is not the key's.
        InvalidInputError: tasks of this status are not deleted in bulk, or the cursor is wrong.
    """
    key.demand_workspace(workspace_id)
    if status not in DELETABLE:
        raise InvalidInputError(
            "status", f"status must be one of {', '.join(DELETABLE)}; got {status.value!r}"
        )
    stop_at = clock.now() + BULK_TIME
    # All pages are read before anything is deleted, so that no page moves under the cursor.
    listed, next_cursor = _listed(workspace_id, status, cursor, tasks)
    deleted = 0
    for task in listed:
        if clock.now() > stop_at:
            return BulkDeletion(deleted, more=True, cursor=cursor)
        if may_see(key, task) and trigger_source in (None, task.trigger_source):
            deleted += _delete(task, tasks)
    return BulkDeletion(deleted, more=next_cursor is not None, cursor=next_cursor)


def _listed(
    workspace_id: str, status: TaskStatus, cursor: str | None, tasks: TaskStore
) -> tuple[list[Task], str | None]:
    """The tasks of a few pages, and the cursor of the page after them."""
    listed: list[Task] = []
    for _ in range(BULK_PAGES):
        page = tasks.list_page(workspace_id, status=status, limit=BULK_PAGE, cursor=cursor)
        listed += page.tasks
        cursor = page.cursor
        if cursor is None:
            break
    return listed, cursor


def _delete(task: Task, tasks: TaskStore) -> int:
    try:
        tasks.delete(task)
    except ConditionFailedError:
        return 0
    return 1
