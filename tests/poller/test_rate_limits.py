from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightdesk.domain.errors import TryLaterError
from nightdesk.domain.rate_limits import WINDOW, Allowance
from nightdesk.services.polling.limits import SharedLimits
from tests.fakes.clock import NOON, FakeClock

MINUTE = timedelta(minutes=1)
MILLISECONDS = st.integers(0, 20_000).map(lambda ms: timedelta(milliseconds=ms))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(1, 8), st.lists(MILLISECONDS, max_size=60), st.booleans())
def test_no_minute_has_more_points_than_allowed_however_they_come(
    points: int, pauses: list[timedelta], restarts: bool
) -> None:
    allowance, now, spent = Allowance(points), NOON, []
    for pause in pauses:
        now += pause
        now += allowance.wait_at(now)
        assert not allowance.wait_at(now)
        allowance.spend(now)
        spent.append(now)
        if restarts:
            allowance = Allowance.of_record(allowance.record(now), points)
    for first in spent:
        assert sum(first <= at < first + WINDOW for at in spent) <= points


def test_all_points_can_be_spent_in_one_moment_and_come_back_within_61_seconds() -> None:
    allowance = Allowance(900)
    for _ in range(900):
        assert not allowance.wait_at(NOON)
        allowance.spend(NOON)
    assert MINUTE <= allowance.wait_at(NOON) <= MINUTE + timedelta(seconds=1)
    assert not allowance.wait_at(NOON + timedelta(seconds=61))


def test_of_two_pauses_the_later_end_counts() -> None:
    allowance = Allowance()
    allowance.pause(NOON + 2 * MINUTE, "long")
    allowance.pause(NOON + MINUTE, "short")
    again = Allowance.of_record(allowance.record(NOON))
    assert (again.pause_at(NOON), again.reason) == (2 * MINUTE, "long")
    assert again.record(NOON + 2 * MINUTE) == {}


# For all threads ------------------------------------------------------------------------------


def test_a_pause_stops_its_credential_alone_and_lasts_into_the_next_poll(clock: FakeClock) -> None:
    limits = SharedLimits(clock)
    limits.pause("one", TryLaterError("GitHub: 429", retry_after=MINUTE))
    later = SharedLimits(clock)
    later.begin(limits.record(), deadline=NOON + 4 * MINUTE)

    for known in (limits, later):
        with pytest.raises(TryLaterError, match="429") as caught:
            known.enter("one")
        assert caught.value.retry_after == MINUTE
        known.enter("two")
    clock.advance(MINUTE)
    later.enter("one")


def test_who_finds_no_point_waits_for_one_but_not_beyond_the_deadline(clock: FakeClock) -> None:
    limits = SharedLimits(clock, points=2)
    limits.begin({}, deadline=NOON + 2 * MINUTE)
    for _ in range(3):
        limits.enter("one")
    assert clock.slept == [timedelta(seconds=61)]
    limits.enter("one")
    with pytest.raises(TryLaterError, match="points of this minute"):
        limits.enter("one")
    limits.enter("two")
