"""Once a minute: find everything that is due, and that nobody else will look after.

Each part may be cut off at any point and may run twice at once: every write is conditional on what
was read, and a wake-up too many is harmless. What is read grows with what is due, not with the
tables.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from nightdesk.domain.errors import ConditionFailedError, UnavailableError
from nightdesk.domain.notices import NOTIFY
from nightdesk.domain.outbox import OutboxRow
from nightdesk.domain.ports import Release, Slot
from nightdesk.domain.recovery import end_of_expired, orphan_error, queue_error, wait_error
from nightdesk.domain.task import HOLD_FOR, Hold, Task, TaskError, TaskStatus
from nightdesk.services.engine_ports import SweeperPorts
from nightdesk.services.look_after_others import look_after_others
from nightdesk.services.settle_dependants import look_after

logger = logging.getLogger(__name__)

#: What one sweep takes on at most of each kind; the next sweep does the rest.
_AT_ONCE = 100
#: So many tasks that cannot be looked after mean that the store does not answer.
_FAILURES_AT_MOST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepReport:
    """What one sweep did, by number."""

    recovered: int = 0
    orphaned: int = 0
    failed: int = 0
    released: int = 0
    woken: int = 0
    published: int = 0
    notified: int = 0


def sweep(ports: SweeperPorts) -> SweepReport:
    """Recover lost tasks, release what is due, wake executors, drive what is unpublished."""
    report = _look_at_running(ports, SweepReport())
    _free_lost_slots(ports)
    report = _look_at_due(ports, report)
    report = replace(report, woken=_wake(ports))
    rows = _due_rows(ports)
    report = replace(report, published=_drive(rows, "github#", ports.publisher_function, ports))
    report = replace(report, notified=_drive(rows, NOTIFY, ports.notifier_function, ports))
    logger.info("[BGWorker] sweep: %s", report)
    return report


# RUNNING --------------------------------------------------------------------------------------


def _look_at_each(
    tasks: Sequence[Task], look: Callable[[Task, SweepReport], SweepReport], report: SweepReport
) -> SweepReport:
    """Look at all of them, also when one cannot be read or written: the others cannot help it.

    When many cannot, the store is down, and the next sweep begins anew.
    """
    failures = 0
    for task in tasks:
        try:
            report = look(task, report)
        except Exception:
            failures += 1
            if failures == _FAILURES_AT_MOST:
                raise
            logger.exception("[BGWorker] sweep of task %s broke", task.id)
    return report


def _look_at_running(ports: SweeperPorts, report: SweepReport) -> SweepReport:
    now = ports.clock.now()

    def look(task: Task, so_far: SweepReport) -> SweepReport:
        if (error := orphan_error(task, now)) is not None:
            return _end_orphan(task, error, ports, so_far)
        if task.lease_until is not None and task.lease_until <= now:
            return _recover(task, ports, now, so_far)
        return so_far

    return _look_at_each(ports.tasks.running(), look, report)


def _end_orphan(
    task: Task, error: TaskError, ports: SweeperPorts, report: SweepReport
) -> SweepReport:
    if not _failed(task, error, ports, ports.clock.now()):
        return report
    logger.warning("[BGWorker] Task %s marked FAILED (orphaned, no session after 5 min).", task.id)
    return replace(report, orphaned=report.orphaned + 1)


def _recover(task: Task, ports: SweeperPorts, now: datetime, report: SweepReport) -> SweepReport:
    """A lease has run out and no redelivery has come for it: end the task, or put it in line."""
    end = end_of_expired(task, now) or Release(status=TaskStatus.PENDING)
    held = task if _has_its_slot(task, ports) else replace(task, slot=None)
    if (left := _written(lambda: ports.tasks.end_expired(held, end, now=now))) is None:
        return report
    _look_after_others(left, ports)
    logger.warning("[BGWorker] Task %s lost its executor: now %s", task.id, end.status.value)
    return replace(report, recovered=report.recovered + 1)


def _has_its_slot(task: Task, ports: SweeperPorts) -> bool:
    """False only if its slot's row was removed or given away by hand."""
    return any(
        (slot.number, slot.task_id, slot.fence) == (task.slot, task.id, task.fence)
        for slot in ports.tasks.slots()
    )


def _free_lost_slots(ports: SweeperPorts) -> None:
    """Free slots whose task was removed or changed by hand; the engine leaves none behind."""
    for slot in ports.tasks.slots():
        if slot.task_id is None:
            continue
        task = ports.tasks.get(slot.task_id)
        if task is None or not _holds(task, slot):
            ports.tasks.free_slot(slot)
            logger.warning("[BGWorker] slot %d freed: %s is gone", slot.number, slot.task_id)


def _holds(task: Task, slot: Slot) -> bool:
    return task.status is TaskStatus.RUNNING and task.fence == slot.fence


# PENDING --------------------------------------------------------------------------------------


def _look_at_due(ports: SweeperPorts, report: SweepReport) -> SweepReport:
    now = ports.clock.now()

    def look(task: Task, so_far: SweepReport) -> SweepReport:
        match task.status:
            case TaskStatus.PENDING:
                return _look_at_pending(task, ports, now, so_far)
            case TaskStatus.WAITING:
                failed = _failed(task, wait_error(), ports, now)
                return replace(so_far, failed=so_far.failed + failed)
            case TaskStatus.RUNNING:  # claimed since the index was read
                return so_far
            case _:
                _look_after_others(task, ports)
                return so_far

    return _look_at_each(ports.tasks.due(now=now, limit=_AT_ONCE), look, report)


def _look_at_pending(
    task: Task, ports: SweeperPorts, now: datetime, report: SweepReport
) -> SweepReport:
    if (error := queue_error(task, now)) is not None:
        failed = _failed(task, error, ports, now)
        return replace(report, failed=report.failed + failed)
    if task.held is Hold.DEPENDENCIES:
        # Whoever ended the last of them was killed before it could look after this one.
        ports.tasks.hold(task, Hold.DEPENDENCIES, until=now + HOLD_FOR)
        look_after(task.id, tasks=ports.tasks, wake_ups=ports.wake_ups, clock=ports.clock)
        return report
    if task.held is Hold.GROUP and task.group and _group_is_busy(task.group, ports):
        ports.tasks.hold(task, Hold.GROUP, until=now + HOLD_FOR)
        return report
    if task.run_after is None:
        return report
    ports.tasks.make_runnable(task, now=now)
    return replace(report, released=report.released + 1)


def _group_is_busy(group: str, ports: SweeperPorts) -> bool:
    """Whether its holder runs; a group that a row changed by hand has left behind is freed."""
    holder_id = ports.tasks.group_holder(group)
    if holder_id is None:
        return False
    holder = ports.tasks.get(holder_id)
    if holder is not None and holder.status is TaskStatus.RUNNING:
        return True
    ports.tasks.free_group(group, holder_id)
    return False


def _look_after_others(left: Task, ports: SweeperPorts) -> None:
    look_after_others(left, tasks=ports.tasks, wake_ups=ports.wake_ups, clock=ports.clock)


def _wake(ports: SweeperPorts) -> int:
    """Send one wake-up for each free slot that a runnable task could take."""
    free = sum(1 for slot in ports.tasks.slots() if slot.task_id is None)
    waiting = ports.tasks.runnable(limit=free) if free else []
    for candidate in waiting:
        ports.wake_ups.send(candidate.task_id)
    return len(waiting)


# Outbox ---------------------------------------------------------------------------------------


def _drive(rows: Sequence[OutboxRow], prefix: str, function: str, ports: SweeperPorts) -> int:
    """Hand a consumer the rows of its own that no stream record has got through."""
    own = [row for row in rows if row.row.startswith(prefix)]
    if not own:
        return 0
    payload = {"rows": [{"taskId": row.task_id, "row": row.row} for row in own]}
    try:
        ports.functions.invoke(function, payload)
    except UnavailableError as error:
        logger.warning("[BGWorker] %s did not answer: %s", function, error)
    return len(own)


def _due_rows(ports: SweeperPorts) -> Sequence[OutboxRow]:
    return ports.outbox.due(now=ports.clock.now(), limit=_AT_ONCE)


def _failed(task: Task, error: TaskError, ports: SweeperPorts, now: datetime) -> bool:
    """Mark the task FAILED; False when somebody else has changed it meanwhile."""
    ended = _written(
        lambda: ports.tasks.end_unclaimed(task, TaskStatus.FAILED, error, now=now),
    )
    if ended is None:
        return False
    _look_after_others(ended, ports)
    return True


def _written(write: Callable[[], Task]) -> Task | None:
    """The task as the write left it; None when somebody else has changed it meanwhile."""
    try:
        return write()
    except ConditionFailedError:
        return None
