"""Write pull requests, their files, reviews and review comments as GitHub's API writes them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from local.github_simulator.diff import FileChange, changed_files
from local.github_simulator.records import Issue, PullDetails, Review, ReviewComment, User
from local.github_simulator.repository_shape import repository_shape
from local.github_simulator.shapes import (
    api_url,
    html_url,
    issue_html_url,
    label_shape,
    node_id,
    optional_timestamp,
    reactions_shape,
    timestamp,
    user_shape,
)
from local.github_simulator.state import GithubState, Repository


def files_of(
    repository: Repository, pull: PullDetails, *, head: str | None = None
) -> list[FileChange]:
    """Compare a pull request's head, or an earlier one, with where it left its base."""
    head = head or pull.head_sha
    return changed_files(repository.git, repository.git.merge_base(pull.base_sha, head), head)


def pull_simple_shape(
    state: GithubState, repository: Repository, issue: Issue, pull: PullDetails
) -> dict[str, Any]:
    """GitHub's `pull-request-simple`, an element of the list."""
    base = api_url(state, repository)
    url = f"{base}/pulls/{issue.number}"
    page = issue_html_url(state, repository, issue)
    addresses = {
        "html": page,
        "issue": f"{base}/issues/{issue.number}",
        "comments": f"{base}/issues/{issue.number}/comments",
        "review_comments": f"{url}/comments",
        "review_comment": f"{base}/pulls/comments{{/number}}",
        "commits": f"{url}/commits",
        "statuses": f"{base}/statuses/{pull.head_sha}",
    }
    return {
        "url": url,
        "id": pull.id,
        "node_id": node_id("PR", pull.id),
        "diff_url": f"{page}.diff",
        "patch_url": f"{page}.patch",
        **{f"{name}_url": address for name, address in addresses.items()},
        "number": issue.number,
        "state": issue.state,
        "locked": issue.locked,
        "title": issue.title,
        "user": user_shape(state, issue.author),
        "body": issue.body,
        "labels": [label_shape(state, repository, label) for label in issue.labels],
        "milestone": None,
        "active_lock_reason": None,
        "created_at": timestamp(issue.created_at),
        "updated_at": timestamp(issue.updated_at),
        "closed_at": optional_timestamp(issue.closed_at),
        "merged_at": optional_timestamp(pull.merged_at),
        "merge_commit_sha": None,
        "assignee": None,
        "assignees": [],
        "requested_reviewers": [],
        "requested_teams": [],
        "head": _head_shape(state, repository, pull),
        "base": _branch_shape(state, repository, repository.owner, pull.base_ref, pull.base_sha),
        "_links": {
            "self": {"href": url},
            **{name: {"href": address} for name, address in addresses.items()},
        },
        "author_association": repository.association_of(issue.author),
        "auto_merge": None,
        "draft": pull.draft,
    }


def pull_shape(
    state: GithubState, repository: Repository, issue: Issue, pull: PullDetails
) -> dict[str, Any]:
    """GitHub's `pull-request`, with the counts that only the single answer has."""
    files = files_of(repository, pull)
    number = issue.number
    comments = [c for c in repository.comments.values() if c.issue_number == number]
    reviewed = [c for c in repository.review_comments.values() if c.pull_number == number]
    return pull_simple_shape(state, repository, issue, pull) | {
        "merged": pull.merged_at is not None,
        "mergeable": True if issue.state == "open" else None,
        "rebaseable": True if issue.state == "open" else None,
        "mergeable_state": "clean" if issue.state == "open" else "unknown",
        "merged_by": None if pull.merged_by is None else user_shape(state, pull.merged_by),
        "comments": len(comments),
        "review_comments": len(reviewed),
        "maintainer_can_modify": pull.fork_owner is not None,
        "commits": repository.git.count_commits(pull.base_sha, pull.head_sha),
        "additions": sum(change.additions for change in files),
        "deletions": sum(change.deletions for change in files),
        "changed_files": len(files),
    }


def _head_shape(state: GithubState, repository: Repository, pull: PullDetails) -> dict[str, Any]:
    owner = pull.fork_owner or repository.owner
    shape = _branch_shape(state, repository, owner, pull.head_ref, pull.head_sha)
    if pull.fork_owner is not None:
        fork = repository_shape(state, repository, fork_owner=pull.fork_owner)
        shape["repo"] = None if pull.fork_deleted else fork
    return shape


def _branch_shape(
    state: GithubState, repository: Repository, owner: User, ref: str, sha: str
) -> dict[str, Any]:
    return {
        "label": f"{owner.login}:{ref}",
        "ref": ref,
        "sha": sha,
        "user": user_shape(state, owner),
        "repo": repository_shape(state, repository),
    }


def file_shape(
    state: GithubState, repository: Repository, change: FileChange, commit: str
) -> dict[str, Any]:
    """GitHub's `diff-entry`; `patch` is absent for binary and very large files."""
    path, page = quote(change.path), html_url(state, repository)
    shape: dict[str, Any] = {
        "sha": change.sha,
        "filename": change.path,
        "status": change.status,
        "additions": change.additions,
        "deletions": change.deletions,
        "changes": change.additions + change.deletions,
        "blob_url": f"{page}/blob/{commit}/{path}",
        "raw_url": f"{page}/raw/{commit}/{path}",
        "contents_url": f"{api_url(state, repository)}/contents/{path}?ref={commit}",
    }
    if change.patch is not None:
        shape["patch"] = change.patch
    if change.previous_path is not None:
        shape["previous_filename"] = change.previous_path
    return shape


def review_shape(state: GithubState, repository: Repository, review: Review) -> dict[str, Any]:
    """GitHub's `pull-request-review`; a pending review has no `submitted_at`."""
    pull_url = f"{api_url(state, repository)}/pulls/{review.pull_number}"
    page = f"{html_url(state, repository)}/pull/{review.pull_number}"
    page = f"{page}#pullrequestreview-{review.id}"
    shape = {
        "id": review.id,
        "node_id": node_id("PRR", review.id),
        "user": user_shape(state, review.author),
        "body": review.body,
        "state": review.state,
        "html_url": page,
        "pull_request_url": pull_url,
        "author_association": repository.association_of(review.author),
        "_links": {"html": {"href": page}, "pull_request": {"href": pull_url}},
        "commit_id": review.commit_id,
    }
    if review.submitted_at is not None:
        shape["submitted_at"] = timestamp(review.submitted_at)
    return shape


def review_comment_shape(
    state: GithubState, repository: Repository, comment: ReviewComment
) -> dict[str, Any]:
    """GitHub's `pull-request-review-comment`."""
    base = api_url(state, repository)
    url = f"{base}/pulls/comments/{comment.id}"
    pull_url = f"{base}/pulls/{comment.pull_number}"
    page = f"{html_url(state, repository)}/pull/{comment.pull_number}#discussion_r{comment.id}"
    return {
        "url": url,
        "pull_request_review_id": comment.review_id,
        "id": comment.id,
        "node_id": node_id("PRRC", comment.id),
        "diff_hunk": comment.diff_hunk,
        "path": comment.path,
        "commit_id": comment.commit_id,
        "original_commit_id": comment.commit_id,
        "user": user_shape(state, comment.author),
        "body": comment.body,
        "created_at": timestamp(comment.created_at),
        "updated_at": timestamp(comment.updated_at),
        "html_url": page,
        "pull_request_url": pull_url,
        "author_association": repository.association_of(comment.author),
        "_links": {
            "self": {"href": url},
            "html": {"href": page},
            "pull_request": {"href": pull_url},
        },
        "reactions": reactions_shape(url),
        "position": comment.position,
        "original_position": comment.position,
        "line": comment.line,
        "original_line": comment.line,
        "side": comment.side,
        "start_line": comment.start_line,
        "original_start_line": comment.start_line,
        "start_side": comment.start_side,
        "subject_type": "line",
    }


def pull_minimal_shape(
    state: GithubState, repository: Repository, issue: Issue, pull: PullDetails
) -> dict[str, Any]:
    """GitHub's `pull-request-minimal`: all that events say of a pull request since October 2025."""
    base_repository = repository_shape(state, repository)
    head_repository = repository_shape(state, repository, fork_owner=pull.fork_owner)
    return {
        "id": pull.id,
        "number": issue.number,
        "url": f"{api_url(state, repository)}/pulls/{issue.number}",
        "head": _minimal_branch(pull.head_ref, pull.head_sha, head_repository),
        "base": _minimal_branch(pull.base_ref, pull.base_sha, base_repository),
    }


def _minimal_branch(ref: str, sha: str, repository: dict[str, Any]) -> dict[str, Any]:
    kept = {name: repository[name] for name in ("id", "url", "name")}
    return {"ref": ref, "sha": sha, "repo": kept}
