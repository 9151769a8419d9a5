"""What each transaction of the engine does to a task: pure, shared by the store and its fake.

None of these checks whether it may be done: that is the condition of the write (`TaskStore`).
"""

from dataclasses import replace
from datetime import datetime, timedelta

from nightdesk.domain.ports import BudgetCharge, Progress, Release, Slot
from nightdesk.domain.session import Entry
from nightdesk.domain.task import (
    ACTIVITY_MAX,
    ERROR_MESSAGE_MAX,
    QUEUE_TIMEOUT,
    WAIT_TIMEOUT,
    Hold,
    Task,
    TaskError,
    TaskStatus,
)


def session_id(task: Task) -> str:
    """The session of a run; every attempt of the run goes on with it."""
    return f"ses_{task.id}_{task.run}"


def claimed(
    task: Task,
    slot: Slot,
    *,
    now: datetime,
    lease_until: datetime,
    reserved: int,
    charge: BudgetCharge | None = None,
    calls_back: bool = False,
) -> Task:
    """RUNNING under a new fence. What the last holder had set aside for a call that nobody knows
    the end of counts as spent.
    """
    spent = task.cost_micros + task.reserved_micros
    return replace(
        task,
        status=TaskStatus.RUNNING,
        held=None,
        attempts=task.attempts if task.continuing else task.attempts + 1,
        continuing=False,
        run_after=None,
        started_at=task.started_at or now,
        updated_at=now,
        last_activity=now,
        result_session_id=session_id(task),
        error=None,
        cost_micros=spent,
        reserved_micros=reserved,
        charged_micros=charge.micros if charge else task.charged_micros,
        charged_day=charge.day if charge else task.charged_day,
        cost_at_claim=spent if charge else task.cost_at_claim,
        fence=task.fence + 1,
        lease_until=lease_until,
        slot=slot.number,
        has_callbacks=task.has_callbacks or calls_back,
    )


def stepped(task: Task, entry: Entry, progress: Progress, *, lease_until: datetime) -> Task:
    """One journal entry further."""
    moved = _progressed(task, progress)
    return replace(
        moved,
        last_entry=entry.seq,
        inbox_read=task.inbox_read + progress.messages_read,
        updated_at=entry.at,
        last_activity=entry.at,
        lease_until=lease_until,
    )


def released(task: Task, release: Release, *, now: datetime) -> Task:
    """Out of RUNNING (or ended without ever having run); the slot is free."""
    moved = _progressed(task, release.progress)
    pending = release.status is TaskStatus.PENDING
    waiting = release.status is TaskStatus.WAITING
    return replace(
        moved,
        status=release.status,
        error=_bounded(release.error),
        run_after=release.run_after if pending else None,
        queued_at=now if pending else task.queued_at,
        held=Hold.DELAY if pending and release.run_after else None,
        waiting_since=now if waiting else None,
        continuing=release.continuing or waiting,
        superseded_by=release.superseded_by or task.superseded_by,
        charged_micros=0,
        charged_day=None,
        hops=task.hops + 1 if release.hop else task.hops,
        completed_at=now if release.status.is_terminal else None,
        updated_at=now,
        last_activity=now if release.entry else task.last_activity,
        last_entry=release.entry.seq if release.entry else task.last_entry,
        lease_until=None,
        slot=None,
    )


def answered(task: Task, *, now: datetime) -> Task:
    """A person has sent a message: a task that waited goes on, one that runs will take it in."""
    if task.status is not TaskStatus.WAITING:
        return replace(task, inbox=task.inbox + 1)
    # Two machines' clocks: an answer may seem to come before its question.
    waited = max(timedelta(0), now - (task.waiting_since or now))
    return replace(
        task,
        status=TaskStatus.PENDING,
        inbox=task.inbox + 1,
        waiting_since=None,
        waited_ms=task.waited_ms + int(waited.total_seconds() * 1000),
        queued_at=now,
        updated_at=now,
    )


def settlement(task: Task, release: Release) -> int:
    """What to add to the budget that the claim charged: the real cost less what was charged."""
    end = _progressed(task, release.progress)
    return end.cost_micros - task.cost_at_claim - task.charged_micros


def is_in_line(task: Task) -> bool:
    """Whether it may be claimed: PENDING, and nothing holds it back."""
    return task.status is TaskStatus.PENDING and task.run_after is None


def due_at(task: Task) -> datetime | None:
    """When the sweeper must look at the task if nothing else happens; None = it need not."""
    match task.status:
        case TaskStatus.PENDING:
            return task.run_after or (task.queued_at or task.created_at) + QUEUE_TIMEOUT
        case TaskStatus.WAITING:
            return (task.waiting_since or task.updated_at) + WAIT_TIMEOUT
        case TaskStatus.RUNNING:
            return None
        case _:
            return task.completed_at if task.has_dependants else None


def _progressed(task: Task, progress: Progress) -> Task:
    activity = progress.activity
    return replace(
        task,
        current_activity=task.current_activity
        if activity is None
        else _cut(activity, ACTIVITY_MAX),
        tool_call_count=task.tool_call_count + progress.tool_calls,
        input_tokens=task.input_tokens + progress.usage.input + progress.usage.cache_write,
        output_tokens=task.output_tokens + progress.usage.output,
        cache_read_tokens=task.cache_read_tokens + progress.usage.cache_read,
        cost_micros=task.cost_micros + progress.cost_micros,
        reserved_micros=progress.reserved_micros,
    )


def _bounded(error: TaskError | None) -> TaskError | None:
    if error is None:
        return None
    return TaskError(error.code, _cut(error.message, ERROR_MESSAGE_MAX))


def _cut(text: str, most_bytes: int) -> str:
    """As much of the text as fits: DynamoDB bills bytes, whatever the script."""
    return text.encode()[:most_bytes].decode(errors="ignore")
