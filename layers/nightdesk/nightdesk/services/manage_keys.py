"""Make, revoke and list API keys. A key's secret is shown once, here, and stored nowhere."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nightdesk.domain.access_ports import AccessStore
from nightdesk.domain.api_key import (
    DESCRIPTION_MAX,
    ID_DIGITS,
    ApiKey,
    Operation,
    hash_of,
    key_text,
)
from nightdesk.domain.errors import InvalidInputError, NotFoundError
from nightdesk.domain.ports import Clock, Dice

DEFAULT_OPERATIONS = (Operation.READ, Operation.WRITE)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made. `text` is the key itself: show it once and keep it nowhere."""

    key: ApiKey
    text: str


def create_key(
    *,
    workspace_id: str,
    agents: Sequence[str] = (),
    operations: Sequence[Operation] = DEFAULT_OPERATIONS,
    description: str = "",
    access: AccessStore,
    clock: Clock,
    dice: Dice,
) -> NewKey:
    """Make a key for one workspace; `agents` empty = every specialist.

    Raises:
        InvalidInputError: something is missing or out of bounds.
    """
    _check_name("workspace", workspace_id)
    for agent_id in agents:
        _check_name("agents", agent_id)
    if not operations:
        raise InvalidInputError("operations", f"operations must name some of {_all_operations()}")
    if len(description) > DESCRIPTION_MAX:
        raise InvalidInputError(
            "description", f"description must have at most {DESCRIPTION_MAX} characters"
        )
    secret = dice.token() + dice.token()
    key = ApiKey(
        id=dice.token()[-ID_DIGITS:],
        workspace_id=workspace_id,
        agents=tuple(dict.fromkeys(agents)),
        operations=tuple(dict.fromkeys(operations)),
        description=description,
        created_at=clock.now(),
    )
    access.add(key, hash_of(secret))
    return NewKey(key, key_text(key.id, secret))


def revoke_key(key_id: str, *, access: AccessStore, clock: Clock) -> ApiKey:
    """Revoke a key; its next request is refused.

    Raises:
        NotFoundError: there is no such key.
    """
    key = access.revoke(key_id, now=clock.now())
    if key is None:
        raise NotFoundError(f"No key has the id {key_id}")
    return key


def list_keys(*, workspace_id: str | None = None, access: AccessStore) -> Sequence[ApiKey]:
    """All keys (of one workspace), oldest first, revoked ones too."""
    return access.list_keys(workspace_id)


def _check_name(field: str, value: str) -> None:
    if not _NAME.fullmatch(value):
        allowed = "letters, digits and . _ - (at most 63, the first no sign)"
        raise InvalidInputError(field, f"{field} must be {allowed}; got {value[:80]!r}")


def _all_operations() -> str:
    return ", ".join(Operation)
