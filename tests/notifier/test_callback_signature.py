"""Signatures of callbacks: what the Standard Webhooks specification says, and what follows."""

import base64
import hmac

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from examples.callback_receiver import WrongSignatureError, verified
from nightdesk.domain.callback_signature import secret_of, signature

#: The specification's own example (github.com/standard-webhooks, test vector of its libraries).
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, AT, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
EXPECTED = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

_TEXTS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="."))


def headers(secrets: list[str], body: bytes, *, name: str = ID, at: int = AT) -> dict[str, str]:
    signed = signature(secrets, delivery_id=name, timestamp=at, body=body)
    return {"webhook-id": name, "webhook-timestamp": str(at), "webhook-signature": signed}


def is_taken(given: dict[str, str], body: bytes, secret: str, *, now: int = AT) -> bool:
    try:
        verified(given, body, secret, now=now)
    except WrongSignatureError:
        return False
    return True


def test_it_signs_as_the_specifications_own_example() -> None:
    assert signature([SECRET], delivery_id=ID, timestamp=AT, body=BODY) == EXPECTED


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=st.binary(max_size=200), name=_TEXTS, at=st.integers(0, 4_000_000_000))
def test_what_is_signed_is_verified_by_the_example_receiver(
    body: bytes, name: str, at: int
) -> None:
    secret = secret_of("key", "team", 1)
    assert is_taken(headers([secret], body, name=name, at=at), body, secret, now=at)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=st.binary(max_size=50), other=st.binary(max_size=50))
def test_another_body_id_time_or_secret_is_not_verified(body: bytes, other: bytes) -> None:
    secret = secret_of("key", "team", 1)
    good = headers([secret], body)

    assert is_taken(good, other, secret) == (body == other)
    assert not is_taken(good | {"webhook-id": "msg_2"}, body, secret)
    assert not is_taken(good | {"webhook-timestamp": str(AT + 1)}, body, secret)
    assert not is_taken(good, body, secret_of("key", "team", 2))
    assert not is_taken(good, body, secret_of("key", "other", 1))
    assert not is_taken(good, body, secret_of("another key", "team", 1))


def test_either_of_two_secrets_verifies_while_one_replaces_the_other() -> None:
    old, new = secret_of("key", "team", 1), secret_of("key", "team", 2)
    good = headers([new, old], b"{}")

    assert is_taken(good, b"{}", old)
    assert is_taken(good, b"{}", new)


def test_a_callback_of_long_ago_or_without_its_headers_is_refused() -> None:
    secret = secret_of("key", "team", 1)
    good = headers([secret], b"{}")

    assert not is_taken(good, b"{}", secret, now=AT + 301)
    assert not is_taken(good, b"{}", secret, now=AT - 301)
    for name in good:
        assert not is_taken({n: v for n, v in good.items() if n != name}, b"{}", secret)
    assert not is_taken(good | {"webhook-timestamp": "soon"}, b"{}", secret)


def test_a_secret_is_32_bytes_and_tells_nothing_of_the_key() -> None:
    secret = secret_of("key", "team", 1)
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert hmac.compare_digest(secret, secret_of("key", "team", 1))
