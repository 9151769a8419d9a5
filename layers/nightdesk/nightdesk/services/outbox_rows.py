"""Try rows of the outbox: lease one, apply it once, keep the outcome or the time of the next try.

A stream record, or the sweeper, only says "look at this row". What a row means is its consumer's
(the publisher, the notifier); that it is tried by one at a time, again after a failure, and not for
ever, is decided here. Applying must be safe to repeat: a kill may fall between it and the outcome.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from nightdesk.domain.errors import (
    ConditionFailedError,
    PermanentError,
    TransientError,
    TryLaterError,
)
from nightdesk.domain.outbox import OUTBOX_LEASE, RETRY_AFTER, OutboxRow, OutboxState
from nightdesk.domain.ports import Clock, OutboxStore

logger = logging.getLogger(__name__)

#: Waits that others ask for do not use up tries, but a result this old interests nobody.
TOO_OLD = timedelta(days=1)


class Outcome(StrEnum):
    """What became of a row."""

    DONE = "done"
    #: Somebody else has it, it waits for its next try, or it has ended.
    LEFT = "left"
    TRY_AGAIN = "try_again"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPorts:
    outbox: OutboxStore
    clock: Clock


class Consumer(Protocol):
    """What a kind of rows means. `name` is for the log."""

    @property
    def name(self) -> str: ...

    def apply(self, row: OutboxRow) -> str:
        """Make the effect true, once or again; its URL, or "" when it has none.

        Raises:
            PermanentError: another try would fail too.
            TransientError, TryLaterError: it may work later.
        """
        ...

    def applied(self, row: OutboxRow, url: str) -> None:
        """What follows from the effect; a kill before the row's end repeats it."""
        ...

    def given_up(self, row: OutboxRow, reason: str) -> None:
        """What follows from the row's death; a kill before the row's end repeats it."""
        ...

    def wait_after(self, tries: int) -> timedelta | None:
        """How long to wait after the `tries`-th failed try; None = there is no further one."""
        ...


def wait_in_steps(tries: int) -> timedelta | None:
    """The waits of `RETRY_AFTER`: `Consumer.wait_after` for who has no others."""
    return RETRY_AFTER[tries - 1] if tries <= len(RETRY_AFTER) else None


def try_row(task_id: str, row_name: str, consumer: Consumer, ports: RowPorts) -> Outcome:
    """Try the row once, if it is due.

    Raises:
        UnavailableError: the store did not answer; the row is tried again when its lease ends.
    """
    row = ports.outbox.get(task_id, row_name)
    if row is None or row.state is not OutboxState.PENDING or _is_held(row, ports.clock.now()):
        return Outcome.LEFT
    try:
        leased = ports.outbox.lease(row, until=ports.clock.now() + OUTBOX_LEASE)
        return _try_once(leased, consumer, ports)
    except ConditionFailedError:  # another one was faster, or has taken over since
        return Outcome.LEFT


def rows_of(event: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    """Task id and name of each row that a consumer's event speaks of, of its prefix only.

    `event` is a batch of the Outbox table's stream, or the sweeper's {"rows": [{taskId, row}]}.
    """
    for row in event.get("rows") or ():
        yield from _named(str(row.get("taskId", "")), str(row.get("row", "")), prefix)
    for record in event.get("Records") or ():
        keys = record.get("dynamodb", {}).get("Keys", {})
        task_id, name = keys.get("taskId", {}).get("S", ""), keys.get("row", {}).get("S", "")
        yield from _named(task_id, name, prefix)


def _named(task_id: str, name: str, prefix: str) -> Iterator[tuple[str, str]]:
    if task_id and name.startswith(prefix):
        yield task_id, name


def _is_held(row: OutboxRow, now: datetime) -> bool:
    """Leased, or waiting for its next try. A new row is due at once, whatever its time says."""
    return row.tries > 0 and row.due_at is not None and row.due_at > now


def _try_once(row: OutboxRow, consumer: Consumer, ports: RowPorts) -> Outcome:
    try:
        _check_age(row, consumer, ports.clock.now())
        url = consumer.apply(row)
    except TryLaterError as error:
        return _wait(row, error, consumer, ports)
    except TransientError as error:
        return _fail(row, str(error), consumer, ports, again=True)
    except PermanentError as error:
        return _fail(row, str(error), consumer, ports, again=False)
    # The row ends last, so that a kill in between repeats this instead of leaving it out.
    consumer.applied(row, url)
    ports.outbox.done(row, result_url=url)
    logger.info("[%s] %s %s: done %s", consumer.name, row.task_id, row.row, url)
    return Outcome.DONE


def _check_age(row: OutboxRow, consumer: Consumer, now: datetime) -> None:
    """A row whose every try was cut before its outcome was stored has to end too."""
    before = _failures(row) - 1
    spent = before > 0 and consumer.wait_after(before) is None
    if spent and now - row.created_at > TOO_OLD:
        raise PermanentError(f"given up: {row.last_error or 'no try came to an end'}")


def _failures(row: OutboxRow) -> int:
    """The row's tries with this one, but for those after which we were only asked to wait."""
    return max(row.tries - row.waits, 1)


def _wait(row: OutboxRow, error: TryLaterError, consumer: Consumer, ports: RowPorts) -> Outcome:
    now = ports.clock.now()
    if now - row.created_at > TOO_OLD:
        return _fail(row, str(error), consumer, ports, again=False)
    ports.outbox.failed(row, error=str(error), next_try=now + error.retry_after, waits=True)
    logger.warning("[%s] %s %s: %s", consumer.name, row.task_id, row.row, error)
    return Outcome.TRY_AGAIN


def _fail(
    row: OutboxRow, reason: str, consumer: Consumer, ports: RowPorts, *, again: bool
) -> Outcome:
    logger.warning("[%s] %s %s: %s", consumer.name, row.task_id, row.row, reason)
    wait = consumer.wait_after(_failures(row)) if again else None
    if wait is not None:
        ports.outbox.failed(row, error=reason, next_try=ports.clock.now() + wait)
        return Outcome.TRY_AGAIN
    consumer.given_up(row, reason)
    ports.outbox.failed(row, error=reason, next_try=None)
    return Outcome.DEAD
