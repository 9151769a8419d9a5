"""How long a failed attempt waits before the next."""

from datetime import timedelta

BASE = timedelta(seconds=1)
CAP = timedelta(minutes=5)


def backoff(attempt: int, *, jitter: float) -> timedelta:
    """Wait before the attempt after `attempt` (counted from 1): exponential from one second.

    `jitter` is a random number in [0, 1): the wait lies between half of the full delay and all of
    it, so that tasks that failed together do not return together.
    """
    doublings = max(0, min(attempt - 1, 20))
    full = min(CAP, BASE * (1 << doublings))
    return full * (0.5 + jitter / 2)
