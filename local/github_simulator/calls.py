"""Carry one request to its handler, with readers for the fields of its body and query."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from local.github_simulator.answers import Answer, GithubError, invalid, not_found, paged
from local.github_simulator.auth import App, Token, demand, forbidden
from local.github_simulator.records import Comment, Issue, PullDetails, User
from local.github_simulator.state import GithubState, Repository

LONGEST_BODY = 65_536
DEFAULT_VERSION = "2022-11-28"
LATER_VERSION = "2026-03-10"


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request that got past authentication and rate limits."""

    state: GithubState
    method: str
    path: str
    parameters: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    content: bytes
    token: Token
    now: datetime
    app: App | None = None
    known_repository: Repository | None = None
    permissions: tuple[str, ...] = field(default=())

    @property
    def version(self) -> str:
        """The API version that the caller chose."""
        return self.headers.get("x-github-api-version", DEFAULT_VERSION)

    @property
    def repository(self) -> Repository:
        """The repository that the path names."""
        assert self.known_repository is not None, "the route has no repository"
        return self.known_repository

    @property
    def user(self) -> User:
        """Who calls.

        Raises:
            GithubError: 401, nobody.
        """
        if self.token.login is None:
            raise GithubError(401, "Requires authentication")
        return self.state.user(self.token.login)

    def number(self, name: str) -> int:
        """Read a number of the path; anything else does not exist."""
        text = self.parameters[name]
        if not (text.isascii() and text.isdigit()):
            raise not_found()
        return int(text)

    def issue(self) -> Issue:
        """Find the issue (or pull request) that the path names.

        Raises:
            GithubError: 404, or 410 when it was deleted; 403 when the token has the permission
                for pull requests only and this is none.
        """
        name = "issue_number" if "issue_number" in self.parameters else "pull_number"
        issue = self.repository.issues.get(self.number(name))
        if issue is None:
            raise not_found()
        if issue.deleted:
            raise GithubError(410, "This issue was deleted")
        self.narrow_to(issue)
        return issue

    def pull(self) -> tuple[Issue, PullDetails]:
        """Find the pull request that the path names."""
        issue = self.issue()
        if issue.pull is None:
            raise not_found()
        return issue, issue.pull

    def narrow_to(self, issue: Issue) -> None:
        """Let `pull_requests` stand for `issues` on pull requests only."""
        only = tuple(item for item in self.permissions if item.startswith("issues:"))
        if issue.pull is None and only:
            demand(
                self.token,
                repository_id=self.repository.id,
                private=self.repository.private,
                permissions=only,
            )

    def comment(self) -> Comment:
        """Find the issue comment that the path names."""
        comment = self.repository.comments.get(self.number("comment_id"))
        if comment is None:
            raise not_found()
        self.narrow_to(self.repository.issues[comment.issue_number])
        return comment

    def forbidden(self) -> GithubError:
        """Refuse as for a token that lacks the route's permission."""
        return forbidden(self.token, self.permissions)

    def page(self, items: list[Any], shape: Any) -> Answer:
        """Answer a page of a list; the links name the repository by id, as GitHub's do."""
        tail = self.path.split("/", 4)[4] if self.known_repository else ""
        base = self.state.base_url
        url = f"{base}/repositories/{self.repository.id}/{tail}" if tail else base + self.path
        return paged(items, shape, query=self.query, url=url)

    def fields(self) -> dict[str, Any]:
        """Read the body as a JSON object; an absent body is an empty one.

        Raises:
            GithubError: 400, it is no JSON or no object.
        """
        value = self.json()
        if not isinstance(value, dict):
            raise GithubError(400, "Body should be a JSON object")
        return value

    def json(self) -> Any:
        """Read the body as JSON; an absent body is an empty object.

        Raises:
            GithubError: 400, it is no JSON.
        """
        if not self.content:
            return {}
        try:
            return json.loads(self.content)
        except ValueError as error:
            raise GithubError(400, "Problems parsing JSON") from error

    def choice(self, name: str, allowed: tuple[str, ...], *, resource: str) -> str:
        """Read a query parameter that takes certain words; the first is the default.

        Raises:
            GithubError: 422, another word.
        """
        value = self.query.get(name) or allowed[0]
        if value not in allowed:
            raise invalid(resource, name)
        return value

    def since(self, *, resource: str) -> datetime | None:
        """Read the `since` parameter.

        Raises:
            GithubError: 422, it is no timestamp.
        """
        text = self.query.get("since")
        if not text:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise invalid(resource, "since") from error
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def checked_text(
    value: Any, *, resource: str, field_name: str = "body", longest: int = LONGEST_BODY
) -> str:
    """Accept a text that is not blank and not too long.

    Raises:
        GithubError: 422 as GitHub words it.
    """
    if not isinstance(value, str) or not value.strip():
        raise invalid(resource, field_name, "missing_field")
    if len(value) > longest:
        message = f"{field_name} is too long (maximum is {longest} characters)"
        raise invalid(resource, field_name, "custom", message)
    return value
