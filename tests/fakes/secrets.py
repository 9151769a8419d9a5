"""Secrets and tokens in memory."""

from datetime import datetime

from nightdesk.domain.errors import ForbiddenError
from nightdesk.domain.github_ports import RepositoryToken


class FakeRepositoryTokens:
    """`RepositoryTokens` that remembers for which repositories it was asked."""

    def __init__(self, token: str = "", *, expires_at: datetime | None = None) -> None:
        self.token = token
        self.expires_at = expires_at
        self.asked: list[tuple[str, int]] = []

    def token_for(self, repo: str, repo_id: int) -> RepositoryToken:
        self.asked.append((repo, repo_id))
        return RepositoryToken(token=self.token, repo=repo, expires_at=self.expires_at)


class FakeTaskTokens:
    """`TaskTokens`: one token for each task that has one."""

    def __init__(self, **tokens: str) -> None:
        self.tokens = dict(tokens)

    def token_for(self, task_id: str) -> RepositoryToken:
        if task_id not in self.tokens:
            raise ForbiddenError("the task does not run")
        return RepositoryToken(token=self.tokens[task_id], repo="octo-org/widgets")
