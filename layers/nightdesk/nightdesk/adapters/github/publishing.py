"""What the publisher does on GitHub (`Publishing`): the only code that writes there."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from nightdesk.adapters.github.client import GithubClient
from nightdesk.adapters.github.paging import all_items
from nightdesk.adapters.github.shapes import (
    account_of,
    comment_of,
    label_name,
    repository_of,
    repository_path,
)
from nightdesk.domain.github_ports import (
    Account,
    GithubCredentialsError,
    PostedComment,
    Repository,
)

_COMMENT_PAGES = 30
_LABEL_PAGES = 10


class GithubPublishing:
    """`Publishing` on GitHub's REST API, with the write token that `token` answers."""

    def __init__(self, client: GithubClient, *, token: Callable[[], str]) -> None:
        self._client = client
        self._read_token = token
        self._own: tuple[str, Account] | None = None

    def own_account(self) -> Account:
        """Asked once for each token."""
        token = self._token()
        if self._own is None or self._own[0] != token:
            self._own = token, account_of(self._client.get("/user", token=token).data)
        return self._own[1]

    def repository(self, repo: str) -> Repository:
        return repository_of(self._client.get(repository_path(repo), token=self._token()).data)

    def comments_since(self, repo: str, number: int, since: datetime) -> Sequence[PostedComment]:
        found = all_items(
            self._client,
            repository_path(repo, "issues", number, "comments"),
            token=self._token(),
            query={"since": since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")},
            max_pages=_COMMENT_PAGES,
            follow=False,
        )
        return [comment_of(item) for item in found]

    def comment(self, repo: str, number: int, body: str) -> PostedComment:
        path = repository_path(repo, "issues", number, "comments")
        return comment_of(self._client.post(path, token=self._token(), body={"body": body}).data)

    def labels_of_repository(self, repo: str) -> Sequence[str]:
        path = repository_path(repo, "labels")
        found = all_items(self._client, path, token=self._token(), max_pages=_LABEL_PAGES)
        return [label_name(item) for item in found]

    def add_labels(self, repo: str, number: int, labels: Sequence[str]) -> None:
        path = repository_path(repo, "issues", number, "labels")
        self._client.post(path, token=self._token(), body={"labels": list(labels)})

    def _token(self) -> str:
        token = self._read_token()
        if not token:
            message = "no write token is set (the parameter of GITHUB_WRITE_TOKEN_PARAMETER)"
            raise GithubCredentialsError(message)
        return token
