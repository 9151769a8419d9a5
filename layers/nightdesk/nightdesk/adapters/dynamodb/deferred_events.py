"""Deferred events in the `Github` table: `deferred` + `<next try>#<digest of the event>`.

All stand under one key, so that what is due is read with one request, and nothing else. Another
time of the next try is another row: put and removed in one transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

from pynamodb.transactions import TransactWrite

from nightdesk.adapters.dynamodb.tables import GithubItem, instant
from nightdesk.adapters.dynamodb.transactions import (
    ConditionFailed,
    patiently,
    transact,
    translated,
)
from nightdesk.domain.deferred_events import DeferredEvent, document_of
from nightdesk.domain.errors import ConditionFailedError
from nightdesk.domain.github_ports import Account, Repository
from nightdesk.domain.trigger import GithubEvent

_KEY = "deferred"
#: For rows that no poller looks at any more; one that does ends them after a day.
KEPT_FOR = timedelta(days=14)
#: Sort before every time, and behind every digest.
_FIRST, _LAST = "0", "~"


class DynamoDeferredEvents:
    """`DeferredEvents` on DynamoDB."""

    def put(self, deferred: DeferredEvent) -> None:
        item = _item_of(deferred)
        try:
            patiently(lambda: item.save(condition=GithubItem.sk.does_not_exist()))
        except ConditionFailed:
            return

    def due(self, *, now: datetime, most: int) -> Sequence[DeferredEvent]:
        until = GithubItem.sk.between(_FIRST, f"{instant(now)}#{_LAST}")
        with translated():
            found = GithubItem.query(_KEY, until, consistent_read=True, limit=most)
            return [_deferred_of(item) for item in found]

    def move(self, deferred: DeferredEvent, *, next_try: datetime) -> DeferredEvent:
        moved = replace(deferred, next_try=next_try, tries=deferred.tries + 1)
        old, new = _item_of(deferred), _item_of(moved)
        if old.sk == new.sk:
            raise ValueError("the next try is another time")

        def fill(transaction: TransactWrite) -> None:
            transaction.delete(old, condition=GithubItem.sk.exists())
            transaction.save(new)

        try:
            transact(fill)
        except ConditionFailed as error:
            raise ConditionFailedError(deferred.event.key) from error
        return moved

    def remove(self, deferred: DeferredEvent) -> None:
        item = _item_of(deferred)
        patiently(item.delete)

    def count(self, *, most: int) -> int:
        with translated():
            return sum(1 for _ in GithubItem.query(_KEY, limit=most, attributes_to_get=["sk"]))


def _item_of(deferred: DeferredEvent) -> GithubItem:
    return GithubItem(
        _KEY,
        f"{instant(deferred.next_try)}#{deferred.digest}",
        document={
            "event": document_of(deferred.event),
            "deferredAt": instant(deferred.deferred_at),
            "nextTry": instant(deferred.next_try),
            "tries": deferred.tries,
        },
        expires=int((deferred.deferred_at + KEPT_FOR).timestamp()),
    )


def _deferred_of(item: GithubItem) -> DeferredEvent:
    document: Mapping[str, Any] = item.document or {}
    return DeferredEvent(
        event=_event_of(document["event"]),
        deferred_at=datetime.fromisoformat(document["deferredAt"]),
        next_try=datetime.fromisoformat(document["nextTry"]),
        tries=int(document["tries"]),
    )


def _event_of(document: Mapping[str, Any]) -> GithubEvent:
    """What another release wrote besides is left out."""
    known = {field.name for field in fields(GithubEvent)} - {"repo", "actor"}
    values = {name: value for name, value in document.items() if name in known}
    if happened_at := values.get("happened_at"):
        values["happened_at"] = datetime.fromisoformat(happened_at)
    return GithubEvent(
        repo=Repository(**document["repo"]), actor=Account(**document["actor"]), **values
    )
