"""Find the task that this wake-up's executor should work on, and claim it.

A wake-up is no task: recovery comes first (a redelivered wake-up finds the slot that its executor
had claimed), then the best runnable task, whichever the wake-up names (design, section 4, rule 1).
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from nightdesk.domain.errors import ConditionFailedError, NotClaimableError
from nightdesk.domain.ports import ClaimView, Slot
from nightdesk.domain.recovery import end_of_expired, queue_error
from nightdesk.domain.task import LEASE, Origin, Task, TaskStatus
from nightdesk.services.engine_ports import ExecutorPorts

logger = logging.getLogger(__name__)

#: The line's head: enough to see whether others wait, and to try the next when one is taken.
_HEAD = 3
#: Several executors may go for the same task; after this many tries the others have it all.
_TRIES = 8
#: A little more than the time that a dead executor's lease may have left.
_LONGEST_WAIT = LEASE + timedelta(seconds=2)
_FRESH_WAKE_UP_AFTER = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class WakeUp:
    """A message of the queue. `receives` counts its deliveries, this one included."""

    task_id: str
    message_id: str
    receives: int = 1


@dataclass(frozen=True, slots=True)
class Claimed:
    """A task that is ours now. `others_wait`: another runnable task was seen."""

    task: Task
    origin: Origin
    others_wait: bool


def claim_next(wake_up: WakeUp, *, ports: ExecutorPorts, give_up_at: datetime) -> Claimed | None:
    """Claim the task that should run now; None when there is nothing to do, or no free slot.

    It waits out the lease of a dead executor in process. When all slots are held by live ones, it
    sends a delayed fresh wake-up instead: a message returned as failed burns its receives.
    """
    waited = False
    for _ in range(_TRIES):
        line = ports.tasks.runnable(limit=_HEAD)
        ids = [candidate.task_id for candidate in line]
        view = ports.tasks.view_for_claim(list(dict.fromkeys([*ids[:2], wake_up.task_id])))
        own = _slot_to_recover(wake_up, view, ports.clock.now())
        if own is not None:
            choice, wait = _recover(own, ports)
        else:
            choice, wait = _choose(view, ports)
        if choice is not None:
            claimed = _try_claim(choice, wake_up, others_wait=_others(ids, choice), ports=ports)
            if claimed is not None:
                return claimed
        elif wait is None:
            return None
        elif waited or ports.clock.now() + wait > give_up_at:
            ports.wake_ups.send(wake_up.task_id, delay=_FRESH_WAKE_UP_AFTER)
            return None
        else:
            ports.clock.sleep(min(wait, _LONGEST_WAIT))
            waited = True
    ports.wake_ups.send(wake_up.task_id, delay=_FRESH_WAKE_UP_AFTER)
    return None


@dataclass(frozen=True, slots=True)
class _Choice:
    task: Task
    origin: Origin
    slot: Slot


def _slot_to_recover(wake_up: WakeUp, view: ClaimView, now: datetime) -> Slot | None:
    """The slot that this message's executor had claimed before it died, or the one of the task
    that it names, if that one's executor is gone.
    """
    named = view.tasks.get(wake_up.task_id)
    for slot in view.slots:
        if slot.task_id is None:
            continue
        if wake_up.receives > 1 and slot.message_id == wake_up.message_id:
            return slot
        if named is not None and slot.task_id == named.id and not named.has_live_lease(now):
            return slot
    return None


def _recover(slot: Slot, ports: ExecutorPorts) -> tuple[_Choice | None, timedelta | None]:
    """The task of a slot, if its executor is gone; or how long its lease still lasts."""
    assert slot.task_id is not None
    view = ports.tasks.view_for_claim([slot.task_id])
    task, origin = view.tasks.get(slot.task_id), view.origins.get(slot.task_id)
    now = ports.clock.now()
    if task is None or origin is None or task.status is not TaskStatus.RUNNING:
        return None, timedelta(0)  # it has ended meanwhile: look again
    if task.lease_until is not None and task.lease_until > now:
        return None, task.lease_until - now
    if (end := end_of_expired(task, now)) is None:
        return _Choice(task, origin, slot), None
    _end_quietly(lambda: ports.tasks.end_expired(task, end, now=now))
    return None, timedelta(0)


def _choose(view: ClaimView, ports: ExecutorPorts) -> tuple[_Choice | None, timedelta | None]:
    """The best task that may start, with a free slot; or how long to wait for a slot.

    Returns (None, None) when nothing may start.
    """
    now = ports.clock.now()
    startable = [task for task in view.tasks.values() if _may_start(task, now, ports)]
    if not startable:
        return None, None
    best = min(startable, key=lambda task: (task.rank, task.workspace_id, task.id))
    free = [slot for slot in view.slots if slot.task_id is None]
    if free:
        return _Choice(best, view.origins[best.id], free[0]), None
    return _slot_of_a_dead_one(view.slots, ports)


def _may_start(task: Task, now: datetime, ports: ExecutorPorts) -> bool:
    if task.status is not TaskStatus.PENDING or not task.is_due(now):
        return False
    if (error := queue_error(task, now)) is None:
        return True
    _end_quietly(lambda: ports.tasks.end_unclaimed(task, TaskStatus.FAILED, error, now=now))
    return False


def _slot_of_a_dead_one(
    slots: tuple[Slot, ...], ports: ExecutorPorts
) -> tuple[_Choice | None, timedelta | None]:
    """All slots are taken: recover a task whose lease has run out, or wait for the first that may.

    A live executor renews its lease, so waiting once tells the living from the dead.
    """
    waits: list[timedelta] = []
    for slot in slots:
        choice, wait = _recover(slot, ports)
        if choice is not None:
            return choice, None
        waits.append(wait or timedelta(0))
    return None, min(waits)


def _try_claim(
    choice: _Choice, wake_up: WakeUp, *, others_wait: bool, ports: ExecutorPorts
) -> Claimed | None:
    """Claim it; None when somebody was faster."""
    now = ports.clock.now()
    try:
        task = ports.tasks.claim(
            choice.task,
            choice.slot,
            message_id=wake_up.message_id,
            now=now,
            lease_until=now + LEASE,
            reserved_micros=choice.task.reserved_micros,
        )
    except NotClaimableError:
        ports.clock.sleep(timedelta(milliseconds=50) * ports.dice.jitter())
        return None
    logger.info(
        "[BGWorker] Task %s RUNNING, attempt %d of %d, fence %d",
        task.id,
        task.attempts,
        task.max_attempts,
        task.fence,
    )
    return Claimed(task, choice.origin, others_wait)


def _others(line: list[str], choice: _Choice) -> bool:
    return any(task_id != choice.task.id for task_id in line)


def _end_quietly(end: object) -> None:
    """Make the write; that somebody else has changed the task meanwhile is as good."""
    assert callable(end)
    try:
        end()
    except ConditionFailedError:
        return
