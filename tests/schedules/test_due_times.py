"""One set of tests for the fake and for DynamoDB (moto)."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from nightdesk.adapters.dynamodb.due_times import DynamoDueTimes
from nightdesk.domain.errors import ConditionFailedError
from nightdesk.domain.schedules import DueTimes
from tests.fakes.clock import NOON
from tests.fakes.due_times import FakeDueTimes

LATER = NOON + timedelta(minutes=1)


@pytest.fixture(params=["fake", "dynamodb"])
def due_times(request: pytest.FixtureRequest) -> DueTimes:
    makers: dict[str, Callable[[], DueTimes]] = {
        "fake": FakeDueTimes,
        "dynamodb": DynamoDueTimes,
    }
    if request.param == "dynamodb":
        request.getfixturevalue("aws_tables")
    return makers[request.param]()


def test_what_is_begun_and_moved_reads_back(due_times: DueTimes) -> None:
    assert due_times.all() == {}
    due_times.begin("team#a.1", NOON)
    due_times.begin("team#b.1", NOON)
    due_times.move("team#a.1", seen=NOON, due=LATER)
    assert due_times.all() == {"team#a.1": LATER, "team#b.1": NOON}


def test_what_is_known_is_not_begun_again(due_times: DueTimes) -> None:
    due_times.begin("a", NOON)
    with pytest.raises(ConditionFailedError):
        due_times.begin("a", LATER)
    assert due_times.all() == {"a": NOON}


def test_what_another_sweep_has_moved_is_not_moved_again(due_times: DueTimes) -> None:
    due_times.begin("a", LATER)
    with pytest.raises(ConditionFailedError):
        due_times.move("a", seen=NOON, due=LATER + timedelta(minutes=1))
    assert due_times.all() == {"a": LATER}


def test_what_is_forgotten_does_not_come_back_by_moving_it(due_times: DueTimes) -> None:
    due_times.begin("a", NOON)
    with pytest.raises(ConditionFailedError):
        due_times.forget("a", seen=LATER)
    due_times.forget("a", seen=NOON)
    with pytest.raises(ConditionFailedError):
        due_times.move("a", seen=NOON, due=LATER)
    assert due_times.all() == {}
