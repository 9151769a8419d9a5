"""What a workspace's owners set: its pause and its budgets of the day; and the pause of everything.

A task that may not start is held back by the executor that would have claimed it. Whoever takes
the reason away puts the held tasks back in line; those that are too many for one call follow when
the sweeper looks at them, within minutes.
"""

from dataclasses import dataclass, replace

from nightdesk.domain.api_key import ApiKey
from nightdesk.domain.errors import InvalidInputError, TransientError
from nightdesk.domain.ports import Clock, TaskStore, WakeUps, WorkspaceSettings
from nightdesk.domain.task import Hold, Task, TaskStatus

#: The row of settings that hold for the whole deployment.
EVERYBODY = "*"
TASKS_PER_DAY_MAX = 1_000_000
COST_USD_PER_DAY_MAX = 100_000
_MICROS = 1_000_000
#: One call puts at most this many tasks back in line, and wakes this many executors.
_PAGE, _PAGES = 100, 5
_WAKE_UPS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceChange:
    """What to change; None = leave it. `clear_…` takes the bound away."""

    paused: bool | None = None
    tasks_per_day: int | None = None
    cost_usd_per_day: float | None = None
    clear_tasks: bool = False
    clear_cost: bool = False


def read_workspace(workspace_id: str, *, key: ApiKey, tasks: TaskStore) -> WorkspaceSettings:
    """Raises ForbiddenError unless it is the key's own workspace."""
    key.demand_workspace(workspace_id)
    return tasks.workspace_settings(workspace_id)


def change_workspace(
    workspace_id: str,
    change: WorkspaceChange,
    *,
    key: ApiKey,
    tasks: TaskStore,
    wake_ups: WakeUps,
    clock: Clock,
) -> WorkspaceSettings:
    """Set what is to be changed, and put back in line what it releases.

    Raises:
        ForbiddenError: not the key's own workspace, or a key of some specialists only.
        InvalidInputError: nothing is to be changed, or a bound is out of bounds.
    """
    key.demand_workspace(workspace_id)
    key.demand_all_agents()
    if change == WorkspaceChange():
        known = "paused, tasksPerDay, costUsdPerDay, callback"
        raise InvalidInputError("body", f"The body must change some of {known}")
    _check_bounds(change)
    before = tasks.workspace_settings(workspace_id)
    after = _changed(before, change)
    tasks.set_workspace_settings(workspace_id, after)
    if reasons := _taken_away(before, after):
        _release(workspace_id, reasons, tasks=tasks, wake_ups=wake_ups, clock=clock)
    return after


def pause_everything(*, paused: bool, tasks: TaskStore) -> None:
    """Let no task of any workspace start, or let them start again. What runs goes on.

    Nothing is held back for it: the tasks stay in line, and the next sweep wakes executors.
    """
    before = tasks.workspace_settings(EVERYBODY)
    tasks.set_workspace_settings(EVERYBODY, replace(before, paused=paused))


def _check_bounds(change: WorkspaceChange) -> None:
    most = change.tasks_per_day
    if most is not None and not 1 <= most <= TASKS_PER_DAY_MAX:
        allowed = f"from 1 to {TASKS_PER_DAY_MAX}"
        raise InvalidInputError("tasksPerDay", f"tasksPerDay must be {allowed}; got {most}")
    dollars = change.cost_usd_per_day
    if dollars is not None and not 0 < dollars <= COST_USD_PER_DAY_MAX:
        allowed = f"more than 0 and at most {COST_USD_PER_DAY_MAX}"
        raise InvalidInputError("costUsdPerDay", f"costUsdPerDay must be {allowed}; got {dollars}")


def _changed(before: WorkspaceSettings, change: WorkspaceChange) -> WorkspaceSettings:
    after = before
    if change.paused is not None:
        after = replace(after, paused=change.paused)
    if change.clear_tasks or change.tasks_per_day is not None:
        after = replace(after, tasks_per_day=change.tasks_per_day)
    if change.clear_cost:
        after = replace(after, cost_micros_per_day=None)
    if change.cost_usd_per_day is not None:
        micros = max(1, round(change.cost_usd_per_day * _MICROS))
        after = replace(after, cost_micros_per_day=micros)
    return after


def _taken_away(before: WorkspaceSettings, after: WorkspaceSettings) -> frozenset[Hold]:
    """Which reasons to hold a task back are gone, or weaker."""
    reasons = set()
    if before.paused and not after.paused:
        reasons.add(Hold.PAUSED)
    if _is_more(before.tasks_per_day, after.tasks_per_day) or _is_more(
        before.cost_micros_per_day, after.cost_micros_per_day
    ):
        reasons.add(Hold.BUDGET)
    return frozenset(reasons)


def _is_more(before: int | None, after: int | None) -> bool:
    return before is not None and (after is None or after > before)


def _release(
    workspace_id: str,
    reasons: frozenset[Hold],
    *,
    tasks: TaskStore,
    wake_ups: WakeUps,
    clock: Clock,
) -> None:
    released = 0
    for task in _pending(workspace_id, tasks):
        if task.held not in reasons:
            continue
        tasks.make_runnable(task, now=clock.now())
        released += 1
        if released <= _WAKE_UPS:
            _wake(task, wake_ups)


def _pending(workspace_id: str, tasks: TaskStore) -> list[Task]:
    found: list[Task] = []
    cursor = None
    for _ in range(_PAGES):
        page = tasks.list_page(workspace_id, status=TaskStatus.PENDING, limit=_PAGE, cursor=cursor)
        found += page.tasks
        cursor = page.cursor
        if cursor is None:
            break
    return found


def _wake(task: Task, wake_ups: WakeUps) -> None:
    try:
        wake_ups.send(task.id)
    except TransientError:
        return  # the sweeper wakes executors within a minute
