"""The callbacks of a task, for whoever may see the task."""

from collections.abc import Sequence
from dataclasses import replace

from nightdesk.domain.api_key import ApiKey, Operation
from nightdesk.domain.notices import TOLD, notice
from nightdesk.domain.push_configs import (
    PushConfig,
    PushConfigNotFoundError,
    checked,
    may_be_id,
)
from nightdesk.services.conversation_ports import ConversationPorts
from nightdesk.services.task_access import visible_task


def add_push_config(config: PushConfig, *, key: ApiKey, ports: ConversationPorts) -> PushConfig:
    """Keep a callback of `config.task_id`; one with the same id is replaced.

    A task that has ended or waits already is told of at once: its caller cannot know which came
    first. Should we die before that, the caller had no answer and asks again.

    Raises:
        TaskNotFoundError: no such task within the key's scope.
        InvalidInputError: it cannot be used, or the task has too many.
    """
    key.demand(Operation.WRITE)
    task = visible_task(config.task_id, key=key, tasks=ports.api.tasks)
    kept = replace(checked(config, allow_http=ports.allow_http), task_id=task.id)
    ports.push_configs.put(kept)
    tell_if_late(kept, ports)
    return kept


def tell_if_late(config: PushConfig, ports: ConversationPorts) -> None:
    """See to it that this callback, which is kept by now, hears of the task's end.

    Whatever ends the task after this finds that a callback is wanted; what has ended it before
    this is seen here. Both may be, and the two make one delivery.
    """
    task = ports.api.tasks.want_callbacks(config.task_id)
    if task is not None and task.status in TOLD:
        now = ports.api.clock.now()
        ports.api.callbacks.outbox.put(notice(task, only=config.id, at=now))


def list_push_configs(
    task_id: str, *, key: ApiKey, ports: ConversationPorts
) -> Sequence[PushConfig]:
    """The callbacks of the task, oldest first.

    Raises:
        TaskNotFoundError: no such task within the key's scope.
    """
    key.demand(Operation.READ)
    task = visible_task(task_id, key=key, tasks=ports.api.tasks)
    return ports.push_configs.of_task(task.id)


def show_push_config(
    task_id: str, config_id: str, *, key: ApiKey, ports: ConversationPorts
) -> PushConfig:
    """One callback of the task.

    Raises:
        TaskNotFoundError, PushConfigNotFoundError: no such task, or none with this id.
    """
    for config in list_push_configs(task_id, key=key, ports=ports):
        if config.id == config_id:
            return config
    raise PushConfigNotFoundError("No such push notification configuration")


def delete_push_config(
    task_id: str, config_id: str, *, key: ApiKey, ports: ConversationPorts
) -> None:
    """Remove a callback; harmless when there is none.

    Raises:
        TaskNotFoundError: no such task within the key's scope.
    """
    key.demand(Operation.WRITE)
    task = visible_task(task_id, key=key, tasks=ports.api.tasks)
    if may_be_id(config_id):
        ports.push_configs.delete(task.id, config_id)
