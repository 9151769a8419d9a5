"""What the publisher does on GitHub. Each call is one try.

One protocol for each kind of effect; `Publishing` is all of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from nightdesk.domain.diff.pull_diff import PullDiff
from nightdesk.domain.github_ports import Account, PostedComment, Repository
from nightdesk.domain.pull_ports import PullComment, PullFacts
from nightdesk.domain.review.texts import ReviewDraft


class Accounts(Protocol):
    """Who writes, and where."""

    def own_account(self) -> Account:
        """Who we are on GitHub."""
        ...

    def repository(self, repo: str) -> Repository:
        """The repository under its present name; renames are followed."""
        ...


class Comments(Protocol):
    def comments_since(self, repo: str, number: int, since: datetime) -> Sequence[PostedComment]:
        """All comments of an issue or pull request that were changed at or after `since`.

        Raises:
            GithubNotFoundError: also when the issue was transferred to another repository.
        """
        ...

    def comment(self, repo: str, number: int, body: str) -> PostedComment:
        """Write a comment."""
        ...

    def comment_by_id(self, repo: str, comment_id: int) -> PostedComment:
        """The comment as it is now.

        Raises:
            GithubNotFoundError: it was deleted, or moved with its issue.
        """
        ...

    def edit_comment(self, repo: str, comment_id: int, body: str) -> PostedComment:
        """Replace the comment's text. Idempotent."""
        ...


class Labels(Protocol):
    def labels_of_repository(self, repo: str) -> Sequence[str]:
        """Names of all labels that the repository has."""
        ...

    def add_labels(self, repo: str, number: int, labels: Sequence[str]) -> None:
        """Add labels to an issue or pull request; those it has already stay. Idempotent."""
        ...


class Issues(Protocol):
    def issues_since(self, repo: str, creator: str, since: datetime) -> Sequence[PostedComment]:
        """All issues and pull requests of an account that were changed at or after `since`."""
        ...

    def open_issue(
        self, repo: str, *, title: str, body: str, labels: Sequence[str]
    ) -> PostedComment:
        """Open an issue."""
        ...


class Statuses(Protocol):
    def set_status(
        self, repo: str, sha: str, *, state: str, context: str, description: str
    ) -> None:
        """Set the commit's status of this context; the newest counts."""
        ...


class Reviews(Protocol):
    def pull(self, repo: str, number: int) -> PullFacts:
        """The pull request as it is now.

        Raises:
            GithubNotFoundError: also when it was moved.
        """
        ...

    def pull_diff(self, repo: str, number: int, head_sha: str) -> PullDiff:
        """What it changes at this head.

        Raises:
            HeadMovedError: it has another head by now.
        """
        ...

    def reviews(self, repo: str, number: int) -> Sequence[PullComment]:
        """All reviews, whoever wrote them, oldest first."""
        ...

    def line_comments(self, repo: str, number: int) -> Sequence[PullComment]:
        """All comments at lines, resolved and outdated ones too, oldest first."""
        ...

    def review(self, repo: str, number: int, draft: ReviewDraft) -> PullComment:
        """Publish a review that comments, and never approves or requests changes.

        Raises:
            GithubRefusedError: among others because of a line; then nothing of it is published.
        """
        ...


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file of a commit; `mode` as git writes it (100644, 100755, 120000 a link, 160000 …)."""

    mode: str
    sha: str


@dataclass(frozen=True, slots=True)
class BaseTree:
    """All files of a commit, by path."""

    sha: str
    commit: str
    files: Mapping[str, FileEntry]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitFacts:
    """What a commit says of itself; `date` in ISO 8601. The same facts make the same commit."""

    message: str
    name: str
    email: str
    date: str


@dataclass(frozen=True, slots=True)
class PostedPull:
    author_id: int
    url: str


class Branches(Protocol):
    def base_tree(self, repo: str, commit: str) -> BaseTree:
        """The files of a commit."""
        ...

    def file_text(self, repo: str, sha: str) -> str:
        """A file's content. Raises PermanentError when it is no text in UTF-8."""
        ...

    def make_commit(
        self, repo: str, base: BaseTree, files: Mapping[str, tuple[str, str]], facts: CommitFacts
    ) -> str:
        """A commit on top of the base, with these files (path to mode and content); its SHA.

        Nothing shows it until a branch does. Idempotent: the same arguments are the same commit.
        """
        ...

    def branch_head(self, repo: str, branch: str) -> str | None:
        """The commit that the branch is at; None = there is no such branch."""
        ...

    def make_branch(self, repo: str, branch: str, commit: str) -> None:
        """Raises GithubRefusedError when it exists already."""
        ...

    def pulls_of(self, repo: str, branch: str) -> Sequence[PostedPull]:
        """All pull requests from this branch of the repository itself, closed ones too."""
        ...

    def make_draft(self, repo: str, *, branch: str, base: str, title: str, body: str) -> PostedPull:
        """Open a draft pull request."""
        ...


class Publishing(Accounts, Comments, Labels, Issues, Reviews, Branches, Statuses, Protocol):
    """All that is written to GitHub, with the service's write token."""
