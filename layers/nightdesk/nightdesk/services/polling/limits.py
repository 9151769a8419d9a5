"""GitHub's limits for all threads of a poll, and from one poll to the next."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from nightdesk.domain.errors import TryLaterError
from nightdesk.domain.ports import Clock
from nightdesk.domain.rate_limits import POINTS_PER_MINUTE, Allowance

_SPENT = "the points of this minute are spent"


class SharedLimits:
    """`RateLimits`. What one thread is told, all know before their next request."""

    def __init__(self, clock: Clock, *, points: int = POINTS_PER_MINUTE) -> None:
        self._clock = clock
        self._points = points
        self._lock = Lock()
        self._allowances: dict[str, Allowance] = {}
        self._deadline: datetime | None = None

    def begin(self, record: Mapping[str, Mapping[str, Any]], deadline: datetime) -> None:
        """Go on from what the last poll has spent and been told; wait for nothing beyond."""
        with self._lock:
            self._deadline = deadline
            self._allowances = {
                name: Allowance.of_record(known, self._points) for name, known in record.items()
            }

    def record(self) -> dict[str, dict[str, Any]]:
        """For the next poll."""
        now = self._clock.now()
        with self._lock:
            found = {name: known.record(now) for name, known in self._allowances.items()}
        return {name: known for name, known in found.items() if known}

    def enter(self, credential: str) -> None:
        while wait := self._spend_or_wait(credential):
            self._clock.sleep(wait)

    def pause(self, credential: str, error: TryLaterError) -> None:
        until = self._clock.now() + error.retry_after
        with self._lock:
            self._of(credential).pause(until, str(error))

    def pause_of(self, credential: str) -> TryLaterError | None:
        """What GitHub has told this credential, while it is still to be obeyed."""
        with self._lock:
            known = self._of(credential)
            wait = known.pause_at(self._clock.now())
            return TryLaterError(known.reason, retry_after=wait) if wait else None

    def _spend_or_wait(self, credential: str) -> timedelta:
        if refusal := self.pause_of(credential):
            raise refusal
        with self._lock:
            now, known = self._clock.now(), self._of(credential)
            wait = known.wait_at(now)
            if not wait:
                known.spend(now)
            elif self._deadline is not None and now + wait >= self._deadline:
                raise TryLaterError(_SPENT, retry_after=wait)
            return wait

    def _of(self, credential: str) -> Allowance:
        return self._allowances.setdefault(credential, Allowance(self._points))
