"""Tokens of a GitHub App, each for one repository and one need, kept in memory until they end.

For the broker (`RepositoryTokens`) they read one repository, for the publisher (`WriteTokens`) they
do what one call needs, for the poller they read what an installation covers. What a person must
mend is a PermanentError that says how.
"""

from collections import OrderedDict
from datetime import datetime, timedelta
from threading import Lock
from typing import NamedTuple, NoReturn

from nightdesk.adapters.github.credentials.app import GithubApp, Installation, MintedToken
from nightdesk.domain.errors import ErrorCode, PermanentError, UnavailableError
from nightdesk.domain.github_ports import (
    METADATA,
    Account,
    GithubCredentialsError,
    GithubNotFoundError,
    GithubRefusedError,
    Permissions,
    RepositoryToken,
)
from nightdesk.domain.ports import Clock

#: What a session may read of its own repository, and the poller of those it watches.
READ: Permissions = {
    "contents": "read",
    "issues": "read",
    "metadata": "read",
    "pull_requests": "read",
}
#: No token is used in its last minutes: a download may take five.
MARGIN = timedelta(minutes=5)
#: How long an installation is believed to be where it was.
_INSTALLATION_KEPT = timedelta(minutes=10)
#: Of so many tokens is known what they were made for, so that a refused one can be made anew.
_REMEMBERED = 500
_LEVELS = {"read": 1, "write": 2, "admin": 3}


class _Need(NamedTuple):
    """What a token is for; `repo_id` 0 is all of the installation."""

    installation_id: int
    repo_id: int
    permissions: frozenset[tuple[str, str]]


class AppTokens:
    """`RepositoryTokens` and `WriteTokens` of a GitHub App. Threads may share it."""

    def __init__(self, app: GithubApp, *, clock: Clock) -> None:
        self._app = app
        self._clock = clock
        self._lock = Lock()
        self._installations: dict[str, tuple[datetime, Installation]] = {}
        self._tokens: dict[_Need, MintedToken] = {}
        self._made_for: OrderedDict[str, tuple[str, _Need]] = OrderedDict()
        self._bot: Account | None = None

    def __repr__(self) -> str:
        return f"AppTokens({len(self._tokens)} kept)"

    def token_for(
        self, repo: str, repo_id: int, permissions: Permissions = READ
    ) -> RepositoryToken:
        """A token for this repository alone; `repo_id` 0 only looks at metadata, by the name.

        Raises:
            PermanentError: not installed there, suspended, or without these permissions.
            GithubCredentialsError: GitHub does not accept the App's key.
            TryLaterError, UnavailableError: as every call to GitHub.
        """
        if not repo_id and permissions != METADATA:
            raise ValueError(f"a token for more than {repo} can only be METADATA")
        return self._given(repo, repo_id, permissions)

    def reading_token(self, repo: str) -> RepositoryToken:
        """A token that reads all repositories of the installation that covers this one."""
        return self._given(repo, 0, READ)

    def own_account(self) -> Account:
        """The App's bot, asked for once."""
        with self._lock:
            if self._bot is None:
                kept = [made for made in self._tokens.values() if self._is_good(made)]
                self._bot = self._app.bot(kept[-1].token if kept else "")
            return self._bot

    def renewed(self, token: str) -> str:
        """Another token instead of one that GitHub has refused; "" when it is none of ours."""
        with self._lock:
            if token not in self._made_for:
                return ""
            repo, need = self._made_for[token]
            kept = self._tokens.get(need)
            if kept and kept.token == token:
                del self._tokens[need]
            return self._token(repo, need).token

    # ------------------------------------------------------------------------------------------

    def _given(self, repo: str, repo_id: int, permissions: Permissions) -> RepositoryToken:
        with self._lock:
            installation = self._installation(repo)
            need = _Need(installation.id, repo_id, frozenset(permissions.items()))
            made = self._token(repo, need)
        return RepositoryToken(
            token=made.token,
            repo=repo,
            expires_at=made.expires_at,
            credential=f"installation {installation.id}",
        )

    def _token(self, repo: str, need: _Need) -> MintedToken:
        kept = self._tokens.get(need)
        if kept and self._is_good(kept):
            return kept
        made = self._minted(repo, need)
        self._tokens = {n: token for n, token in self._tokens.items() if self._is_good(token)}
        self._tokens[need] = made
        self._made_for[made.token] = repo, need
        while len(self._made_for) > _REMEMBERED:
            self._made_for.popitem(last=False)
        return made

    def _is_good(self, made: MintedToken) -> bool:
        return self._clock.now() < made.expires_at - MARGIN

    def _minted(self, repo: str, need: _Need) -> MintedToken:
        ids = [need.repo_id] if need.repo_id else []
        try:
            return self._app.mint(need.installation_id, dict(need.permissions), ids)
        except GithubNotFoundError as error:
            # Removed, or removed and installed again: whoever asks next looks it up anew.
            self._installations.clear()
            message = f"the GitHub App's installation for {repo} has changed: {error}"
            raise UnavailableError(message) from None
        except GithubRefusedError as error:
            self._explain(repo, need, error)
        except GithubCredentialsError:
            raise
        except PermanentError as error:
            self._installations.clear()
            advice = "look at its installation's settings: it may be suspended"
            raise _refused(repo, f"may not act ({error})", advice) from None

    def _explain(self, repo: str, need: _Need, refusal: GithubRefusedError) -> NoReturn:
        """Say which permission is missing: it is looked up again, since it may be new."""
        self._installations.clear()
        granted = self._installation(repo).permissions
        missing = sorted(
            f"{name}: {level}"
            for name, level in need.permissions
            if name != "metadata" and _LEVELS.get(granted.get(name, ""), 0) < _LEVELS.get(level, 9)
        )
        if missing:
            advice = "grant it in the App's settings, and accept it in its installation"
            raise _refused(repo, f"lacks {', '.join(missing)}", advice)
        advice = f"add {repo} to the repositories of the App's installation"
        raise _refused(repo, f"may not act ({refusal})", advice)

    def _installation(self, repo: str) -> Installation:
        """An account installs an App once, for all or some of its repositories."""
        owner, now = repo.partition("/")[0].lower(), self._clock.now()
        for known in (owner, repo.lower()):
            found = self._installations.get(known)
            if found and now - found[0] < _INSTALLATION_KEPT:
                return found[1]
        installation = self._looked_up(repo)
        # A repository that was moved is another account's by now; its old owner has not changed.
        is_owners = installation.account.lower() == owner
        self._installations[owner if is_owners else repo.lower()] = now, installation
        return installation

    def _looked_up(self, repo: str) -> Installation:
        try:
            installation = self._app.installation(repo)
        except GithubNotFoundError:
            raise _refused(repo, "is not installed", f"install it for {repo}") from None
        if installation.is_suspended:
            raise _refused(repo, "is suspended", "unsuspend it in the installation's settings")
        return installation


class InstallationTokens:
    """`RepositoryTokens` for who watches many repositories: one token for each installation, with
    its rate limit. It never leaves the function that polls, or that takes webhooks.
    """

    def __init__(self, tokens: AppTokens) -> None:
        self._tokens = tokens

    def token_for(self, repo: str, repo_id: int) -> RepositoryToken:  # noqa: ARG002 - the port's
        return self._tokens.reading_token(repo)


def _refused(repo: str, what: str, advice: str) -> PermanentError:
    message = f"the GitHub App {what} on {repo}. Next: {advice}"
    return PermanentError(message, ErrorCode.REPOSITORY_UNREACHABLE)
