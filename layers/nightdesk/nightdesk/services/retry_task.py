"""Begin a new run of a task that failed or was cancelled, or of many."""

from dataclasses import dataclass

from nightdesk.domain.api_key import ApiKey
from nightdesk.domain.errors import ConditionFailedError, ConflictError, InvalidInputError
from nightdesk.domain.task import Task, TaskStatus, TriggerSource
from nightdesk.services.api_ports import ApiPorts
from nightdesk.services.delete_task import BULK_PAGE, BULK_PAGES, BULK_TIME
from nightdesk.services.settle_dependants import look_after
from nightdesk.services.submit_task import wake
from nightdesk.services.task_access import TRIES, keeps_changing, may_see, visible_task

RETRYABLE = (TaskStatus.FAILED, TaskStatus.CANCELLED)
#: More wake-ups than this at once find no slot; each executor that ends wakes the next.
_WAKE_UPS = 10


def retry_task(task_id: str, *, key: ApiKey, ports: ApiPorts) -> Task:
    """Put the task back to PENDING: attempts, counters, error and session start again.

    Raises:
        TaskNotFoundError: no such task within the key's scope.
        ConflictError: it neither failed nor was cancelled.
    """
    for _ in range(TRIES):
        task = visible_task(task_id, key=key, tasks=ports.tasks)
        if task.status not in RETRYABLE:
            raise ConflictError("Only FAILED or CANCELLED tasks can be retried")
        try:
            again = _begin(task, ports)
        except ConditionFailedError:
            begun = ports.tasks.get(task_id)
            if begun is None or begun.run != task.run + 1:
                continue  # deleted, or moved on; look again
            again = begun  # somebody else was quicker, or the answer to our own write was lost
        wake(again, ports)
        return again
    raise keeps_changing()


@dataclass(frozen=True, slots=True)
class BulkRetry:
    """How many were begun. `more`: there may be others; `cursor` goes on from here (None = from
    the start).
    """

    retried: int
    more: bool = False
    cursor: str | None = None


def retry_by_status(
    workspace_id: str,
    status: TaskStatus,
    *,
    trigger_source: TriggerSource | None,
    cursor: str | None,
    key: ApiKey,
    ports: ApiPorts,
) -> BulkRetry:
    """Begin new runs of the tasks of one status, a bounded number at a time.

    Raises:
        ForbiddenError: the workspace is not the key's.
        InvalidInputError: tasks of this status are not retried, or the cursor is wrong.
    """
    key.demand_workspace(workspace_id)
    if status not in RETRYABLE:
        allowed = ", ".join(RETRYABLE)
        raise InvalidInputError("status", f"status must be one of {allowed}; got {status.value!r}")
    stop_at = ports.clock.now() + BULK_TIME
    retried = 0
    # All pages are read before anything is begun, so that no page moves under the cursor.
    pages = _pages(workspace_id, status, cursor, ports)
    for page in pages:
        for task in page.tasks:
            if ports.clock.now() > stop_at:
                # From the start of this page: what was begun there has left the list.
                return BulkRetry(retried, more=True, cursor=page.begins)
            if may_see(key, task) and trigger_source in (None, task.trigger_source):
                retried += _retry(task, ports, wakes=retried < _WAKE_UPS)
    following = pages[-1].following
    return BulkRetry(retried, more=following is not None, cursor=following)


@dataclass(frozen=True, slots=True)
class _Page:
    tasks: tuple[Task, ...]
    begins: str | None
    following: str | None


def _pages(
    workspace_id: str, status: TaskStatus, cursor: str | None, ports: ApiPorts
) -> list[_Page]:
    pages: list[_Page] = []
    for _ in range(BULK_PAGES):
        page = ports.tasks.list_page(workspace_id, status=status, limit=BULK_PAGE, cursor=cursor)
        pages.append(_Page(page.tasks, cursor, page.cursor))
        cursor = page.cursor
        if cursor is None:
            break
    return pages


def _retry(task: Task, ports: ApiPorts, *, wakes: bool) -> int:
    try:
        again = _begin(task, ports)
    except ConditionFailedError:
        return 0  # deleted, or begun by somebody else
    if wakes:
        wake(again, ports)
    return 1


def _begin(task: Task, ports: ApiPorts) -> Task:
    """The new run. It waits while something that it depends on has not ended, as the first one did,
    and ends with it if that fails. If all of them have ended, however, a person has seen it.

    Raises:
        ConditionFailedError: the task has changed since it was read.
    """
    awaits = _awaits_others(task.id, ports)
    again = ports.tasks.start_new_run(task, now=ports.clock.now(), awaits=awaits)
    if awaits:  # the last of them may have ended meanwhile, and found nobody waiting
        look_after(task.id, tasks=ports.tasks, wake_ups=ports.wake_ups, clock=ports.clock)
        again = ports.tasks.get(task.id) or again
    return again


def _awaits_others(task_id: str, ports: ApiPorts) -> bool:
    origin = ports.tasks.get_origin(task_id)
    if origin is None or not origin.depends_on:
        return False
    found = ports.tasks.view_for_claim(origin.depends_on).tasks.values()
    return any(not dependency.status.is_terminal for dependency in found)
