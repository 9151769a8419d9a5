"""The limit of a key holds whatever the rhythm, and its item stays small."""

import threading
from dataclasses import replace
from datetime import timedelta

import boto3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightdesk.adapters.dynamodb.access_store import DynamoAccessStore
from nightdesk.domain.access_ports import AccessStore
from nightdesk.domain.api_key import ApiKey
from nightdesk.domain.rate_limit import (
    PER_MINUTE_DEFAULT,
    RateLimitedError,
    quota_at,
    window_at,
)
from tests.access.test_access_store import GOOD, KEY
from tests.aws import REGION
from tests.fakes.access_store import FakeAccessStore
from tests.fakes.clock import NOON

MOMENTS = st.lists(st.integers(0, 600_000), max_size=60).map(sorted)


def admitted(store: AccessStore, key: ApiKey, moments: list[int]) -> list[int]:
    """Which of the moments (ms) passed."""
    passed = []
    for moment in moments:
        try:
            used = store.use(GOOD, now=NOON + timedelta(milliseconds=moment))
        except RateLimitedError:
            continue
        assert used is not None
        passed.append(moment)
    return passed


def expected(limit: int, moments: list[int]) -> list[int]:
    """What a limit by the minute lets pass, said in the plainest way."""
    passed: list[int] = []
    for moment in moments:
        minute = moment // 60_000
        if sum(earlier // 60_000 == minute for earlier in passed) < limit:
            passed.append(moment)
    return passed


@settings(max_examples=30, deadline=None)
@given(moments=MOMENTS, limit=st.integers(1, 5))
def test_the_fake_admits_the_limit_in_each_minute_and_no_more(
    moments: list[int], limit: int
) -> None:
    store = FakeAccessStore()
    key = replace(KEY, requests_per_minute=limit)
    store.add(key, GOOD.secret_hash)

    assert admitted(store, key, moments) == expected(limit, moments)


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(moments=MOMENTS, limit=st.integers(1, 5))
def test_the_table_admits_the_limit_in_each_minute_and_no_more(
    aws_tables: None, moments: list[int], limit: int
) -> None:
    store = DynamoAccessStore()
    boto3.client("dynamodb", region_name=REGION).delete_item(
        TableName="test-access", Key={"id": {"S": KEY.id}}
    )
    key = replace(KEY, requests_per_minute=limit)
    store.add(key, GOOD.secret_hash)

    assert admitted(store, key, moments) == expected(limit, moments)


@pytest.mark.parametrize("minutes", [1, 1440])
def test_an_item_keeps_few_old_counts_whatever_the_rhythm(aws_tables: None, minutes: int) -> None:
    store = DynamoAccessStore()
    store.add(KEY, GOOD.secret_hash)
    client = boto3.client("dynamodb", region_name=REGION)
    most = 0
    for use in range(60):
        store.use(GOOD, now=NOON + use * timedelta(minutes=minutes))
        item = client.get_item(TableName="test-access", Key={"id": {"S": KEY.id}})["Item"]
        most = max(most, sum(len(item[shelf]["M"]) for shelf in ("w0", "w1", "w2", "w3")))

    # It would be 60 if nothing cleared them away.
    assert most <= 12


def test_threads_together_are_admitted_no_more_than_the_limit() -> None:
    """On a store with one lock, as an item of DynamoDB has one; on the cloud: tests/ministack."""
    store = FakeAccessStore()
    store.add(replace(KEY, requests_per_minute=7), GOOD.secret_hash)
    lock, passed = threading.Lock(), []

    def ask() -> None:
        for _ in range(5):
            with lock:
                try:
                    store.use(GOOD, now=NOON)
                except RateLimitedError:
                    continue
                passed.append(1)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(passed) == 7


def test_a_client_that_polls_ten_tasks_each_second_is_not_limited_by_default() -> None:
    store = FakeAccessStore()
    store.add(KEY, GOOD.secret_hash)
    assert KEY.requests_per_minute == PER_MINUTE_DEFAULT

    each_tenth = [tenth * 100 for tenth in range(3 * 600)]

    assert admitted(store, KEY, each_tenth) == each_tenth


@given(st.integers(0, 10**10))
def test_retry_after_never_says_too_early(milliseconds: int) -> None:
    now = NOON + timedelta(milliseconds=milliseconds)
    quota = quota_at(now, limit=5, used=5)

    assert 1 <= quota.seconds_left <= 60
    assert window_at(now + timedelta(seconds=quota.seconds_left)) == window_at(now) + 1


def test_the_headers_are_those_of_the_draft_and_those_of_custom() -> None:
    quota = quota_at(NOON + timedelta(milliseconds=29_500), limit=600, used=1)

    assert quota.headers == {
        "RateLimit-Policy": '"key";q=600;w=60',
        "RateLimit": '"key";r=599;t=31',
        "X-RateLimit-Limit": "600",
        "X-RateLimit-Remaining": "599",
        "X-RateLimit-Reset": str(int(NOON.timestamp()) + 60),
    }
    assert RateLimitedError(quota).headers["Retry-After"] == "31"
