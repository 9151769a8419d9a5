"""Answer as GitHub does: successes, its error bodies, and pages with their `Link` header."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

DOCUMENTATION = "https://docs.github.com/rest"
DEFAULT_PER_PAGE = 30
LARGEST_PER_PAGE = 100

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer; `body` is JSON unless it is bytes, None is an empty body."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json; charset=utf-8"


class GithubError(Exception):
    """Ends a request with one of GitHub's error bodies.

    `documentation` is the part of the address after the root, or None for the root itself; the
    dispatcher fills in the operation's own page where a handler leaves it out.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        errors: Sequence[Any] | None = None,
        headers: Mapping[str, str] | None = None,
        documentation: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = errors
        self.headers = dict(headers or {})
        self.documentation = documentation

    def answer(self, documentation_url: str = DOCUMENTATION) -> Answer:
        """Write the error as GitHub writes it."""
        body: dict[str, Any] = {"message": self.message}
        if self.errors is not None:
            body["errors"] = list(self.errors)
        body["documentation_url"] = self.documentation or documentation_url
        body["status"] = str(self.status)
        return Answer(status=self.status, body=body, headers=self.headers)


def not_found() -> GithubError:
    """Hide whether the thing exists."""
    return GithubError(404, "Not Found")


def invalid(
    resource: str, field_name: str, code: str = "invalid", message: str | None = None
) -> GithubError:
    """Refuse one field. `code` is GitHub's: missing_field, invalid, custom, unprocessable."""
    error = {"resource": resource, "field": field_name, "code": code}
    if message is not None:
        error["message"] = message
    return GithubError(422, "Validation Failed", errors=[error])


def not_supplied(field_name: str) -> GithubError:
    """Refuse a request without a required field."""
    return GithubError(422, f'Invalid request.\n\n"{field_name}" wasn\'t supplied.')


@dataclass(frozen=True)
class Page:
    """Which page the caller asked for."""

    number: int
    size: int

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Page:
        """Read `page` and `per_page`; what is no number counts as absent, 100 is the most."""
        size = _positive(query.get("per_page"), DEFAULT_PER_PAGE)
        return cls(number=_positive(query.get("page"), 1), size=min(size, LARGEST_PER_PAGE))


def _positive(text: str | None, default: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and int(text) > 0 else default


def paged(
    items: Sequence[Item],
    shape: Callable[[Item], Any],
    *,
    query: Mapping[str, str],
    url: str,
) -> Answer:
    """Answer one page of a list, with the links to its neighbours."""
    page = Page.of(query)
    start = (page.number - 1) * page.size
    shown = items[start : start + page.size]
    link = link_header(url, query, page, total=len(items))
    return Answer(body=[shape(item) for item in shown], headers={"Link": link} if link else {})


def link_header(url: str, query: Mapping[str, str], page: Page, *, total: int) -> str:
    """Write the `Link` header; empty when everything fits on one page."""
    last = max(1, math.ceil(total / page.size))
    relations: dict[str, int] = {}
    if page.number > 1:
        relations["prev"] = min(page.number - 1, last)
    if page.number < last:
        relations |= {"next": page.number + 1, "last": last}
    if page.number > 1:
        relations["first"] = 1
    return ", ".join(
        f'<{url}?{urlencode({**query, "page": number})}>; rel="{relation}"'
        for relation, number in relations.items()
    )
