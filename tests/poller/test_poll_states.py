"""One set of tests for the fake and for DynamoDB (moto)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from nightdesk.adapters.dynamodb.github_state import DynamoPollStates
from nightdesk.domain.errors import ConditionFailedError
from nightdesk.domain.github_ports import PollStates, ReconcileState, SeenEvents
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
    assert states.get(REPO) is None
    assert states.seen(501) is None


def test_a_state_reads_back_as_it_was_stored(states: PollStates) -> None:
    leased = states.lease(REPO, now=NOON, until=NOON + MINUTE)
    state = replace(
        leased,
        repo_id=501,
        full_name="octo-org/gadgets",
        etag='"abc"',
        etag_at=NOON,
        unchanged=2,
        next_poll_at=NOON + MINUTE,
        checked_at=NOON,
        last_event_id="43",
        last_error="GitHub: 502",
        reconcile=ReconcileState(
            began_at=NOON,
            done_at=NOON + MINUTE,
            cursor=NOON - MINUTE,
            etags=('"a"', "", '"c"'),
            etags_at=NOON,
        ),
        gaps=((NOON - MINUTE, NOON),),
    )
    states.release(state)

    assert states.get(REPO) == replace(state, lease_until=None)
    again = states.lease(REPO, now=NOON, until=NOON + MINUTE)
    assert again == replace(state, lease_until=NOON + MINUTE, version=state.version + 1)


def test_a_lease_is_exclusive_until_it_ends(states: PollStates) -> None:
    states.lease(REPO, now=NOON, until=NOON + MINUTE)

    with pytest.raises(ConditionFailedError):
        states.lease(REPO.lower(), now=NOON + MINUTE / 2, until=NOON + 2 * MINUTE)
    states.lease(REPO, now=NOON + MINUTE, until=NOON + 2 * MINUTE)


def test_a_released_repository_can_be_leased_at_once(states: PollStates) -> None:
    states.release(states.lease(REPO, now=NOON, until=NOON + MINUTE))
    states.lease(REPO, now=NOON, until=NOON + MINUTE)


def test_who_has_lost_the_lease_stores_nothing(states: PollStates) -> None:
    lost = states.lease(REPO, now=NOON, until=NOON + MINUTE)
    states.lease(REPO, now=NOON + MINUTE, until=NOON + 2 * MINUTE)

    with pytest.raises(ConditionFailedError):
        states.release(replace(lost, etag='"stale"'))
    kept = states.get(REPO)
    assert kept is not None
    assert (kept.etag, kept.lease_until) == ("", NOON + 2 * MINUTE)


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
