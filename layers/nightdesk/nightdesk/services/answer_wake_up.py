"""What an executor does with one wake-up: claim one task, run it, and pass the word on."""

from datetime import datetime, timedelta

from nightdesk.services.claim_task import WakeUp, claim_next
from nightdesk.services.engine_ports import ExecutorPorts
from nightdesk.services.look_after_others import look_after_others
from nightdesk.services.run_session import run_session

#: How long before the invocation's end a session is handed over: enough to abort a call, write
#: the release and send the wake-up, with every retry of each.
HAND_OVER_MARGIN = timedelta(seconds=45)


def answer_wake_up(wake_up: WakeUp, *, ports: ExecutorPorts, deadline: datetime) -> None:
    """Claim the task that should run now and run its session; `deadline` is the invocation's end.

    Returning means that the message is done with. Raising UnavailableError returns it to the
    queue: its next executor finds the slot that it had claimed.
    """
    hand_over_at = deadline - HAND_OVER_MARGIN
    claimed = claim_next(wake_up, ports=ports, give_up_at=hand_over_at)
    if claimed is None:
        return
    left = run_session(claimed.task, claimed.origin, ports=ports, hand_over_at=hand_over_at)
    if left is not None:
        look_after_others(left, tasks=ports.tasks, wake_ups=ports.wake_ups, clock=ports.clock)
    if claimed.others_wait:
        # A slot is free now and another task was waiting; the id is only a hint.
        ports.wake_ups.send(claimed.task.id)
