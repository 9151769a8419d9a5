"""Notices: what is written to the outbox when a task ends or begins to wait, for whoever wants it.

A notice is one row for one change of state, in the transaction that makes the change. Who is to
be told, the notifier finds out from it: each receiver then gets a row of its own, a *delivery*,
so that one that fails repeats nobody else's.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from nightdesk.domain.errors import ErrorCode
from nightdesk.domain.outbox import OutboxRow
from nightdesk.domain.task import TERMINAL, Task, TaskError, TaskStatus

#: Rows of the notifier begin so.
NOTIFY = "notify#"
_TO = "#to#"

#: What the callbacks tell of; everything between is progress, for who polls or subscribes.
TOLD = TERMINAL | {TaskStatus.WAITING}


def notices(new: Task, *, known: bool) -> tuple[OutboxRow, ...]:
    """The row to write with the change that has made the task what it is now, if any.

    `known`: a session made the change, and knows from its claim whether anybody wants to be told.
    Nobody has looked for a task that ends without one, so that its notice is always written.
    """
    if new.status not in TOLD or (known and not new.has_callbacks):
        return ()
    return (notice(new),)


def notice(task: Task, *, only: str = "", at: datetime | None = None) -> OutboxRow:
    """The row that tells of the task's state; to the configuration `only`, or to all ("").

    Its name is the same for the same change: a run enters a state but once under a fence.
    """
    name = f"{NOTIFY}{task.run:04d}#{task.fence:06d}#{task.status.value}"
    return OutboxRow(
        task_id=task.id,
        row=f"{name}#{only}" if only else name,
        payload={
            "run": task.run,
            "status": task.status.value,
            "entry": task.last_entry,
            "error": None if task.error is None else [task.error.code.value, task.error.message],
            "only": only,
        },
        created_at=at or task.updated_at,
        workspace_id=task.workspace_id,
    )


def as_told(task: Task, told: OutboxRow) -> Task:
    """The task as it was when it changed; what goes on changing (its use of tokens) is of now.

    It may have moved on since: an answer has come, or a person has begun another run.
    """
    status = TaskStatus(told.payload["status"])
    if (task.run, task.status) == (told.payload["run"], status):
        return task
    error = told.payload["error"]
    return replace(
        task,
        run=told.payload["run"],
        status=status,
        last_entry=told.payload["entry"],
        error=None if error is None else TaskError(ErrorCode(error[0]), error[1]),
        updated_at=told.created_at,
        completed_at=told.created_at if status.is_terminal else None,
        waiting_since=None if status.is_terminal else told.created_at,
    )


def delivery(
    told: OutboxRow, config_id: str, *, content: Mapping[str, Any], now: datetime
) -> OutboxRow:
    """The row that brings the notice to one configuration; `content` is what is sent, each time.

    Its name comes from the change and the configuration, however the notice was written.
    """
    change = change_of(told.row)
    return OutboxRow(
        task_id=told.task_id,
        row=f"{NOTIFY}{change}{_TO}{config_id}",
        payload={"config": config_id, **content},
        created_at=now,
        workspace_id=told.workspace_id,
    )


def is_delivery(row: str) -> bool:
    return row.startswith(NOTIFY) and _TO in row


def change_of(row: str) -> str:
    """`0001#000003#COMPLETED`: the change that a notice or a delivery tells of."""
    return "#".join(row.removeprefix(NOTIFY).split("#")[:3])


def delivery_id(task_id: str, row: str) -> str:
    """The delivery's public name, the same at each try: receivers tell repetitions by it."""
    return "msg_" + hashlib.sha256(f"{task_id} {row}".encode()).hexdigest()[:32]
