"""What is remembered of our tracking comments, in the `Outbox` table (`TrackedComments`).

Key: `thread#<key>` + `comment`. The rows of consumers begin otherwise, so nobody takes it for one.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pynamodb.expressions.update import Action

from nightdesk.adapters.dynamodb.tables import TrackedCommentItem, instant
from nightdesk.adapters.dynamodb.transactions import ConditionFailed, patiently
from nightdesk.domain.errors import ConditionFailedError
from nightdesk.domain.tracked_comment import Shown, TrackedComment

_ROW = "comment"


class DynamoTrackedComments:
    """`TrackedComments` on DynamoDB. A comment is forgotten `kept_for` after it was last edited."""

    def __init__(self, *, kept_for: timedelta) -> None:
        self._kept_for = kept_for

    def lease(self, key: str, *, now: datetime, until: datetime) -> TrackedComment:
        item = TrackedCommentItem(f"thread#{key}", _ROW)
        lease = TrackedCommentItem.lease_until
        free = lease.does_not_exist() | (lease <= now)
        actions: list[Action] = [
            TrackedCommentItem.lease_until.set(until),
            # At once: what this publisher writes before it is killed must not look older.
            TrackedCommentItem.began_at.set(TrackedCommentItem.began_at | now),
            TrackedCommentItem.version.add(1),
            TrackedCommentItem.expires.set(int((now + self._kept_for).timestamp())),
        ]
        try:
            patiently(lambda: item.update(actions=actions, condition=free))
        except ConditionFailed as error:
            raise ConditionFailedError(key) from error
        return _comment_of(key, item)

    def store(self, comment: TrackedComment, *, now: datetime) -> None:
        item = TrackedCommentItem(f"thread#{comment.key}", _ROW)
        ours = TrackedCommentItem.version == comment.version
        actions: list[Action] = [
            TrackedCommentItem.document.set(_document_of(comment)),
            TrackedCommentItem.lease_until.remove(),
            TrackedCommentItem.expires.set(int((now + self._kept_for).timestamp())),
        ]
        try:
            patiently(lambda: item.update(actions=actions, condition=ours))
        except ConditionFailed as error:
            raise ConditionFailedError(comment.key) from error


def _document_of(comment: TrackedComment) -> dict[str, Any]:
    return {
        "commentId": comment.comment_id,
        "owner": _shown_document(comment.owner),
        "result": _shown_document(comment.result),
        "entry": comment.entry,
        "tools": dict(comment.tools or {}),
        "question": comment.question,
        "reason": comment.reason,
        "notBefore": instant(comment.not_before) if comment.not_before else None,
    }


def _comment_of(key: str, item: TrackedCommentItem) -> TrackedComment:
    document: Mapping[str, Any] = item.document or {}
    began_at, version = item.began_at, int(item.version)
    if not document:
        return TrackedComment(key=key, began_at=began_at, version=version)
    not_before = document["notBefore"]
    return TrackedComment(
        key=key,
        began_at=began_at,
        comment_id=int(document["commentId"]),
        owner=_shown_of(document["owner"]),
        result=_shown_of(document["result"]),
        entry=int(document["entry"]),
        tools=document["tools"] or None,
        question=document["question"],
        reason=document["reason"],
        not_before=datetime.fromisoformat(not_before) if not_before else None,
        version=version,
    )


def _shown_document(shown: Shown | None) -> dict[str, Any] | None:
    if shown is None:
        return None
    return {"task": shown.task_id, "at": instant(shown.created_at), "run": shown.run}


def _shown_of(document: Mapping[str, Any] | None) -> Shown | None:
    if document is None:
        return None
    at = datetime.fromisoformat(document["at"])
    return Shown(task_id=document["task"], created_at=at, run=int(document["run"]))
