"""What every `AccessStore` does, on the fake and on DynamoDB (moto)."""

from datetime import timedelta

import pytest

from nightdesk.adapters.dynamodb.access_store import DynamoAccessStore
from nightdesk.domain.access_ports import AccessStore
from nightdesk.domain.api_key import ApiKey, Credential, Operation, hash_of
from nightdesk.domain.errors import ConditionFailedError
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
