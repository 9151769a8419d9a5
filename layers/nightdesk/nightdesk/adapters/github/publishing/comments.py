"""Comments on issues and pull requests."""

from collections.abc import Sequence
from datetime import UTC, datetime

from nightdesk.adapters.github.paging import all_items
from nightdesk.adapters.github.publishing.write_access import DISCUSS, WriteAccess
from nightdesk.adapters.github.shapes import comment_of, repository_path
from nightdesk.domain.github_ports import PostedComment

_COMMENT_PAGES = 30


class GithubComments(WriteAccess):
    def comments_since(self, repo: str, number: int, since: datetime) -> Sequence[PostedComment]:
        found = all_items(
            self._client,
            repository_path(repo, "issues", number, "comments"),
            token=self._token(repo, DISCUSS),
            query={"since": since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")},
            max_pages=_COMMENT_PAGES,
            follow=False,
        )
        return [comment_of(item) for item in found]

    def comment(self, repo: str, number: int, body: str) -> PostedComment:
        path = repository_path(repo, "issues", number, "comments")
        token = self._token(repo, DISCUSS)
        return comment_of(self._client.post(path, token=token, body={"body": body}).data)

    def comment_by_id(self, repo: str, comment_id: int) -> PostedComment:
        path = repository_path(repo, "issues", "comments", comment_id)
        token = self._token(repo, DISCUSS)
        return comment_of(self._client.get(path, token=token, follow=False).data)

    def edit_comment(self, repo: str, comment_id: int, body: str) -> PostedComment:
        path = repository_path(repo, "issues", "comments", comment_id)
        token = self._token(repo, DISCUSS)
        return comment_of(self._client.patch(path, token=token, body={"body": body}).data)
