"""Know tokens and apps, and decide what a caller may do.

The rules are GitHub's: a public repository can be read with any token or none, writing needs the
named permission on a repository that the token covers, and a private repository that it does not
cover does not exist for the caller.
"""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from local.github_simulator.answers import GithubError, not_found

LEVELS = {"none": 0, "read": 1, "write": 2, "admin": 3}
INSTALLATION_TOKEN_LIFE = timedelta(hours=1)
LONGEST_JWT_LIFE = timedelta(minutes=10)
TokenKind = Literal["personal", "installation", "anonymous"]


@dataclass(kw_only=True)
class Token:
    """A credential and its use of the rate limit.

    `repositories` are ids, None means all; `permissions` map names such as `issues` to `read`,
    `write` or `admin`.
    """

    value: str
    login: str | None
    kind: TokenKind
    permissions: dict[str, str]
    repositories: frozenset[int] | None = None
    expires_at: datetime | None = None
    app_id: int | None = None
    used: int = 0
    window_started_at: datetime | None = None

    @classmethod
    def anonymous(cls) -> Token:
        """Stand for every caller without a credential."""
        return cls(value="", login=None, kind="anonymous", permissions={}, repositories=frozenset())

    def covers(self, repository_id: int) -> bool:
        """Whether the token was given for this repository."""
        return self.repositories is None or repository_id in self.repositories

    def level(self, permission: str) -> int:
        """Say how much the token may do; metadata can always be read."""
        floor = LEVELS["read"] if permission == "metadata" else 0
        return max(floor, LEVELS[self.permissions.get(permission, "none")])


@dataclass(kw_only=True)
class App:
    """A GitHub App with its one installation. `public_key` is PEM."""

    id: int
    slug: str
    owner_login: str
    installation_id: int
    permissions: dict[str, str]
    repositories: frozenset[int]
    public_key: str
    created_at: datetime
    events: list[str] = field(default_factory=list)
    is_installed: bool = True
    suspended_at: datetime | None = None

    @property
    def bot_login(self) -> str:
        """The account that the app's comments come from."""
        return f"{self.slug}[bot]"


def demand(
    token: Token, *, repository_id: int, private: bool, permissions: tuple[str, ...]
) -> None:
    """Let a request on a repository pass if the token holds one of the permissions.

    `permissions` are alternatives such as `("issues:write", "pull_requests:write")`.

    Raises:
        GithubError: 401 without a credential, 403 without the permission, 404 for what is hidden.
    """
    wanted = [tuple(permission.split(":")) for permission in permissions]
    covered = token.covers(repository_id) and token.kind != "anonymous"
    if private and not covered:
        raise not_found()
    if not private and any(level == "read" for _, level in wanted):
        return
    if token.kind == "anonymous":
        raise GithubError(401, "Requires authentication")
    if covered and any(token.level(name) >= LEVELS[level] for name, level in wanted):
        return
    raise forbidden(token, permissions)


def forbidden(token: Token, permissions: tuple[str, ...]) -> GithubError:
    """Refuse for lack of a permission, naming in a header what would have been enough."""
    by = "integration" if token.kind == "installation" else "personal access token"
    accepted = "; ".join(permission.replace(":", "=") for permission in permissions)
    return GithubError(
        403,
        f"Resource not accessible by {by}",
        headers={"X-Accepted-GitHub-Permissions": accepted},
    )


def bearer(header: str | None) -> str | None:
    """Take the credential out of an Authorization header: `Bearer x`, `token x` or Basic.

    Raises:
        GithubError: 401, the header is of no form that GitHub knows.
    """
    if not header:
        return None
    scheme, _, value = header.partition(" ")
    if scheme.lower() in {"bearer", "token"} and value.strip():
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except ValueError as error:
            raise bad_credentials() from error
    raise bad_credentials()


def bad_credentials() -> GithubError:
    """Refuse a token that is unknown, expired or revoked."""
    return GithubError(401, "Bad credentials", documentation="https://docs.github.com/rest")


def new_installation_token(app: App) -> str:
    """Make a token of the form that GitHub gives since April 2026: `ghs_APPID_JWT`.

    The JWT part only looks like one; nobody but GitHub can read it.
    """
    parts = (
        _base64url(json.dumps({"alg": "RS256", "typ": "JWT", "kid": "simulator"}).encode()),
        _base64url(json.dumps({"sub": app.installation_id, "jti": secrets.token_hex(16)}).encode()),
        _base64url(secrets.token_bytes(256)),
    )
    return f"ghs_{app.id}_{'.'.join(parts)}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def app_of_jwt(credential: str, apps: dict[int, App], now: datetime) -> App:
    """Find the app that signed a JSON web token (RS256; `iss` its id; ten minutes at most).

    Raises:
        GithubError: 401 with GitHub's reason.
    """
    try:
        head, payload, signature = credential.split(".")
        header, claims = _decoded(head), _decoded(payload)
    except ValueError as error:
        raise GithubError(401, "A JSON web token could not be decoded") from error
    app = apps.get(int(claims["iss"])) if str(claims.get("iss", "")).isdigit() else None
    if app is None or header.get("alg") != "RS256":
        raise GithubError(401, "A JSON web token could not be decoded")
    if not _is_signed(f"{head}.{payload}".encode(), signature, app.public_key):
        raise GithubError(401, "A JSON web token could not be decoded")
    _check_times(claims, now)
    return app


def _check_times(claims: dict[str, Any], now: datetime) -> None:
    issued, expires = claims.get("iat"), claims.get("exp")
    if not isinstance(expires, int) or expires <= now.timestamp():
        raise GithubError(401, "'Expiration time' claim ('exp') must be a time in the future")
    if expires > (now + LONGEST_JWT_LIFE).timestamp():
        raise GithubError(401, "'Expiration time' claim ('exp') is too far in the future")
    if not isinstance(issued, int) or issued > now.timestamp():
        raise GithubError(401, "'Issued at' claim ('iat') must be a time in the past")


def _decoded(part: str) -> dict[str, Any]:
    value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004 - every unreadable token is the same
    return value


def _is_signed(message: bytes, signature: str, public_key: str) -> bool:
    # Imported here: only a caller that is an app needs the package.
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

    key = load_pem_public_key(public_key.encode())
    if not isinstance(key, RSAPublicKey):
        return False
    try:
        given = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
        key.verify(given, message, PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True
