"""`AccessStore` in memory. It passes the same tests as the DynamoDB store."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from nightdesk.domain.api_key import ApiKey, Credential
from nightdesk.domain.errors import ConditionFailedError


class FakeAccessStore:
    """`AccessStore`; `calls` counts the requests that the real one would make."""

    def __init__(self) -> None:
        self._keys: dict[str, ApiKey] = {}
        self._hashes: dict[str, str] = {}
        self.calls = 0

    def add(self, key: ApiKey, secret_hash: str) -> None:
        self.calls += 1
        if key.id in self._keys:
            raise ConditionFailedError(key.id)
        self._keys[key.id], self._hashes[key.id] = key, secret_hash

    def use(self, credential: Credential, *, now: datetime) -> ApiKey | None:
        self.calls += 1
        key = self._keys.get(credential.key_id)
        if key is None or key.revoked_at is not None:
            return None
        if self._hashes[key.id] != credential.secret_hash:
            return None
        return self._put(replace(key, uses=key.uses + 1, last_used_at=now))

    def revoke(self, key_id: str, *, now: datetime) -> ApiKey | None:
        self.calls += 1
        key = self._keys.get(key_id)
        return None if key is None else self._put(replace(key, revoked_at=key.revoked_at or now))

    def list_keys(self, workspace_id: str | None = None) -> Sequence[ApiKey]:
        self.calls += 1
        found = [k for k in self._keys.values() if workspace_id in (None, k.workspace_id)]
        return sorted(found, key=lambda key: (key.created_at, key.id))

    def _put(self, key: ApiKey) -> ApiKey:
        self._keys[key.id] = key
        return key
