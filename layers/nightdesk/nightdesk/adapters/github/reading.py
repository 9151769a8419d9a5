"""Reads of GitHub's API that are counted against the limits of their credential."""

from collections.abc import Mapping

from nightdesk.adapters.github.client import Answer, GithubClient
from nightdesk.domain.errors import TryLaterError
from nightdesk.domain.github_ports import RateLimits, RepositoryToken


class CountedReads:
    """What one call of `EventSource` reads: one credential, as many requests as it takes."""

    def __init__(self, client: GithubClient, token: RepositoryToken, limits: RateLimits) -> None:
        self._client = client
        self._token = token
        self._limits = limits

    def get(self, path: str, *, query: Mapping[str, str] | None = None, etag: str = "") -> Answer:
        """As `GithubClient.get`; no request is sent while its credential has to wait."""
        credential = self._token.credential_id
        self._limits.enter(credential)
        try:
            return self._client.get(path, token=self._token.token, query=query, etag=etag)
        except TryLaterError as error:
            self._limits.pause(credential, error)
            raise
