"""Open, push to, merge and review pull requests, and let the feed tell of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from local.github_simulator.changes import next_number, record_event, record_issue_event
from local.github_simulator.diff import Anchor, anchors
from local.github_simulator.pull_shapes import (
    files_of,
    pull_minimal_shape,
    review_comment_shape,
    review_shape,
)
from local.github_simulator.records import Issue, PullDetails, Review, ReviewComment, User
from local.github_simulator.shapes import timestamp
from local.github_simulator.state import GithubState, Repository

#: The fields of a review comment that its event carries.
EVENT_COMMENT_FIELDS = (
    "url", "pull_request_review_id", "id", "node_id", "diff_hunk", "path", "position",
    "original_position", "subject_type", "commit_id", "user", "body", "created_at", "updated_at",
    "html_url", "pull_request_url", "_links", "original_commit_id", "reactions",
)  # fmt: skip
ReviewState = Literal["APPROVED", "CHANGES_REQUESTED", "COMMENTED", "PENDING"]


class UnresolvableLineError(Exception):
    """A comment's line is not in the diff; `message` is GitHub's."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, kw_only=True)
class DraftComment:
    """A comment that a review is to hold; `line` counts in the new file when side is RIGHT."""

    path: str
    body: str
    line: int | None = None
    side: str = "RIGHT"
    start_line: int | None = None
    start_side: str | None = None
    position: int | None = None


def open_pull(
    state: GithubState,
    repository: Repository,
    *,
    author: User,
    title: str,
    body: str | None,
    head_ref: str,
    head_sha: str,
    base_ref: str,
    base_sha: str,
    draft: bool = False,
    fork_owner: User | None = None,
) -> Issue:
    """Open a pull request."""
    now = state.now()
    pull = PullDetails(
        id=state.next_id(),
        head_ref=head_ref,
        head_sha=head_sha,
        base_ref=base_ref,
        base_sha=base_sha,
        draft=draft,
        fork_owner=fork_owner,
    )
    issue = Issue(
        id=state.next_id(),
        number=next_number(repository),
        author=author,
        title=title,
        body=body,
        created_at=now,
        updated_at=now,
        pull=pull,
    )
    repository.issues[issue.number] = issue
    record_issue_event(state, repository, issue, author, "opened")
    return issue


def push(
    state: GithubState, repository: Repository, *, actor: User, branch: str, before: str, head: str
) -> None:
    """Tell of a push to a branch of the repository; those to forks are in the forks' feeds."""
    repository.pushed_at = state.now()
    payload = {
        "repository_id": repository.id,
        "push_id": state.next_id(),
        "ref": f"refs/heads/{branch}",
        "head": head,
        "before": before,
    }
    record_event(state, repository, "PushEvent", actor, payload)


def push_to_pull(
    state: GithubState, repository: Repository, issue: Issue, *, actor: User, head_sha: str
) -> None:
    """Move a pull request's head. The feed has no `synchronize`: only a PushEvent, if any."""
    assert issue.pull is not None
    pull, before = issue.pull, issue.pull.head_sha
    pull.head_sha = head_sha
    issue.updated_at = state.now()
    if pull.fork_owner is None:
        push(state, repository, actor=actor, branch=pull.head_ref, before=before, head=head_sha)


def merge_pull(state: GithubState, repository: Repository, issue: Issue, *, actor: User) -> None:
    """Mark a pull request as merged. The git repository itself is not changed."""
    assert issue.pull is not None
    now = state.now()
    issue.state, issue.closed_at, issue.closed_by, issue.updated_at = "closed", now, actor, now
    issue.pull.merged_at, issue.pull.merged_by = now, actor
    record_issue_event(state, repository, issue, actor, "closed")


def submit_review(
    state: GithubState,
    repository: Repository,
    issue: Issue,
    *,
    author: User,
    body: str,
    review_state: ReviewState,
    commit_id: str,
    comments: list[DraftComment],
) -> Review:
    """Review a pull request; one unplaceable comment refuses the whole review.

    Raises:
        UnresolvableLineError: a comment's path or line is not in the diff.
    """
    assert issue.pull is not None
    files = files_of(repository, issue.pull, head=commit_id)
    patches = {change.path: change.patch for change in files}
    placed = [(draft, _place(draft, patches)) for draft in comments]
    now = state.now()
    review = Review(
        id=state.next_id(),
        pull_number=issue.number,
        author=author,
        body=body,
        state=review_state,
        commit_id=commit_id,
        submitted_at=None if review_state == "PENDING" else now,
    )
    repository.reviews[review.id] = review
    issue.updated_at = now
    _record_review(state, repository, issue, review)
    for draft, (line, anchor) in placed:
        comment = _review_comment(state, review, draft, line, anchor)
        repository.review_comments[comment.id] = comment
        _record_review_comment(state, repository, issue, comment)
    return review


def _place(draft: DraftComment, patches: dict[str, str | None]) -> tuple[int, Anchor]:
    if draft.path not in patches:
        raise UnresolvableLineError("Path could not be resolved")
    places = anchors(patches[draft.path] or "")
    if draft.line is None:
        for (side, line), anchor in places.items():
            if anchor.position == draft.position and side in {draft.side, "LEFT"}:
                return line, anchor
        raise UnresolvableLineError("Position could not be resolved")
    if draft.start_line is not None:
        side = draft.start_side or draft.side
        if draft.start_line >= draft.line or (side, draft.start_line) not in places:
            raise UnresolvableLineError("Start line must precede the end line and be in the diff")
    anchor_of_line = places.get((draft.side, draft.line))
    if anchor_of_line is None:
        raise UnresolvableLineError("Line could not be resolved")
    return draft.line, anchor_of_line


def _review_comment(
    state: GithubState, review: Review, draft: DraftComment, line: int, anchor: Anchor
) -> ReviewComment:
    return ReviewComment(
        id=state.next_id(),
        pull_number=review.pull_number,
        review_id=review.id,
        author=review.author,
        body=draft.body,
        path=draft.path,
        line=line,
        side=draft.side,
        start_line=draft.start_line,
        start_side=draft.start_side,
        position=anchor.position,
        diff_hunk=anchor.hunk,
        commit_id=review.commit_id,
        created_at=state.now(),
        updated_at=state.now(),
    )


def _pull_payload(state: GithubState, repository: Repository, issue: Issue) -> dict[str, Any]:
    assert issue.pull is not None
    minimal = pull_minimal_shape(state, repository, issue, issue.pull)
    return {"action": "created", "pull_request": minimal}


def _record_review(
    state: GithubState, repository: Repository, issue: Issue, review: Review
) -> None:
    if review.submitted_at is None:  # nobody but its author sees a pending review
        return
    shape = review_shape(state, repository, review)
    del shape["author_association"]
    shape["updated_at"] = timestamp(review.submitted_at)
    payload = _pull_payload(state, repository, issue) | {"review": shape}
    record_event(state, repository, "PullRequestReviewEvent", review.author, payload)


def _record_review_comment(
    state: GithubState, repository: Repository, issue: Issue, comment: ReviewComment
) -> None:
    if repository.reviews[comment.review_id].submitted_at is None:
        return
    shape = review_comment_shape(state, repository, comment)
    payload = _pull_payload(state, repository, issue)
    payload["comment"] = {name: shape[name] for name in EVENT_COMMENT_FIELDS}
    record_event(state, repository, "PullRequestReviewCommentEvent", comment.author, payload)
