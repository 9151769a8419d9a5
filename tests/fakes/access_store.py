"""`AccessStore` in memory. It passes the same tests as the DynamoDB store."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from nightdesk.domain.api_key import ApiKey, Credential
from nightdesk.domain.errors import ConditionFailedError
from nightdesk.domain.rate_limit import RateLimitedError, quota_at, window_at


class FakeAccessStore:
    """`AccessStore`; `calls` counts the requests that the real one would make."""

    def __init__(self) -> None:
        self._keys: dict[str, ApiKey] = {}
        self._hashes: dict[str, str] = {}
        self._previous: dict[str, str] = {}
        self._counts: Counter[tuple[str, int]] = Counter()
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
        hashes = [self._hashes[key.id]]
        if key.previous_until is not None and key.previous_until > now:
            hashes.append(self._previous[key.id])
        if credential.secret_hash not in hashes:
            return None
        limit, place = key.requests_per_minute, (key.id, window_at(now))
        if self._counts[place] >= limit:
            raise RateLimitedError(quota_at(now, limit=limit, used=self._counts[place]))
        self._counts[place] += 1
        used = self._put(replace(key, uses=key.uses + 1, last_used_at=now))
        return replace(used, quota=quota_at(now, limit=limit, used=self._counts[place]))

    def get(self, key_id: str) -> ApiKey | None:
        self.calls += 1
        return self._keys.get(key_id)

    def rotate(
        self, key_id: str, secret_hash: str, *, now: datetime, previous_until: datetime
    ) -> ApiKey | None:
        self.calls += 1
        key = self._keys.get(key_id)
        if key is None or key.revoked_at is not None:
            return None
        self._previous[key_id] = self._hashes[key_id]
        self._hashes[key_id] = secret_hash
        return self._put(replace(key, rotated_at=now, previous_until=previous_until))

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
