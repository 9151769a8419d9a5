"""Begin a new run of a task that failed or was cancelled."""

from nightdesk.domain.api_key import ApiKey
from nightdesk.domain.errors import ConditionFailedError, ConflictError
from nightdesk.domain.task import Task, TaskStatus
from nightdesk.services.api_ports import ApiPorts
from nightdesk.services.submit_task import wake
from nightdesk.services.task_access import TRIES, keeps_changing, visible_task

RETRYABLE = (TaskStatus.FAILED, TaskStatus.CANCELLED)


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
            again = ports.tasks.start_new_run(task, now=ports.clock.now())
        except ConditionFailedError:
            begun = ports.tasks.get(task_id)
            if begun is None or begun.run != task.run + 1:
                continue  # deleted, or moved on; look again
            again = begun  # somebody else was quicker, or the answer to our own write was lost
        wake(again, ports)
        return again
    raise keeps_changing()
