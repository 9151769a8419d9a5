import base64

from hypothesis import given
from hypothesis import strategies as st

from nightdesk.domain.sanitiser.repetition import PIECE, repeats
from tests.canaries.forms import random_text

SECRET = f"sk-ant-{random_text('repetition', 60)}"


@given(before=st.text(max_size=30), after=st.text(max_size=30), data=st.data())
def test_a_piece_of_the_secret_is_seen_in_any_text(
    before: str, after: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(SECRET) - PIECE))
    piece = SECRET[start : start + PIECE]
    for shown in (piece, piece[::-1], piece.encode().hex(), piece.encode().hex().upper()):
        assert repeats(f"{before}{shown}{after}", SECRET)


@given(before=st.binary(max_size=20), after=st.binary(max_size=20))
def test_base64_of_anything_around_it_is_seen(before: bytes, after: bytes) -> None:
    whole = before + SECRET.encode() + after
    assert repeats(base64.b64encode(whole).decode(), SECRET)
    assert repeats(base64.urlsafe_b64encode(whole).decode(), SECRET)


@given(text=st.text(max_size=300))
def test_other_texts_are_left_alone(text: str) -> None:
    assert not repeats(text, SECRET)
    assert not repeats(text, "")
    assert not repeats("a key begins with sk-ant- and is long", SECRET)
    assert not repeats("Bad credentials", SECRET)
