"""What the engine's conditional writes demand of the stored task, in a few words.

*Ours*: RUNNING, on our fence. *As read*: nobody has changed it since it was read. Fields that
people may change while a session runs (a cancel request, messages, dependants) have conditions of
their own, so that a refusal can be told apart.
"""

from collections.abc import Mapping
from typing import Any

from pynamodb.attributes import Attribute
from pynamodb.expressions.condition import Condition

from nightdesk.adapters.dynamodb.tables import SlotItem, TaskItem
from nightdesk.domain.task import Task, TaskStatus


def as_read(task: Task) -> Condition:
    """Nobody has claimed, released, edited, ended, retried, answered, cancelled or renewed it
    since it was read.
    """
    condition: Condition = TaskItem.status == task.status.value
    condition &= TaskItem.run.does_not_exist() | (TaskItem.run == task.run)
    condition &= still(TaskItem.cancel_requested, task.cancel_requested or None)
    condition &= still(TaskItem.fence, task.fence or None)
    condition &= still(TaskItem.lease_until, task.lease_until)
    condition &= still(TaskItem.inbox, task.inbox or None)
    condition &= still(TaskItem.has_dependants, task.has_dependants or None)
    condition &= no_new_callback(task)
    if task.status is TaskStatus.PENDING:
        condition &= TaskItem.updated_at == task.updated_at
    return condition


def ours(task: Task) -> Condition:
    """RUNNING, and nobody has claimed it after us."""
    condition: Condition = TaskItem.status == TaskStatus.RUNNING.value
    condition &= TaskItem.fence == task.fence
    return condition


def not_cancelled() -> Condition:
    return TaskItem.cancel_requested.does_not_exist()


def no_new_message(task: Task) -> Condition:
    return still(TaskItem.inbox, task.inbox or None)


def no_new_dependant(task: Task) -> Condition:
    return still(TaskItem.has_dependants, task.has_dependants or None)


def no_new_callback(task: Task) -> Condition:
    return still(TaskItem.has_callbacks, task.has_callbacks or None)


def still(attribute: Attribute[Any], value: Any) -> Condition:
    """The attribute has this value still; None = it is still absent."""
    condition: Condition = attribute == value
    return attribute.does_not_exist() if value is None else condition


def permit_free(task: Task) -> Condition:
    """Of a slot or a group: free for a PENDING task, held by this very claim for a RUNNING one."""
    if task.status is TaskStatus.PENDING:
        return SlotItem.task_id.does_not_exist()
    return permit_held(task)


def permit_held(task: Task) -> Condition:
    condition: Condition = SlotItem.task_id == task.id
    condition &= SlotItem.fence == task.fence
    return condition


def is_task_row(raw: Mapping[str, Any], task: Task) -> bool:
    """Whether a failed item is this task's own row (and not its slot, group or journal)."""
    return "st" in raw and raw.get("id") == {"S": task.id}
