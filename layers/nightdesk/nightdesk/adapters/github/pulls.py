"""What a session and the publisher read of a pull request (`PullReader` is the session's)."""

from collections.abc import Sequence
from itertools import islice

from nightdesk.adapters.github.client import GithubClient
from nightdesk.adapters.github.paging import PER_PAGE, all_items
from nightdesk.adapters.github.shapes import (
    commit_of,
    file_diff_of,
    pull_comment_of,
    pull_of,
    repository_path,
)
from nightdesk.domain.diff.pull_diff import FILES_MAX, PullDiff
from nightdesk.domain.errors import UnavailableError
from nightdesk.domain.github_ports import TaskTokens
from nightdesk.domain.pull_ports import CommitFacts, HeadMovedError, PullComment, PullFacts
from nightdesk.domain.task import Target

_PAGES = FILES_MAX // PER_PAGE


class PullCalls:
    """The reading calls about one pull request, with one token."""

    def __init__(self, client: GithubClient, token: str, repo: str, number: int) -> None:
        self._client = client
        self._token = token
        self._path = repository_path(repo, "pulls", number)

    def facts(self) -> PullFacts:
        """Never of another pull request: a redirect means that it is elsewhere now."""
        return pull_of(self._client.get(self._path, token=self._token, follow=False).data)

    def diff(self, head_sha: str) -> PullDiff:
        """The files at this head. They are listed for the newest head only, so it is looked at
        before and after.

        Raises:
            HeadMovedError: it is, or became, another one.
        """
        self._check(self.facts(), head_sha)
        listed = all_items(
            self._client,
            f"{self._path}/files",
            token=self._token,
            max_pages=_PAGES + 1,
            follow=False,
        )
        files = tuple(file_diff_of(item) for item in islice(listed, FILES_MAX))
        now = self.facts()
        self._check(now, head_sha)
        return PullDiff(head_sha, files, left_out=max(0, now.changed_files - len(files)))

    def reviews(self) -> Sequence[PullComment]:
        return self._comments("reviews")

    def line_comments(self) -> Sequence[PullComment]:
        return self._comments("comments")

    def _comments(self, kind: str) -> Sequence[PullComment]:
        found = all_items(
            self._client,
            f"{self._path}/{kind}",
            token=self._token,
            max_pages=_PAGES,
            follow=False,
        )
        return [pull_comment_of(item) for item in found]

    def _check(self, now: PullFacts, head_sha: str) -> None:
        if now.head_sha != head_sha:
            raise HeadMovedError(head_sha, now.head_sha)


class GithubPullReader:
    """`PullReader` with the task's own token; the target comes from Origins, never the model."""

    def __init__(self, client: GithubClient, tokens: TaskTokens) -> None:
        self._client = client
        self._tokens = tokens

    def head(self, task_id: str, target: Target) -> str:
        return self._calls(task_id, target).facts().head_sha

    def diff(self, task_id: str, target: Target) -> PullDiff:
        return self._calls(task_id, target).diff(target.head_sha)

    def comments(self, task_id: str, target: Target) -> Sequence[PullComment]:
        calls = self._calls(task_id, target)
        return [*calls.reviews(), *calls.line_comments()]

    def history(
        self, task_id: str, target: Target, *, path: str, limit: int
    ) -> Sequence[CommitFacts]:
        query = {"path": path, "per_page": str(limit)}
        if target.head_sha:
            query["sha"] = target.head_sha
        token = self._tokens.token_for(task_id).token
        found = self._client.get(
            repository_path(target.repo, "commits"), token=token, query=query
        ).data
        if not isinstance(found, list):
            raise UnavailableError(f"GitHub: the commits of {target.repo} are no list")
        return [commit_of(item) for item in found[:limit]]

    def _calls(self, task_id: str, target: Target) -> PullCalls:
        token = self._tokens.token_for(task_id).token
        return PullCalls(self._client, token, target.repo, target.number)
