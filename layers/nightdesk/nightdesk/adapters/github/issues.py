"""What a session reads of the issue or pull request that its task is about (`IssueReader`)."""

from typing import Any

from nightdesk.adapters.github.client import GithubClient
from nightdesk.adapters.github.shapes import account_of, issue_of, repository_path
from nightdesk.domain.errors import ErrorCode, PermanentError
from nightdesk.domain.github_ports import TaskTokens
from nightdesk.domain.issue_text import IssueComment, IssueText
from nightdesk.domain.task import Target

#: At most, the oldest first: what a longer discussion has more is counted, not read.
COMMENTS_MAX = 500
_PER_PAGE = 100


class GithubIssueReader:
    """`IssueReader` with the task's own token; the target comes from Origins, never the model."""

    def __init__(self, client: GithubClient, tokens: TaskTokens) -> None:
        self._client = client
        self._tokens = tokens

    def read(self, task_id: str, target: Target) -> IssueText:
        token = self._tokens.token_for(task_id).token
        path = repository_path(target.repo, "issues", target.number)
        data = self._client.get(path, token=token).data
        issue, comments = issue_of(data), self._comments(path, token, target)
        count = data.get("comments")
        left_out = count - len(comments) if isinstance(count, int) else 0
        return IssueText(
            title=issue.title,
            body=issue.body,
            author=issue.author.login,
            labels=issue.labels,
            kind=target.kind,
            comments=tuple(_comment(item) for item in comments if isinstance(item, dict)),
            comments_left_out=max(left_out, 0) if len(comments) >= COMMENTS_MAX else 0,
        )

    def _comments(self, path: str, token: str, target: Target) -> list[Any]:
        found: list[Any] = []
        for page in range(1, COMMENTS_MAX // _PER_PAGE + 1):
            query = {"per_page": str(_PER_PAGE), "page": str(page)}
            answer = self._client.get(f"{path}/comments", token=token, query=query)
            if not isinstance(answer.data, list):
                message = f"the comments of {target.repo}#{target.number} are no list"
                raise PermanentError(message, ErrorCode.REPOSITORY_UNREACHABLE)
            found += answer.data
            if not answer.has_next_page:
                break
        return found


def _comment(item: dict[str, Any]) -> IssueComment:
    return IssueComment(author=account_of(item.get("user")).login, text=str(item.get("body") or ""))
