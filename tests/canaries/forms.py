"""Secrets that can be recognised wherever they turn up, in whatever clothes.

A canary is found by any twelve characters of it: plain, backwards, in base64 at each of its three
alignments, in hex, or percent-encoded. So one of which seven characters were cut is found as well.
"""

import base64
import hashlib
from collections.abc import Iterator
from urllib.parse import quote

#: The shortest piece that counts. Canaries are random, so no other text has it by chance.
PIECE = 12
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def random_text(name: str, length: int) -> str:
    """Letters and digits without any pattern, always the same ones for a name."""
    drawn = b"".join(hashlib.sha256(f"{name} {part}".encode()).digest() for part in range(length))
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in drawn[:length])


def forms(secret: str) -> Iterator[tuple[str, str]]:
    """(name of the form, the secret in it)."""
    data = secret.encode()
    yield "plain", secret
    yield "backwards", secret[::-1]
    for skipped in range(3):
        # What stands before it shifts its bits; the characters at the ends belong to both.
        text = base64.b64encode(b"\0" * skipped + data).decode()
        inside = text[4 if skipped else 0 : -4]
        yield f"base64 at {skipped}", inside
        yield f"base64 for URLs at {skipped}", inside.replace("+", "-").replace("/", "_")
    yield "hex", data.hex()
    yield "upper-case hex", data.hex().upper()
    yield "percent-encoded", quote(secret, safe="")
    yield "percent-encoded throughout", "".join(f"%{byte:02X}" for byte in data)


class Canaries:
    """All that must be found nowhere."""

    def __init__(self) -> None:
        self._pieces: dict[str, str] = {}
        self.names: set[str] = set()

    def add(self, name: str, secret: str) -> None:
        """`name` tells people which one it was."""
        assert len(secret) >= PIECE + 7, f"{name} is too short to be cut"
        self.names.add(name)
        for form, text in forms(secret):
            for start in range(len(text) - PIECE + 1):
                self._pieces.setdefault(text[start : start + PIECE], f"{name}, {form}")

    def found_in(self, text: str) -> set[str]:
        """Which canaries, in which form, a text holds."""
        pieces = self._pieces
        windows = (text[start : start + PIECE] for start in range(len(text) - PIECE + 1))
        return {pieces[window] for window in windows if window in pieces}
