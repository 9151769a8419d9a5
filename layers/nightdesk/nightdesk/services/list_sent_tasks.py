"""A page of the tasks that were sent to an agent: the latest change first, with their number.

`totalSize` is demanded by A2A and counts what the filters leave, so every row has to be looked at
anyway; rows are small (about 100 bytes), one query reads thousands, and how a task ended is noted
in its row, so that only the shown and the unfinished tasks themselves are read.
"""

import base64
import binascii
from dataclasses import dataclass, replace
from datetime import datetime

from nightdesk.domain.api_key import ApiKey, Operation
from nightdesk.domain.conversations import Listed
from nightdesk.domain.errors import InvalidInputError
from nightdesk.domain.task import Task, TaskStatus
from nightdesk.services.conversation_ports import ConversationPorts
from nightdesk.services.send_task import check_context_id
from nightdesk.services.task_access import may_see

#: Ends noted by one request; the next lists note the rest.
NOTED_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class SentFilter:
    """None = any. `changed_after`: strictly later than this."""

    context_id: str | None = None
    statuses: frozenset[TaskStatus] | None = None
    #: Whether the current run has begun: a PENDING task may wait for its first start or a further.
    begun: bool | None = None
    changed_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class ListedTask:
    task: Task
    context_id: str


@dataclass(frozen=True, slots=True)
class SentPage:
    """`total` counts all that the filter leaves; `cursor` is None at the end."""

    tasks: tuple[ListedTask, ...]
    total: int
    cursor: str | None


@dataclass(frozen=True, slots=True)
class _Row:
    """What a list is sorted and filtered by."""

    changed_at: datetime
    task_id: str
    status: TaskStatus
    begun: bool
    listed: Listed


def list_sent_tasks(
    agent_id: str,
    wanted: SentFilter,
    *,
    limit: int,
    cursor: str | None,
    key: ApiKey,
    ports: ConversationPorts,
) -> SentPage:
    """The next page of the tasks that the key may see; empty for an agent beyond its scope.

    Raises:
        InvalidInputError: the cursor is not one of ours, or the context id is none.
    """
    key.demand(Operation.READ)
    after = None if cursor is None else _decoded(cursor)
    if wanted.context_id is not None:
        check_context_id(wanted.context_id)
    if not key.covers_agent(agent_id):
        return SentPage((), 0, None)
    rows = [row for row in _rows(agent_id, wanted, key, ports) if _fits(row, wanted)]
    rows.sort(key=lambda row: (row.changed_at, row.task_id), reverse=True)
    left = [row for row in rows if after is None or (row.changed_at, row.task_id) < after]
    page = left[:limit]
    tasks = ports.conversations.tasks([row.task_id for row in page])
    shown = tuple(
        ListedTask(tasks[row.task_id], row.listed.context_id)
        for row in page
        if row.task_id in tasks and may_see(key, tasks[row.task_id])
    )
    return SentPage(shown, len(rows), _encoded(page[-1]) if len(left) > limit else None)


def changed_at(task: Task) -> datetime:
    """When the task came into its state; while it runs, when it was last heard of."""
    if task.status is TaskStatus.PENDING:
        return task.queued_at or task.created_at
    return task.completed_at or task.updated_at


def _rows(agent_id: str, wanted: SentFilter, key: ApiKey, ports: ConversationPorts) -> list[_Row]:
    conversations = ports.conversations
    if wanted.context_id is None:
        listed = conversations.of_agent(key.workspace_id, agent_id)
    else:
        listed = conversations.of_context(key.workspace_id, agent_id, wanted.context_id)
    open_ids = [row.task_id for row in listed if row.ended is None]
    tasks = conversations.tasks(open_ids)
    rows, noticed = [], []
    for row in listed:
        task = tasks.get(row.task_id)
        if row.ended is not None:
            status, when = row.ended
            rows.append(_Row(when, row.task_id, status, True, row))
        elif task is not None:
            when = changed_at(task)
            rows.append(_Row(when, row.task_id, task.status, task.attempts > 0, row))
            if task.status.is_terminal:
                noticed.append(replace(row, ended=(task.status, when)))
    if noticed:
        conversations.note_ends(key.workspace_id, agent_id, noticed[:NOTED_MAX])
    return rows


def _fits(row: _Row, wanted: SentFilter) -> bool:
    if wanted.statuses is not None and row.status not in wanted.statuses:
        return False
    if wanted.begun is not None and row.begun is not wanted.begun:
        return False
    return wanted.changed_after is None or row.changed_at > wanted.changed_after


def _encoded(row: _Row) -> str:
    position = f"{row.changed_at.isoformat()}#{row.task_id}"
    return base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")


def _decoded(cursor: str) -> tuple[datetime, str]:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        moment, _, task_id = base64.b64decode(padded, b"-_", validate=True).decode().partition("#")
        found = datetime.fromisoformat(moment)
    except (binascii.Error, ValueError) as error:
        raise InvalidInputError("pageToken", "pageToken is not one that a list answered") from error
    if found.tzinfo is None or not task_id:
        raise InvalidInputError("pageToken", "pageToken is not one that a list answered")
    return found, task_id
