"""Define what the simulator remembers: users, issues, pull requests, comments, reviews, checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

UserKind = Literal["User", "Bot", "Organization"]


@dataclass(kw_only=True)
class User:
    """An account. The login of a bot ends in `[bot]`, as GitHub's do."""

    id: int
    login: str
    kind: UserKind = "User"
    created_at: datetime


@dataclass(kw_only=True)
class Label:
    """A label of a repository."""

    id: int
    name: str
    color: str = "ededed"
    description: str = ""


@dataclass(kw_only=True)
class PullDetails:
    """What makes an issue a pull request. `fork_owner` is None for a branch of the repository."""

    id: int
    head_ref: str
    head_sha: str
    base_ref: str
    base_sha: str
    draft: bool = False
    fork_owner: User | None = None
    fork_deleted: bool = False
    merged_at: datetime | None = None
    merged_by: User | None = None


@dataclass(kw_only=True)
class Issue:
    """An issue, or a pull request when `pull` is set: both share one sequence of numbers."""

    id: int
    number: int
    author: User
    title: str
    body: str | None
    created_at: datetime
    updated_at: datetime
    labels: list[Label] = field(default_factory=list)
    state: Literal["open", "closed"] = "open"
    state_reason: str | None = None
    closed_at: datetime | None = None
    closed_by: User | None = None
    locked: bool = False
    deleted: bool = False
    pull: PullDetails | None = None


@dataclass(kw_only=True)
class Comment:
    """A comment on an issue or in the conversation of a pull request."""

    id: int
    issue_number: int
    author: User
    body: str
    created_at: datetime
    updated_at: datetime


@dataclass(kw_only=True)
class ReviewComment:
    """A comment on a line of a diff."""

    id: int
    pull_number: int
    review_id: int
    author: User
    body: str
    path: str
    line: int
    side: str
    start_line: int | None
    start_side: str | None
    position: int
    diff_hunk: str
    commit_id: str
    created_at: datetime
    updated_at: datetime


@dataclass(kw_only=True)
class Review:
    """A review of a pull request; a pending one has no `submitted_at`."""

    id: int
    pull_number: int
    author: User
    body: str
    state: Literal["APPROVED", "CHANGES_REQUESTED", "COMMENTED", "PENDING"]
    commit_id: str
    submitted_at: datetime | None


@dataclass(kw_only=True)
class CheckRun:
    """A check run; `fields` are those of the request, already validated."""

    id: int
    name: str
    head_sha: str
    app_id: int | None
    fields: dict[str, Any]
    started_at: datetime
    completed_at: datetime | None = None


@dataclass(kw_only=True)
class CommitStatus:
    """A status of one commit in one context."""

    id: int
    sha: str
    state: str
    context: str
    description: str | None
    target_url: str | None
    creator: User
    created_at: datetime
