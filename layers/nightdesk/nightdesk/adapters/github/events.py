"""What the poller reads: repositories, their events, and issues (`EventSource`)."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from nightdesk.adapters.github.changes import ChangeLists
from nightdesk.adapters.github.client import Answer, GithubClient
from nightdesk.adapters.github.reading import CountedReads
from nightdesk.adapters.github.shapes import (
    feed_event_of,
    issue_of,
    repository_of,
    repository_path,
)
from nightdesk.domain.errors import UnavailableError
from nightdesk.domain.github_ports import (
    Changes,
    FeedPage,
    IssueFacts,
    RateLimits,
    Repository,
    RepositoryTokens,
)

#: GitHub's largest page, and how far back its feed of 300 events goes.
EVENTS_PER_PAGE = 100
LAST_PAGE = 3


class GithubEventSource:
    """`EventSource` on GitHub's REST API, with the token that `tokens` has for each repository."""

    def __init__(self, client: GithubClient, tokens: RepositoryTokens, limits: RateLimits) -> None:
        self._client = client
        self._tokens = tokens
        self._limits = limits

    def credential(self, repo: str) -> str:
        return self._tokens.token_for(repo, 0).credential_id

    def repository(self, repo: str) -> Repository:
        return repository_of(self._reads(repo).get(repository_path(repo)).data)

    def page(self, repo: str, number: int, *, etag: str = "") -> FeedPage:
        answer = self._reads(repo).get(
            repository_path(repo, "events"),
            query={"per_page": str(EVENTS_PER_PAGE), "page": str(number)},
            etag=etag,
        )
        if answer.status == 304:  # noqa: PLR2004 - HTTP's own number
            return FeedPage(poll_interval=_poll_interval(answer), is_unchanged=True)
        if not isinstance(answer.data, list):
            raise UnavailableError(f"GitHub: the events of {repo} are no list")
        events = tuple(event for event in map(feed_event_of, answer.data) if event is not None)
        return FeedPage(
            events=events,
            etag=answer.headers.get("ETag", ""),
            poll_interval=_poll_interval(answer),
            is_last=number >= LAST_PAGE or not answer.has_next_page,
            moved=answer.moved,
        )

    def issue(self, repo: str, number: int) -> IssueFacts:
        path = repository_path(repo, "issues", number)
        return issue_of(self._reads(repo).get(path).data)

    def changes(self, repo: Repository, since: datetime, *, etags: Sequence[str]) -> Changes:
        return ChangeLists(self._reads(repo.full_name), repo).since(since, etags)

    def _reads(self, repo: str) -> CountedReads:
        return CountedReads(self._client, self._tokens.token_for(repo, 0), self._limits)


def _poll_interval(answer: Answer) -> timedelta:
    text = answer.headers.get("X-Poll-Interval", "")
    return timedelta(seconds=int(text)) if text.isdecimal() else timedelta(0)
