r"""Filters of branches and paths, spelt and read as GitHub Actions does (`on.push.paths`).

`*` is anything but a slash, `**` anything, `?` none or one of the character before, `+` one or more
of it, `[a-z0-9]` one of these, `\` takes a character literally; a name must match from its first
to its last character. Of several patterns the last that matches decides, and one that begins with
`!` takes out again.

Patterns come from repositories, so the time to match one must not explode: each is an automaton
whose states are the bits of a number, stepped once for each character.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

PATTERN_MAX = 200
_SPECIAL = "*?+[]!\\"


class NamePatternError(ValueError):
    """A pattern cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class NameFilter:
    """Patterns in their order; those that begin with `!` take out what came in before."""

    patterns: tuple[str, ...]

    @property
    def includes_nothing(self) -> bool:
        """Whether it can let no name pass, because every pattern takes out."""
        return all(pattern.startswith("!") for pattern in self.patterns)

    def admits(self, name: str) -> bool:
        admitted = False
        for pattern in self.patterns:
            takes_out = pattern.startswith("!")
            if admitted == takes_out and _compiled(pattern.removeprefix("!")).matches(name):
                admitted = not takes_out
        return admitted

    def admits_any(self, names: Iterable[str]) -> bool:
        return any(map(self.admits, names))


def check_patterns(patterns: Sequence[str]) -> None:
    """Raise NamePatternError for the first pattern that cannot be read."""
    for pattern in patterns:
        _compiled(pattern.removeprefix("!"))


# Patterns -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Automaton:
    """State i (bit i) means that the first i pieces of the pattern are matched.

    A piece is one character of a set, which leads on; or any number of them, which stay and may be
    passed over (`passes`). `folders` are where `**/` begins: it may be left out as a whole, and is
    three pieces long: nothing, any characters, a slash.
    """

    size: int = 0
    passes: int = 0
    folders: int = 0
    #: By character: the states that it leads on from, and those that it stays in.
    leads: dict[str, int] = field(default_factory=dict)
    stays: dict[str, int] = field(default_factory=dict)
    #: Of the characters that stand in no set: the same.
    others_stay: int = 0

    def matches(self, name: str) -> bool:
        state = self._closed(1)
        for character in name:
            led = state & self.leads.get(character, 0)
            stayed = state & self.stays.get(character, self.others_stay)
            state = self._closed(led << 1 | stayed)
            if not state:
                return False
        return bool(state >> self.size & 1)

    def _closed(self, state: int) -> int:
        """With all states that need no further character."""
        while True:
            more = state | (state & self.passes) << 1 | (state & self.folders) << 3
            if more == state:
                return state
            state = more


@dataclass(frozen=True, slots=True)
class _Piece:
    """`characters` is None for any character; `without_slash` leaves the slash out of those."""

    characters: frozenset[str] | None
    without_slash: bool = False
    repeats: bool = False
    optional: bool = False


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> _Automaton:
    """The automaton of a pattern without its `!`.

    Raises:
        NamePatternError: it cannot be read.
    """
    if not 0 < len(pattern) <= PATTERN_MAX:
        raise NamePatternError(f"a pattern has 1 to {PATTERN_MAX} characters")
    pieces, folders = _pieces(pattern)
    automaton = _Automaton(size=len(pieces))
    for state in folders:
        automaton.folders |= 1 << state
    for state, piece in enumerate(pieces):
        _add(automaton, 1 << state, piece)
    return automaton


def _add(automaton: _Automaton, bit: int, piece: _Piece) -> None:
    if piece.repeats or piece.optional:
        automaton.passes |= bit
    if piece.characters is not None:
        table = automaton.stays if piece.repeats else automaton.leads
        for character in piece.characters:
            default = automaton.others_stay if piece.repeats else 0
            table[character] = table.get(character, default) | bit
        return
    # Any character: all that have an entry of their own must learn of it.
    automaton.others_stay |= bit
    for character in automaton.stays:
        automaton.stays[character] |= bit
    if piece.without_slash:
        automaton.stays["/"] = automaton.stays.get("/", automaton.others_stay) & ~bit


def _pieces(pattern: str) -> tuple[list[_Piece], list[int]]:
    """The pieces of a pattern, and where a `**/` begins."""
    pieces: list[_Piece] = []
    folders: list[int] = []
    at_start = True  # of the pattern, or behind a slash
    rest = _tokens(pattern)
    for token in rest:
        match token:
            case "**/" if at_start:
                folders.append(len(pieces))
                pieces += [_Piece(frozenset(), optional=True), _ANY, _Piece(frozenset("/"))]
            case "**/":
                pieces += [_ANY, _Piece(frozenset("/"))]
            case "**":
                pieces.append(_ANY)
            case "*":
                pieces.append(_NAME)
            case "?" | "+":
                _quantify(pieces, token, pattern)
            case _:
                pieces.append(_Piece(_set_of(token, pattern)))
        at_start = token.endswith("/")
    return pieces, folders


_ANY = _Piece(None, repeats=True)
_NAME = _Piece(None, without_slash=True, repeats=True)


def _quantify(pieces: list[_Piece], sign: str, pattern: str) -> None:
    last = pieces[-1] if pieces else None
    if last is None or last.characters is None or last.optional or last.repeats:
        raise NamePatternError(f"{pattern}: {sign} needs a character before it")
    if sign == "?":
        pieces[-1] = _Piece(last.characters, optional=True)
    else:
        pieces.append(_Piece(last.characters, repeats=True))


def _tokens(pattern: str) -> Iterator[str]:
    r"""`**/`, `**`, `*`, `?`, `+`, `[…]`, an escaped character with its `\`, or a character."""
    index = 0
    while index < len(pattern):
        rest = pattern[index:]
        if rest.startswith("**"):
            stars = len(rest) - len(rest.lstrip("*"))
            token = "**/" if rest[stars : stars + 1] == "/" else "**"
            index += stars + len(token) - 2
            yield token
            continue
        token = rest[0]
        if token == "[":  # noqa: S105 - a bracket, no secret
            end = rest.find("]")
            if end < 2:  # noqa: PLR2004 - `[` and one character at least
                raise NamePatternError(f"{pattern}: a set needs its ], and something in it")
            token = rest[: end + 1]
        elif token == "\\":  # noqa: S105
            if len(rest) == 1:
                raise NamePatternError(f"{pattern}: nothing is behind the last \\")
            token = rest[:2]
        index += len(token)
        yield token


def _set_of(token: str, pattern: str) -> frozenset[str]:
    if len(token) == 1:
        return frozenset(token)
    if token[0] == "\\":
        return frozenset(token[1])
    inside, found = token[1:-1], set[str]()
    while inside:
        if len(inside) > 2 and inside[1] == "-":  # noqa: PLR2004 - a-b
            first, last, inside = inside[0], inside[2], inside[3:]
            ranges = (("a", "z"), ("A", "Z"), ("0", "9"))
            if not any(low <= first <= last <= high for low, high in ranges):
                message = f"{pattern}: {first}-{last} is no range within a-z, A-Z or 0-9"
                raise NamePatternError(message)
            found |= {chr(code) for code in range(ord(first), ord(last) + 1)}
        else:
            found.add(inside[0])
            inside = inside[1:]
    return frozenset(found)
