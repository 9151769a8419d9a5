"""What GitHub allows one credential: points in a minute, and the pauses that it has ordered.

GitHub's secondary limits: 900 points in a minute (a GET is one), 100 requests at a time. The
primary limit and `Retry-After` come as answers and are kept as a pause.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

POINTS_PER_MINUTE = 900
WINDOW = timedelta(minutes=1)
_WINDOW_SECONDS = int(WINDOW.total_seconds())


@dataclass(slots=True)
class Allowance:
    """Points are counted by the second in which they were spent, and come back a minute after that
    second has ended: never too many in any sixty seconds.
    """

    points: int = POINTS_PER_MINUTE
    paused_until: datetime | None = None
    reason: str = ""
    _spent: dict[int, int] = field(default_factory=dict)

    def pause_at(self, now: datetime) -> timedelta:
        """How much longer GitHub wants to hear nothing; zero when it listens."""
        return max(self.paused_until - now, timedelta(0)) if self.paused_until else timedelta(0)

    def wait_at(self, now: datetime) -> timedelta:
        """How long until there is a point to spend; zero = now. Pauses are not counted."""
        second = int(now.timestamp())
        self._forget(second)
        left = sum(self._spent.values()) - self.points
        if left < 0:
            return timedelta(0)
        for spent_at in sorted(self._spent):
            left -= self._spent[spent_at]
            if left < 0:
                free_at = datetime.fromtimestamp(spent_at + 1 + _WINDOW_SECONDS, UTC)
                return max(free_at - now, timedelta(milliseconds=1))
        return WINDOW

    def spend(self, now: datetime) -> None:
        second = int(now.timestamp())
        self._spent[second] = self._spent.get(second, 0) + 1

    def pause(self, until: datetime, reason: str) -> None:
        """Ask nothing before `until`. A later pause that was ordered before stays."""
        if self.paused_until is None or until > self.paused_until:
            self.paused_until, self.reason = until, reason

    def record(self, now: datetime) -> dict[str, Any]:
        """As JSON, for whoever polls next; {} when there is nothing to remember."""
        self._forget(int(now.timestamp()))
        found: dict[str, Any] = {}
        if self._spent:
            found["spent"] = {str(second): count for second, count in self._spent.items()}
        if self.pause_at(now):
            found |= {"until": self.paused_until and self.paused_until.isoformat()}
            found |= {"reason": self.reason}
        return found

    @classmethod
    def of_record(cls, record: Mapping[str, Any], points: int = POINTS_PER_MINUTE) -> "Allowance":
        made = cls(points)
        made._spent = {int(second): int(n) for second, n in record.get("spent", {}).items()}
        if record.get("until"):
            made.pause(datetime.fromisoformat(record["until"]), str(record.get("reason", "")))
        return made

    def _forget(self, second: int) -> None:
        for spent_at in [s for s in self._spent if s + _WINDOW_SECONDS < second]:
            del self._spent[spent_at]
