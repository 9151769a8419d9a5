"""The search itself: what it must find, and that it finds nothing else."""

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.canaries.forms import PIECE, Canaries, random_text

SECRET = f"ghp_{random_text('secret', 36)}"
CANARIES = Canaries()
CANARIES.add("it", SECRET)


@given(before=st.text(max_size=50), after=st.text(max_size=50), data=st.data())
def test_any_twelve_characters_are_found_in_any_text(
    before: str, after: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(SECRET) - PIECE))
    end = data.draw(st.integers(start + PIECE, len(SECRET)))
    piece = SECRET[start:end]
    for shown in (piece, piece[::-1], piece.encode().hex(), quote(piece)):
        assert CANARIES.found_in(f"{before}{shown}{after}")


@given(before=st.binary(max_size=20), after=st.binary(max_size=20))
def test_base64_of_anything_around_it_is_found(before: bytes, after: bytes) -> None:
    for secret in (SECRET, SECRET[7:], SECRET[:-7]):
        whole = before + secret.encode() + after
        assert CANARIES.found_in(base64.b64encode(whole).decode())
        assert CANARIES.found_in(base64.urlsafe_b64encode(whole).decode())


@given(text=st.text(max_size=500))
def test_nothing_is_found_in_other_texts(text: str) -> None:
    assert not CANARIES.found_in(text)
    assert not CANARIES.found_in("ghp_0123456789abcdef the read token is not told, not even 11")


def test_one_too_short_to_be_cut_is_no_canary() -> None:
    with pytest.raises(AssertionError, match="too short"):
        Canaries().add("short", "0123456789")
