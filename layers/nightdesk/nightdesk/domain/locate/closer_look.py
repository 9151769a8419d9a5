"""The second pass: the definitions of a promising file, and its densest window of lines."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from nightdesk.domain.locate.counting import K1, Corpus, CountedFile, WordCounter, agreement, exact
from nightdesk.domain.locate.location import Region
from nightdesk.domain.locate.query import Query
from nightdesk.domain.locate.symbols import (
    Definition,
    definitions_of,
    enclosing,
    line_of,
    line_starts,
)
from nightdesk.domain.locate.words import IDENTIFIER, terms_of

WINDOW_LINES = 40
_SYMBOLS_SHOWN = 4
_LINES_BEFORE = 2

#: The line and the query's keys of one identifier.
Hit = tuple[int, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Look:
    """What the second pass saw: scores of the best window and of the best definition's name."""

    counted: CountedFile
    window: float
    definition: float
    symbols: tuple[Definition, ...]
    region: Region | None


class CloserLook:
    """Looks into the files of one corpus for one query."""

    def __init__(self, query: Query, words: WordCounter, corpus: Corpus) -> None:
        self._query = query
        self._words = words
        self._corpus = corpus

    def at(self, counted: CountedFile, text: str) -> Look:
        definitions = definitions_of(counted.path, text)
        graded = [(self._grade(definition), definition) for definition in definitions]
        best = sorted((g for g in graded if g[0] > 0), key=lambda g: (-g[0], g[1].line))
        starts = line_starts(text.removesuffix("\n"))
        hits = self._hits(text, starts)
        window, densest = self._densest_window(hits)
        asked = self._line_named(counted.path, len(starts)) or self._line_defined(
            [definition for _, definition in best]
        )
        first = asked or densest
        around = enclosing(definitions, first + WINDOW_LINES // 2) if hits else None
        return Look(
            counted=counted,
            window=window,
            definition=best[0][0] if best else 0.0,
            symbols=_first_of(best[:_SYMBOLS_SHOWN], around),
            region=Region(first, min(first + WINDOW_LINES - 1, len(starts))) if first else None,
        )

    def _line_named(self, path: str, lines: int) -> int:
        """Where to begin for the last line that the text names in this file; 0 = it names none."""
        named = [
            place.line
            for place in self._query.places
            if place.line is not None and place.line <= lines and agreement(place, path) > 0
        ]
        return max(1, named[-1] - WINDOW_LINES // 2) if named else 0

    def _line_defined(self, best_first: Iterable[Definition]) -> int:
        """Where the best definition begins that the text spells in full; 0 = there is none."""
        named = (d.line for d in best_first if d.name.lower() in self._query.identifiers)
        line = next(named, 0)
        return max(1, line - _LINES_BEFORE) if line else 0

    def _hits(self, text: str, starts: Sequence[int]) -> list[Hit]:
        """Each identifier that answers the query, in order."""
        hits = []
        for match in IDENTIFIER.finditer(text):
            keys = self._words.known_keys(match[0])
            if keys:
                hits.append((line_of(starts, match.start()), keys))
        return hits

    def _densest_window(self, hits: Sequence[Hit]) -> tuple[float, int]:
        """The best score of 40 lines and the first of them; 0 and 0 without a hit."""
        best, best_first = 0.0, 0
        counts: Counter[str] = Counter()
        begin = 0
        for end, (line, keys) in enumerate(hits):
            counts.update(keys)
            while hits[begin][0] <= line - WINDOW_LINES:
                counts.subtract(hits[begin][1])
                begin += 1
            if end + 1 < len(hits) and hits[end + 1][0] == line:
                continue  # the line is not over
            score = self._window_score(counts)
            if score > best:
                best, best_first = score, max(1, hits[begin][0] - _LINES_BEFORE)
        return best, best_first

    def _window_score(self, counts: Mapping[str, int]) -> float:
        return sum(
            self._words.weight_of(key) * self._corpus.rarity(key) * count / (count + K1)
            for key, count in counts.items()
            if count > 0
        )

    def _grade(self, definition: Definition) -> float:
        """How well a definition's name answers: rare words count more, foreign ones against it."""
        terms = set(terms_of(definition.name))
        matched = {term for term in terms if term in self._query.terms}
        lower = definition.name.lower()
        grade = 0.0
        if matched:
            grade = sum(self._query.terms[t] * self._corpus.rarity(t) for t in sorted(matched))
            grade *= sqrt(len(matched) / len(terms))
        if lower in self._query.identifiers:
            grade += 2 * self._query.identifiers[lower] * self._corpus.rarity(exact(lower))
        return grade


def _first_of(
    best: Iterable[tuple[float, Definition]], around: Definition | None
) -> tuple[Definition, ...]:
    shown = [definition for _, definition in best] + ([around] if around else [])
    return tuple(dict.fromkeys(shown))
