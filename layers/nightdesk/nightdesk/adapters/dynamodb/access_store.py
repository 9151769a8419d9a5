"""API keys in the `Access` table; one conditional update authenticates, counts and dates a use."""

import hmac
from collections.abc import Sequence
from datetime import datetime

from pynamodb.expressions.update import Action

from nightdesk.adapters.dynamodb.tables import AccessItem
from nightdesk.adapters.dynamodb.transactions import ConditionFailed, patiently, translated
from nightdesk.domain.api_key import ApiKey, Credential, Operation
from nightdesk.domain.errors import ConditionFailedError


class DynamoAccessStore:
    """`AccessStore` on DynamoDB, on the table that `tables.connect` was given."""

    def add(self, key: ApiKey, secret_hash: str) -> None:
        item = _item_of(key, secret_hash)
        try:
            patiently(lambda: item.save(condition=AccessItem.id.does_not_exist()))
        except ConditionFailed as error:
            raise ConditionFailedError(key.id) from error

    def use(self, credential: Credential, *, now: datetime) -> ApiKey | None:
        item = AccessItem(credential.key_id)
        # No such item, another secret, revoked: one failed condition, the same for all three. What
        # is compared is a hash, so how long that takes says nothing about the secret.
        good = (AccessItem.secret_hash == credential.secret_hash) & (
            AccessItem.revoked_at.does_not_exist()
        )
        actions: list[Action] = [AccessItem.uses.add(1), AccessItem.last_used_at.set(now)]
        try:
            patiently(lambda: item.update(actions=actions, condition=good))
        except ConditionFailed:
            return None
        return _key_of(item) if _same(item.secret_hash, credential.secret_hash) else None

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


def _same(stored: str, shown: str) -> bool:
    """Compare in constant time, for a store that would have let the condition pass."""
    return hmac.compare_digest(stored.encode(), shown.encode())


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
    )
