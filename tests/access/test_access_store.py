"""What every `AccessStore` does, on the fake and on DynamoDB (moto)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from nightdesk.adapters.dynamodb.access_store import DynamoAccessStore
from nightdesk.domain.access_ports import AccessStore
from nightdesk.domain.api_key import ApiKey, Credential, Operation, hash_of
from nightdesk.domain.errors import ConditionFailedError
from nightdesk.domain.rate_limit import RateLimitedError
from tests.fakes.access_store import FakeAccessStore
from tests.fakes.clock import NOON

LATER = NOON + timedelta(minutes=1)
KEY = ApiKey(
    id="00000000000000aa",
    workspace_id="team",
    agents=("developer",),
    operations=(Operation.READ,),
    description="CI",
    created_at=NOON,
)
GOOD = Credential(KEY.id, hash_of("secret"))
NEXT = Credential(KEY.id, hash_of("the next one"))
WRONG = Credential(KEY.id, hash_of("another"))


@pytest.fixture(params=["fake", "moto"])
def store(request: pytest.FixtureRequest) -> AccessStore:
    if request.param == "fake":
        return FakeAccessStore()
    request.getfixturevalue("aws_tables")
    return DynamoAccessStore()


def test_a_good_credential_gives_the_key_and_counts_and_dates_the_use(store: AccessStore) -> None:
    store.add(KEY, GOOD.secret_hash)
    store.use(GOOD, now=NOON)

    key = store.use(GOOD, now=LATER)

    assert key is not None
    assert (key.uses, key.last_used_at) == (2, LATER)
    assert (key.workspace_id, key.agents, key.operations) == (
        "team",
        ("developer",),
        (Operation.READ,),
    )
    assert (key.description, key.created_at) == ("CI", NOON)


def test_another_secret_gives_nothing_and_counts_nothing(store: AccessStore) -> None:
    store.add(KEY, GOOD.secret_hash)

    assert store.use(WRONG, now=NOON) is None
    assert [(k.uses, k.last_used_at) for k in store.list_keys()] == [(0, None)]


def test_an_unknown_id_gives_nothing_and_leaves_no_row_behind(store: AccessStore) -> None:
    assert store.use(GOOD, now=NOON) is None
    assert list(store.list_keys()) == []


def test_a_revoked_key_gives_nothing_from_then_on(store: AccessStore) -> None:
    store.add(KEY, GOOD.secret_hash)

    revoked = store.revoke(KEY.id, now=NOON)

    assert revoked is not None
    assert revoked.revoked_at == NOON
    assert store.use(GOOD, now=LATER) is None


def test_revoking_again_keeps_the_first_time(store: AccessStore) -> None:
    store.add(KEY, GOOD.secret_hash)
    store.revoke(KEY.id, now=NOON)

    again = store.revoke(KEY.id, now=LATER)

    assert again is not None
    assert again.revoked_at == NOON


def test_revoking_an_unknown_key_makes_none(store: AccessStore) -> None:
    assert store.revoke("0" * 16, now=NOON) is None
    assert list(store.list_keys()) == []


def test_an_id_is_never_given_to_a_second_key(store: AccessStore) -> None:
    store.add(KEY, GOOD.secret_hash)

    with pytest.raises(ConditionFailedError):
        store.add(KEY, WRONG.secret_hash)

    assert store.use(GOOD, now=NOON) is not None


def test_keys_are_listed_oldest_first_and_by_workspace(store: AccessStore) -> None:
    newer = ApiKey(id="00000000000000bb", workspace_id="other", created_at=LATER)
    store.add(newer, GOOD.secret_hash)
    store.add(KEY, GOOD.secret_hash)

    assert [key.id for key in store.list_keys()] == [KEY.id, newer.id]
    assert [key.id for key in store.list_keys("other")] == [newer.id]


# Limits ---------------------------------------------------------------------------------------

SMALL = replace(KEY, requests_per_minute=2)


def test_what_is_left_of_the_minute_is_told_with_each_use(store: AccessStore) -> None:
    store.add(SMALL, GOOD.secret_hash)

    quotas = [key.quota for _ in range(2) if (key := store.use(GOOD, now=NOON)) is not None]

    assert [(q.limit, q.remaining, q.seconds_left) for q in quotas if q] == [(2, 1, 60), (2, 0, 60)]


def test_beyond_the_limit_nothing_is_counted_or_dated(store: AccessStore) -> None:
    store.add(SMALL, GOOD.secret_hash)
    store.use(GOOD, now=NOON)
    store.use(GOOD, now=NOON)

    with pytest.raises(RateLimitedError) as limited:
        store.use(GOOD, now=NOON + timedelta(seconds=59))

    assert (limited.value.quota.limit, limited.value.quota.remaining) == (2, 0)
    assert limited.value.quota.seconds_left == 1
    assert [(k.uses, k.last_used_at) for k in store.list_keys()] == [(2, NOON)]


def test_a_wrong_secret_is_not_told_that_the_limit_is_reached(store: AccessStore) -> None:
    store.add(SMALL, GOOD.secret_hash)
    store.use(GOOD, now=NOON)
    store.use(GOOD, now=NOON)

    assert store.use(WRONG, now=NOON) is None


def test_a_revoked_key_is_not_told_that_the_limit_is_reached(store: AccessStore) -> None:
    store.add(SMALL, GOOD.secret_hash)
    store.use(GOOD, now=NOON)
    store.use(GOOD, now=NOON)
    store.revoke(KEY.id, now=NOON)

    assert store.use(GOOD, now=NOON) is None


def test_each_minute_begins_anew(store: AccessStore) -> None:
    store.add(SMALL, GOOD.secret_hash)

    # Also for windows far apart, of either kind, with use or without in between.
    for minute in (0, 1, 2, 3, 5, 8, 60, 61, 1440, 2880):
        now = NOON + timedelta(minutes=minute)
        assert store.use(GOOD, now=now) is not None
        assert store.use(GOOD, now=now) is not None
        with pytest.raises(RateLimitedError):
            store.use(GOOD, now=now)


def test_a_clock_that_is_a_minute_slow_takes_nothing_from_the_count(store: AccessStore) -> None:
    for minute in range(8):
        now = NOON + timedelta(minutes=minute)
        key = replace(SMALL, id=f"{minute:016x}")
        credential = Credential(key.id, GOOD.secret_hash)
        store.add(key, credential.secret_hash)
        store.use(credential, now=now)
        store.use(credential, now=now - timedelta(minutes=1))
        store.use(credential, now=now)
        store.use(credential, now=now + timedelta(minutes=1))

        with pytest.raises(RateLimitedError):
            store.use(credential, now=now)


# Rotation -------------------------------------------------------------------------------------


def test_after_a_rotation_both_secrets_are_good_until_the_grace_is_over(store: AccessStore) -> None:
    store.add(KEY, GOOD.secret_hash)

    rotated = store.rotate(KEY.id, NEXT.secret_hash, now=NOON, previous_until=LATER)

    assert rotated is not None
    assert (rotated.rotated_at, rotated.previous_until) == (NOON, LATER)
    just_before = LATER - timedelta(milliseconds=1)
    assert store.use(NEXT, now=NOON) is not None
    assert store.use(GOOD, now=just_before) is not None
    assert store.use(GOOD, now=LATER) is None
    assert store.use(NEXT, now=LATER) is not None


def test_a_second_rotation_ends_the_first_secret(store: AccessStore) -> None:
    store.add(KEY, GOOD.secret_hash)
    store.rotate(KEY.id, NEXT.secret_hash, now=NOON, previous_until=LATER)
    store.rotate(KEY.id, WRONG.secret_hash, now=NOON, previous_until=LATER)

    assert store.use(GOOD, now=NOON) is None
    assert store.use(NEXT, now=NOON) is not None
    assert store.use(WRONG, now=NOON) is not None


def test_both_secrets_share_the_limit(store: AccessStore) -> None:
    store.add(SMALL, GOOD.secret_hash)
    store.rotate(KEY.id, NEXT.secret_hash, now=NOON, previous_until=LATER)
    store.use(GOOD, now=NOON)
    store.use(NEXT, now=NOON)

    for credential in (GOOD, NEXT):
        with pytest.raises(RateLimitedError):
            store.use(credential, now=NOON)


def test_a_secret_that_has_run_out_is_not_told_that_the_limit_is_reached(
    store: AccessStore,
) -> None:
    store.add(SMALL, GOOD.secret_hash)
    store.rotate(KEY.id, NEXT.secret_hash, now=NOON, previous_until=NOON)
    store.use(NEXT, now=NOON)
    store.use(NEXT, now=NOON)

    assert store.use(GOOD, now=NOON) is None


def test_revoking_ends_both_secrets(store: AccessStore) -> None:
    store.add(KEY, GOOD.secret_hash)
    store.rotate(KEY.id, NEXT.secret_hash, now=NOON, previous_until=LATER)
    store.revoke(KEY.id, now=NOON)

    assert store.use(GOOD, now=NOON) is None
    assert store.use(NEXT, now=NOON) is None


def test_a_revoked_key_is_not_rotated(store: AccessStore) -> None:
    store.add(KEY, GOOD.secret_hash)
    store.revoke(KEY.id, now=NOON)

    assert store.rotate(KEY.id, NEXT.secret_hash, now=NOON, previous_until=LATER) is None
    assert [key.rotated_at for key in store.list_keys()] == [None]


def test_rotating_an_unknown_key_makes_none(store: AccessStore) -> None:
    assert store.rotate(KEY.id, NEXT.secret_hash, now=NOON, previous_until=LATER) is None
    assert list(store.list_keys()) == []


def test_a_key_is_read_as_it_was_stored(store: AccessStore) -> None:
    store.add(SMALL, GOOD.secret_hash)

    assert store.get(KEY.id) == SMALL
    assert store.get("0" * 16) is None


@pytest.mark.parametrize("credential", [WRONG, GOOD], ids=["wrong", "run-out"])
def test_after_a_rotation_a_bad_secret_still_counts_nothing(
    store: AccessStore, credential: Credential
) -> None:
    store.add(KEY, GOOD.secret_hash)
    grace = LATER if credential is WRONG else NOON
    store.rotate(KEY.id, NEXT.secret_hash, now=NOON, previous_until=grace)

    assert store.use(credential, now=NOON) is None
    assert [(key.uses, key.last_used_at) for key in store.list_keys()] == [(0, None)]
