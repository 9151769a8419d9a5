"""A clock and dice that tests turn by hand."""

from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class FakeClock:
    """`Clock` that stands still unless told otherwise; sleeping moves it."""

    def __init__(self, start: datetime = NOON) -> None:
        self._now = start
        self.slept: list[timedelta] = []

    def now(self) -> datetime:
        return self._now

    def sleep(self, duration: timedelta) -> None:
        self.slept.append(duration)
        self.advance(duration)

    def advance(self, duration: timedelta) -> None:
        self._now += max(duration, timedelta(0))


class FakeDice:
    """`Dice` that always fall the same way; tokens count up."""

    def __init__(self, jitter: float = 0.5) -> None:
        self._jitter = jitter
        self._tokens = 0

    def jitter(self) -> float:
        return self._jitter

    def token(self) -> str:
        self._tokens += 1
        return f"{self._tokens:032x}"
