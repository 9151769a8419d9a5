"""Walk through the pages of a list of GitHub's."""

from collections.abc import Iterator, Mapping
from typing import Any

from nightdesk.adapters.github.client import GithubClient
from nightdesk.domain.errors import PermanentError, UnavailableError

PER_PAGE = 100


def all_items(
    client: GithubClient,
    path: str,
    *,
    token: str,
    query: Mapping[str, str] | None = None,
    max_pages: int,
    follow: bool = True,
) -> Iterator[Any]:
    """The items of all pages, in GitHub's order.

    Raises:
        PermanentError: there are more than `max_pages` pages; part of a list is no list.
    """
    for page in range(1, max_pages + 1):
        numbers = {"per_page": str(PER_PAGE), "page": str(page)}
        answer = client.get(path, token=token, query={**(query or {}), **numbers}, follow=follow)
        if not isinstance(answer.data, list):
            raise UnavailableError(f"GitHub: {path} is no list")
        yield from answer.data
        if not answer.has_next_page:
            return
    raise PermanentError(f"GitHub: {path} has more than {max_pages * PER_PAGE} entries")
