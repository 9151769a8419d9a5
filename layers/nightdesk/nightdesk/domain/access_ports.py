"""Where API keys are kept. The adapter and the fake pass the same tests (tests/access)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from nightdesk.domain.api_key import ApiKey, Credential


class AccessStore(Protocol):
    """API keys by id."""

    def add(self, key: ApiKey, secret_hash: str) -> None:
        """Store a new key.

        Raises:
            ConditionFailedError: the id is taken.
        """
        ...

    def use(self, credential: Credential, *, now: datetime) -> ApiKey | None:
        """Authenticate: in one conditional write, check the key, count the use against its limit
        and note when. The answer's `quota` says what is left.

        After a rotation the secret before is accepted until `previous_until`. None when there is no
        such key, the secret is another, or it was revoked: callers cannot tell which, and nothing
        was counted.

        Raises:
            RateLimitedError: the key is good and has no requests left; nothing was counted.
            UnavailableError: the store did not answer.
        """
        ...

    def get(self, key_id: str) -> ApiKey | None:
        """The key of this id, revoked ones too."""
        ...

    def rotate(
        self, key_id: str, secret_hash: str, *, now: datetime, previous_until: datetime
    ) -> ApiKey | None:
        """Give the key a new secret; the one before is accepted until `previous_until`, and those
        before that no longer. None when there is no such key, or it was revoked.
        """
        ...

    def revoke(self, key_id: str, *, now: datetime) -> ApiKey | None:
        """Revoke a key, in effect with the next request. A revoked key keeps its first time.

        None when there is no such key.
        """
        ...

    def list_keys(self, workspace_id: str | None = None) -> Sequence[ApiKey]:
        """All keys (of one workspace), oldest first. Reads the whole table: for people, rarely."""
        ...
