"""Change issues, comments and labels, and let the feed tell; people and the API share this."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from local.github_simulator.pull_shapes import pull_minimal_shape
from local.github_simulator.records import Comment, Issue, Label, User
from local.github_simulator.shapes import comment_shape, issue_shape, label_shape
from local.github_simulator.state import GithubState, Repository


def record_event(
    state: GithubState, repository: Repository, kind: str, actor: User, payload: dict[str, Any]
) -> None:
    """Put one event into the repository's feed."""
    repository.events.add(kind, actor=actor, payload=payload, now=state.now())


def _event_issue(state: GithubState, repository: Repository, issue: Issue) -> dict[str, Any]:
    shape = issue_shape(state, repository, issue)
    if not state.settings.events_carry_association:
        del shape["author_association"]
    return shape


def record_issue_event(
    state: GithubState, repository: Repository, issue: Issue, actor: User, action: str
) -> None:
    """Tell of an issue, or in the trimmed form of a pull request."""
    if issue.pull is None:
        payload: dict[str, Any] = {
            "action": action,
            "issue": _event_issue(state, repository, issue),
        }
        record_event(state, repository, "IssuesEvent", actor, payload)
        return
    payload = {
        "action": action,
        "number": issue.number,
        "pull_request": pull_minimal_shape(state, repository, issue, issue.pull),
    }
    record_event(state, repository, "PullRequestEvent", actor, payload)


def next_number(repository: Repository) -> int:
    """Give the next number of the sequence that issues and pull requests share."""
    return max(repository.issues, default=0) + 1


def open_issue(
    state: GithubState,
    repository: Repository,
    *,
    author: User,
    title: str,
    body: str | None,
    labels: Iterable[str] = (),
) -> Issue:
    """Open an issue."""
    now = state.now()
    issue = Issue(
        id=state.next_id(),
        number=next_number(repository),
        author=author,
        title=title,
        body=body,
        created_at=now,
        updated_at=now,
        labels=[label_named(state, repository, name) for name in labels],
    )
    repository.issues[issue.number] = issue
    record_issue_event(state, repository, issue, author, "opened")
    _record_labels(state, repository, issue, actor=author, action="labeled", labels=issue.labels)
    return issue


def edit_issue(state: GithubState, issue: Issue, *, title: str, body: str | None) -> None:
    """Change an issue's texts. The feed never tells of edits; only `updated_at` does."""
    if (title, body) != (issue.title, issue.body):
        issue.title, issue.body, issue.updated_at = title, body, state.now()


def set_state(
    state: GithubState,
    repository: Repository,
    issue: Issue,
    *,
    actor: User,
    to: Literal["open", "closed"],
    reason: str | None = None,
) -> None:
    """Close or reopen an issue or pull request; nothing happens if it is so already."""
    if issue.state == to:
        return
    now = state.now()
    issue.state, issue.updated_at = to, now
    if to == "closed":
        issue.closed_at, issue.closed_by = now, actor
        issue.state_reason = None if issue.pull else (reason or "completed")
    else:
        issue.closed_at, issue.closed_by = None, None
        issue.state_reason = None if issue.pull else "reopened"
    action = "closed" if to == "closed" else "reopened"
    record_issue_event(state, repository, issue, actor, action)


def label_named(state: GithubState, repository: Repository, name: str) -> Label:
    """Find a label, or make it as GitHub does when it is first used; case does not matter."""
    known = repository.labels.get(name.lower())
    if known is None:
        known = Label(id=state.next_id(), name=name)
        repository.labels[name.lower()] = known
    return known


def set_labels(
    state: GithubState, repository: Repository, issue: Issue, *, actor: User, names: Iterable[str]
) -> None:
    """Make these the issue's labels."""
    wanted = {name.lower(): label_named(state, repository, name) for name in names}
    before = {label.id: label for label in issue.labels}
    issue.labels = list(wanted.values())
    after = {label.id: label for label in issue.labels}
    added = [label for key, label in after.items() if key not in before]
    removed = [label for key, label in before.items() if key not in after]
    if added or removed:
        issue.updated_at = state.now()
    _record_labels(state, repository, issue, actor=actor, action="labeled", labels=added)
    _record_labels(state, repository, issue, actor=actor, action="unlabeled", labels=removed)


def _record_labels(
    state: GithubState,
    repository: Repository,
    issue: Issue,
    *,
    actor: User,
    action: str,
    labels: list[Label],
) -> None:
    if not state.settings.events_for_labels or issue.pull is not None:
        return
    for label in labels:
        payload = {
            "action": action,
            "issue": _event_issue(state, repository, issue),
            "label": label_shape(state, repository, label),
        }
        record_event(state, repository, "IssuesEvent", actor, payload)


def add_comment(
    state: GithubState, repository: Repository, issue: Issue, *, author: User, body: str
) -> Comment:
    """Comment on an issue or in the conversation of a pull request."""
    now = state.now()
    comment = Comment(
        id=state.next_id(),
        issue_number=issue.number,
        author=author,
        body=body,
        created_at=now,
        updated_at=now,
    )
    repository.comments[comment.id] = comment
    issue.updated_at = now
    shape = comment_shape(state, repository, comment)
    if not state.settings.events_carry_association:
        del shape["author_association"]
    payload = {
        "action": "created",
        "issue": _event_issue(state, repository, issue),
        "comment": shape,
    }
    record_event(state, repository, "IssueCommentEvent", author, payload)
    return comment


def edit_comment(
    state: GithubState, repository: Repository, comment: Comment, *, body: str
) -> None:
    """Change a comment; this moves the issue's `updated_at` too."""
    comment.body = body
    comment.updated_at = state.now()
    repository.issues[comment.issue_number].updated_at = comment.updated_at


def delete_comment(state: GithubState, repository: Repository, comment: Comment) -> None:
    """Take a comment away."""
    del repository.comments[comment.id]
    repository.issues[comment.issue_number].updated_at = state.now()
