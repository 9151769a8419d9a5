"""The lists of a repository against the simulator; every request is held against OpenAPI."""

from datetime import timedelta

import pytest

from nightdesk.adapters.github.client import GithubClient
from nightdesk.adapters.github.events import GithubEventSource
from nightdesk.domain.trigger import event_of_feed
from nightdesk.services.polling.limits import SharedLimits
from tests.fakes.clock import FakeClock
from tests.fakes.secrets import FakeRepositoryTokens
from tests.github.conftest import Recorder, pass_time
from tests.github_simulator.conftest import REPO, Github


@pytest.fixture
def source(api: GithubClient, token: str) -> GithubEventSource:
    return GithubEventSource(api, FakeRepositoryTokens(token), SharedLimits(FakeClock()))


def test_the_lists_show_what_was_opened_and_said_under_the_feeds_keys(
    source: GithubEventSource, github: Github, recorder: Recorder
) -> None:
    repo = source.repository(REPO.removeprefix("/repos/"))
    since = github.server.state.now()
    pass_time(github, timedelta(minutes=1))
    number = github.open_issue(title="Slow")
    github.client("nightdesk-bot").post(f"{REPO}/issues/{number}/comments", {"body": "Hello"})

    changes = source.changes(repo, since, etags=())

    events = [event_of_feed(change.item, repo) for change in changes.items]
    feed = [event_of_feed(item, repo) for item in source.page(repo.full_name, 1).events]
    keys = {event.key for event in events if event}
    assert {event.name for event in events if event} >= {"issues.opened", "issue_comment.created"}
    assert keys & {event.key for event in feed if event} == keys
    assert all(change.facts.repo == repo.full_name for change in changes.items)
    assert changes.until is not None


def test_unchanged_lists_answer_nothing_and_ask_with_their_etags(
    source: GithubEventSource, github: Github, recorder: Recorder
) -> None:
    repo = source.repository(REPO.removeprefix("/repos/"))
    github.open_issue()
    since = github.server.state.now() - timedelta(minutes=1)
    first = source.changes(repo, since, etags=())
    sent = len(recorder.sent)

    second = source.changes(repo, since, etags=first.etags)

    assert first.items
    assert (second.items, second.until, second.etags) == ((), None, first.etags)
    assert len(recorder.sent) - sent == 3
    assert all(request.headers["If-None-Match"] for request in recorder.sent[sent:])
