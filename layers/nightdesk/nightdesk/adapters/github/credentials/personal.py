"""Personal access tokens that people made: `RepositoryTokens` and `WriteTokens` of one secret each.

Each may do whatever their maker allowed it to, in all of their repositories; only a GitHub
App can narrow a token to one repository and to what a call needs.
"""

from collections.abc import Callable, Mapping
from hashlib import sha256

from nightdesk.adapters.github.client import GithubClient
from nightdesk.adapters.github.shapes import account_of
from nightdesk.domain.github_ports import Account, GithubCredentialsError, RepositoryToken


class PersonalReadTokens:
    """`RepositoryTokens` of one secret: a token, or several, separated by commas.

    `owner=token` is for that owner's repositories alone (fine-grained tokens have one owner), and
    they use no other; a bare token is for all the rest. Where several would do, each repository
    keeps to one of them, so that they share the work, and its ETags stay good. Without a token,
    public repositories are read anonymously.
    """

    def __init__(self, *, read: Callable[[], str]) -> None:
        self._read = read

    def token_for(self, repo: str, repo_id: int) -> RepositoryToken:  # noqa: ARG002 - the port's
        found = _tokens_of(self._read())
        owner = repo.partition("/")[0].lower()
        fitting = found.get(owner) or found.get("", [])
        # The highest wins: one more token moves only its own share of the repositories.
        token = max(fitting, key=lambda t: sha256(f"{t} {repo.lower()}".encode()).digest())
        return RepositoryToken(token=token, repo=repo)


def _tokens_of(secret: str) -> dict[str, list[str]]:
    """By owner, in lower case; "" for those of no owner."""
    found: dict[str, list[str]] = {"": []}
    for entry in secret.replace(",", " ").split():
        owner, _, token = entry.rpartition("=")
        found.setdefault(owner.lower(), []).append(token)
    found[""] = found[""] or [""]
    return found


class PersonalWriteToken:
    """`WriteTokens`; `read` answers the token, asked again before each call."""

    def __init__(self, client: GithubClient, *, read: Callable[[], str]) -> None:
        self._client = client
        self._read = read
        #: The token and whose it is.
        self._own: tuple[str, Account] | None = None

    def token_for(
        self,
        repo: str,
        repo_id: int,  # noqa: ARG002 - the port's
        permissions: Mapping[str, str],  # noqa: ARG002 - the port's
    ) -> RepositoryToken:
        return RepositoryToken(token=self._token(), repo=repo)

    def own_account(self) -> Account:
        """Asked once for each token."""
        token = self._token()
        if self._own is None or self._own[0] != token:
            self._own = token, account_of(self._client.get("/user", token=token).data)
        return self._own[1]

    def _token(self) -> str:
        token = self._read()
        if not token:
            message = "no write token is set (the parameter of GITHUB_WRITE_TOKEN_PARAMETER)"
            raise GithubCredentialsError(message)
        return token
