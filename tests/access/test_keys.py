"""Making keys and authenticating with them."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightdesk.adapters.system import SystemDice
from nightdesk.domain.api_key import ApiKey, Operation, credential_from
from nightdesk.domain.errors import (
    ForbiddenError,
    InvalidInputError,
    NotAuthenticatedError,
    NotFoundError,
)
from nightdesk.services.authenticate import authenticate
from nightdesk.services.manage_keys import NewKey, create_key, list_keys, revoke_key
from tests.fakes.access_store import FakeAccessStore
from tests.fakes.clock import NOON, FakeClock


@pytest.fixture
def access() -> FakeAccessStore:
    return FakeAccessStore()


def make_key(access: FakeAccessStore, clock: FakeClock) -> NewKey:
    return create_key(workspace_id="team", access=access, clock=clock, dice=SystemDice())


def test_a_new_key_authenticates(access: FakeAccessStore, clock: FakeClock) -> None:
    new = make_key(access, clock)

    key = authenticate(f"Bearer {new.text}", access=access, clock=clock)

    assert (key.id, key.workspace_id, key.last_used_at) == (new.key.id, "team", NOON)


def test_the_scheme_may_be_written_in_any_case(access: FakeAccessStore, clock: FakeClock) -> None:
    text = make_key(access, clock).text

    assert authenticate(f"bearer  {text} ", access=access, clock=clock).workspace_id == "team"


def test_a_secret_has_256_bits_and_only_its_hash_is_stored(
    access: FakeAccessStore, clock: FakeClock
) -> None:
    new = make_key(access, clock)
    _, _, secret = new.text.split("_")

    assert len(bytes.fromhex(secret)) == 32
    stored = repr(vars(access))
    assert secret not in stored
    assert hashlib.sha256(secret.encode()).hexdigest() in stored


def test_two_keys_share_nothing(access: FakeAccessStore, clock: FakeClock) -> None:
    first, second = make_key(access, clock).text, make_key(access, clock).text

    assert not set(first.split("_")[1:]) & set(second.split("_")[1:])


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer nd_",
        "Bearer nd_0000000000000001_short",
        "Basic bmQ6bmQ=",
        f"nd_{'0' * 16}_{'0' * 64}",
        f"Bearer nd_{'0' * 16}_{'0' * 65}",
        f"Bearer nd_{'0' * 16}_{'G' * 64}",
        f"Bearer nd_{'٣' * 16}_{'0' * 64}",
        f"Bearer nd_{'0' * 16}_{'0' * 64}\nX-Injected: 1",
        "Bearer " + "nd_" * 100_000,
    ],
)
def test_a_malformed_key_costs_no_request(
    header: str | None, access: FakeAccessStore, clock: FakeClock
) -> None:
    with pytest.raises(NotAuthenticatedError):
        authenticate(header, access=access, clock=clock)

    assert access.calls == 0


def test_an_unknown_key_costs_exactly_one_request(
    access: FakeAccessStore, clock: FakeClock
) -> None:
    with pytest.raises(NotAuthenticatedError):
        authenticate(f"Bearer nd_{'0' * 16}_{'0' * 64}", access=access, clock=clock)

    assert access.calls == 1


def test_unknown_wrong_and_revoked_keys_answer_alike(
    access: FakeAccessStore, clock: FakeClock
) -> None:
    new = make_key(access, clock)
    wrong_secret = new.text[:-1] + ("0" if new.text[-1] != "0" else "1")
    revoked = make_key(access, clock)
    revoke_key(revoked.key.id, access=access, clock=clock)

    def refusal(text: str) -> str:
        with pytest.raises(NotAuthenticatedError) as refused:
            authenticate(f"Bearer {text}", access=access, clock=clock)
        return str(refused.value)

    unknown = refusal(f"nd_{'0' * 16}_{'0' * 64}")
    assert refusal(wrong_secret) == refusal(revoked.text) == unknown


def test_revoking_an_unknown_key_says_so(access: FakeAccessStore, clock: FakeClock) -> None:
    with pytest.raises(NotFoundError):
        revoke_key("0" * 16, access=access, clock=clock)


def test_listed_keys_show_no_secret(access: FakeAccessStore, clock: FakeClock) -> None:
    new = make_key(access, clock)

    (listed,) = list_keys(access=access)

    assert listed == new.key
    assert new.text.rsplit("_", 1)[1] not in repr(listed)


@pytest.mark.parametrize("workspace", ["", " ", "a b", "a#b", "../x", "ä", "w" * 64])
def test_a_workspace_has_a_plain_name(
    workspace: str, access: FakeAccessStore, clock: FakeClock
) -> None:
    with pytest.raises(InvalidInputError):
        create_key(workspace_id=workspace, access=access, clock=clock, dice=SystemDice())


def test_a_key_must_be_good_for_something(access: FakeAccessStore, clock: FakeClock) -> None:
    with pytest.raises(InvalidInputError):
        create_key(
            workspace_id="team", operations=(), access=access, clock=clock, dice=SystemDice()
        )


def test_operations_are_not_implied_but_by_admin() -> None:
    def may(*granted: Operation) -> set[Operation]:
        key = ApiKey(id="k", workspace_id="team", operations=granted, created_at=NOON)
        allowed = set()
        for operation in Operation:
            try:
                key.demand(operation)
            except ForbiddenError:
                continue
            allowed.add(operation)
        return allowed

    assert may(Operation.READ) == {Operation.READ}
    assert may(Operation.WRITE) == {Operation.WRITE}
    assert may(Operation.ADMIN) == set(Operation)


@given(st.text())
def test_no_text_but_a_key_is_a_credential(text: str) -> None:
    credential = credential_from(text)

    assert credential is None or text.startswith("nd_")
