"""Rows that wait to be published: written with the change that causes them, applied afterwards.

`row` names the row within its task and is the same on every repetition: `github#0001#comment#1`
(run 1, the first comment). Its prefix says whose it is: `github#` the publisher's, `notify#` the
notifier's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

#: A consumer's lease on a row outlasts one bounded try (its function's timeout is shorter).
OUTBOX_LEASE = timedelta(seconds=90)
#: Waits before the next try, by number of tries made; then the row is DEAD.
RETRY_AFTER = tuple(timedelta(seconds=s) for s in (5, 30, 120, 600, 1800, 3600, 7200))


class OutboxState(StrEnum):
    """PENDING waits for its next try; DONE and DEAD are final (people may send DEAD again)."""

    PENDING = "PENDING"
    DONE = "DONE"
    DEAD = "DEAD"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """One effect to apply. `payload` is bounded by what the task's Origin allows; the target is
    never in it: the publisher reads that from Origins.
    """

    task_id: str
    row: str
    payload: Mapping[str, Any]
    created_at: datetime
    state: OutboxState = OutboxState.PENDING
    tries: int = 0
    #: How many of the tries ended because somebody asked us to wait: those are no failures.
    waits: int = 0
    #: When the sweeper drives the row if nobody has: also the end of a consumer's lease.
    due_at: datetime | None = None
    result_url: str = ""
    last_error: str = ""
    #: Who may see it when it is DEAD; "" = nobody but the log.
    workspace_id: str = ""


def github_row(run: int, intent: str, number: int) -> str:
    """The row's name for the `number`-th intent of its kind (counted from 1) of a run."""
    return f"github#{run:04d}#{intent}#{number}"
