"""Our signatures against those of a library that is made for it."""

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from nightdesk.adapters.github.credentials.rs256 import PrivateKey, read_private_key

KEY = generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: RSAPrivateKey, form: PrivateFormat = PrivateFormat.TraditionalOpenSSL) -> str:
    return key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()


@settings(max_examples=30, deadline=None)
@given(message=st.binary(max_size=400))
def test_a_signature_is_the_librarys_to_the_byte(message: bytes) -> None:
    assert read_private_key(pem(KEY)).sign(message) == KEY.sign(message, PKCS1v15(), SHA256())


@pytest.mark.parametrize("size", [2048, 2056, 3072])
@pytest.mark.parametrize("exponent", [3, 65537])
@pytest.mark.parametrize("form", [PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8])
def test_keys_of_all_sizes_and_forms_are_read(
    size: int, exponent: int, form: PrivateFormat
) -> None:
    key = generate_private_key(public_exponent=exponent, key_size=size)

    signature = read_private_key(pem(key, form)).sign(b"message")

    key.public_key().verify(signature, b"message", PKCS1v15(), SHA256())


def test_the_form_does_not_matter_nor_do_line_breaks() -> None:
    text = pem(KEY)
    for same in (
        text.replace("\n", "\r\n"),
        text.replace("\n", "\\n"),
        f"  \n{text}\n\n",
        text.strip(),
        pem(KEY, PrivateFormat.PKCS8),
    ):
        assert read_private_key(same) == read_private_key(text)


def test_the_same_message_is_blinded_differently_and_signed_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[int] = []
    power = PrivateKey._power

    def watched(self: PrivateKey, base: int) -> int:
        seen.append(base)
        return power(self, base)

    monkeypatch.setattr(PrivateKey, "_power", watched)
    key = read_private_key(pem(KEY))

    assert key.sign(b"x") == key.sign(b"x")
    assert len(set(seen)) == 2


def test_a_miscalculation_does_not_leave_the_house(monkeypatch: pytest.MonkeyPatch) -> None:
    power = PrivateKey._power
    monkeypatch.setattr(PrivateKey, "_power", lambda self, base: power(self, base) ^ 1)
    with pytest.raises(ValueError, match="do not belong together"):
        read_private_key(pem(KEY)).sign(b"x")


def damaged() -> dict[str, str]:
    text, body = pem(KEY), pem(KEY).splitlines()
    small = generate_private_key(public_exponent=65537, key_size=1024)
    secret = BestAvailableEncryption(b"password")
    encrypted = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret)
    public = text.replace("RSA PRIVATE", "PUBLIC")
    return {
        "nothing": "",
        "a path": "/home/ann/key.pem",
        "an id": "Iv1.0123456789abcdef",
        "cut": "\n".join([*body[:10], body[-1]]),
        "without its end": "\n".join(body[:10]),
        "no base64": text.replace(body[3], "=" * 64),
        "wrong label": text.replace("RSA PRIVATE", "PRIVATE"),
        "public": public,
        "encrypted": encrypted.decode(),
        "short": pem(small),
        "one bit": text.replace(body[5], body[5][::-1]),
        "EC": "-----BEGIN EC PRIVATE KEY-----\nMHc=\n-----END EC PRIVATE KEY-----",
    }


@pytest.mark.parametrize("name", list(damaged()))
def test_what_is_no_key_is_refused_without_showing_any_of_it(name: str) -> None:
    text = damaged()[name]
    with pytest.raises(ValueError) as raised:
        read_private_key(text).sign(b"x")
    said = str(raised.value)
    assert said
    body = "".join(line for line in text.splitlines() if "-----" not in line)
    assert all(body[at : at + 10] not in said for at in range(len(body) - 10))
    assert raised.value.__cause__ is None


def test_a_key_does_not_show_itself() -> None:
    key = read_private_key(pem(KEY))
    assert str(key.p) not in repr(key)
    assert repr(key).startswith("<")
