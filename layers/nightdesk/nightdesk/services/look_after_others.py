"""What must follow when a task runs no more: whatever waited for it moves along.

Killed before or within: the sweeper finds the waiting ones due.
"""

from nightdesk.domain.ports import Clock, TaskStore, WakeUps
from nightdesk.domain.task import Task
from nightdesk.services.concurrency_groups import pass_group_on
from nightdesk.services.settle_dependants import settle_dependants


def look_after_others(left: Task, *, tasks: TaskStore, wake_ups: WakeUps, clock: Clock) -> None:
    """The next of its group gets in line; if it has ended, its dependants start or end too."""
    pass_group_on(left, tasks=tasks, wake_ups=wake_ups, clock=clock)
    if left.status.is_terminal:
        settle_dependants(left, tasks=tasks, wake_ups=wake_ups, clock=clock)
