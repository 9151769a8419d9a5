"""The feed of the bench, whatever its seed, and a poller that is killed and lied to: nothing is
lost and nothing is doubled. And every single place at which a busy poll can be killed.
"""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.feed.model import happenings
from bench.feed.ways import followed, later_times, ours
from nightdesk.services.reconcile import EVERY
from tests.fakes.clock import NOON
from tests.fakes.github import issue_facts
from tests.fakes.kill import Kill, KillSwitch
from tests.poller.test_reconcile import changed_issue
from tests.poller.world import PollerWorld

HOUR = timedelta(hours=1)
SEEDS = st.integers(0, 2**32)


def assert_nothing_is_lost_or_doubled(seed: int, hours: int, *, lists: bool) -> None:
    """An event may be shown an hour late, and a lie lasts an hour."""
    found = happenings(seed, NOON, times=60 * hours, length=hours * HOUR)
    outcome = ours(found, seed, NOON + (hours + 2) * HOUR, lists=lists)
    assert (outcome.lost, outcome.doubled) == (0, 0)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(SEEDS)
def test_with_its_lists_nothing_is_lost_or_doubled(seed: int) -> None:
    assert_nothing_is_lost_or_doubled(seed, 1, lists=True)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(SEEDS)
def test_the_feed_alone_suffices_while_it_shows_everything(seed: int) -> None:
    assert_nothing_is_lost_or_doubled(seed, 1, lists=False)


@pytest.mark.prove
@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_long_feeds_lose_and_double_nothing(seed: int) -> None:
    assert_nothing_is_lost_or_doubled(seed, 10, lists=True)


def test_the_feed_is_hostile_enough_to_tell_ways_apart() -> None:
    found = happenings(1, NOON, times=120, length=2 * HOUR)
    assert followed(found, later_times, NOON + 4 * HOUR).lost > 10


@pytest.mark.parametrize("after_effect", [False, True])
def test_a_busy_poll_may_be_killed_at_any_call(*, after_effect: bool) -> None:
    """Events, lists with more, and the round's own writes: then the next polls make it good."""
    calls = 0
    while True:
        world = PollerWorld()
        world.watch()
        world.clock.advance(EVERY)
        for number in range(1, 6):
            world.happens(number)
        now = world.clock.now()
        world.source.issues |= {number: issue_facts(number) for number in range(1, 9)}
        world.source.changed = [changed_issue(number, now) for number in range(4, 9)]
        try:
            world.poll(KillSwitch(calls, after_effect=after_effect))
            break
        except Kill:
            world.clock.advance(timedelta(seconds=45))
        world.poll()
        world.clock.advance(EVERY)
        world.poll()
        numbers = [o.target.number for o in world.tasks.origins.values() if o.target]
        assert sorted(numbers) == list(range(1, 9)), calls
        calls += 1
    assert calls > 30
