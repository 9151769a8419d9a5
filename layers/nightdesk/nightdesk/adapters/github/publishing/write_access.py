"""The client and the token with which all of the publisher's calls are made."""

from collections.abc import Callable

from nightdesk.adapters.github.client import GithubClient
from nightdesk.domain.github_ports import GithubCredentialsError


class WriteAccess:
    """Base of what writes: `token` answers the write token, asked again before each call."""

    def __init__(self, client: GithubClient, *, token: Callable[[], str]) -> None:
        self._client = client
        self._read_token = token

    def _token(self) -> str:
        token = self._read_token()
        if not token:
            message = "no write token is set (the parameter of GITHUB_WRITE_TOKEN_PARAMETER)"
            raise GithubCredentialsError(message)
        return token
