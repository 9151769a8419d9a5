"""Write users, labels, issues and comments as GitHub's API writes them."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

from local.github_simulator.auth import App
from local.github_simulator.records import Comment, Issue, Label, User
from local.github_simulator.state import GithubState, Repository

REACTIONS = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")


def timestamp(moment: datetime) -> str:
    """Write a time in GitHub's form, `2026-03-01T12:00:00Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def optional_timestamp(moment: datetime | None) -> str | None:
    """Write a time, or null."""
    return None if moment is None else timestamp(moment)


def node_id(kind: str, identifier: int) -> str:
    """Make up an opaque node id; it is stable and differs by kind."""
    return f"{kind}_{base64.urlsafe_b64encode(identifier.to_bytes(6, 'big')).decode()}"


def api_url(state: GithubState, repository: Repository) -> str:
    """Address of a repository in the API."""
    return f"{state.base_url}/repos/{repository.full_name}"


def html_url(state: GithubState, repository: Repository) -> str:
    """Address of a repository's page for people."""
    return f"{state.base_url}/{repository.full_name}"


def issue_html_url(state: GithubState, repository: Repository, issue: Issue) -> str:
    """Address of the page on which a person reads an issue or pull request."""
    kind = "issues" if issue.pull is None else "pull"
    return f"{html_url(state, repository)}/{kind}/{issue.number}"


def comment_html_url(state: GithubState, repository: Repository, comment: Comment) -> str:
    """Address of a comment on its issue's page."""
    issue = repository.issues[comment.issue_number]
    return f"{issue_html_url(state, repository, issue)}#issuecomment-{comment.id}"


def user_shape(state: GithubState, user: User) -> dict[str, Any]:
    """GitHub's `simple-user`."""
    url = f"{state.base_url}/users/{user.login.replace('[', '%5B').replace(']', '%5D')}"
    return {
        "login": user.login,
        "id": user.id,
        "node_id": node_id("U", user.id),
        "avatar_url": f"{state.base_url}/_avatars/{user.id}",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{state.base_url}/{user.login.removesuffix('[bot]')}",
        "followers_url": f"{url}/followers",
        "following_url": f"{url}/following{{/other_user}}",
        "gists_url": f"{url}/gists{{/gist_id}}",
        "starred_url": f"{url}/starred{{/owner}}{{/repo}}",
        "subscriptions_url": f"{url}/subscriptions",
        "organizations_url": f"{url}/orgs",
        "repos_url": f"{url}/repos",
        "events_url": f"{url}/events{{/privacy}}",
        "received_events_url": f"{url}/received_events",
        "type": user.kind,
        "user_view_type": "public",
        "site_admin": False,
    }


def actor_shape(state: GithubState, user: User) -> dict[str, Any]:
    """GitHub's `actor` of events: no type, so a bot is known by its login only."""
    shape = user_shape(state, user)
    return {
        "id": user.id,
        "login": user.login,
        "display_login": user.login.removesuffix("[bot]"),
        "gravatar_id": "",
        "url": shape["url"],
        "avatar_url": shape["avatar_url"],
    }


def label_shape(state: GithubState, repository: Repository, label: Label) -> dict[str, Any]:
    """GitHub's `label`."""
    return {
        "id": label.id,
        "node_id": node_id("LA", label.id),
        "url": f"{api_url(state, repository)}/labels/{label.name.replace(' ', '%20')}",
        "name": label.name,
        "color": label.color,
        "default": label.name in {"bug", "documentation", "enhancement"},
        "description": label.description,
    }


def reactions_shape(url: str) -> dict[str, Any]:
    """GitHub's `reaction-rollup`; the simulator takes no reactions."""
    return {"url": f"{url}/reactions", "total_count": 0, **dict.fromkeys(REACTIONS, 0)}


def app_shape(state: GithubState, app: App) -> dict[str, Any]:
    """GitHub's `integration`."""
    return {
        "id": app.id,
        "client_id": f"Iv1.{app.id:016x}",
        "slug": app.slug,
        "node_id": node_id("A", app.id),
        "owner": user_shape(state, state.user(app.owner_login)),
        "name": app.slug,
        "description": "",
        "external_url": f"{state.base_url}/apps/{app.slug}",
        "html_url": f"{state.base_url}/apps/{app.slug}",
        "created_at": timestamp(app.created_at),
        "updated_at": timestamp(app.created_at),
        "permissions": app.permissions,
        "events": app.events,
    }


def app_of_author(state: GithubState, author: User) -> dict[str, Any] | None:
    """Find the app behind a bot, for `performed_via_github_app`."""
    for app in state.apps.values():
        if app.bot_login == author.login:
            return app_shape(state, app)
    return None


def issue_shape(state: GithubState, repository: Repository, issue: Issue) -> dict[str, Any]:
    """GitHub's `issue`; a pull request has the key `pull_request`."""
    url = f"{api_url(state, repository)}/issues/{issue.number}"
    comments = [c for c in repository.comments.values() if c.issue_number == issue.number]
    shape = {
        "url": url,
        "repository_url": api_url(state, repository),
        "labels_url": f"{url}/labels{{/name}}",
        "comments_url": f"{url}/comments",
        "events_url": f"{url}/events",
        "html_url": issue_html_url(state, repository, issue),
        "id": issue.id,
        "node_id": node_id("I" if issue.pull is None else "PR", issue.id),
        "number": issue.number,
        "title": issue.title,
        "user": user_shape(state, issue.author),
        "labels": [label_shape(state, repository, label) for label in issue.labels],
        "state": issue.state,
        "state_reason": issue.state_reason,
        "locked": issue.locked,
        "active_lock_reason": None,
        "assignee": None,
        "assignees": [],
        "milestone": None,
        "comments": len(comments),
        "created_at": timestamp(issue.created_at),
        "updated_at": timestamp(issue.updated_at),
        "closed_at": optional_timestamp(issue.closed_at),
        "closed_by": None if issue.closed_by is None else user_shape(state, issue.closed_by),
        "author_association": repository.association_of(issue.author),
        "body": issue.body,
        "reactions": reactions_shape(url),
        "timeline_url": f"{url}/timeline",
        "performed_via_github_app": app_of_author(state, issue.author),
    }
    if issue.pull is not None:
        shape["draft"] = issue.pull.draft
        shape["pull_request"] = {
            "url": f"{api_url(state, repository)}/pulls/{issue.number}",
            "html_url": shape["html_url"],
            "diff_url": f"{shape['html_url']}.diff",
            "patch_url": f"{shape['html_url']}.patch",
            "merged_at": optional_timestamp(issue.pull.merged_at),
        }
    return shape


def comment_shape(state: GithubState, repository: Repository, comment: Comment) -> dict[str, Any]:
    """GitHub's `issue-comment`."""
    base = api_url(state, repository)
    url = f"{base}/issues/comments/{comment.id}"
    return {
        "url": url,
        "html_url": comment_html_url(state, repository, comment),
        "issue_url": f"{base}/issues/{comment.issue_number}",
        "id": comment.id,
        "node_id": node_id("IC", comment.id),
        "user": user_shape(state, comment.author),
        "created_at": timestamp(comment.created_at),
        "updated_at": timestamp(comment.updated_at),
        "author_association": repository.association_of(comment.author),
        "body": comment.body,
        "reactions": reactions_shape(url),
        "performed_via_github_app": app_of_author(state, comment.author),
    }
