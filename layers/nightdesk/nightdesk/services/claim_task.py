"""Find the task that this wake-up's executor should work on, and claim it.

A wake-up is no task: recovery comes first (a redelivered wake-up finds the slot that its executor
had claimed), then the best runnable task, whichever the wake-up names (design, section 4, rule 1).
What turns out not to be allowed now (paused, budget spent, group busy) is taken out of the line.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from nightdesk.domain.budget import charge_for
from nightdesk.domain.errors import (
    BudgetSpentError,
    ConditionFailedError,
    GroupBusyError,
    NotClaimableError,
)
from nightdesk.domain.ports import Candidate, ClaimView, Slot, WorkspaceSettings
from nightdesk.domain.recovery import end_of_expired, queue_error
from nightdesk.domain.task import HOLD_FOR, ID_MAX, LEASE, Hold, Origin, Task, TaskStatus
from nightdesk.services.concurrency_groups import supersede_older
from nightdesk.services.engine_ports import ExecutorPorts
from nightdesk.services.look_after_others import look_after_others

logger = logging.getLogger(__name__)

#: The head of the line: enough to let workspaces take turns, and one cheap query.
_HEAD = 50
#: Candidates that are read at once: the best, and the next if that one may not start.
_READ_AT_ONCE = 2
#: Several executors may go for the same task; after this many tries the others have it all.
_TRIES = 12
#: A little more than the time that a dead executor's lease may have left.
_LONGEST_WAIT = LEASE + timedelta(seconds=2)
_FRESH_WAKE_UP_AFTER = timedelta(seconds=15)
_EVERYBODY = "*"


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
        found = _look(wake_up, ports)
        if found.choice is not None:
            claimed = _try_claim(found.choice, wake_up, found.others_wait, ports)
            if claimed is not None:
                return claimed
        elif found.wait is None:
            return None
        elif (waited and found.wait) or ports.clock.now() + found.wait > give_up_at:
            break
        else:
            ports.clock.sleep(min(found.wait, _LONGEST_WAIT))
            waited = waited or found.wait > timedelta(0)
    ports.wake_ups.send(wake_up.task_id, delay=_FRESH_WAKE_UP_AFTER)
    return None


# Looking --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Choice:
    task: Task
    origin: Origin
    slot: Slot
    settings: WorkspaceSettings


@dataclass(frozen=True, slots=True)
class _Found:
    """A task to claim; or how long to wait before looking again; or neither: nothing to do."""

    choice: _Choice | None = None
    wait: timedelta | None = None
    others_wait: bool = False


_NOTHING = _Found()
_LOOK_AGAIN = _Found(wait=timedelta(0))


def _look(wake_up: WakeUp, ports: ExecutorPorts) -> _Found:
    line = ports.tasks.runnable(limit=_HEAD)
    best = ports.turns.in_turn(line)[:_READ_AT_ONCE]
    named = [wake_up.task_id] if 0 < len(wake_up.task_id) <= ID_MAX else []  # it is only a hint
    ids = list(dict.fromkeys([*(candidate.task_id for candidate in best), *named]))
    workspaces = list(dict.fromkeys(candidate.workspace_id for candidate in best))
    view = ports.tasks.view_for_claim(ids, workspace_ids=workspaces)
    own = _slot_to_recover(wake_up, view, ports.clock.now())
    if own is not None:
        return _recover(own, ports)
    if view.settings.get(_EVERYBODY, WorkspaceSettings()).paused:
        return _NOTHING
    return _choose(view, line, [candidate.task_id for candidate in best], ports)


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


def _recover(slot: Slot, ports: ExecutorPorts) -> _Found:
    """The task of a slot, if its executor is gone; or how long its lease still lasts."""
    assert slot.task_id is not None
    view = ports.tasks.view_for_claim([slot.task_id])
    task, origin = view.tasks.get(slot.task_id), view.origins.get(slot.task_id)
    now = ports.clock.now()
    if task is None or origin is None or task.status is not TaskStatus.RUNNING:
        return _LOOK_AGAIN  # it has ended meanwhile
    if task.lease_until is not None and task.lease_until > now:
        return _Found(wait=task.lease_until - now)
    if (end := end_of_expired(task, now)) is None:
        return _Found(_Choice(task, origin, slot, WorkspaceSettings()))
    try:
        ended = ports.tasks.end_expired(task, end, now=now)
    except ConditionFailedError:
        return _LOOK_AGAIN  # somebody else was faster
    look_after_others(ended, tasks=ports.tasks, wake_ups=ports.wake_ups, clock=ports.clock)
    return _LOOK_AGAIN


def _choose(
    view: ClaimView, line: Sequence[Candidate], in_turn: Sequence[str], ports: ExecutorPorts
) -> _Found:
    """The first that may start, with a free slot; or how long to wait for a slot."""
    now = ports.clock.now()
    startable = [task for task in view.tasks.values() if _may_start(task, now, ports)]
    if not startable:
        # What was read is gone from the line by now; there may be more behind it.
        return _LOOK_AGAIN if len(line) > len(in_turn) else _NOTHING
    place = {task_id: number for number, task_id in enumerate(in_turn)}
    first = min(startable, key=lambda task: (place.get(task.id, len(place)), task.rank, task.id))
    free = [slot for slot in view.slots if slot.task_id is None]
    if not free:
        return _slot_of_a_dead_one(view.slots, ports)
    settings = view.settings.get(first.workspace_id)
    if settings is None and first.id not in place:
        settings = ports.tasks.workspace_settings(first.workspace_id)
    choice = _Choice(first, view.origins[first.id], free[0], settings or WorkspaceSettings())
    others = any(candidate.task_id != first.id for candidate in line)
    return _Found(choice, others_wait=others)


def _may_start(task: Task, now: datetime, ports: ExecutorPorts) -> bool:
    if task.status is not TaskStatus.PENDING or not task.is_due(now):
        return False
    if task.held is Hold.DEPENDENCIES:
        return False
    if (error := queue_error(task, now)) is None:
        return True
    _unless_changed(lambda: ports.tasks.end_unclaimed(task, TaskStatus.FAILED, error, now=now))
    return False


def _slot_of_a_dead_one(slots: tuple[Slot, ...], ports: ExecutorPorts) -> _Found:
    """All slots are taken: recover a task whose lease has run out, or wait for the first that may.

    A live executor renews its lease, so waiting once tells the living from the dead.
    """
    waits: list[timedelta] = []
    for slot in slots:
        found = _recover(slot, ports)
        if found.choice is not None:
            return found
        waits.append(found.wait or timedelta(0))
    return _Found(wait=min(waits))


# Claiming -------------------------------------------------------------------------------------


def _try_claim(
    choice: _Choice, wake_up: WakeUp, others_wait: bool, ports: ExecutorPorts
) -> Claimed | None:
    """Claim it; None when it is not allowed now, or somebody was faster."""
    now = ports.clock.now()
    task = choice.task
    if choice.settings.paused:
        ports.tasks.hold(task, Hold.PAUSED, until=now + HOLD_FOR)
        return None
    try:
        claimed = ports.tasks.claim(
            task,
            choice.slot,
            message_id=wake_up.message_id,
            now=now,
            lease_until=now + LEASE,
            reserved_micros=task.reserved_micros,
            charge=charge_for(task, choice.origin, choice.settings, now),
            calls_back=choice.settings.calls_back,
        )
    except GroupBusyError:
        _wait_for_group(task, ports, now)
        return None
    except BudgetSpentError:
        logger.info("[BGWorker] Task %s waits: its workspace's budget is spent", task.id)
        ports.tasks.hold(task, Hold.BUDGET, until=now + HOLD_FOR)
        return None
    except NotClaimableError:
        ports.clock.sleep(timedelta(milliseconds=50) * ports.dice.jitter())
        return None
    ports.turns.served(claimed.workspace_id)
    # Whoever created it may have died before this, or an older one was in no index yet.
    supersede_older(claimed, tasks=ports.tasks, clock=ports.clock)
    logger.info(
        "[BGWorker] Task %s RUNNING, attempt %d of %d, fence %d",
        claimed.id,
        claimed.attempts,
        claimed.max_attempts,
        claimed.fence,
    )
    return Claimed(claimed, choice.origin, others_wait)


def _wait_for_group(task: Task, ports: ExecutorPorts, now: datetime) -> None:
    """Out of the line until the group's running task has ended, or end that one."""
    ports.tasks.hold(task, Hold.GROUP, until=now + HOLD_FOR)
    if task.supersedes:
        supersede_older(task, tasks=ports.tasks, clock=ports.clock)
    # It may have ended between our claim and the hold; then nobody else would look.
    if task.group and ports.tasks.group_holder(task.group) is None:
        held = ports.tasks.get(task.id)
        if held is not None and held.held is Hold.GROUP:
            ports.tasks.make_runnable(held, now=now)


def _unless_changed(write: Callable[[], object]) -> None:
    """Make the write; that somebody else has changed the task meanwhile is as good."""
    try:
        write()
    except ConditionFailedError:
        return
