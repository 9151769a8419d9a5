"""API keys in the `Access` table; one conditional update authenticates, limits and dates a use."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Path as AttributePath
from pynamodb.expressions.update import Action

from nightdesk.adapters.dynamodb.tables import AccessItem, CountsAttribute
from nightdesk.adapters.dynamodb.transactions import (
    ConditionFailed,
    patiently,
    translated,
    update_telling,
)
from nightdesk.domain.api_key import ApiKey, Credential, Operation
from nightdesk.domain.errors import ConditionFailedError
from nightdesk.domain.rate_limit import RateLimitedError, quota_at, window_at


class DynamoAccessStore:
    """`AccessStore` on DynamoDB, on the table that `tables.connect` was given."""

    def add(self, key: ApiKey, secret_hash: str) -> None:
        item = _item_of(key, secret_hash)
        try:
            patiently(lambda: item.save(condition=AccessItem.id.does_not_exist()))
        except ConditionFailed as error:
            raise ConditionFailedError(key.id) from error

    def use(self, credential: Credential, *, now: datetime) -> ApiKey | None:
        item, window = AccessItem(credential.key_id), window_at(now)
        shelf, stale_shelf = _shelves(window)
        count = AttributePath([shelf.attr_name, str(window)])
        # What is compared is a hash, so how long that takes says nothing about the secret.
        good = _has_secret(credential.secret_hash, now) & AccessItem.revoked_at.does_not_exist()
        actions: list[Action] = [
            AccessItem.uses.add(1),
            AccessItem.last_used_at.set(now),
            count.set((count | 0) + 1),
            AttributePath(stale_shelf.attr_name).set({}),
        ]
        try:
            update_telling(item, actions=actions, condition=good & _is_below_limit(count))
        except ConditionFailed as error:
            self._explain(error, credential, window=window, now=now)
            return None
        # In constant time, for a store that would have let the condition pass.
        if not _knows(item, credential, now):
            return None
        used = _count_in(item, window)
        return replace(_key_of(item), quota=quota_at(now, limit=int(item.limit), used=used))

    def _explain(
        self, error: ConditionFailed, credential: Credential, *, window: int, now: datetime
    ) -> None:
        """Raise RateLimitedError if that is all that was wrong."""
        for raw in error.items:
            item = AccessItem.from_raw_data(dict(raw))
            if item.revoked_at is None and _knows(item, credential, now):
                used = _count_in(item, window)
                raise RateLimitedError(quota_at(now, limit=int(item.limit), used=used)) from error

    def get(self, key_id: str) -> ApiKey | None:
        with translated():
            try:
                return _key_of(AccessItem.get(key_id, consistent_read=True))
            except AccessItem.DoesNotExist:
                return None

    def rotate(
        self, key_id: str, secret_hash: str, *, now: datetime, previous_until: datetime
    ) -> ApiKey | None:
        item = AccessItem(key_id)
        actions: list[Action] = [
            AccessItem.previous_hash.set(AccessItem.secret_hash),
            AccessItem.previous_until.set(previous_until),
            AccessItem.secret_hash.set(secret_hash),
            AccessItem.rotated_at.set(now),
        ]
        alive = AccessItem.id.exists() & AccessItem.revoked_at.does_not_exist()
        try:
            patiently(lambda: item.update(actions=actions, condition=alive))
        except ConditionFailed:
            return None
        return _key_of(item)

    def revoke(self, key_id: str, *, now: datetime) -> ApiKey | None:
        item = AccessItem(key_id)
        first = AccessItem.revoked_at.set(AccessItem.revoked_at | now)
        try:
            patiently(lambda: item.update(actions=[first], condition=AccessItem.id.exists()))
        except ConditionFailed:
            return None
        return _key_of(item)

    def list_keys(self, workspace_id: str | None = None) -> Sequence[ApiKey]:
        of_workspace = None if workspace_id is None else AccessItem.workspace_id == workspace_id
        with translated():
            found = [_key_of(item) for item in AccessItem.scan(of_workspace, consistent_read=True)]
        return sorted(found, key=lambda key: (key.created_at, key.id))


def _shelves(window: int) -> tuple[CountsAttribute, CountsAttribute]:
    """Where the window's uses are counted, and the shelf that this empties on the way.

    One update can count and cannot branch: "begin again at 1 if this is a new window" would take
    two. So each window counts under its own name, which begins at nothing. Old names are cleared
    away by whole shelves: even windows take one of the first two, odd ones one of the others, by a
    bit of a hash, and each empties the other one of its pair. That holds only windows that are at
    least two minutes off, so no clock can be wrong enough for a count to be lost, and an item keeps
    two or three old counts on the average, whatever the rhythm of its use.
    """
    bit = hashlib.sha256(str(window).encode()).digest()[0] & 1
    pair = _PAIRS[window % 2]
    return pair[bit], pair[1 - bit]


_PAIRS = (
    (AccessItem.shelf_0, AccessItem.shelf_1),
    (AccessItem.shelf_2, AccessItem.shelf_3),
)


def _has_secret(secret_hash: str, now: datetime) -> Condition:
    """The secret, or the one before while that is accepted."""
    condition: Condition = (AccessItem.secret_hash == secret_hash) | (
        (AccessItem.previous_hash == secret_hash) & (AccessItem.previous_until > now)
    )
    return condition


def _is_below_limit(count: AttributePath) -> Condition:
    condition: Condition = count.does_not_exist() | (count < AccessItem.limit)
    return condition


def _knows(item: AccessItem, credential: Credential, now: datetime) -> bool:
    """Whether the credential is the item's, compared in constant time."""
    shown = credential.secret_hash.encode()
    is_current = hmac.compare_digest(item.secret_hash.encode(), shown)
    is_previous = hmac.compare_digest((item.previous_hash or "").encode(), shown)
    until: datetime | None = item.previous_until
    return is_current or (is_previous and until is not None and until > now)


def _count_in(item: AccessItem, window: int) -> int:
    shelves = {"w0": item.shelf_0, "w1": item.shelf_1, "w2": item.shelf_2, "w3": item.shelf_3}
    return shelves[_shelves(window)[0].attr_name].get(str(window), 0)


def _item_of(key: ApiKey, secret_hash: str) -> AccessItem:
    return AccessItem(
        key.id,
        secret_hash=secret_hash,
        workspace_id=key.workspace_id,
        document={
            "agents": list(key.agents),
            "operations": [operation.value for operation in key.operations],
            "description": key.description,
        },
        created_at=key.created_at,
        last_used_at=key.last_used_at,
        revoked_at=key.revoked_at,
        uses=key.uses,
        limit=key.requests_per_minute,
    )


def _key_of(item: AccessItem) -> ApiKey:
    return ApiKey(
        id=item.id,
        workspace_id=item.workspace_id,
        agents=tuple(item.document["agents"]),
        operations=tuple(Operation(name) for name in item.document["operations"]),
        description=item.document["description"],
        created_at=item.created_at,
        last_used_at=item.last_used_at,
        revoked_at=item.revoked_at,
        uses=int(item.uses),
        requests_per_minute=int(item.limit),
        rotated_at=item.rotated_at,
        previous_until=item.previous_until,
    )
