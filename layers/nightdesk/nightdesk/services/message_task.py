"""A person's message to a task: text for its agent, or the approval it waits for."""

from enum import StrEnum

from nightdesk.domain.api_key import ApiKey
from nightdesk.domain.errors import ConditionFailedError, ConflictError, InvalidInputError
from nightdesk.domain.task import MESSAGE_MAX, Task, TaskStatus
from nightdesk.services.api_ports import ApiPorts
from nightdesk.services.submit_task import wake
from nightdesk.services.task_access import TRIES, keeps_changing, visible_task

#: A session that is sent more than this in one run is being flooded.
INBOX_MAX = 100


class MessageAction(StrEnum):
    """What a message is: words for the agent, or a decision on what it asked."""

    TEXT = "text"
    APPROVE = "approve"
    DENY = "deny"


def message_task(
    task_id: str, action: MessageAction, text: str, *, key: ApiKey, ports: ApiPorts
) -> Task:
    """Hand the task's session a message; a task that waits for one goes on.

    Returns the task: PENDING if it waited, else RUNNING; its session takes the message in at its
    next step.

    Raises:
        TaskNotFoundError: no such task within the key's scope.
        InvalidInputError: the text is missing or too long.
        ConflictError: the task neither runs nor waits, or waits for no decision.
    """
    if action is not MessageAction.APPROVE and not text.strip():
        raise InvalidInputError("text", f"text is required for {action.value}")
    if len(text) > MESSAGE_MAX:
        allowed = f"text must have at most {MESSAGE_MAX} characters; got {len(text)}"
        raise InvalidInputError("text", allowed)
    for _ in range(TRIES):
        task = visible_task(task_id, key=key, tasks=ports.tasks)
        _demand_listener(task, action)
        try:
            told = ports.tasks.send_mail(
                task, kind=action.value, text=text, by=f"key:{key.id}", now=ports.clock.now()
            )
        except ConditionFailedError:
            continue  # it has moved meanwhile; look again
        if told.status is TaskStatus.PENDING:
            wake(told, ports)
        return told
    raise keeps_changing()


def _demand_listener(task: Task, action: MessageAction) -> None:
    if task.status not in (TaskStatus.RUNNING, TaskStatus.WAITING):
        raise ConflictError(f"Only RUNNING or WAITING tasks take messages; it is {task.status}")
    if action is not MessageAction.TEXT and task.status is not TaskStatus.WAITING:
        raise ConflictError(f"The task waits for no decision; it is {task.status}")
    if task.inbox >= INBOX_MAX:
        raise ConflictError(f"The task was sent {INBOX_MAX} messages already")
