"""Between `Task`, `Origin`, `Entry` and their stored forms; and which index keys a task has."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from pynamodb.expressions.update import Action

from nightdesk.adapters.dynamodb.tables import (
    OriginItem,
    OutboxItem,
    SessionLogItem,
    TaskItem,
    WorkspaceItem,
    instant,
    shard_of,
)
from nightdesk.domain.engine import due_at, is_in_line
from nightdesk.domain.errors import ErrorCode
from nightdesk.domain.outbox import OutboxRow
from nightdesk.domain.ports import Mail, WorkspaceSettings
from nightdesk.domain.session import Entry, EntryKind
from nightdesk.domain.task import (
    MAX_ATTEMPTS_DEFAULT,
    QUEUE_TIMEOUT,
    RUN_AFTER_MAX,
    TIMEOUT_MS_DEFAULT,
    Hold,
    Limits,
    OnDependencyFailure,
    Origin,
    Priority,
    Target,
    Task,
    TaskError,
    TaskStatus,
    Trigger,
    TriggerSource,
)

RUNNABLE = "R"


def index_keys(task: Task) -> dict[str, Any]:
    """The index attributes that follow from a task's state; None = absent from that index.

    `runnable`: PENDING and not held, best rank first. `due`: when the sweeper must look at it
    although nothing else happened. `group_waiting`: tasks of a concurrency group that
    do not run.
    """
    in_group = task.group and task.status in (TaskStatus.PENDING, TaskStatus.WAITING)
    runnable = is_in_line(task)
    due = due_at(task)
    return {
        "workspace_status": f"{task.workspace_id}#{task.status.value}",
        "runnable": RUNNABLE if runnable else None,
        "rank": f"{instant(task.rank)}#{task.workspace_id}" if runnable else None,
        "due_shard": shard_of(task.id) if due else None,
        "due_at": due,
        "group_waiting": task.group if in_group else None,
        "group_rank": instant(task.rank) if in_group else None,
    }


def workspace_of_rank(rank: str) -> str:
    return rank.partition("#")[2]


def attributes_of(task: Task, *, retention: timedelta) -> dict[str, Any]:
    """Everything that is stored of a task, by PynamoDB attribute name. None = not stored."""
    end = task.completed_at if task.status.is_terminal else None
    return {
        "workspace_id": task.workspace_id,
        "agent_id": task.agent_id,
        "title": task.title,
        "status": task.status.value,
        "priority": task.priority.value,
        "trigger_source": task.trigger_source.value,
        "triggered_by": task.triggered_by,
        "attempts": task.attempts,
        "max_attempts": task.max_attempts,
        "timeout_ms": task.timeout_ms,
        "created_at": task.created_at,
        "updated_at": task.updated_at,
        "run_after": task.run_after,
        "queued_at": task.queued_at,
        "started_at": task.started_at,
        "completed_at": task.completed_at,
        "result_session_id": task.result_session_id,
        "error_code": task.error.code.value if task.error else None,
        "error_message": task.error.message if task.error else None,
        "last_activity": task.last_activity,
        "current_activity": task.current_activity,
        "tool_call_count": task.tool_call_count,
        "input_tokens": task.input_tokens,
        "output_tokens": task.output_tokens,
        "cache_read_tokens": task.cache_read_tokens,
        "cost_micros": task.cost_micros,
        "reserved_micros": task.reserved_micros or None,
        "publication": task.publication,
        "run": task.run,
        "fence": task.fence or None,
        "lease_until": task.lease_until,
        "slot": task.slot,
        "last_entry": task.last_entry,
        "cancel_requested": task.cancel_requested or None,
        "continuing": task.continuing or None,
        "hops": task.hops or None,
        "held": task.held.value if task.held else None,
        "group": task.group,
        "supersedes": task.supersedes or None,
        "superseded_by": task.superseded_by,
        "context_id": task.context_id,
        "waiting_since": task.waiting_since,
        "waited_ms": task.waited_ms or None,
        "inbox": task.inbox or None,
        "inbox_read": task.inbox_read or None,
        "has_dependants": task.has_dependants or None,
        "tracked": task.tracked or None,
        "has_callbacks": task.has_callbacks or None,
        "charged_micros": task.charged_micros or None,
        "charged_day": task.charged_day,
        "cost_at_claim": task.cost_at_claim or None,
        **index_keys(task),
        "expires": int((end + retention).timestamp()) if end else None,
    }


def item_of(task: Task, *, retention: timedelta) -> TaskItem:
    return TaskItem(task.id, **attributes_of(task, retention=retention))


def changes(old: Task, new: Task, *, retention: timedelta) -> list[Action]:
    """The update that turns one into the other: only what differs is written, so that fields
    which others own (a cancel request, the publication) are never overwritten by a stale copy.
    """
    before = attributes_of(old, retention=retention)
    after = attributes_of(new, retention=retention)
    actions: list[Action] = []
    for name, value in after.items():
        if value == before[name]:
            continue
        attribute = getattr(TaskItem, name)
        actions.append(attribute.remove() if value is None else attribute.set(value))
    return actions


def task_of(stored: TaskItem) -> Task:
    """Read a task; what a hand-made row leaves out gets the field's default."""
    item: Any = stored  # PynamoDB types attributes that may be absent as if they never were
    return Task(
        id=item.id,
        workspace_id=item.workspace_id or "",
        agent_id=item.agent_id or "",
        title=item.title or "",
        status=TaskStatus(item.status),
        priority=Priority(item.priority or Priority.NORMAL),
        trigger_source=TriggerSource(item.trigger_source or TriggerSource.MANUAL),
        triggered_by=item.triggered_by or "user",
        attempts=_int(item.attempts),
        max_attempts=_int(item.max_attempts, MAX_ATTEMPTS_DEFAULT),
        timeout_ms=_int(item.timeout_ms, TIMEOUT_MS_DEFAULT),
        created_at=item.created_at,
        updated_at=item.updated_at or item.created_at,
        run_after=item.run_after,
        queued_at=item.queued_at,
        started_at=item.started_at,
        completed_at=item.completed_at,
        result_session_id=item.result_session_id,
        error=_error(item),
        last_activity=item.last_activity,
        current_activity=item.current_activity,
        tool_call_count=_int(item.tool_call_count),
        input_tokens=_int(item.input_tokens),
        output_tokens=_int(item.output_tokens),
        cache_read_tokens=_int(item.cache_read_tokens),
        cost_micros=_int(item.cost_micros),
        reserved_micros=_int(item.reserved_micros),
        publication=item.publication,
        run=_int(item.run, 1),
        fence=_int(item.fence),
        lease_until=item.lease_until,
        slot=None if item.slot is None else int(item.slot),
        last_entry=_int(item.last_entry),
        cancel_requested=bool(item.cancel_requested),
        continuing=bool(item.continuing),
        hops=_int(item.hops),
        held=Hold(item.held) if item.held else None,
        group=item.group,
        supersedes=bool(item.supersedes),
        superseded_by=item.superseded_by,
        context_id=item.context_id,
        waiting_since=item.waiting_since,
        waited_ms=_int(item.waited_ms),
        inbox=_int(item.inbox),
        inbox_read=_int(item.inbox_read),
        has_dependants=bool(item.has_dependants),
        tracked=bool(item.tracked),
        has_callbacks=bool(item.has_callbacks),
        charged_micros=_int(item.charged_micros),
        charged_day=item.charged_day,
        cost_at_claim=_int(item.cost_at_claim),
    )


def _int(value: float | None, default: int = 0) -> int:
    return default if value is None else int(value)


def _error(item: Any) -> TaskError | None:
    if item.error_code is None:
        return None
    return TaskError(ErrorCode(item.error_code), item.error_message or "")


# Origins --------------------------------------------------------------------------------------


def origin_item(origin: Origin, *, retention: timedelta) -> OriginItem:
    document = asdict(origin)
    document["created_at"] = instant(origin.created_at)
    # It must outlive the longest delay, the queue and the finished task's own retention.
    expires = origin.created_at + RUN_AFTER_MAX + QUEUE_TIMEOUT + 2 * retention
    return OriginItem(origin.task_id, document=document, expires=int(expires.timestamp()))


def origin_of(item: OriginItem) -> Origin:
    document: Mapping[str, Any] = item.document
    return Origin(
        task_id=item.task_id,
        prompt=document["prompt"],
        created_at=datetime.fromisoformat(document["created_at"]),
        limits=Limits(**document["limits"]),
        intents=tuple((name, count) for name, count in document["intents"]),
        allowed_labels=tuple(document["allowed_labels"]),
        target=Target(**document["target"]) if document["target"] else None,
        trigger=Trigger(**document["trigger"]) if document["trigger"] else None,
        approvals=tuple(document["approvals"]),
        depends_on=tuple(document["depends_on"]),
        on_dependency_failure=OnDependencyFailure(document["on_dependency_failure"]),
        quotes_outputs=document["quotes_outputs"],
        delimiter=document["delimiter"],
        request_hash=document["request_hash"],
        tracking=document.get("tracking", ""),
        shows_status=document.get("shows_status", False),
        allowed_paths=tuple(document.get("allowed_paths", ())),
    )


# Journal --------------------------------------------------------------------------------------


def entry_key(run: int, seq: int) -> str:
    return f"{run:04d}#{seq:06d}"


def entry_item(entry: Entry, fence: int, *, retention: timedelta) -> SessionLogItem:
    return SessionLogItem(
        entry.task_id,
        entry_key(entry.run, entry.seq),
        kind=entry.kind.value,
        at=entry.at,
        fence=fence,
        document=dict(entry.data),
        expires=int((entry.at + 2 * retention).timestamp()),
    )


def entry_of(item: SessionLogItem) -> Entry:
    run, _, seq = item.entry.partition("#")
    return Entry(item.task_id, int(run), int(seq), EntryKind(item.kind), item.at, item.document)


# Messages and settings ------------------------------------------------------------------------


def mail_key(run: int, number: int) -> str:
    """Sorts apart from the journal's entries, which begin with a digit."""
    return f"mail#{run:04d}#{number:06d}"


def mail_item(task: Task, mail: Mail, *, retention: timedelta) -> SessionLogItem:
    return SessionLogItem(
        task.id,
        mail_key(task.run, mail.number),
        kind=mail.kind,
        at=mail.at,
        document={"text": mail.text, "by": mail.by},
        expires=int((mail.at + 2 * retention).timestamp()),
    )


def mail_of(item: SessionLogItem) -> Mail:
    number = int(item.entry.rpartition("#")[2])
    return Mail(number, item.kind, item.document["text"], item.document["by"], item.at)


def settings_of(item: WorkspaceItem) -> WorkspaceSettings:
    return WorkspaceSettings(**item.document)


# Outbox ---------------------------------------------------------------------------------------


def outbox_item(row: OutboxRow, *, retention: timedelta) -> OutboxItem:
    """A new row. Until somebody takes it, the sweeper finds it at `due_at`."""
    return OutboxItem(
        row.task_id,
        row.row,
        document=dict(row.payload),
        state=row.state.value,
        tries=row.tries,
        created_at=row.created_at,
        due_shard=shard_of(row.task_id),
        due_at=row.due_at or row.created_at,
        workspace_id=row.workspace_id or None,
        expires=int((row.created_at + retention).timestamp()),
    )
