"""Make, rotate, revoke and list API keys. A secret is shown once, here, and stored nowhere.

`by` is the key that asks: it manages the keys of its own workspace and specialists only, and gives
nothing that it has not itself. None is a person with rights on the AWS account (`make key`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from nightdesk.domain.access_ports import AccessStore
from nightdesk.domain.api_key import (
    DESCRIPTION_MAX,
    ID_DIGITS,
    ApiKey,
    Operation,
    hash_of,
    is_key_id,
    key_text,
)
from nightdesk.domain.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
)
from nightdesk.domain.ports import Clock, Dice
from nightdesk.domain.rate_limit import PER_MINUTE_DEFAULT, PER_MINUTE_MAX, PER_MINUTE_MIN

DEFAULT_OPERATIONS = (Operation.READ, Operation.WRITE)
AGENTS_MAX = 50
#: How long the secret before a rotation is accepted; the predecessor's five minutes by default.
GRACE_DEFAULT, GRACE_MAX = timedelta(minutes=5), timedelta(days=30)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made or rotated. `text` is the key itself: show it once and keep it nowhere."""

    key: ApiKey
    text: str


def create_key(
    *,
    workspace_id: str,
    agents: Sequence[str] = (),
    operations: Sequence[Operation] = DEFAULT_OPERATIONS,
    description: str = "",
    requests_per_minute: int = PER_MINUTE_DEFAULT,
    by: ApiKey | None = None,
    access: AccessStore,
    clock: Clock,
    dice: Dice,
) -> NewKey:
    """Make a key for one workspace; `agents` empty = every specialist.

    Raises:
        InvalidInputError: something is missing or out of bounds.
        ForbiddenError: `by` would give what it has not itself.
    """
    _check_name("workspace", workspace_id)
    _check_agents(agents)
    if not operations:
        raise InvalidInputError("operations", f"operations must name some of {_all_operations()}")
    if len(description) > DESCRIPTION_MAX or not (description.isprintable() or not description):
        allowed = f"at most {DESCRIPTION_MAX} printable characters"
        raise InvalidInputError("description", f"description must have {allowed}")
    _check_rate(requests_per_minute)
    secret = _new_secret(dice)
    key = ApiKey(
        id=dice.token()[-ID_DIGITS:],
        workspace_id=workspace_id,
        agents=tuple(dict.fromkeys(agents)),
        operations=tuple(dict.fromkeys(operations)),
        description=description,
        created_at=clock.now(),
        requests_per_minute=requests_per_minute,
    )
    _check_grant(key, by)
    access.add(key, hash_of(secret))
    return NewKey(key, key_text(key.id, secret))


def rotate_key(
    key_id: str,
    *,
    grace: timedelta = GRACE_DEFAULT,
    by: ApiKey | None = None,
    access: AccessStore,
    clock: Clock,
    dice: Dice,
) -> NewKey:
    """Give the key a new secret. Until the grace is over the one before is accepted as well.

    Killed after the store's write and before the answer: the new secret is lost, and the old one
    goes on until its grace is over; rotate again.

    Raises:
        InvalidInputError: the grace is out of bounds.
        NotFoundError: there is no such key in `by`'s workspace and specialists.
        ForbiddenError: the key may do more than `by`.
        ConflictError: it is revoked.
    """
    if not timedelta(0) <= grace <= GRACE_MAX:
        most = int(GRACE_MAX.total_seconds())
        got = int(grace.total_seconds())
        raise InvalidInputError("graceSeconds", f"graceSeconds must be from 0 to {most}; got {got}")
    _check_grant(_managed(key_id, by=by, access=access), by)
    now, secret = clock.now(), _new_secret(dice)
    key = access.rotate(key_id, hash_of(secret), now=now, previous_until=now + grace)
    if key is None:
        raise ConflictError("The key is revoked; make a new one")
    return NewKey(key, key_text(key.id, secret))


def revoke_key(
    key_id: str, *, by: ApiKey | None = None, access: AccessStore, clock: Clock
) -> ApiKey:
    """Revoke a key with all its secrets; its next request is refused.

    Raises:
        NotFoundError: there is no such key in `by`'s workspace and specialists.
    """
    _managed(key_id, by=by, access=access)
    key = access.revoke(key_id, now=clock.now())
    if key is None:
        raise NotFoundError(f"No key has the id {key_id}")
    return key


def list_keys(
    *, workspace_id: str | None = None, by: ApiKey | None = None, access: AccessStore
) -> Sequence[ApiKey]:
    """All keys (of one workspace) that `by` manages, oldest first, revoked ones too."""
    if by is None:
        return access.list_keys(workspace_id)
    return [key for key in access.list_keys(by.workspace_id) if by.covers(key)]


def _managed(key_id: str, *, by: ApiKey | None, access: AccessStore) -> ApiKey:
    """The key, if it is `by`'s to manage; an id that no key can have costs no request."""
    key = access.get(key_id) if is_key_id(key_id) else None
    if key is None or not (by is None or by.covers(key)):
        raise NotFoundError("No such key")
    return key


def _check_grant(key: ApiKey, by: ApiKey | None) -> None:
    """Raise ForbiddenError if whoever gets this key could do more than `by`."""
    if by is None:
        return
    by.demand_workspace(key.workspace_id)
    for operation in key.operations:
        by.demand(operation)
    if not by.covers(key):
        raise ForbiddenError("This key may give no more specialists than it has itself")
    if key.requests_per_minute > by.requests_per_minute:
        raise ForbiddenError("This key may give no more requests a minute than it has itself")


def _check_agents(agents: Sequence[str]) -> None:
    if len(agents) > AGENTS_MAX:
        raise InvalidInputError("agents", f"agents must name at most {AGENTS_MAX} specialists")
    for agent_id in agents:
        _check_name("agents", agent_id)


def _check_rate(requests: int) -> None:
    if not PER_MINUTE_MIN <= requests <= PER_MINUTE_MAX:
        allowed = f"from {PER_MINUTE_MIN} to {PER_MINUTE_MAX}"
        message = f"requestsPerMinute must be {allowed}; got {requests}"
        raise InvalidInputError("requestsPerMinute", message)


def _check_name(field: str, value: str) -> None:
    if not _NAME.fullmatch(value):
        allowed = "letters, digits and . _ - (at most 63, the first no sign)"
        raise InvalidInputError(field, f"{field} must be {allowed}; got {value[:80]!r}")


def _new_secret(dice: Dice) -> str:
    return dice.token() + dice.token()


def _all_operations() -> str:
    return ", ".join(Operation)
