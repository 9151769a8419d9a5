"""Hundreds of repositories in one poll: whose turn it is, which credential, how many at once."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Barrier, Lock

import pytest

from nightdesk.adapters.github.credentials.personal import PersonalReadTokens
from nightdesk.domain.errors import TryLaterError, UnavailableError
from nightdesk.domain.github_ports import Changes, FeedPage, IssueFacts, Repository
from nightdesk.services.polling.rounds import LEASE
from tests.fakes.clock import NOON
from tests.fakes.github import FakeEventSource, issue_event, issue_facts
from tests.fakes.kill import Kill, KillSwitch
from tests.poller.world import PollerWorld

MINUTE = timedelta(minutes=1)


class ManyRepositories(FakeEventSource):
    """Each repository `o/rN` has the id N; half of them are read with another credential."""

    seconds_each = 0.0

    def credential(self, repo: str) -> str:
        return "even" if int(repo.rpartition("r")[2]) % 2 == 0 else "odd"

    def repository(self, repo: str) -> Repository:
        return Repository(id=int(repo.rpartition("r")[2]) or 1, full_name=repo)

    def page(self, repo: str, number: int, *, etag: str = "") -> FeedPage:
        self._begin(repo)
        if etag:
            return FeedPage(is_unchanged=True)
        found = tuple(e for e in self.events if e.repo_id == self.repository(repo).id)
        return FeedPage(events=found, etag='"1"')

    def changes(self, repo: Repository, since: datetime, *, etags: Sequence[str]) -> Changes:
        return Changes()


def many(count: int, source: ManyRepositories | None = None, *, at_once: int = 1) -> PollerWorld:
    world = PollerWorld(source=source or ManyRepositories())
    repos = ",".join(f"o/r{number}" for number in range(1, count + 1))
    world.settings = replace(world.settings, repos=repos, at_once=at_once)
    return world


def test_what_a_poll_does_not_reach_comes_first_in_the_next() -> None:
    class Slow(ManyRepositories):
        def page(self, repo: str, number: int, *, etag: str = "") -> FeedPage:
            world.clock.advance(timedelta(seconds=20))
            return super().page(repo, number, etag=etag)

    world = many(10, Slow())
    reached: list[Sequence[str]] = []
    for _ in range(4):
        world.source.calls = []
        answer = world.poll(deadline=world.clock.now() + MINUTE)
        reached.append(tuple(world.source.calls))
        left = [r for r in answer["results"] if "no time" in r.get("error", "")]
        assert answer["summary"]["reposChecked"] == 10 - len(left) == 3
    assert [call for round_ in reached for call in round_] == [
        f"o/r{number}" for number in (*range(1, 11), 1, 2)
    ]


def test_a_limit_stops_its_credential_alone() -> None:
    world = many(6)
    world.source.failures = [TryLaterError("GitHub: 429", retry_after=5 * MINUTE)]

    first = world.poll()
    assert world.source.calls == ["o/r1", "o/r2", "o/r4", "o/r6"]
    assert [r.get("error") for r in first["results"]] == ["GitHub: 429", None] * 3
    assert first["results"][2]["nextPollAt"] == "2026-11-21T12:05:00.000Z"

    world.source.calls = []
    world.clock.advance(4 * MINUTE)
    world.poll()
    assert world.source.calls == ["o/r2", "o/r4", "o/r6"]
    world.clock.advance(MINUTE)
    world.poll()
    assert set(world.source.calls) >= {"o/r1", "o/r3", "o/r5"}


def test_another_credential_gets_no_foreign_etag() -> None:
    asked: list[tuple[str, str]] = []

    class Changing(ManyRepositories):
        def credential(self, repo: str) -> str:
            return self.reader

        def page(self, repo: str, number: int, *, etag: str = "") -> FeedPage:
            asked.append((self.reader, etag))
            return super().page(repo, number, etag=etag)

    world = many(1, Changing())
    for reader in ("one", "one", "two", "two"):
        world.source.reader = reader
        world.poll()
        world.clock.advance(MINUTE)
    assert asked == [("one", ""), ("one", '"1"'), ("two", ""), ("two", '"1"')]


def test_an_etag_is_believed_longer_where_many_share_a_credential() -> None:
    """Or asking anew would spend the 5,000 requests an hour that a credential has."""
    few, lots = many(2), many(1_600)
    anew: list[int] = []
    for world in (few, lots):
        world.poll()
        world.clock.advance(timedelta(minutes=23))
        world.poll()
        states = world.states.rows.values()
        anew.append(sum(state.etag_at == world.clock.now() for state in states))
    assert anew == [2, 0]


def test_unreadable_credentials_are_reported_and_stop_nobody_else() -> None:
    class Broken(ManyRepositories):
        def credential(self, repo: str) -> str:
            if repo == "o/r2":
                raise UnavailableError("SSM parameter /x: ThrottlingException")
            return super().credential(repo)

    answer = many(3, Broken()).poll()
    assert [r.get("error", "") for r in answer["results"]] == [
        "",
        "SSM parameter /x: ThrottlingException",
        "",
    ]


def test_a_poller_that_was_killed_holds_the_next_up_for_45_seconds_at_most() -> None:
    world = many(3)
    with pytest.raises(Kill):
        world.poll(KillSwitch(5))

    world.clock.advance(LEASE - timedelta(seconds=1))
    assert world.poll()["summary"]["reposChecked"] == 0
    world.clock.advance(timedelta(seconds=1))
    assert world.poll()["summary"]["reposChecked"] == 3


def test_a_long_poll_keeps_its_lease() -> None:
    world = many(8)
    rivals: list[int] = []

    class Slow(ManyRepositories):
        def page(self, repo: str, number: int, *, etag: str = "") -> FeedPage:
            world.clock.advance(timedelta(seconds=30))
            rival = many(8)
            rival.states, rival.clock = world.states, world.clock
            rivals.append(rival.poll()["summary"]["reposChecked"])
            return super().page(repo, number, etag=etag)

    world.source = Slow()
    assert world.poll()["summary"]["reposChecked"] == 8
    assert rivals == [0] * 8


def test_a_poll_that_was_overtaken_begins_nothing_more() -> None:
    world = many(4)

    class Frozen(ManyRepositories):
        def page(self, repo: str, number: int, *, etag: str = "") -> FeedPage:
            if repo == "o/r2":
                world.clock.advance(10 * MINUTE)
                world.states.begin_round(now=world.clock.now(), until=world.clock.now() + LEASE)
            return super().page(repo, number, etag=etag)

    world.source = Frozen()
    errors = [r.get("error", "") for r in world.poll()["results"]]
    assert errors == ["", "", *["another poll has taken over"] * 2]


# Threads --------------------------------------------------------------------------------------


def test_repositories_are_polled_side_by_side() -> None:
    together = Barrier(8)

    class Waiting(ManyRepositories):
        def page(self, repo: str, number: int, *, etag: str = "") -> FeedPage:
            together.wait(timeout=10)  # nobody gets past before eight have come
            return super().page(repo, number, etag=etag)

    answer = many(16, Waiting(), at_once=8).poll()
    assert answer["summary"]["reposChecked"] == 16
    assert [r["repo"] for r in answer["results"]] == [f"o/r{n}" for n in range(1, 17)]


def test_in_threads_no_event_is_lost_or_doubled() -> None:
    lock = Lock()

    class Counted(ManyRepositories):
        def issue(self, repo: str, number: int) -> IssueFacts:
            with lock:
                return replace(issue_facts(number), repo=repo)

    world = many(40, Counted(), at_once=8)
    world.poll()
    world.clock.advance(11 * MINUTE)
    for number in range(1, 41):
        event = issue_event(f"e{number}", number, world.clock.now())
        world.source.events.append(replace(event, repo_id=number))

    answer = world.poll()

    assert answer["summary"]["totalEventsProcessed"] == 40
    assert len(world.tasks.tasks) == 40
    assert set(world.states.seen_rows) == set(range(1, 41))
    assert world.states.round.asked_at["o/r40"] > NOON


# Tokens ---------------------------------------------------------------------------------------


def test_several_tokens_share_the_repositories_and_each_keeps_its_own() -> None:
    tokens = PersonalReadTokens(read=lambda: "ghp_one, ghp_two,\nghp_three")
    repos = [f"octo-org/r{number}" for number in range(300)]
    used = [tokens.token_for(repo, 0) for repo in repos]
    assert used == [tokens.token_for(repo.upper().lower(), 0) for repo in repos]
    shares = {token: sum(u.token == token for u in used) for token in {u.token for u in used}}
    assert len(shares) == 3
    assert min(shares.values()) > 70

    fewer = PersonalReadTokens(read=lambda: "ghp_one,ghp_three")
    for before in used:
        if before.token != "ghp_two":
            assert fewer.token_for(before.repo, 0).token == before.token


def test_an_owners_token_reads_that_owners_repositories_and_no_others() -> None:
    tokens = PersonalReadTokens(read=lambda: "Octo-Org=github_pat_octo, ghp_all")
    assert tokens.token_for("octo-org/widgets", 0).token == "github_pat_octo"
    assert tokens.token_for("acme/widgets", 0).token == "ghp_all"
    only = PersonalReadTokens(read=lambda: "octo-org=github_pat_octo")
    assert only.token_for("acme/widgets", 0).token == ""


def test_a_credential_is_named_without_telling_its_token() -> None:
    tokens = PersonalReadTokens(read=lambda: "ghp_0123456789abcdef")
    name = tokens.token_for("a/b", 0).credential_id
    assert len(name) == 12
    assert name not in "ghp_0123456789abcdef"
    assert PersonalReadTokens(read=str).token_for("a/b", 0).credential_id == "anonymous"
