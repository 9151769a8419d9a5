"""One set of tests for the fake and for DynamoDB (moto)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from nightdesk.adapters.dynamodb.deferred_events import DynamoDeferredEvents
from nightdesk.domain.deferred_events import DeferredEvent, DeferredEvents, wait_before
from nightdesk.domain.errors import ConditionFailedError
from nightdesk.domain.github_ports import Account, Repository
from nightdesk.domain.trigger import GithubEvent
from tests.fakes.clock import NOON
from tests.fakes.deferred_events import FakeDeferredEvents

MINUTE = timedelta(minutes=1)


@pytest.fixture(params=["fake", "dynamodb"])
def deferred_events(request: pytest.FixtureRequest) -> DeferredEvents:
    makers: dict[str, Callable[[], DeferredEvents]] = {
        "fake": FakeDeferredEvents,
        "dynamodb": DynamoDeferredEvents,
    }
    if request.param == "dynamodb":
        request.getfixturevalue("aws_tables")
    return makers[request.param]()


def waiting(number: int = 12, *, minutes: float = 0, tries: int = 0) -> DeferredEvent:
    event = GithubEvent(
        event="issue_comment",
        action="created",
        repo=Repository(id=501, full_name="octo-org/widgets", default_branch="main"),
        number=number,
        subject_id=1_000 + number,
        key=f"comment:{number}:created",
        actor=Account(id=7, login="möwe", is_bot=False),
        actor_association="MEMBER",
        text="/nightdesk enricher … \N{ROCKET}",
    )
    next_try = NOON + minutes * MINUTE
    return DeferredEvent(event=event, deferred_at=NOON, next_try=next_try, tries=tries)


def test_an_event_reads_back_as_it_was_put(deferred_events: DeferredEvents) -> None:
    deferred_events.put(waiting())
    assert list(deferred_events.due(now=NOON, most=10)) == [waiting()]


def test_who_waits_longest_is_first_and_who_is_not_due_is_not_told(
    deferred_events: DeferredEvents,
) -> None:
    for number, minutes in ((1, 2.0), (2, 0.5), (3, 1.0), (4, 2.001)):
        deferred_events.put(waiting(number, minutes=minutes))
    due = deferred_events.due(now=NOON + 2 * MINUTE, most=10)
    assert [deferred.event.number for deferred in due] == [2, 3, 1]
    first = deferred_events.due(now=NOON + 2 * MINUTE, most=2)
    assert [deferred.event.number for deferred in first] == [2, 3]
    assert deferred_events.due(now=NOON, most=10) == []


def test_putting_it_again_changes_nothing(deferred_events: DeferredEvents) -> None:
    deferred_events.put(waiting(tries=3))
    deferred_events.put(replace(waiting(), deferred_at=NOON + MINUTE))
    assert list(deferred_events.due(now=NOON, most=10)) == [waiting(tries=3)]


def test_two_events_with_one_natural_key_both_wait(deferred_events: DeferredEvents) -> None:
    opened = waiting()
    event = replace(opened.event, action="labeled", label="bug", happened_at=NOON - MINUTE / 7)
    labelled = replace(opened, event=event)
    deferred_events.put(opened)
    deferred_events.put(labelled)
    due = deferred_events.due(now=NOON, most=10)
    assert sorted(due, key=lambda one: one.event.action) == [opened, labelled]


def test_a_moved_event_waits_for_its_next_try(deferred_events: DeferredEvents) -> None:
    deferred_events.put(waiting())
    moved = deferred_events.move(waiting(), next_try=NOON + MINUTE)
    assert moved == waiting(minutes=1, tries=1)
    assert deferred_events.due(now=NOON, most=10) == []
    assert list(deferred_events.due(now=NOON + MINUTE, most=10)) == [moved]


def test_only_one_of_two_moves_an_event(deferred_events: DeferredEvents) -> None:
    deferred_events.put(waiting())
    deferred_events.move(waiting(), next_try=NOON + MINUTE)
    with pytest.raises(ConditionFailedError):
        deferred_events.move(waiting(), next_try=NOON + 2 * MINUTE)
    assert deferred_events.count(most=10) == 1


def test_a_removed_event_is_not_moved(deferred_events: DeferredEvents) -> None:
    deferred_events.put(waiting())
    deferred_events.remove(waiting())
    with pytest.raises(ConditionFailedError):
        deferred_events.move(waiting(), next_try=NOON + MINUTE)
    assert deferred_events.count(most=10) == 0


def test_removing_what_was_moved_or_removed_does_nothing(deferred_events: DeferredEvents) -> None:
    deferred_events.put(waiting())
    deferred_events.move(waiting(), next_try=NOON + MINUTE)
    deferred_events.remove(waiting())
    deferred_events.remove(waiting(13))
    assert deferred_events.count(most=10) == 1


def test_they_are_counted_to_a_bound(deferred_events: DeferredEvents) -> None:
    assert deferred_events.count(most=2) == 0
    for number in range(3):
        deferred_events.put(waiting(number, minutes=number))
    assert deferred_events.count(most=10) == 3
    assert deferred_events.count(most=2) == 2


def test_the_wait_doubles_up_to_half_an_hour() -> None:
    waits = [wait_before(tries) / MINUTE for tries in (0, 1, 2, 3, 4, 5, 6, 2_000)]
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]
