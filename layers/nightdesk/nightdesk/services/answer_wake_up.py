"""What an executor does with one wake-up: claim one task, run it, and pass the word on."""

from datetime import datetime, timedelta

from nightdesk.domain.ports import WakeUps
from nightdesk.services.claim_task import WakeUp, claim_next
from nightdesk.services.engine_ports import ExecutorPorts
from nightdesk.services.run_session import run_session

#: How long before the invocation's end a session is handed over: enough to abort a call, write
#: the release and send the wake-up, with every retry of each.
HAND_OVER_MARGIN = timedelta(seconds=45)


def answer_wake_up(wake_up: WakeUp, *, ports: ExecutorPorts, deadline: datetime) -> None:
    """Claim the task that should run now and run its session; `deadline` is the invocation's end.

    Returning means that the message is done with. Raising UnavailableError before a claim returns
    it to the queue.
    """
    hand_over_at = deadline - HAND_OVER_MARGIN
    claimed = claim_next(wake_up, ports=ports, give_up_at=hand_over_at)
    if claimed is None:
        return
    run_session(claimed.task, claimed.origin, ports=ports, hand_over_at=hand_over_at)
    if claimed.others_wait:
        _pass_on(ports.wake_ups, claimed.task.id)


def _pass_on(wake_ups: WakeUps, task_id: str) -> None:
    """A slot is free now and another task was waiting; the id is only a hint."""
    wake_ups.send(task_id)
