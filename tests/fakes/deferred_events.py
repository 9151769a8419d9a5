"""`DeferredEvents` in memory. It passes the same tests as the DynamoDB adapter."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from nightdesk.domain.deferred_events import DeferredEvent
from nightdesk.domain.errors import ConditionFailedError, NightdeskError

Key = tuple[datetime, str]


class FakeDeferredEvents:
    def __init__(self) -> None:
        self.rows: dict[Key, DeferredEvent] = {}
        #: Raised by the next calls of `put`, in order.
        self.failures: list[NightdeskError] = []

    def put(self, deferred: DeferredEvent) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.rows.setdefault(_key(deferred), deferred)

    def due(self, *, now: datetime, most: int) -> Sequence[DeferredEvent]:
        return [self.rows[key] for key in sorted(self.rows) if key[0] <= now][:most]

    def move(self, deferred: DeferredEvent, *, next_try: datetime) -> DeferredEvent:
        moved = replace(deferred, next_try=next_try, tries=deferred.tries + 1)
        if _key(moved) == _key(deferred):
            raise ValueError("the next try is another time")
        if self.rows.pop(_key(deferred), None) is None:
            raise ConditionFailedError(deferred.event.key)
        self.rows[_key(moved)] = moved
        return moved

    def remove(self, deferred: DeferredEvent) -> None:
        self.rows.pop(_key(deferred), None)

    def count(self, *, most: int) -> int:
        return min(len(self.rows), most)


def _key(deferred: DeferredEvent) -> Key:
    return deferred.next_try, deferred.digest
