"""A repository's events as GitHub's feed shows them: late, in bursts, in no order that means much.

600 times in 10 hours something happens: as a rule one event, in 1 of 100 cases 40 to 130 at once.
15 % of the events are shown 5 to 60 minutes after they happened, filed by the time at which they
happened. Ids grow, but go backwards at times, as GitHub's do. The range of the delays is GitHub's
own ("30 s to 6 h"); the rest is an assumption.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

LENGTH = timedelta(hours=10)
TIMES = 600
LATE, LATE_MINUTES = 0.15, (5, 60)
BURST, BURST_EVENTS = 0.01, (40, 130)
WINDOW = 300
#: By how many places an id may be out of its order.
DISORDER = 3
FIRST_ID = 4_712_145


@dataclass(frozen=True, slots=True)
class Happening:
    """One event; its `number` is the issue that was opened."""

    number: int
    id: str
    at: datetime
    shown_at: datetime


def happenings(
    seed: int, start: datetime, *, times: int = TIMES, length: timedelta = LENGTH
) -> list[Happening]:
    """In the order in which they happen; the same for the same seed."""
    random = Random(seed)
    found: list[Happening] = []
    for at in _times(random, start, times, length):
        late = random.random() < LATE
        delay = timedelta(minutes=random.uniform(*LATE_MINUTES)) if late else timedelta(0)
        number = len(found) + 1
        disorder = random.randint(-DISORDER, DISORDER)
        event_id = str((FIRST_ID + number + disorder) * 10_000 + number)
        found.append(Happening(number, event_id, at, at + delay))
    return found


def _times(random: Random, start: datetime, times: int, length: timedelta) -> Iterator[datetime]:
    """Whole seconds, as GitHub gives them."""
    for second in sorted(random.randrange(int(length.total_seconds())) for _ in range(times)):
        many = random.randint(*BURST_EVENTS) if random.random() < BURST else 1
        for _ in range(many):
            yield start + timedelta(seconds=second)


def feed(found: list[Happening], now: datetime) -> list[Happening]:
    """What GitHub shows now: by time, the newest first, equal times in any order, 300 at most."""
    shown = [h for h in found if h.shown_at <= now]
    shown.sort(key=lambda h: (h.at, h.id[::-1]), reverse=True)
    return shown[:WINDOW]
