"""New issues."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from nightdesk.adapters.github.paging import all_items
from nightdesk.adapters.github.publishing.write_access import DISCUSS, WriteAccess
from nightdesk.adapters.github.shapes import comment_of, repository_path
from nightdesk.domain.github_ports import PostedComment

_ISSUE_PAGES = 10


class GithubIssues(WriteAccess):
    def issues_since(self, repo: str, creator: str, since: datetime) -> Sequence[PostedComment]:
        query = {
            "creator": creator,
            "state": "all",
            "since": since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        found = all_items(
            self._client,
            repository_path(repo, "issues"),
            token=self._token(repo, DISCUSS),
            query=query,
            max_pages=_ISSUE_PAGES,
        )
        return [comment_of(item) for item in found]

    def open_issue(
        self, repo: str, *, title: str, body: str, labels: Sequence[str]
    ) -> PostedComment:
        fields: dict[str, Any] = {"title": title, "body": body, "labels": list(labels)}
        path = repository_path(repo, "issues")
        return comment_of(
            self._client.post(path, token=self._token(repo, DISCUSS), body=fields).data
        )
