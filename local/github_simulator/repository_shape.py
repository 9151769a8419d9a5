"""Write repositories as GitHub's API writes them."""

from __future__ import annotations

from typing import Any

from local.github_simulator.records import User
from local.github_simulator.shapes import node_id, timestamp, user_shape
from local.github_simulator.state import GithubState, Repository

#: Addresses below a repository's own, by the name of their field.
RELATED = {
    "archive_url": "{archive_format}{/ref}",
    "assignees_url": "assignees{/user}",
    "blobs_url": "git/blobs{/sha}",
    "branches_url": "branches{/branch}",
    "collaborators_url": "collaborators{/collaborator}",
    "comments_url": "comments{/number}",
    "commits_url": "commits{/sha}",
    "compare_url": "compare/{base}...{head}",
    "contents_url": "contents/{+path}",
    "contributors_url": "contributors",
    "deployments_url": "deployments",
    "downloads_url": "downloads",
    "events_url": "events",
    "forks_url": "forks",
    "git_commits_url": "git/commits{/sha}",
    "git_refs_url": "git/refs{/sha}",
    "git_tags_url": "git/tags{/sha}",
    "hooks_url": "hooks",
    "issue_comment_url": "issues/comments{/number}",
    "issue_events_url": "issues/events{/number}",
    "issues_url": "issues{/number}",
    "keys_url": "keys{/key_id}",
    "labels_url": "labels{/name}",
    "languages_url": "languages",
    "merges_url": "merges",
    "milestones_url": "milestones{/number}",
    "notifications_url": "notifications{?since,all,participating}",
    "pulls_url": "pulls{/number}",
    "releases_url": "releases{/id}",
    "stargazers_url": "stargazers",
    "statuses_url": "statuses/{sha}",
    "subscribers_url": "subscribers",
    "subscription_url": "subscription",
    "tags_url": "tags",
    "teams_url": "teams",
    "trees_url": "git/trees{/sha}",
}


def repository_shape(
    state: GithubState, repository: Repository, *, fork_owner: User | None = None
) -> dict[str, Any]:
    """GitHub's `repository`; with `fork_owner`, that user's fork of it.

    A fork exists only as the head of pull requests: it has its own id and addresses, no endpoints.
    """
    owner = fork_owner or repository.owner
    identifier = repository.id if fork_owner is None else repository.id * 1_000_000 + fork_owner.id
    full_name = f"{owner.login}/{repository.name}"
    url = f"{state.base_url}/repos/{full_name}"
    page = f"{state.base_url}/{full_name}"
    open_issues = sum(issue.state == "open" for issue in repository.issues.values())
    return {
        "id": identifier,
        "node_id": node_id("R", identifier),
        "name": repository.name,
        "full_name": full_name,
        "owner": user_shape(state, owner),
        "private": repository.private,
        "visibility": "private" if repository.private else "public",
        "html_url": page,
        "description": repository.description,
        "fork": fork_owner is not None,
        "url": url,
        **{name: f"{url}/{path}" for name, path in RELATED.items()},
        "clone_url": f"{page}.git",
        "git_url": f"git://{page.partition('//')[2]}.git",
        "ssh_url": f"git@{page.partition('//')[2].replace('/', ':', 1)}.git",
        "svn_url": page,
        "mirror_url": None,
        "homepage": None,
        "language": None,
        "license": None,
        "default_branch": repository.default_branch,
        "topics": [],
        **dict.fromkeys(
            ("is_template", "archived", "disabled", "web_commit_signoff_required"), False
        ),
        **dict.fromkeys(("has_issues", "has_projects", "has_wiki", "allow_forking"), True),
        **dict.fromkeys(("has_pages", "has_discussions", "has_downloads"), False),
        "forks": 0,
        "forks_count": 0,
        "stargazers_count": 0,
        "watchers": 0,
        "watchers_count": 0,
        "open_issues": open_issues,
        "open_issues_count": open_issues,
        "size": 1,
        "pushed_at": timestamp(repository.pushed_at),
        "created_at": timestamp(repository.created_at),
        "updated_at": timestamp(repository.pushed_at),
    }


def full_repository_shape(state: GithubState, repository: Repository) -> dict[str, Any]:
    """GitHub's `full-repository`, the answer to GET /repos/{owner}/{repo}."""
    return repository_shape(state, repository) | {"network_count": 0, "subscribers_count": 0}
