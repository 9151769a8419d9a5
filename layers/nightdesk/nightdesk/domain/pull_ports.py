"""What a session reads of the pull request that its task is about."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from nightdesk.domain.diff.pull_diff import PullDiff
from nightdesk.domain.errors import PermanentError
from nightdesk.domain.task import Target


class HeadMovedError(PermanentError):
    """The pull request has another head than the task is about; files of two heads never mix."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"the head of the pull request has moved from {expected} to {found}")
        self.expected = expected
        self.found = found


@dataclass(frozen=True, slots=True, kw_only=True)
class PullFacts:
    """A pull request as it is now."""

    head_sha: str
    is_open: bool
    #: How many files it changes; GitHub lists the first 3,000 of them.
    changed_files: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PullComment:
    """A comment at a line of a pull request, or the text of a review (`path` is "" then).

    `line` is None once the lines have changed so that GitHub cannot tell where it stood.
    `is_trusted`: the author is a bot or a member, so that no stranger's copy of our marker counts.
    """

    id: int
    author_id: int
    body: str
    url: str = ""
    path: str = ""
    line: int | None = None
    in_reply_to: int | None = None
    is_trusted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitFacts:
    """One commit. Author and message are untrusted."""

    sha: str
    date: datetime
    author: str
    message: str


class PullReader(Protocol):
    """Reads with the task's own token.

    Each call raises PermanentError (REPOSITORY_UNREACHABLE) or TransientError.
    """

    def head(self, task_id: str, target: Target) -> str:
        """The commit that the pull request's branch is at now."""
        ...

    def diff(self, task_id: str, target: Target) -> PullDiff:
        """The changes at `target.head_sha`.

        Raises:
            HeadMovedError: the head is another one, before or after the files were read.
        """
        ...

    def comments(self, task_id: str, target: Target) -> Sequence[PullComment]:
        """All reviews and all comments at lines, whatever has become of them since."""
        ...

    def history(
        self, task_id: str, target: Target, *, path: str, limit: int
    ) -> Sequence[CommitFacts]:
        """The latest commits of a path as of the task's head, newest first."""
        ...
