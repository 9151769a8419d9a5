"""Change a task that has not started yet."""

from dataclasses import dataclass, replace

from nightdesk.domain.api_key import ApiKey
from nightdesk.domain.errors import ConditionFailedError, ConflictError, InvalidInputError
from nightdesk.domain.task import Origin, Priority, Task, TaskStatus
from nightdesk.services.api_ports import ApiPorts
from nightdesk.services.submit_task import check_prompt, one_line
from nightdesk.services.task_access import TRIES, keeps_changing, known_specialist, visible_task

FIELDS = ("title", "prompt", "agentId", "priority")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEdit:
    """What to change; None = leave it."""

    title: str | None = None
    prompt: str | None = None
    agent_id: str | None = None
    priority: Priority | None = None


def edit_task(task_id: str, edit: TaskEdit, *, key: ApiKey, ports: ApiPorts) -> Task:
    """Apply the edit, unless the task starts first.

    Raises:
        TaskNotFoundError: no such task within the key's scope.
        InvalidInputError, ForbiddenError: as for a new task.
        ConflictError: it is not PENDING any more.
    """
    title = None if edit.title is None else one_line(edit.title)
    if title == "":
        raise InvalidInputError("title", "title must not be empty")
    if edit.prompt is not None:
        check_prompt(edit.prompt)
    if edit == TaskEdit():
        raise InvalidInputError("body", f"The body must change some of {', '.join(FIELDS)}")
    for _ in range(TRIES):
        task = visible_task(task_id, key=key, tasks=ports.tasks)
        if task.status is not TaskStatus.PENDING:
            raise ConflictError("Only PENDING tasks can be edited")
        if edit.agent_id is not None:
            key.demand_agent(edit.agent_id)
        try:
            return ports.tasks.edit(
                task,
                title=title,
                agent_id=edit.agent_id,
                priority=edit.priority,
                now=ports.clock.now(),
                origin=_edited_origin(task, edit, ports),
            )
        except ConditionFailedError:
            continue  # it has started, ended or been edited; look again
    raise keeps_changing()


def _edited_origin(task: Task, edit: TaskEdit, ports: ApiPorts) -> Origin | None:
    """The task's Origin with another prompt, or with another specialist's limits and rights.

    None when neither changes. A task without a target has nowhere to publish to, whoever works on
    it.
    """
    specialist = None
    if edit.agent_id is not None:
        specialist = known_specialist(edit.agent_id, ports.specialists.load())
    if edit.prompt is None and specialist is None:
        return None
    origin = ports.tasks.get_origin(task.id)
    if origin is None:
        return None
    if edit.prompt is not None:
        origin = replace(origin, prompt=edit.prompt)
    if specialist is not None:
        origin = replace(
            origin,
            limits=specialist.limits,
            intents=specialist.intents if origin.target is not None else (),
            allowed_labels=specialist.allowed_labels,
            allowed_paths=specialist.allowed_paths,
            approvals=specialist.approvals,
        )
    return origin
