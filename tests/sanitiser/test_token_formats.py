"""Both formats of GitHub's installation tokens, by the patterns alone: wholly out, wherever cut."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightdesk.domain.sanitiser.secret_patterns import REMOVED, without_secrets

WORD = st.text(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=36, max_size=36
)


def jwt(letters: str) -> str:
    """A statement with a signature of 256 bytes, as GitHub's tokens have one."""
    parts = (
        json.dumps({"alg": "RS256", "typ": "JWT"}),
        json.dumps({"iss": "github", "jti": letters, "exp": 1_795_262_400}),
        (letters * 8)[:256],
    )
    encoded = (base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in parts)
    return ".".join(encoded)


@given(WORD)
def test_a_classic_token_of_40_characters_is_taken_out(letters: str) -> None:
    token = f"ghs_{letters}"
    assert len(token) == 40
    assert without_secrets(f"x {token} y") == f"x {REMOVED} y"


@given(WORD)
def test_a_token_with_a_statement_is_taken_out_with_all_of_its_parts(letters: str) -> None:
    token = f"ghs_1234567_{jwt(letters)}"
    assert 500 < len(token) < 560
    assert token.count(".") == 2
    assert without_secrets(f"x {token} y") == f"x {REMOVED} y"
    assert without_secrets(f'{{"token":"{token}"}}') == f'{{"token":"{REMOVED}"}}'
    assert without_secrets(f"https://x:{token}@github.com") == f"https://x:{REMOVED}@github.com"


@pytest.mark.parametrize("kept", [60, 200, 400])
def test_a_token_that_was_cut_off_is_taken_out_too(kept: int) -> None:
    token = f"ghs_1234567_{jwt('aB3' * 12)}"
    assert without_secrets(f"x {token[:kept]}") == f"x {REMOVED}"
    # Without its beginning it is still a statement, if its head is there.
    assert without_secrets(token[token.index("eyJ") :]) == REMOVED
