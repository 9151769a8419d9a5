"""What a task's pull request changes, fetched once, by the first tool that needs it."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from nightdesk.domain.diff.pull_diff import PullDiff
from nightdesk.domain.pull_ports import CommitFacts, PullComment, PullReader
from nightdesk.domain.task import Target


class TaskChanges:
    """Bound to one task: nothing here takes a repository or a number from the model."""

    def __init__(self, pulls: PullReader, task_id: str, target: Target) -> None:
        self._pulls = pulls
        self._task_id = task_id
        self._named = target

    @property
    def is_pull_request(self) -> bool:
        return self._named.kind == "pull_request"

    @cached_property
    def target(self) -> Target:
        """The task's target with its head.

        A comment that started a task does not tell the head, so the task is about the one that
        its session finds. What was reported at another one, before a resume, is not published.
        """
        if self._named.head_sha or not self.is_pull_request:
            return self._named
        return replace(self._named, head_sha=self._pulls.head(self._task_id, self._named))

    @cached_property
    def diff(self) -> PullDiff:
        """Raises HeadMovedError: it cannot be read any more."""
        return self._pulls.diff(self._task_id, self.target)

    @cached_property
    def comments(self) -> Sequence[PullComment]:
        """All that was said at lines of the pull request, and in reviews."""
        return self._pulls.comments(self._task_id, self.target)

    def history(self, path: str, *, limit: int) -> Sequence[CommitFacts]:
        """The latest commits of a path, newest first."""
        return self._pulls.history(self._task_id, self.target, path=path, limit=limit)
