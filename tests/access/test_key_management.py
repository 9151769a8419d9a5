"""Rotating keys, and what one key may do to others."""

from datetime import timedelta

import pytest

from nightdesk.adapters.system import SystemDice
from nightdesk.domain.api_key import ApiKey, Operation
from nightdesk.domain.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotAuthenticatedError,
    NotFoundError,
)
from nightdesk.services.authenticate import authenticate
from nightdesk.services.manage_keys import (
    GRACE_MAX,
    NewKey,
    create_key,
    list_keys,
    revoke_key,
    rotate_key,
)
from tests.fakes.access_store import FakeAccessStore
from tests.fakes.clock import FakeClock

DICE = SystemDice()


class Keys:
    """A store of keys, and a short way to make them."""

    def __init__(self, clock: FakeClock) -> None:
        self.access, self.clock = FakeAccessStore(), clock

    def make(
        self,
        workspace: str = "team",
        *agents: str,
        operations: tuple[Operation, ...] = (Operation.ADMIN,),
        rate: int = 600,
        by: ApiKey | None = None,
    ) -> NewKey:
        return create_key(
            workspace_id=workspace,
            agents=agents,
            operations=operations,
            requests_per_minute=rate,
            by=by,
            access=self.access,
            clock=self.clock,
            dice=DICE,
        )

    def rotate(self, key: ApiKey, *, by: ApiKey | None = None, grace: int = 60) -> NewKey:
        return rotate_key(
            key.id,
            grace=timedelta(seconds=grace),
            by=by,
            access=self.access,
            clock=self.clock,
            dice=DICE,
        )

    def revoke(self, key: ApiKey, *, by: ApiKey | None = None) -> ApiKey:
        return revoke_key(key.id, by=by, access=self.access, clock=self.clock)

    def is_good(self, text: str) -> bool:
        try:
            authenticate(f"Bearer {text}", access=self.access, clock=self.clock)
        except NotAuthenticatedError:
            return False
        return True


@pytest.fixture
def keys(clock: FakeClock) -> Keys:
    return Keys(clock)


def test_a_rotated_key_is_the_same_key_with_another_secret(keys: Keys) -> None:
    old = keys.make()

    new = keys.rotate(old.key)

    assert new.key.id == old.key.id
    assert new.text != old.text
    assert new.text.split("_")[:2] == old.text.split("_")[:2]
    assert keys.is_good(new.text)


def test_the_old_secret_is_good_until_the_grace_is_over(keys: Keys) -> None:
    old = keys.make()
    keys.rotate(old.key, grace=60)

    keys.clock.advance(timedelta(seconds=59))
    assert keys.is_good(old.text)
    keys.clock.advance(timedelta(seconds=1))
    assert not keys.is_good(old.text)


def test_without_a_grace_the_old_secret_ends_at_once(keys: Keys) -> None:
    old = keys.make()
    new = keys.rotate(old.key, grace=0)

    assert not keys.is_good(old.text)
    assert keys.is_good(new.text)


@pytest.mark.parametrize("grace", [-1, int(GRACE_MAX.total_seconds()) + 1])
def test_a_grace_has_bounds(keys: Keys, grace: int) -> None:
    key = keys.make().key

    with pytest.raises(InvalidInputError, match="graceSeconds"):
        keys.rotate(key, grace=grace)


def test_a_revoked_key_is_not_rotated_back_to_life(keys: Keys) -> None:
    old = keys.make()
    keys.revoke(old.key)

    with pytest.raises(ConflictError):
        keys.rotate(old.key)
    assert not keys.is_good(old.text)


def test_a_key_makes_keys_for_its_own_workspace_only(keys: Keys) -> None:
    with pytest.raises(ForbiddenError):
        keys.make("others", by=keys.make("team").key)


@pytest.mark.parametrize("agents", [(), ("developer", "reviewer"), ("reviewer",)])
def test_a_key_gives_no_specialist_that_it_has_not(keys: Keys, agents: tuple[str, ...]) -> None:
    limited = keys.make("team", "developer").key

    with pytest.raises(ForbiddenError):
        keys.make("team", *agents, by=limited)
    assert keys.make("team", "developer", by=limited).key.agents == ("developer",)


@pytest.mark.parametrize("operation", Operation)
def test_a_key_without_admin_gives_no_operation_that_it_has_not(
    keys: Keys, operation: Operation
) -> None:
    reader = keys.make(operations=(Operation.READ,)).key

    if operation is Operation.READ:
        keys.make(operations=(operation,), by=reader)
    else:
        with pytest.raises(ForbiddenError):
            keys.make(operations=(operation,), by=reader)


def test_a_key_gives_no_more_requests_than_it_has(keys: Keys) -> None:
    slow = keys.make(rate=10).key

    keys.make(rate=10, by=slow)
    with pytest.raises(ForbiddenError):
        keys.make(rate=11, by=slow)


def test_what_a_key_cannot_manage_looks_as_if_there_were_none(keys: Keys) -> None:
    limited = keys.make("team", "developer").key
    beyond = [
        keys.make("others").key,
        keys.make("others", "developer").key,
        keys.make("team").key,
        keys.make("team", "developer", "reviewer").key,
    ]
    own = keys.make("team", "developer", operations=(Operation.READ,)).key

    assert {k.id for k in list_keys(by=limited, access=keys.access)} == {limited.id, own.id}
    for key in beyond:
        with pytest.raises(NotFoundError):
            keys.rotate(key, by=limited)
        with pytest.raises(NotFoundError):
            keys.revoke(key, by=limited)
    assert all(key.revoked_at is None for key in keys.access.list_keys())
    assert all(key.rotated_at is None for key in keys.access.list_keys())


def test_rotating_is_no_way_to_more_requests(keys: Keys) -> None:
    slow, fast = keys.make(rate=10).key, keys.make(rate=11).key

    with pytest.raises(ForbiddenError):
        keys.rotate(fast, by=slow)
    assert keys.revoke(fast, by=slow).revoked_at is not None


def test_rotating_is_no_way_to_more_operations(keys: Keys) -> None:
    reader, admin = keys.make(operations=(Operation.READ,)).key, keys.make().key

    with pytest.raises(ForbiddenError):
        keys.rotate(admin, by=reader)


@pytest.mark.parametrize("key_id", ["", "x", "../../etc", "0" * 17, "G" * 16, "a" * 100_000])
def test_an_id_that_no_key_can_have_costs_no_request(keys: Keys, key_id: str) -> None:
    with pytest.raises(NotFoundError):
        revoke_key(key_id, access=keys.access, clock=keys.clock)

    assert keys.access.calls == 0
