"""What an issue's text asks for: weighted words, exact identifiers, and places that it names."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from math import log

from nightdesk.domain.locate.words import IDENTIFIER, MIN_LETTERS, STOP_WORDS, stem, terms_of

MAX_TEXT_CHARACTERS = 20_000
MAX_TERMS = 120
_TITLE_WEIGHT = 2.5
_PROSE_WEIGHT = 1.0
_CODE_BLOCK_WEIGHT = 0.5
_INLINE_CODE_WEIGHT = 2.0
_IDENTIFIER_WEIGHT = 1.5
_MAX_IDENTIFIERS = 60
_MAX_PLACES = 60

_CODE_BLOCK = re.compile(r"^(```|~~~)[^\n]*\n(.*?)(?:^\1|\Z)", re.DOTALL | re.MULTILINE)
_INLINE_CODE = re.compile(r"`([^`\n]{1,200})`")
_LINK_TARGET = re.compile(r"\]\([^)\s]{1,2000}\)|https?://[^\s)>\]]{1,2000}")
_TRACE_FRAME = re.compile(
    r'File "(?P<path>[^"\n]{1,400})", line (?P<line>\d{1,7})(?:, in (?P<name>[\w<>]{1,100}))?'
)
# `src/cache.py`, `lib/a.c:120`, `core.py#L12`, `C:\a\b.cs`; a suffix of 1 to 5 letters
_PATH = re.compile(
    r"(?<![\w/\\.-])(?P<path>(?:[\w.@+-]{1,100}[/\\]){0,20}[\w@+-][\w.@+-]{0,100}\.[A-Za-z]{1,5})"
    r"(?:(?::|#L|\(|, line )(?P<line>\d{1,7}))?(?![\w/\\])"
)
_DOTTED = re.compile(r"(?<![\w.])[A-Za-z_]\w{0,80}(?:(?:\.|::|#|->)[A-Za-z_]\w{0,80}){1,8}")
_CODE_SHAPE = re.compile(r"[a-z0-9][A-Z]|_|[A-Z]{2,}[a-z]")


@dataclass(frozen=True, slots=True)
class NamedPlace:
    """A file that the text names: its path's last parts, lower case, and a line if one is given.

    `weight` grows towards the innermost frame of a stack trace.
    """

    parts: tuple[str, ...]
    line: int | None
    weight: float


@dataclass(frozen=True, slots=True)
class Query:
    """An issue's text as numbers.

    `terms`: stem to weight. `identifiers`: exact identifier, lower case, to weight.
    `places`: files named in paths, stack traces and dotted names. `spelling`: stem to the word as
    the text spells it, for people.
    """

    terms: dict[str, float]
    identifiers: dict[str, float]
    places: tuple[NamedPlace, ...]
    spelling: dict[str, str]

    @property
    def is_empty(self) -> bool:
        return not (self.terms or self.identifiers or self.places)


def query_of(text: str) -> Query:
    """Read a text whose first line is its title; only its first 20,000 characters count."""
    text = text[:MAX_TEXT_CHARACTERS]
    title, _, body = text.partition("\n")
    blocks = [match[2] for match in _CODE_BLOCK.finditer(body)]
    prose = _LINK_TARGET.sub(" ", _CODE_BLOCK.sub("\n", body))
    reading = _Reading()
    for part, weight in ((title, _TITLE_WEIGHT), (prose, _PROSE_WEIGHT)):
        reading.read_inline_code(part, weight)
        reading.read_words(_INLINE_CODE.sub(" ", part), weight)
    for block in blocks:
        reading.read_words(block, _CODE_BLOCK_WEIGHT)
    return reading.query(places=tuple(_places_in(text)))


class _Reading:
    """Adds up what the parts of a text say."""

    def __init__(self) -> None:
        self._counts: dict[str, float] = defaultdict(float)
        self._identifiers: dict[str, float] = defaultdict(float)
        self._spelling: dict[str, str] = {}

    def read_inline_code(self, part: str, weight: float) -> None:
        for match in _INLINE_CODE.finditer(part):
            for word in IDENTIFIER.findall(match[1]):
                self._add(word, weight * _INLINE_CODE_WEIGHT, is_code=True)

    def read_words(self, part: str, weight: float) -> None:
        for word in IDENTIFIER.findall(part):
            is_code = _CODE_SHAPE.search(word) is not None
            self._add(word, weight * (_IDENTIFIER_WEIGHT if is_code else 1.0), is_code=is_code)

    def _add(self, word: str, weight: float, *, is_code: bool) -> None:
        lower = word.lower()
        if is_code and len(lower) >= MIN_LETTERS and lower not in STOP_WORDS:
            self._identifiers[lower] += weight
        if lower in STOP_WORDS:
            return
        for term in terms_of(word):
            if term not in _STOP_STEMS:
                self._counts[term] += weight
                self._spelling.setdefault(term, lower if len(terms_of(word)) == 1 else term)

    def query(self, *, places: tuple[NamedPlace, ...]) -> Query:
        # The tenth mention of a word says little more than the second.
        terms = {
            term: 1 + log(count) if count > 1 else count for term, count in self._counts.items()
        }
        strongest = sorted(terms, key=lambda term: (-terms[term], term))[:MAX_TERMS]
        named = sorted(self._identifiers, key=lambda name: (-self._identifiers[name], name))
        return Query(
            terms={term: terms[term] for term in strongest},
            identifiers={
                name: 1 + log(max(self._identifiers[name], 1.0))
                for name in named[:_MAX_IDENTIFIERS]
            },
            places=places,
            spelling={term: self._spelling[term] for term in strongest},
        )


_STOP_STEMS = frozenset(stem(word) for word in STOP_WORDS) | STOP_WORDS


def _places_in(text: str) -> Iterator[NamedPlace]:
    frames = list(_TRACE_FRAME.finditer(text))[-_MAX_PLACES:]
    for index, frame in enumerate(frames, start=1):
        yield NamedPlace(_path_parts(frame["path"]), int(frame["line"]), 0.5 + index / len(frames))
    for match in islice(_PATH.finditer(_TRACE_FRAME.sub(" ", text)), _MAX_PLACES):
        line = int(match["line"]) if match["line"] else None
        yield NamedPlace(_path_parts(match["path"]), line, 1.0)
    for match in islice(_DOTTED.finditer(text), _MAX_PLACES):
        parts = tuple(re.split(r"\.|::|#|->", match[0].lower()))
        # `click.core.Option`: any of the prefixes may be the module's path, without its suffix.
        for length in range(len(parts), 1, -1):
            yield NamedPlace((*parts[: length - 1], parts[length - 1] + ".*"), None, 0.5)


def _path_parts(path: str) -> tuple[str, ...]:
    parts = path.lower().replace("\\", "/").split("/")
    return tuple(part for part in parts if part not in {"", ".", "..", "a", "b"})
