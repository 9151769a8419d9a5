"""One set of tests for the fake and for DynamoDB (moto)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from nightdesk.adapters.dynamodb.tracked_comments import DynamoTrackedComments
from nightdesk.domain.errors import ConditionFailedError
from nightdesk.domain.tracked_comment import COMMENT_LEASE, Shown, TrackedComment, TrackedComments
from tests.fakes.clock import NOON
from tests.fakes.tracked_comments import FakeTrackedComments

KEY = "501-12-issue-enricher"
UNTIL = NOON + COMMENT_LEASE


@pytest.fixture(params=["fake", "dynamodb"])
def tracked(request: pytest.FixtureRequest) -> TrackedComments:
    if request.param == "fake":
        return FakeTrackedComments()
    request.getfixturevalue("aws_tables")
    return DynamoTrackedComments(kept_for=timedelta(days=90))


def test_a_comment_that_nobody_knows_begins_now(tracked: TrackedComments) -> None:
    comment = tracked.lease(KEY, now=NOON, until=UNTIL)
    assert comment == TrackedComment(key=KEY, began_at=NOON, version=1)


def test_a_comment_began_with_its_first_lease_even_if_nothing_was_stored(
    tracked: TrackedComments,
) -> None:
    tracked.lease(KEY, now=NOON, until=UNTIL)
    assert tracked.lease(KEY, now=UNTIL, until=UNTIL + COMMENT_LEASE).began_at == NOON


def test_what_was_stored_is_read_by_the_next_lease(tracked: TrackedComments) -> None:
    first = tracked.lease(KEY, now=NOON, until=UNTIL)
    full = replace(
        first,
        comment_id=77,
        owner=Shown(task_id="t-2", created_at=NOON, run=2),
        result=Shown(task_id="t-1", created_at=NOON - timedelta(hours=1)),
        entry=9,
        tools={"read_file": 3},
        question="Which cäche?",
        reason="question",
        not_before=NOON + timedelta(seconds=60),
    )
    tracked.store(full, now=NOON)

    later = NOON + timedelta(seconds=1)
    assert tracked.lease(KEY, now=later, until=UNTIL) == replace(full, version=2)


def test_a_leased_comment_is_its_holders_until_the_lease_ends(tracked: TrackedComments) -> None:
    tracked.lease(KEY, now=NOON, until=UNTIL)
    with pytest.raises(ConditionFailedError):
        tracked.lease(KEY, now=UNTIL - timedelta(milliseconds=1), until=UNTIL + COMMENT_LEASE)
    assert tracked.lease(KEY, now=UNTIL, until=UNTIL + COMMENT_LEASE).version == 2


def test_who_lost_the_lease_stores_nothing(tracked: TrackedComments) -> None:
    slow = tracked.lease(KEY, now=NOON, until=UNTIL)
    quick = tracked.lease(KEY, now=UNTIL, until=UNTIL + COMMENT_LEASE)
    with pytest.raises(ConditionFailedError):
        tracked.store(replace(slow, comment_id=1), now=UNTIL)
    tracked.store(replace(quick, comment_id=2), now=UNTIL)

    assert tracked.lease(KEY, now=UNTIL, until=UNTIL + COMMENT_LEASE).comment_id == 2


def test_comments_of_other_keys_are_free(tracked: TrackedComments) -> None:
    tracked.lease(KEY, now=NOON, until=UNTIL)
    assert tracked.lease("501-13-issue-enricher", now=NOON, until=UNTIL).version == 1
