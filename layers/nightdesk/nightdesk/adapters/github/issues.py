"""What a session reads of the issue or pull request that its task is about (`IssueReader`)."""

from typing import Any

from nightdesk.adapters.github.client import GithubClient
from nightdesk.adapters.github.shapes import account_of, issue_of, repository_path
from nightdesk.domain.errors import ErrorCode, PermanentError
from nightdesk.domain.github_ports import TaskTokens
from nightdesk.domain.issue_text import IssueComment, IssueText
from nightdesk.domain.task import Target

#: One page; a discussion that is longer is not read to its end.
COMMENTS = 100


class GithubIssueReader:
    """`IssueReader` with the task's own token; the target comes from Origins, never the model."""

    def __init__(self, client: GithubClient, tokens: TaskTokens) -> None:
        self._client = client
        self._tokens = tokens

    def read(self, task_id: str, target: Target) -> IssueText:
        token = self._tokens.token_for(task_id).token
        path = repository_path(target.repo, "issues", target.number)
        issue = issue_of(self._client.get(path, token=token).data)
        query = {"per_page": str(COMMENTS)}
        comments = self._client.get(f"{path}/comments", token=token, query=query).data
        if not isinstance(comments, list):
            message = f"the comments of {target.repo}#{target.number} are no list"
            raise PermanentError(message, ErrorCode.REPOSITORY_UNREACHABLE)
        return IssueText(
            title=issue.title,
            body=issue.body,
            author=issue.author.login,
            labels=issue.labels,
            kind=target.kind,
            comments=tuple(_comment(item) for item in comments if isinstance(item, dict)),
        )


def _comment(item: dict[str, Any]) -> IssueComment:
    return IssueComment(author=account_of(item.get("user")).login, text=str(item.get("body") or ""))
