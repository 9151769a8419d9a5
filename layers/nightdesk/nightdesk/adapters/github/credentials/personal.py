"""A personal access token that a person made: `RepositoryTokens` and `WriteTokens` of one secret.

It may do whatever that person allowed it to, in all of that person's repositories; only a GitHub
App can narrow a token to one repository and to what a call needs.
"""

from collections.abc import Callable, Mapping

from nightdesk.adapters.github.client import GithubClient
from nightdesk.adapters.github.shapes import account_of
from nightdesk.domain.github_ports import Account, GithubCredentialsError, RepositoryToken


class PersonalReadToken:
    """`RepositoryTokens`; without a token, public repositories are read anonymously."""

    def __init__(self, *, read: Callable[[], str]) -> None:
        self._read = read

    def token_for(self, repo: str, repo_id: int) -> RepositoryToken:  # noqa: ARG002 - the port's
        return RepositoryToken(token=self._read(), repo=repo)


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
