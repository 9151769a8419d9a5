"""Act on a repository as people do: open, comment, label, push, merge, delete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local.github_simulator import changes, pull_changes
from local.github_simulator.records import Issue
from local.github_simulator.shapes import (
    comment_html_url,
    comment_shape,
    issue_html_url,
    issue_shape,
)
from local.github_simulator.wishes import ControlError, Wish


def _shape(wish: Wish, issue: Issue) -> dict[str, Any]:
    return issue_shape(wish.state, wish.repository, issue)


def open_issue(wish: Wish) -> Any:
    """POST …/issues {author, association?, title, body?, labels?}."""
    issue = changes.open_issue(
        wish.state,
        wish.repository,
        author=wish.person("author"),
        title=wish.text("title"),
        body=wish.fields.get("body"),
        labels=wish.fields.get("labels", ()),
    )
    return _shape(wish, issue)


def change_issue(wish: Wish) -> Any:
    """PATCH …/issues/{number} {actor, title?, body?, state?, labels?, locked?, deleted?}."""
    issue, fields, actor = wish.issue, wish.fields, wish.person("actor")
    title, body = fields.get("title", issue.title), fields.get("body", issue.body)
    changes.edit_issue(wish.state, issue, title=title, body=body)
    if "labels" in fields:
        changes.set_labels(wish.state, wish.repository, issue, actor=actor, names=fields["labels"])
    if "state" in fields:
        changes.set_state(wish.state, wish.repository, issue, actor=actor, to=fields["state"])
    issue.locked = bool(fields.get("locked", issue.locked))
    issue.deleted = bool(fields.get("deleted", issue.deleted))
    return _shape(wish, issue)


def comment(wish: Wish) -> Any:
    """POST …/issues/{number}/comments {author, association?, body}."""
    added = changes.add_comment(
        wish.state,
        wish.repository,
        wish.issue,
        author=wish.person("author"),
        body=wish.text("body"),
    )
    return comment_shape(wish.state, wish.repository, added)


def change_comment(wish: Wish) -> Any:
    """PATCH …/comments/{comment_id} {body} or {deleted: true}."""
    found = wish.repository.comments.get(int(wish.path["comment_id"]))
    if found is None:
        raise ControlError(f"no comment {wish.path['comment_id']}")
    if wish.fields.get("deleted"):
        changes.delete_comment(wish.state, wish.repository, found)
        return {}
    changes.edit_comment(wish.state, wish.repository, found, body=wish.text("body"))
    return {"html_url": comment_html_url(wish.state, wish.repository, found)}


def open_pull(wish: Wish) -> Any:
    """POST …/pulls {author, association?, title, body?, head, base?, draft?, fork_owner?, labels?}.

    `head` and `base` name branches of the git repository; with `fork_owner` the head counts as a
    branch of that user's fork.
    """
    repository, fields = wish.repository, wish.fields
    fields.setdefault("base", repository.default_branch)
    fork_owner = fields.get("fork_owner")
    issue = pull_changes.open_pull(
        wish.state,
        repository,
        author=wish.person("author"),
        title=wish.text("title"),
        body=fields.get("body"),
        head_ref=wish.text("head"),
        head_sha=wish.commit(repository, "head"),
        base_ref=wish.text("base"),
        base_sha=wish.commit(repository, "base"),
        draft=bool(fields.get("draft", False)),
        fork_owner=None if fork_owner is None else wish.state.user(fork_owner),
    )
    if "labels" in fields:
        changes.set_labels(
            wish.state, repository, issue, actor=wish.person("author"), names=fields["labels"]
        )
    return {"number": issue.number, "html_url": issue_html_url(wish.state, repository, issue)}


def change_pull(wish: Wish) -> Any:
    """PATCH …/pulls/{number} {actor, head?: a commit, draft?, merged?, fork_deleted?}."""
    issue, fields, actor = wish.issue, wish.fields, wish.person("actor")
    if issue.pull is None:
        raise ControlError(f"{issue.number} is no pull request")
    if "head" in fields:
        head_sha = wish.commit(wish.repository, "head")
        pull_changes.push_to_pull(
            wish.state, wish.repository, issue, actor=actor, head_sha=head_sha
        )
    if "draft" in fields:
        issue.pull.draft = bool(fields["draft"])
        issue.updated_at = wish.state.now()
    issue.pull.fork_deleted = bool(fields.get("fork_deleted", issue.pull.fork_deleted))
    if fields.get("merged"):
        pull_changes.merge_pull(wish.state, wish.repository, issue, actor=actor)
    return {"head_sha": issue.pull.head_sha, "state": issue.state}


def review(wish: Wish) -> Any:
    """POST …/pulls/{number}/reviews {author, association?, body?, state?, comments?}."""
    issue = wish.issue
    if issue.pull is None:
        raise ControlError(f"{issue.number} is no pull request")
    comments = [pull_changes.DraftComment(**item) for item in wish.fields.get("comments", [])]
    try:
        submitted = pull_changes.submit_review(
            wish.state,
            wish.repository,
            issue,
            author=wish.person("author"),
            body=wish.fields.get("body", ""),
            review_state=wish.fields.get("state", "COMMENTED"),
            commit_id=issue.pull.head_sha,
            comments=comments,
        )
    except pull_changes.UnresolvableLineError as error:
        raise ControlError(error.message) from error
    return {"id": submitted.id}


def set_permission(wish: Wish) -> Any:
    """PUT …/collaborators {user, permission?, association?}: what a user is to the repository."""
    user = wish.person("user")
    permission = wish.fields.get("permission")
    if permission is not None:
        wish.repository.permissions[user.id] = permission
    return {"permission": wish.repository.permission_of(user)}


REPOSITORY = "/repos/{owner}/{repo}"
PEOPLE_ACTIONS: tuple[tuple[str, str, Callable[[Wish], Any]], ...] = (
    ("POST", f"{REPOSITORY}/issues", open_issue),
    ("PATCH", f"{REPOSITORY}/issues/{{number:int}}", change_issue),
    ("POST", f"{REPOSITORY}/issues/{{number:int}}/comments", comment),
    ("PATCH", f"{REPOSITORY}/comments/{{comment_id:int}}", change_comment),
    ("POST", f"{REPOSITORY}/pulls", open_pull),
    ("PATCH", f"{REPOSITORY}/pulls/{{number:int}}", change_pull),
    ("POST", f"{REPOSITORY}/pulls/{{number:int}}/reviews", review),
    ("PUT", f"{REPOSITORY}/collaborators", set_permission),
)
