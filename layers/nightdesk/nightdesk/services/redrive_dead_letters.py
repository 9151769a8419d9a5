"""Send the wake-ups that the queue has given up on once more.

A message is a wake-up, not a task: whatever its task needs is in the tables, and the sweeper finds
it there. So nothing is lost with a dead letter, and one sent twice does no harm.
"""

import logging

from nightdesk.domain.dead_letters import DeadLetters
from nightdesk.domain.ports import WakeUps

logger = logging.getLogger(__name__)

#: One call sends at most this many.
AT_ONCE = 100


def redrive(dead_letters: DeadLetters, wake_ups: WakeUps) -> int:
    """Send each as a fresh wake-up, then delete it; returns how many were sent.

    Killed in between, it is sent again by the next call.

    Raises:
        UnavailableError: the queue does not answer.
    """
    sent = taken = 0
    while taken < AT_ONCE and (letters := dead_letters.take()):
        for letter in letters:
            taken += 1
            if letter.task_id is None:
                logger.warning("[BGWorker] a dead letter that names no task was deleted")
            else:
                wake_ups.send(letter.task_id)
                sent += 1
            dead_letters.delete(letter)
    return sent
