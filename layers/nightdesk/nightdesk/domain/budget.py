"""What a claim charges to its workspace's budget of the day.

The task's full cap is charged when it is claimed, and settled to what it has really cost when it
leaves RUNNING: two tasks that start together can never spend the same dollar.
"""

from datetime import UTC, datetime

from nightdesk.domain.ports import BudgetCharge, WorkspaceSettings
from nightdesk.domain.task import DEFAULT_COST_CAP_MICROS, Origin, Task, TaskStatus


def charge_for(
    task: Task, origin: Origin, settings: WorkspaceSettings, now: datetime
) -> BudgetCharge | None:
    """The charge of this claim; None when the workspace has no budget, or the task, being
    recovered, is charged already.
    """
    bounded = settings.tasks_per_day is not None or settings.cost_micros_per_day is not None
    if not bounded or task.status is not TaskStatus.PENDING:
        return None
    cap = origin.limits.cost_micros
    left = (DEFAULT_COST_CAP_MICROS if cap is None else cap) - task.cost_micros
    return BudgetCharge(
        day=now.astimezone(UTC).date().isoformat(),
        micros=max(0, left),
        tasks=1 if task.attempts == 0 else 0,
        most_micros=settings.cost_micros_per_day,
        most_tasks=settings.tasks_per_day,
    )
