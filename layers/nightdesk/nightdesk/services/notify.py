"""Call back whoever wants to know how a task ended, or that it waits.

A *notice* (domain/notices) is written with the task's change. Its one try finds out whom to tell
and puts a *delivery* for each: from then on each receiver has tries, an outcome and an end of its
own. What a delivery sends is written down with it, so that every try sends the same; what proves
who sends it (the signature, the receiver's own credentials) is read anew at each try and stands in
no row, log or error.

Being killed before a delivery's outcome is stored sends it once more: its id tells the receiver.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from nightdesk.domain.callback_signature import OLD_SECRET_VALID_FOR, secret_of, signature
from nightdesk.domain.callbacks import (
    Body,
    CallbackKey,
    CallbackRequest,
    CallbackSender,
    check_answer,
    wait_after,
)
from nightdesk.domain.conversations import Conversations, SentTask
from nightdesk.domain.errors import PermanentError, TransientError
from nightdesk.domain.notices import as_told, delivery, delivery_id, is_delivery
from nightdesk.domain.outbox import OutboxRow
from nightdesk.domain.ports import Clock, Dice, OutboxStore, TaskStore, WorkspaceSettings
from nightdesk.domain.push_configs import (
    OF_WORKSPACE,
    PushConfig,
    PushConfigs,
    PushFormat,
    workspace_owner,
)
from nightdesk.domain.version import VERSION
from nightdesk.services.outbox_rows import Outcome, RowPorts, try_row
from nightdesk.services.show_task import TaskView, view_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """What a callback tells: the task as it was when it changed, and when that was.

    `sent` is the conversation of a task that another agent sent.
    """

    view: TaskView
    sent: SentTask | None
    at: datetime


Writer = Callable[[Told], Body]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifierPorts:
    """`writers` has one for each format."""

    outbox: OutboxStore
    tasks: TaskStore
    conversations: Conversations
    push_configs: PushConfigs
    sender: CallbackSender
    key: CallbackKey
    writers: Mapping[PushFormat, Writer]
    clock: Clock
    dice: Dice


def notify_row(task_id: str, row_name: str, ports: NotifierPorts) -> Outcome:
    """Try the row once, if it is due.

    Raises:
        UnavailableError: the store did not answer; the row is tried again when its lease ends.
    """
    rows = RowPorts(outbox=ports.outbox, clock=ports.clock)
    return try_row(task_id, row_name, _Notifier(ports), rows)


@dataclass(frozen=True, slots=True)
class _Notifier:
    """What the notifier's rows mean (`Consumer`)."""

    ports: NotifierPorts
    name: str = "Notifier"

    def apply(self, row: OutboxRow) -> str:
        if is_delivery(row.row):
            _deliver(row, self.ports)
        else:
            _put_deliveries(row, self.ports)
        return ""

    def applied(self, row: OutboxRow, url: str) -> None:
        """Nothing follows."""

    def given_up(self, row: OutboxRow, reason: str) -> None:
        """Nothing follows: a dead delivery is listed, and people may send it again."""

    def wait_after(self, tries: int) -> timedelta | None:
        return wait_after(tries, self.ports.dice.jitter())


# Whom to tell ---------------------------------------------------------------------------------


def _put_deliveries(told: OutboxRow, ports: NotifierPorts) -> None:
    """Put a delivery for each configuration. Those that are there already stay as they are."""
    wanted = [config for config in _configs(told, ports) if told.payload["only"] in ("", config.id)]
    if not wanted:
        return
    task = ports.tasks.get(told.task_id)
    if task is None:
        logger.info("[Notifier] %s was deleted; there is nothing to tell", told.task_id)
        return
    what = Told(
        view=view_of(as_told(task, told), ports.tasks),
        sent=ports.conversations.get(told.task_id),
        at=told.created_at,
    )
    bodies = {kind: ports.writers[kind](what) for kind in {config.format for config in wanted}}
    for config in wanted:
        body = bodies[config.format]
        content = {"body": body.text, "type": body.media_type}
        ports.outbox.put(delivery(told, config.id, content=content, now=ports.clock.now()))


def _configs(row: OutboxRow, ports: NotifierPorts) -> list[PushConfig]:
    of_task = ports.push_configs.of_task(row.task_id)
    of_workspace = ports.push_configs.of_task(workspace_owner(row.workspace_id))
    return [*of_task, *of_workspace]


# Telling one ----------------------------------------------------------------------------------


def _deliver(row: OutboxRow, ports: NotifierPorts) -> None:
    """Make one try.

    Raises:
        PermanentError, TransientError, TryLaterError: see `check_answer`.
    """
    config = _config(row, ports)
    body = str(row.payload["body"]).encode()
    headers = {
        "Content-Type": str(row.payload["type"]),
        "User-Agent": f"Nightdesk/{VERSION}",
        **_authentication(config),
        **_proof(row, body, ports),
    }
    answer = ports.sender.send(CallbackRequest(url=config.url, headers=headers, body=body))
    check_answer(answer, urlsplit(config.url).hostname or "")


def _config(row: OutboxRow, ports: NotifierPorts) -> PushConfig:
    config_id = row.payload["config"]
    owner = workspace_owner(row.workspace_id) if config_id == OF_WORKSPACE else row.task_id
    for config in ports.push_configs.of_task(owner):
        if config.id == config_id:
            return config
    raise PermanentError("The configuration was removed")


def _authentication(config: PushConfig) -> dict[str, str]:
    headers = {}
    if config.token:
        headers["X-A2A-Notification-Token"] = config.token
    if config.scheme and config.credentials:
        headers["Authorization"] = f"{config.scheme} {config.credentials}"
    return headers


def _proof(row: OutboxRow, body: bytes, ports: NotifierPorts) -> dict[str, str]:
    """The delivery's id and time, and its signature once the workspace has a secret."""
    now = ports.clock.now()
    name, timestamp = delivery_id(row.task_id, row.row), int(now.timestamp())
    headers = {"webhook-id": name, "webhook-timestamp": str(timestamp)}
    settings = ports.tasks.workspace_settings(row.workspace_id)
    if secrets := _secrets(row.workspace_id, settings, now, ports):
        headers["webhook-signature"] = signature(
            secrets, delivery_id=name, timestamp=timestamp, body=body
        )
    return headers


def _secrets(
    workspace_id: str, settings: WorkspaceSettings, now: datetime, ports: NotifierPorts
) -> list[str]:
    """The workspace's signing secret, and the one before while that is still good."""
    newest = settings.secret_version
    if newest == 0:
        return []
    key = ports.key.read()
    if not key:  # an unsigned callback would look like somebody else's
        raise TransientError("The key that callbacks are signed with is gone")
    versions = [newest]
    age = timedelta(seconds=now.timestamp() - settings.secret_since)
    if newest > 1 and age < OLD_SECRET_VALID_FOR:
        versions.append(newest - 1)
    return [secret_of(key, workspace_id, version) for version in versions]
