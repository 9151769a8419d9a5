"""List the endpoints: method, path, handler, and the permissions of which one is needed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from local.github_simulator import (
    accounts,
    apps,
    checks,
    comments,
    commits,
    contents,
    events,
    git_objects,
    issues,
    labels,
    pulls,
    refs,
    reviews,
)
from local.github_simulator.answers import DOCUMENTATION, Answer
from local.github_simulator.calls import Call

REPOSITORY = "/repos/{owner}/{repo}"
#: Path parameters that may hold slashes.
DEEP = frozenset({"path", "ref", "name"})


@dataclass(frozen=True)
class Route:
    """One endpoint. Without permissions it is not about a repository, or looks itself."""

    method: str
    template: str
    handler: Callable[[Call], Answer]
    permissions: tuple[str, ...] = ()
    page: str = ""
    free: bool = False

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The template as a pattern over decoded paths."""
        parts = re.split(r"\{(\w+)\}", self.template)
        return re.compile(
            "".join(
                f"(?P<{part}>{'.*' if part in DEEP else '[^/]+'})" if index % 2 else re.escape(part)
                for index, part in enumerate(parts)
            )
        )

    @property
    def documentation_url(self) -> str:
        """GitHub's page about the endpoint."""
        return f"{DOCUMENTATION}/{self.page}" if self.page else DOCUMENTATION


READ_METADATA = ("metadata:read",)
READ_CONTENTS = ("contents:read",)
WRITE_CONTENTS = ("contents:write",)
READ_PULLS = ("pull_requests:read",)
WRITE_PULLS = ("pull_requests:write",)
READ_CHECKS = ("checks:read",)
WRITE_CHECKS = ("checks:write",)
#: What is about an issue may be about a pull request; `Call.narrow_to` looks which it is.
READ_BOTH = ("issues:read", "pull_requests:read")
WRITE_BOTH = ("issues:write", "pull_requests:write")
ISSUE = f"{REPOSITORY}/issues/{{issue_number}}"
COMMENT = f"{REPOSITORY}/issues/comments/{{comment_id}}"
PULL = f"{REPOSITORY}/pulls/{{pull_number}}"
# Pages of GitHub's documentation.
REPOS, ISSUES, COMMENTS = "repos/repos", "issues/issues", "issues/comments"
PULLS, REVIEWS, LINES, CHECKS = "pulls/pulls", "pulls/reviews", "pulls/comments", "checks/runs"
ACCESS_TOKENS = "/app/installations/{installation_id}/access_tokens"

#: The first route that fits answers, so the literal ones come before those with parameters.
ROUTES: tuple[Route, ...] = (
    Route("GET", "/meta", accounts.get_meta, page="meta/meta"),
    Route("GET", "/rate_limit", accounts.get_rate_limit, page="rate-limit/rate-limit", free=True),
    Route("GET", "/user", accounts.get_authenticated_user, page="users/users"),
    Route("GET", "/users/{username}", accounts.get_user, page="users/users"),
    Route("GET", "/app", apps.get_app, page="apps/apps"),
    Route("POST", ACCESS_TOKENS, apps.create_access_token, page="apps/apps"),
    Route("DELETE", "/installation/token", apps.revoke_access_token, page="apps/installations"),
    Route("GET", REPOSITORY, accounts.get_repository, READ_METADATA, REPOS),
    Route("GET", f"{REPOSITORY}/installation", apps.get_repository_installation, (), "apps/apps"),
    Route("GET", f"{REPOSITORY}/events", events.list_events, READ_METADATA, "activity/events"),
    Route("GET", f"{REPOSITORY}/collaborators/{{username}}/permission", accounts.get_permission,
          READ_METADATA, "collaborators/collaborators"),
    Route("GET", f"{REPOSITORY}/labels", labels.list_repository_labels, READ_BOTH, "issues/labels"),
    Route("GET", f"{REPOSITORY}/issues", issues.list_issues, READ_BOTH, ISSUES),
    Route("POST", f"{REPOSITORY}/issues", issues.create_issue, ("issues:write",), ISSUES),
    Route("GET", f"{REPOSITORY}/issues/comments", comments.list_repository_comments, READ_BOTH,
          COMMENTS),
    Route("GET", COMMENT, comments.get_comment, READ_BOTH, COMMENTS),
    Route("PATCH", COMMENT, comments.update_comment, WRITE_BOTH, COMMENTS),
    Route("DELETE", COMMENT, comments.remove_comment, WRITE_BOTH, COMMENTS),
    Route("GET", ISSUE, issues.get_issue, READ_BOTH, ISSUES),
    Route("PATCH", ISSUE, issues.update_issue, WRITE_BOTH, ISSUES),
    Route("GET", f"{ISSUE}/comments", comments.list_issue_comments, READ_BOTH, COMMENTS),
    Route("POST", f"{ISSUE}/comments", comments.create_comment, WRITE_BOTH, COMMENTS),
    Route("GET", f"{ISSUE}/labels", labels.list_issue_labels, READ_BOTH, "issues/labels"),
    Route("POST", f"{ISSUE}/labels", labels.add_issue_labels, WRITE_BOTH, "issues/labels"),
    Route("DELETE", f"{ISSUE}/labels/{{name}}", labels.remove_issue_label, WRITE_BOTH,
          "issues/labels"),
    Route("GET", f"{REPOSITORY}/pulls", pulls.list_pulls, READ_PULLS, PULLS),
    Route("POST", f"{REPOSITORY}/pulls", pulls.create_pull, WRITE_PULLS, PULLS),
    Route("GET", f"{REPOSITORY}/pulls/comments", reviews.list_repository_review_comments,
          READ_PULLS, LINES),
    Route("GET", PULL, pulls.get_pull, READ_PULLS, PULLS),
    Route("PATCH", PULL, pulls.update_pull, WRITE_PULLS, PULLS),
    Route("GET", f"{PULL}/files", pulls.list_files, READ_PULLS, PULLS),
    Route("GET", f"{PULL}/reviews", reviews.list_reviews, READ_PULLS, REVIEWS),
    Route("POST", f"{PULL}/reviews", reviews.create_review, WRITE_PULLS, REVIEWS),
    Route("GET", f"{PULL}/comments", reviews.list_review_comments, READ_PULLS, LINES),
    Route("POST", f"{PULL}/comments", reviews.create_review_comment, WRITE_PULLS, LINES),
    Route("GET", f"{REPOSITORY}/commits", commits.list_commits, READ_CONTENTS, "commits/commits"),
    Route("GET", f"{REPOSITORY}/commits/{{ref}}", commits.get_commit, READ_CONTENTS,
          "commits/commits"),
    Route("GET", f"{REPOSITORY}/tarball", contents.redirect_to_archive, READ_CONTENTS,
          "repos/contents"),
    Route("GET", f"{REPOSITORY}/tarball/{{ref}}", contents.redirect_to_archive, READ_CONTENTS,
          "repos/contents"),
    Route("GET", f"{REPOSITORY}/contents", contents.get_contents, READ_CONTENTS, "repos/contents"),
    Route("GET", f"{REPOSITORY}/contents/{{path}}", contents.get_contents, READ_CONTENTS,
          "repos/contents"),
    Route("GET", f"{REPOSITORY}/git/ref/{{ref}}", refs.get_ref, READ_CONTENTS, "git/refs"),
    Route("POST", f"{REPOSITORY}/git/refs", refs.create_ref, WRITE_CONTENTS, "git/refs"),
    Route("PATCH", f"{REPOSITORY}/git/refs/{{ref}}", refs.update_ref, WRITE_CONTENTS, "git/refs"),
    Route("DELETE", f"{REPOSITORY}/git/refs/{{ref}}", refs.delete_ref, WRITE_CONTENTS, "git/refs"),
    Route("POST", f"{REPOSITORY}/git/blobs", git_objects.create_blob, WRITE_CONTENTS, "git/blobs"),
    Route("GET", f"{REPOSITORY}/git/blobs/{{file_sha}}", git_objects.get_blob, READ_CONTENTS,
          "git/blobs"),
    Route("GET", f"{REPOSITORY}/git/trees/{{tree_sha}}", git_objects.get_tree, READ_CONTENTS,
          "git/trees"),
    Route("POST", f"{REPOSITORY}/git/trees", git_objects.create_tree, WRITE_CONTENTS, "git/trees"),
    Route("POST", f"{REPOSITORY}/git/commits", git_objects.create_commit, WRITE_CONTENTS,
          "git/commits"),
    Route("POST", f"{REPOSITORY}/statuses/{{sha}}", checks.create_status, ("statuses:write",),
          "commits/statuses"),
    Route("POST", f"{REPOSITORY}/check-runs", checks.create_check_run, WRITE_CHECKS, CHECKS),
    Route("GET", f"{REPOSITORY}/check-runs/{{check_run_id}}", checks.get_check_run, READ_CHECKS,
          CHECKS),
    Route("PATCH", f"{REPOSITORY}/check-runs/{{check_run_id}}", checks.update_check_run,
          WRITE_CHECKS, CHECKS),
)  # fmt: skip


def find_route(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """Find the route of a decoded path; the parameters come decoded too."""
    for route in ROUTES:
        if route.method == method and (match := route.pattern.fullmatch(path)):
            return route, match.groupdict()
    return None
