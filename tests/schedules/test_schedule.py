"""Cron expressions and time zones, above all where the clocks change."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightdesk.domain.document_values import DocumentError
from nightdesk.domain.schedule import check_schedule, last_due, next_due
from nightdesk.domain.specialist import ScheduleTrigger
from nightdesk.domain.trigger_document import SCHEDULES_MAX, read_on

BERLIN = "Europe/Berlin"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("cron", "zone", "after", "due"),
    [
        ("0 6 * * 1-5", "UTC", "2026-11-20T06:00:00+00:00", "2026-11-23T06:00:00+00:00"),
        ("0 6 * * MON-FRI", BERLIN, "2026-11-21T00:00:00+00:00", "2026-11-23T05:00:00+00:00"),
        ("0 9 * * 7", "UTC", "2026-11-21T00:00:00+00:00", "2026-11-22T09:00:00+00:00"),
        ("0 0 1 jan *", "UTC", "2026-11-21T00:00:00+00:00", "2027-01-01T00:00:00+00:00"),
        ("0 0 29 2 *", "UTC", "2026-11-21T00:00:00+00:00", "2028-02-29T00:00:00+00:00"),
        ("1-10/2 * * * *", "UTC", "2026-11-21T12:01:00+00:00", "2026-11-21T12:03:00+00:00"),
        # Both days restricted: either counts.
        ("0 0 13 * 5", "UTC", "2026-11-21T00:00:00+00:00", "2026-11-27T00:00:00+00:00"),
        # 02:30 does not exist in Berlin on 29 March 2026: it is due when the clocks have jumped.
        ("30 2 * * *", BERLIN, "2026-03-28T12:00:00+00:00", "2026-03-29T01:00:00+00:00"),
        # 02:30 comes twice on 25 October 2026: the first counts, and then the next day's.
        ("30 2 * * *", BERLIN, "2026-10-24T12:00:00+00:00", "2026-10-25T00:30:00+00:00"),
        ("30 2 * * *", BERLIN, "2026-10-25T00:30:00+00:00", "2026-10-26T01:30:00+00:00"),
        # What is due each hour stays so.
        ("0 * * * *", BERLIN, "2026-10-25T00:00:00+00:00", "2026-10-25T01:00:00+00:00"),
    ],
)
def test_the_next_time(cron: str, zone: str, after: str, due: str) -> None:
    assert next_due(cron, zone, at(after)) == at(due)


def test_the_last_time_is_the_latest_of_those_that_were_missed() -> None:
    since, now = at("2026-11-20T06:00:00+00:00"), at("2026-11-22T07:30:00+00:00")
    assert last_due("0 6 * * *", "UTC", since=since, now=now) == at("2026-11-22T06:00:00+00:00")
    assert last_due("0 6 * * *", "UTC", since=now, now=now) is None
    assert last_due("30 7 * * *", "UTC", since=since, now=now) == now
    night = at("2026-10-25T12:00:00+00:00")
    assert last_due("30 2 * * *", BERLIN, since=since - timedelta(days=60), now=night) == at(
        "2026-10-25T00:30:00+00:00"
    )


CRONS = st.sampled_from(
    [
        "* * * * *",
        "*/15 * * * *",
        "30 2 * * *",
        "0 6 * * 1-5",
        "15 3 1 * *",
        "0 0 * * 0",
        "59 23 * * *",
    ]
)
ZONES = st.sampled_from(
    ["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Casablanca"]
)
MOMENTS = st.integers(0, 2 * 366 * 24 * 3600).map(
    lambda seconds: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)


@settings(deadline=None)
@given(cron=CRONS, zone=ZONES, start=MOMENTS, later=st.timedeltas(timedelta(0), timedelta(days=40)))
def test_looking_back_finds_what_looking_ahead_found(
    cron: str, zone: str, start: datetime, later: timedelta
) -> None:
    now, found = start + later, None
    due = next_due(cron, zone, start)
    assert due > start
    for _ in range(200):
        if due > now:
            break
        found, before = due, due
        due = next_due(cron, zone, due)
        assert due > before
    else:
        return  # too many to count
    assert last_due(cron, zone, since=start + timedelta(microseconds=1), now=now) == found


# The file -------------------------------------------------------------------------------------


def schedules(value: Any) -> tuple[ScheduleTrigger, ...]:
    return read_on({"schedule": value})[1]


def test_a_schedule_is_read_from_the_file() -> None:
    whole = {"cron": "0  6 * * 1-5", "timezone": BERLIN, "prompt": "Look.", "repo": "o/r"}
    assert schedules([whole, {"cron": "5 5 * * *"}]) == (
        ScheduleTrigger(cron="0 6 * * 1-5", timezone=BERLIN, prompt="Look.", repo="o/r"),
        ScheduleTrigger(cron="5 5 * * *"),
    )
    assert schedules({"cron": "5 5 * * *"}) == (ScheduleTrigger(cron="5 5 * * *"),)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([], "key on.schedule: [] is not allowed; allowed: a list of 1 to 10"),
        ("0 6 * * *", "key on.schedule: '0 6 * * *' is not allowed"),
        ([{}], "key on.schedule[0].cron is missing"),
        (
            [{"cron": "a b c d e"}],
            "key on.schedule[0].cron: 'a b c d e' is not allowed; allowed: five",
        ),
        ([{"cron": "60 * * * *"}], "Bad minute"),
        ([{"cron": "* * * *"}], "key on.schedule[0].cron: "),
        ([{"cron": "* * * * * *"}], "key on.schedule[0].cron: "),
        ([{"cron": "@daily"}], "key on.schedule[0].cron: "),
        ([{"cron": "0 0 31 2 *"}], "key on.schedule[0].cron: "),
        ([{"cron": "0 6 * * *", "timezone": "Berlin"}], "key on.schedule[0].timezone: 'Berlin'"),
        ([{"cron": "0 6 * * *", "timezone": "../../etc/passwd"}], "on.schedule[0].timezone: "),
        ([{"cron": "0 6 * * *", "repo": "x"}], "key on.schedule[0].repo: 'x' is not allowed"),
        ([{"cron": "0 6 * * *", "zone": "UTC"}], "unknown key on.schedule[0].zone; allowed: cron"),
        ([{"cron": "0 6 * * *"}] * 2, "one entry is there twice"),
        ([{"cron": f"{n} 6 * * *"} for n in range(SCHEDULES_MAX + 1)], "a list of 1 to 10"),
    ],
)
def test_a_wrong_schedule_is_a_clear_error(value: Any, reason: str) -> None:
    with pytest.raises(DocumentError) as raised:
        schedules(value)
    assert reason in str(raised.value)


@given(st.text(max_size=30) | st.lists(st.text("0123456789*/,-LW#?", max_size=6)).map(" ".join))
def test_no_expression_breaks_more_than_its_own_file(cron: str) -> None:
    try:
        check_schedule(cron, "UTC")
    except Exception as error:  # noqa: BLE001 - which one is what is tested
        assert type(error).__name__ == "ScheduleError"  # noqa: PT017
