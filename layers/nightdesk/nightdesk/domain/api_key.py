"""API keys: what one may do, how it is written, and what of it is stored.

A key is `nd_<id>_<secret>`: the id finds it, the secret proves it. Only the SHA-256 of the secret
is stored. A slow hash (bcrypt, argon2) protects secrets that people choose, because those can be
guessed; this one is 256 random bits, which nobody guesses at any speed, so a slow hash would only
make every request slow.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from nightdesk.domain.errors import ForbiddenError
from nightdesk.domain.rate_limit import PER_MINUTE_DEFAULT, Quota

ID_DIGITS, SECRET_DIGITS = 16, 64
DESCRIPTION_MAX = 200

_ID = re.compile(rf"[0-9a-f]{{{ID_DIGITS}}}", re.ASCII)
_FORM = re.compile(rf"nd_([0-9a-f]{{{ID_DIGITS}}})_([0-9a-f]{{{SECRET_DIGITS}}})", re.ASCII)


class Operation(StrEnum):
    """What a key may do in its workspace. `admin` includes the other two."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as it is stored, without its secret."""

    id: str
    workspace_id: str
    #: Ids of the specialists whose tasks the key may see and make; empty = all.
    agents: tuple[str, ...] = ()
    operations: tuple[Operation, ...] = (Operation.READ, Operation.WRITE)
    description: str = ""
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    #: Requests that were authenticated with it.
    uses: int = 0
    requests_per_minute: int = PER_MINUTE_DEFAULT
    #: When its secret was made, if that is not its first.
    rotated_at: datetime | None = None
    #: Until when the secret before is accepted too.
    previous_until: datetime | None = None
    #: What it has left after the request that it has just authenticated; never stored.
    quota: Quota | None = None

    def covers_agent(self, agent_id: str) -> bool:
        """Whether tasks of this specialist are within the key's scope."""
        return not self.agents or agent_id in self.agents

    def covers(self, other: "ApiKey") -> bool:
        """Whether all that the other key may see is within this one's scope."""
        if other.workspace_id != self.workspace_id:
            return False
        return not self.agents or (bool(other.agents) and set(other.agents) <= set(self.agents))

    def demand(self, operation: Operation) -> None:
        """Raise ForbiddenError unless the key may do this."""
        if operation not in self.operations and Operation.ADMIN not in self.operations:
            raise ForbiddenError(f"This key may not {operation}")

    def demand_workspace(self, workspace_id: str) -> None:
        """Raise ForbiddenError unless this is the key's own workspace."""
        if workspace_id != self.workspace_id:
            raise ForbiddenError("This key belongs to another workspace")

    def demand_all_agents(self) -> None:
        """Raise ForbiddenError unless the key covers every specialist: what is of the workspace
        concerns them all.
        """
        if self.agents:
            raise ForbiddenError("This key is limited to some specialists")

    def demand_agent(self, agent_id: str) -> None:
        """Raise ForbiddenError unless the key may start tasks of this specialist."""
        if not self.covers_agent(agent_id):
            raise ForbiddenError("This key may not use this agentId")


@dataclass(frozen=True, slots=True)
class Credential:
    """What a caller showed: the id of a key and the hash of the secret that came with it."""

    key_id: str
    secret_hash: str


def credential_from(text: str) -> Credential | None:
    """The credential in a well-formed key; None for anything else."""
    match = _FORM.fullmatch(text)
    return Credential(match[1], hash_of(match[2])) if match else None


def is_key_id(text: str) -> bool:
    """Whether a key could have this id."""
    return _ID.fullmatch(text) is not None


def key_text(key_id: str, secret: str) -> str:
    """The key as its owner keeps it."""
    return f"nd_{key_id}_{secret}"


def hash_of(secret: str) -> str:
    """SHA-256 of a secret, hexadecimal (see the module for why not a slow hash)."""
    return hashlib.sha256(secret.encode()).hexdigest()
