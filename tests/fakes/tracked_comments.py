"""`TrackedComments` in memory. It passes the same tests as the DynamoDB store."""

from dataclasses import replace
from datetime import datetime

from nightdesk.domain.errors import ConditionFailedError
from nightdesk.domain.tracked_comment import TrackedComment


class FakeTrackedComments:
    def __init__(self) -> None:
        self.comments: dict[str, TrackedComment] = {}
        self.leases: dict[str, datetime] = {}
        self.versions: dict[str, int] = {}

    def lease(self, key: str, *, now: datetime, until: datetime) -> TrackedComment:
        if key in self.leases and self.leases[key] > now:
            raise ConditionFailedError(key)
        self.leases[key] = until
        self.versions[key] = self.versions.get(key, 0) + 1
        known = self.comments.setdefault(key, TrackedComment(key=key, began_at=now))
        return replace(known, version=self.versions[key])

    def store(self, comment: TrackedComment, *, now: datetime) -> None:
        del now
        if self.versions.get(comment.key) != comment.version:
            raise ConditionFailedError(comment.key)
        self.comments[comment.key] = comment
        self.leases.pop(comment.key, None)
