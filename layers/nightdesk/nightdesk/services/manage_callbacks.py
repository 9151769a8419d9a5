"""The callbacks of a workspace and the deliveries of its tasks, for the workspace's keys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from nightdesk.domain.api_key import ApiKey, Operation
from nightdesk.domain.callback_signature import secret_of
from nightdesk.domain.errors import ConditionFailedError, ConflictError, NotFoundError
from nightdesk.domain.notices import NOTIFY, change_of, delivery_id, is_delivery
from nightdesk.domain.outbox import OutboxRow, OutboxState
from nightdesk.domain.ports import Clock, TaskStore
from nightdesk.domain.push_configs import OF_WORKSPACE, PushConfig, checked, workspace_owner
from nightdesk.domain.task import TaskStatus
from nightdesk.services.callback_ports import CallbackPorts
from nightdesk.services.task_access import may_see, visible_task

#: Of one answer; older ones follow when these were sent again or their retention is over.
DEAD_MAX = 100
#: Characters of the deployment's callback key.
KEY_MIN = 32


class DeliveryNotFoundError(NotFoundError):
    """The task has no delivery of this id."""


DeliveryState = Literal["pending", "delivered", "dead"]
DeliveredEvent = Literal["task.completed", "task.failed", "task.cancelled", "task.waiting"]

_STATES: Mapping[OutboxState, DeliveryState] = {
    OutboxState.PENDING: "pending",
    OutboxState.DONE: "delivered",
    OutboxState.DEAD: "dead",
}
_EVENTS: Mapping[str, DeliveredEvent] = {
    TaskStatus.COMPLETED: "task.completed",
    TaskStatus.FAILED: "task.failed",
    TaskStatus.CANCELLED: "task.cancelled",
    TaskStatus.WAITING: "task.waiting",
}


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery as its workspace sees it: no body, no URL, no header."""

    id: str
    row: OutboxRow

    @property
    def config_id(self) -> str:
        """`@workspace`, or the id of the task's configuration."""
        return str(self.row.payload["config"])


# A workspace's callback -----------------------------------------------------------------------


def workspace_callback(
    workspace_id: str, *, key: ApiKey, callbacks: CallbackPorts
) -> PushConfig | None:
    """Raises ForbiddenError unless it is the key's own workspace."""
    key.demand(Operation.ADMIN)
    key.demand_workspace(workspace_id)
    key.demand_all_agents()
    found = callbacks.push_configs.of_task(workspace_owner(workspace_id))
    return found[0] if found else None


def set_workspace_callback(
    workspace_id: str,
    wanted: PushConfig | None,
    *,
    key: ApiKey,
    tasks: TaskStore,
    callbacks: CallbackPorts,
) -> PushConfig | None:
    """Call the workspace back there from now on; None = nowhere.

    Its running tasks are told of too. One that is being claimed at this very moment may be left
    out; every later one is not. Being cut in between, it is to be set again.

    Raises:
        ForbiddenError: it is not the key's own workspace.
        InvalidInputError: the callback cannot be used.
    """
    key.demand(Operation.ADMIN)
    key.demand_workspace(workspace_id)
    key.demand_all_agents()
    owner = workspace_owner(workspace_id)
    settings = tasks.workspace_settings(workspace_id)
    if wanted is None:
        tasks.set_workspace_settings(workspace_id, replace(settings, calls_back=False))
        callbacks.push_configs.delete(owner, OF_WORKSPACE)
        return None
    config = checked(
        replace(wanted, task_id=owner, id=OF_WORKSPACE), allow_http=callbacks.allow_http
    )
    callbacks.push_configs.put(config)
    tasks.set_workspace_settings(workspace_id, replace(settings, calls_back=True))
    for task in tasks.running():
        if task.workspace_id == workspace_id:
            tasks.want_callbacks(task.id)
    return config


def new_signing_secret(
    workspace_id: str,
    *,
    key: ApiKey,
    tasks: TaskStore,
    callbacks: CallbackPorts,
    clock: Clock,
) -> str:
    """Give the workspace its first signing secret, or a new one: `whsec_…`, shown this once.

    The one before stays in use beside it for a day; those before that are of no use at once.

    Raises:
        ForbiddenError: it is not the key's own workspace.
        ConflictError: the deployment has no callback key, or a short one.
        UnavailableError: where the key is kept does not answer.
    """
    key.demand(Operation.ADMIN)
    key.demand_workspace(workspace_id)
    key.demand_all_agents()
    callback_key = callbacks.key.read()
    if len(callback_key) < KEY_MIN:
        raise ConflictError(
            f"This deployment has no callback key of {KEY_MIN} characters or more; see the "
            "template's CallbackKeyParameter"
        )
    settings = tasks.workspace_settings(workspace_id)
    version = settings.secret_version + 1
    since = int(clock.now().timestamp())
    tasks.set_workspace_settings(
        workspace_id, replace(settings, secret_version=version, secret_since=since)
    )
    return secret_of(callback_key, workspace_id, version)


# Deliveries -----------------------------------------------------------------------------------


def list_deliveries(
    task_id: str, *, key: ApiKey, tasks: TaskStore, callbacks: CallbackPorts
) -> Sequence[Delivery]:
    """What was, or is to be, sent about the task, in the order of its changes.

    Raises:
        TaskNotFoundError: no such task within the key's scope.
    """
    key.demand(Operation.READ)
    task = visible_task(task_id, key=key, tasks=tasks)
    return [_shown(row) for row in callbacks.outbox.of_task(task.id, NOTIFY) if _is_ours(row)]


def list_dead_deliveries(
    workspace_id: str, *, key: ApiKey, tasks: TaskStore, callbacks: CallbackPorts
) -> Sequence[Delivery]:
    """Deliveries of the workspace that were given up, the newest first: at most `DEAD_MAX`.

    A key for some specialists sees those of their tasks.

    Raises:
        ForbiddenError: it is not the key's own workspace.
    """
    key.demand(Operation.READ)
    key.demand_workspace(workspace_id)
    rows = [row for row in callbacks.outbox.dead(workspace_id, limit=DEAD_MAX) if _is_ours(row)]
    if key.agents:
        rows = [row for row in rows if _covers(key, row, tasks)]
    return [_shown(row) for row in rows]


def resend_delivery(
    task_id: str,
    wanted_id: str,
    *,
    key: ApiKey,
    tasks: TaskStore,
    callbacks: CallbackPorts,
    clock: Clock,
) -> Delivery:
    """Give a dead delivery all its tries again; the sweeper drives it within a minute.

    It has the same id and body as before, for it is the same callback.

    Raises:
        TaskNotFoundError, DeliveryNotFoundError: no such task, or no delivery of this id.
        ConflictError: it was not given up: it was taken, or is still being tried.
    """
    key.demand(Operation.WRITE)
    for found in list_deliveries(task_id, key=_reading(key), tasks=tasks, callbacks=callbacks):
        if found.id != wanted_id:
            continue
        if found.row.state is not OutboxState.DEAD:
            raise ConflictError(f"The delivery is {state_of(found.row)}; only dead ones are resent")
        try:
            return _shown(callbacks.outbox.send_again(found.row, now=clock.now()))
        except ConditionFailedError as error:
            raise ConflictError("The delivery is being sent again already") from error
    raise DeliveryNotFoundError("No such delivery")


def state_of(row: OutboxRow) -> DeliveryState:
    """What has become of the delivery."""
    return _STATES[row.state]


def event_of(row: str) -> DeliveredEvent:
    """What the row of this name tells."""
    return _EVENTS[change_of(row).rpartition("#")[2]]


def _reading(key: ApiKey) -> ApiKey:
    """Whoever may send again may look for what."""
    return replace(key, operations=(*key.operations, Operation.READ))


def _shown(row: OutboxRow) -> Delivery:
    return Delivery(delivery_id(row.task_id, row.row), row)


def _is_ours(row: OutboxRow) -> bool:
    """Not a notice, which is nobody's yet; nor what the publisher gave up."""
    return is_delivery(row.row)


def _covers(key: ApiKey, row: OutboxRow, tasks: TaskStore) -> bool:
    task = tasks.get(row.task_id)
    return task is not None and may_see(key, task)
