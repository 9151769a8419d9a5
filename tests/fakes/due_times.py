"""`DueTimes` in memory. It passes the same tests as the DynamoDB adapter."""

from collections.abc import Mapping
from datetime import datetime

from nightdesk.domain.errors import ConditionFailedError


class FakeDueTimes:
    def __init__(self) -> None:
        self.rows: dict[str, datetime] = {}

    def all(self) -> Mapping[str, datetime]:
        return dict(self.rows)

    def begin(self, key: str, due: datetime) -> None:
        if key in self.rows:
            raise ConditionFailedError(key)
        self.rows[key] = due

    def move(self, key: str, *, seen: datetime, due: datetime) -> None:
        self._check(key, seen)
        self.rows[key] = due

    def forget(self, key: str, *, seen: datetime) -> None:
        self._check(key, seen)
        del self.rows[key]

    def _check(self, key: str, seen: datetime) -> None:
        if self.rows.get(key) != seen:
            raise ConditionFailedError(key)
