"""One set of tests for the fake and for DynamoDB (moto)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from nightdesk.adapters.dynamodb.github_state import DynamoPollStates
from nightdesk.domain.errors import ConditionFailedError
from nightdesk.domain.github_ports import (
    PollRound,
    PollState,
    PollStates,
    ReconcileState,
    SeenEvents,
)
from tests.fakes.clock import NOON
from tests.fakes.github_state import FakePollStates

MINUTE = timedelta(minutes=1)
REPO = "Octo-Org/Widgets"


@pytest.fixture(params=["fake", "dynamodb"])
def states(request: pytest.FixtureRequest) -> PollStates:
    makers: dict[str, Callable[[], PollStates]] = {
        "fake": FakePollStates,
        "dynamodb": DynamoPollStates,
    }
    if request.param == "dynamodb":
        request.getfixturevalue("aws_tables")
    return makers[request.param]()


def test_an_unknown_repository_has_no_state(states: PollStates) -> None:
    assert states.states([REPO]) == {}
    assert states.states([]) == {}
    assert states.seen(501) is None


def test_a_state_reads_back_as_it_was_stored(states: PollStates) -> None:
    state = PollState(
        repo=REPO,
        repo_id=501,
        full_name="octo-org/gadgets",
        etag='"abc"',
        etag_at=NOON,
        credential="0123456789ab",
        poll_interval=MINUTE,
        last_event_id="43",
        last_error="GitHub: 502",
        reconcile=ReconcileState(
            began_at=NOON,
            cursor=NOON - MINUTE,
            etags=('"a"', "", '"c"'),
            etags_at=NOON,
        ),
        gaps=((NOON - MINUTE, NOON),),
    )
    states.store(state)

    assert states.states(["a/b", REPO]) == {REPO: replace(state, version=1)}
    # The name is the caller's, in whatever case.
    (found,) = states.states([REPO.lower()]).values()
    assert (found.repo, found.repo_id) == (REPO.lower(), 501)


def test_many_states_are_read_at_once(states: PollStates) -> None:
    repos = [f"octo-org/r{number}" for number in range(130)]
    for repo in repos[::2]:
        states.store(PollState(repo=repo, last_event_id=repo))
    found = states.states(repos)
    assert {repo: state.last_event_id for repo, state in found.items()} == {
        repo: repo for repo in repos[::2]
    }


def test_a_state_changes_only_as_it_was_read(states: PollStates) -> None:
    states.store(PollState(repo=REPO, last_event_id="1"))
    first = states.states([REPO])[REPO]
    states.store(replace(first, last_event_id="2"))

    for stale in (PollState(repo=REPO), first, replace(first, version=9)):
        with pytest.raises(ConditionFailedError):
            states.store(replace(stale, last_event_id="stale"))
    assert states.states([REPO])[REPO].last_event_id == "2"


# The round ------------------------------------------------------------------------------------

LIMITS = {"0123456789ab": {"spent": {"1763726400": 3}, "reason": "limited"}}


def test_before_the_first_round_nothing_is_known(states: PollStates) -> None:
    assert states.last_round() == PollRound()
    begun = states.begin_round(now=NOON, until=NOON + MINUTE)
    assert begun == PollRound(lease_until=NOON + MINUTE, version=1)
    assert states.last_round() == begun


def test_a_round_hands_on_what_it_learned(states: PollStates) -> None:
    begun = states.begin_round(now=NOON, until=NOON + MINUTE)
    asked = {"octo-org/widgets": NOON + timedelta(milliseconds=1)}
    kept = replace(begun, asked_at=asked, compared_at={"a/b": NOON}, limits=LIMITS)
    states.keep_round(kept, until=None)

    again = states.begin_round(now=NOON, until=NOON + MINUTE)
    assert again == replace(kept, lease_until=NOON + MINUTE, version=2)


def test_a_round_is_exclusive_until_its_lease_ends(states: PollStates) -> None:
    begun = states.begin_round(now=NOON, until=NOON + MINUTE)
    with pytest.raises(ConditionFailedError):
        states.begin_round(now=NOON + MINUTE / 2, until=NOON + 2 * MINUTE)
    states.keep_round(begun, until=NOON + 3 * MINUTE)
    with pytest.raises(ConditionFailedError):
        states.begin_round(now=NOON + MINUTE, until=NOON + 4 * MINUTE)
    states.begin_round(now=NOON + 3 * MINUTE, until=NOON + 4 * MINUTE)


def test_who_has_lost_the_round_stores_nothing(states: PollStates) -> None:
    lost = states.begin_round(now=NOON, until=NOON + MINUTE)
    held = states.begin_round(now=NOON + MINUTE, until=NOON + 2 * MINUTE)

    for until in (None, NOON + 9 * MINUTE):
        with pytest.raises(ConditionFailedError):
            states.keep_round(replace(lost, asked_at={"a/b": NOON}), until=until)
    assert states.last_round() == held


def test_a_thousand_repositories_fit_into_a_small_round(states: PollStates) -> None:
    begun = states.begin_round(now=NOON, until=NOON + MINUTE)
    asked = {f"organisation/repository-{n}": NOON + n * MINUTE / 7 for n in range(1_000)}
    whole = {repo: at.replace(microsecond=0) for repo, at in asked.items()}
    states.keep_round(replace(begun, asked_at=whole, compared_at=whole), until=None)
    assert states.last_round().asked_at == whole


# Seen events, heads ---------------------------------------------------------------------------


def test_seen_events_read_back_and_change_only_as_they_were_read(states: PollStates) -> None:
    first = states.mark_seen(501, SeenEvents(ids=("2", "1"), watched_since=NOON))
    assert states.seen(501) == first
    second = states.mark_seen(501, replace(first, ids=("3", "2", "1")))
    assert states.seen(501) == second

    for stale in (SeenEvents(ids=("9",)), replace(first, ids=("9",))):
        with pytest.raises(ConditionFailedError):
            states.mark_seen(501, stale)
    assert states.seen(501) == second
    assert states.seen(502) is None


def test_a_thousand_remembered_events_fit_into_a_small_item(states: PollStates) -> None:
    ids = tuple(str(43_756_560_667 + 7 * number) for number in range(1_000))
    marked = states.mark_seen(501, SeenEvents(ids=ids))
    assert states.seen(501) == marked


def test_heads_read_back_as_they_were_stored(states: PollStates) -> None:
    assert states.heads(501) == {}
    states.store_heads(501, {12: "a" * 40, 13: "b" * 40})
    states.store_heads(501, {13: "c" * 40})
    assert states.heads(501) == {13: "c" * 40}
    assert states.seen(501) is None
