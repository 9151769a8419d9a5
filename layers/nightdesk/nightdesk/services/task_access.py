"""Which tasks a key may see: those of its workspace and specialists. No other can be found."""

import re

from nightdesk.domain.api_key import ApiKey
from nightdesk.domain.errors import ConflictError, InvalidInputError, TaskNotFoundError
from nightdesk.domain.ports import TaskStore
from nightdesk.domain.specialist import Specialist, SpecialistSet
from nightdesk.domain.task import ID_MAX, Task

#: How often a change is tried again on a task that changes at the same time.
TRIES = 4

_ID = re.compile(rf"[A-Za-z0-9._:-]{{1,{ID_MAX}}}", re.ASCII)


def visible_task(task_id: str, *, key: ApiKey, tasks: TaskStore) -> Task:
    """The task, if the key may see it. An id that no task can have costs no request.

    Raises:
        TaskNotFoundError: no such task, or it is not the key's to see; the two answer alike.
    """
    task = tasks.get(task_id) if is_task_id(task_id) else None
    if task is None or not may_see(key, task):
        raise TaskNotFoundError(task_id)
    return task


def is_task_id(text: str) -> bool:
    """Whether a task could have this id."""
    return _ID.fullmatch(text) is not None


def may_see(key: ApiKey, task: Task) -> bool:
    """Whether the task is within the key's workspace and specialists."""
    return task.workspace_id == key.workspace_id and key.covers_agent(task.agent_id)


def known_specialist(agent_id: str, specialists: SpecialistSet) -> Specialist:
    """The specialist of this id.

    Raises:
        InvalidInputError: there is none, or it is switched off; names those that there are.
    """
    found = specialists.by_id.get(agent_id)
    if found is not None:
        return found
    known = ", ".join(specialists.ids) or "none"
    reason = specialists.why_off(agent_id)
    what = (
        f"Specialist {agent_id!r} is switched off ({reason})"
        if reason
        else (f"Unknown agentId {agent_id[:80]!r}")
    )
    raise InvalidInputError("agentId", f"{what}; known: {known}")


def keeps_changing() -> ConflictError:
    """What to say when a task changed during every try."""
    return ConflictError("The task keeps changing; try again")
