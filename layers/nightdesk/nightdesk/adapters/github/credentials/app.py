"""A GitHub App: who it is, where it is installed, and the tokens that it makes for itself.

The private key signs a statement of ten minutes (a JSON web token), with which the App may ask for
tokens of its installations. Nothing is kept here but that statement.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from nightdesk.adapters.github.client import GithubClient
from nightdesk.adapters.github.credentials.rs256 import read_private_key
from nightdesk.adapters.github.shapes import account_of, repository_path
from nightdesk.domain.errors import UnavailableError
from nightdesk.domain.github_ports import Account, GithubCredentialsError, Permissions
from nightdesk.domain.ports import Clock

#: GitHub allows ten minutes, by its own clock; a clock that is ahead of it must not spoil ours.
_CLOCK_DIFFERENCE = timedelta(seconds=60)
_STATEMENT_LIFE = timedelta(minutes=9)
#: A statement is used for this long, so that it never ends on its way.
_STATEMENT_KEPT = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """Where an account has installed the App. `permissions` are those that it granted."""

    id: int
    account: str
    permissions: Permissions
    is_suspended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MintedToken:
    token: str
    expires_at: datetime

    def __repr__(self) -> str:
        return f"MintedToken(expires_at={self.expires_at})"


class GithubApp:
    """The App `app_id`; `private_key` answers its key in PEM ("" = none is set)."""

    def __init__(
        self, client: GithubClient, *, app_id: str, private_key: Callable[[], str], clock: Clock
    ) -> None:
        self._client = client
        self._app_id = app_id
        self._private_key = private_key
        self._clock = clock
        self._statement: tuple[str, datetime, str] | None = None

    def bot(self, token: str) -> Account:
        """The account whose comments the App's tokens write: `slug[bot]`, which has its own id."""
        app = _fields(self._client.get("/app", token=self._signed()).data)
        path = f"/users/{quote(str(app['slug']))}%5Bbot%5D"
        return account_of(self._client.get(path, token=token).data)

    def installation(self, repo: str) -> Installation:
        """The installation that covers a repository.

        Raises:
            GithubNotFoundError: there is none, or no such repository.
            GithubCredentialsError: GitHub does not believe our statement.
        """
        path = repository_path(repo, "installation")
        found = _fields(self._client.get(path, token=self._signed()).data)
        account = _fields(found.get("account") or {})
        return Installation(
            id=int(found["id"]),
            account=str(account.get("login", "")),
            permissions=dict(_fields(found.get("permissions") or {})),
            is_suspended=bool(found.get("suspended_at")),
        )

    def mint(
        self, installation_id: int, permissions: Permissions, repository_ids: Sequence[int]
    ) -> MintedToken:
        """Make a token for these repositories alone; for all of the installation when none are
        named. One that was made but whose answer was lost ends by itself within the hour.

        Raises:
            GithubNotFoundError: the installation is gone.
            GithubRefusedError: it has not got these permissions or repositories.
            PermanentError: it is suspended.
        """
        body: dict[str, Any] = {"permissions": dict(permissions)}
        if repository_ids:
            body["repository_ids"] = list(repository_ids)
        path = f"/app/installations/{installation_id}/access_tokens"
        made = _fields(self._client.post(path, token=self._signed(), body=body).data)
        return MintedToken(
            token=str(made["token"]), expires_at=datetime.fromisoformat(str(made["expires_at"]))
        )

    def _signed(self) -> str:
        pem, now = self._private_key(), self._clock.now()
        if not pem:
            message = "no key is set (the parameter of GITHUB_APP_PRIVATE_KEY_PARAMETER)"
            raise GithubCredentialsError(f"the GitHub App {self._app_id}: {message}")
        if self._statement and self._statement[0] == pem and now < self._statement[1]:
            return self._statement[2]
        statement = self._sign(pem, now)
        self._statement = pem, now + _STATEMENT_KEPT, statement
        return statement

    def _sign(self, pem: str, now: datetime) -> str:
        claims = {
            "iat": int((now - _CLOCK_DIFFERENCE).timestamp()),
            "exp": int((now + _STATEMENT_LIFE).timestamp()),
            "iss": self._app_id,
        }
        signed = f"{_part({'alg': 'RS256', 'typ': 'JWT'})}.{_part(claims)}"
        try:
            signature = read_private_key(pem).sign(signed.encode())
        except ValueError as error:
            message = f"GITHUB_APP_PRIVATE_KEY_PARAMETER holds no usable key: {error}"
            raise GithubCredentialsError(f"the GitHub App {self._app_id}: {message}") from None
        return f"{signed}.{_base64url(signature)}"


def _fields(data: Any) -> Mapping[str, Any]:
    if not isinstance(data, dict):
        raise UnavailableError("GitHub: the answer about the App is no object")
    return data


def _part(content: Mapping[str, Any]) -> str:
    return _base64url(json.dumps(content, separators=(",", ":")).encode())


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
