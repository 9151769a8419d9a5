"""What tells a tracking comment that its task's state has changed.

A row of the outbox only says "look": `github#0001#started#3` (run 1, fence 3). What is shown is
rendered from the task as it is when the publisher looks (domain/tracked_comment), so that a late
row shows nothing old. A row brings along the little that the task itself does not hold: which tools
were used how often, and what a person is asked.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from nightdesk.domain.outbox import OutboxRow
from nightdesk.domain.ports import Progress, Release
from nightdesk.domain.session import Entry, EntryKind
from nightdesk.domain.task import Task, TaskStatus

STARTED, PROGRESS = "started", "progress"
_STATUS_ROW = re.compile(
    r"github#\d{4,8}#(?:started|progress|pending|waiting|completed|failed|cancelled)#\d{1,9}"
)
#: How soon after its last refresh a running task's comment may be refreshed again, at least; and
#: as a part of the time that it has been running for: half an hour makes twenty refreshes.
_REFRESH_AFTER = timedelta(seconds=20)
_REFRESH_PART = 6
#: Of what a person is asked, in a row and in the comment.
QUESTION_MAX = 2_000


def is_status_row(row: str) -> bool:
    """Whether the row says that a tracking comment is to be looked at; else it is an intent's."""
    return _STATUS_ROW.fullmatch(row) is not None


def refresh_wait(running_for: timedelta) -> timedelta:
    """How long to leave the comment alone after it was refreshed."""
    return max(_REFRESH_AFTER, running_for / _REFRESH_PART)


# Rows, written in the transactions that change the task -------------------------------------------


def rows_of_claim(new: Task) -> tuple[OutboxRow, ...]:
    if not new.tracked:
        return ()
    return (_row(new, STARTED, new.fence, {}, new.updated_at),)


def rows_of_step(task: Task, entry: Entry, progress: Progress) -> tuple[OutboxRow, ...]:
    if not task.tracked or progress.tools is None:
        return ()
    payload = {"entry": entry.seq, "tools": dict(progress.tools)}
    return (_row(task, PROGRESS, entry.seq, payload, entry.at),)


def rows_of_release(old: Task, new: Task, release: Release) -> tuple[OutboxRow, ...]:
    """None when the comment of the answer says it all, or when the same attempt just goes on."""
    goes_on = new.status is TaskStatus.PENDING and release.continuing
    has_comment = any("#comment#" in row.row for row in release.rows)
    if not old.tracked or goes_on or has_comment:
        return ()
    payload: dict[str, Any] = {"entry": new.last_entry}
    if release.entry is not None and release.entry.kind is EntryKind.WAIT:
        payload |= {
            "reason": release.entry.data["reason"],
            "question": str(release.entry.data["text"])[:QUESTION_MAX],
        }
    return (_row(new, new.status.value.lower(), new.fence, payload, new.updated_at),)


def _row(
    task: Task, name: str, number: int, payload: Mapping[str, Any], now: datetime
) -> OutboxRow:
    row = f"github#{task.run:04d}#{name}#{number}"
    return OutboxRow(task_id=task.id, row=row, payload=payload, created_at=now)
