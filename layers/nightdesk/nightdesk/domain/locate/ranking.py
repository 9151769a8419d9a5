"""Ranks the files of a snapshot by how likely a text is about them, without an index.

Two passes. The first counts the text's words in every file (BM25, identifiers split) and looks at
the path; the second looks closer at the best: their definitions and their densest window of lines.
Measured against fixing commits in bench/locate.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import log

from nightdesk.domain.locate.file_kinds import FileKind, kind_of, looks_generated
from nightdesk.domain.locate.query import NamedPlace, Query, query_of
from nightdesk.domain.locate.symbols import (
    Definition,
    definitions_of,
    enclosing,
    line_of,
    line_starts,
)
from nightdesk.domain.locate.words import IDENTIFIER, terms_of
from nightdesk.domain.workspace_files import PathRefusedError, Snapshot

MAX_FILE_BYTES = 200_000
MAX_TOTAL_BYTES = 150_000_000
CLOSER_LOOKS = 60
WINDOW_LINES = 40
_K1 = 1.2
_B = 0.75
_SYMBOLS_SHOWN = 4
_TERMS_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each sign counts against the whole-file BM25 (1.0); fitted on bench/locate."""

    path: float = 0.6
    name: float = 1.2
    window: float = 1.0
    definition: float = 0.6
    identifier: float = 1.0
    place: float = 1.5


@dataclass(frozen=True, slots=True)
class Region:
    """Lines of a file, both ends included, from 1."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class RankedFile:
    """A file and why it is here: `terms` as the text spells them, best first."""

    path: str
    kind: FileKind
    score: float
    terms: tuple[str, ...]
    symbols: tuple[Definition, ...] = ()
    region: Region | None = None
    is_named: bool = False


@dataclass(frozen=True, slots=True)
class Location:
    """Where a text points. Each list is best first; `unknown` are words that no file holds."""

    sources: tuple[RankedFile, ...]
    tests: tuple[RankedFile, ...]
    others: tuple[RankedFile, ...]
    words: tuple[str, ...]
    unknown: tuple[str, ...]
    files_read: int
    notices: tuple[str, ...] = ()


@dataclass(slots=True)
class _Counted:
    """What the first pass keeps of a file."""

    path: str
    kind: FileKind
    counts: dict[str, int]
    length: int
    path_terms: dict[str, float]
    place: float = 0.0
    score: float = 0.0


@dataclass(slots=True)
class _Corpus:
    """Document frequencies and lengths of the files of one kind."""

    files: list[_Counted] = field(default_factory=list)
    frequency: Counter[str] = field(default_factory=Counter)
    path_frequency: Counter[str] = field(default_factory=Counter)
    length: int = 0

    def add(self, counted: _Counted) -> None:
        self.files.append(counted)
        self.frequency.update(counted.counts.keys())
        self.path_frequency.update(counted.path_terms.keys())
        self.length += counted.length

    def rarity(self, term: str) -> float:
        count = self.frequency[term]
        return log(1 + (len(self.files) - count + 0.5) / (count + 0.5))

    def path_rarity(self, term: str) -> float:
        count = self.path_frequency[term]
        return log(1 + (len(self.files) - count + 0.5) / (count + 0.5))


def locate(
    snapshot: Snapshot, text: str, *, limit: int = 10, weights: Weights | None = None
) -> Location:
    """The files that a text is about; its first line counts as the title.

    Reads at most 200 KB of each file and 150 MB in all, sources first; memory grows with the
    number of files, not with their size.
    """
    query = query_of(text)
    return _Locating(snapshot, query, weights or Weights()).location(limit)


class _Locating:
    """One search over one snapshot."""

    def __init__(self, snapshot: Snapshot, query: Query, weights: Weights) -> None:
        self._snapshot = snapshot
        self._query = query
        self._weights = weights
        self._keys_of: dict[str, tuple[str, ...]] = {}
        self._query_keys = {**query.terms, **{_exact(n): w for n, w in query.identifiers.items()}}
        self._notices = list(snapshot.notices)

    def location(self, limit: int) -> Location:
        corpora = self._count_all()
        ranked = {kind: self._ranked(corpus, limit) for kind, corpus in corpora.items()}
        sources = self._looked_at_closer(corpora[FileKind.SOURCE], limit)
        seen = {term for corpus in corpora.values() for term in corpus.frequency}
        words = sorted(self._query.terms, key=lambda term: (-self._query.terms[term], term))
        return Location(
            sources=sources,
            tests=_near_first(ranked[FileKind.TEST], sources)[:limit],
            others=tuple(ranked[FileKind.OTHER]),
            words=tuple(self._query.spelling[term] for term in words if term in seen),
            unknown=tuple(self._query.spelling[term] for term in words if term not in seen),
            files_read=sum(len(corpus.files) for corpus in corpora.values()),
            notices=tuple(self._notices),
        )

    # First pass ------------------------------------------------------------------------------

    def _count_all(self) -> dict[FileKind, _Corpus]:
        kinds = (FileKind.SOURCE, FileKind.TEST, FileKind.OTHER)
        corpora = {kind: _Corpus() for kind in kinds}
        budget = MAX_TOTAL_BYTES
        files = [(kind_of(file.path), file) for file in self._snapshot.files()]
        for kind in kinds:
            for file in (file for found, file in files if found is kind):
                if budget <= 0:
                    self._notices.append(
                        f"Only the first {MAX_TOTAL_BYTES / 1e6:g} MB were searched"
                    )
                    return corpora
                budget -= min(file.size, MAX_FILE_BYTES)
                counted = self._count(file.path, kind)
                if counted is not None:
                    corpora[kind].add(counted)
        return corpora

    def _count(self, path: str, kind: FileKind) -> _Counted | None:
        text = self._text(path)
        if text is None or looks_generated(text):
            return None
        found = Counter(IDENTIFIER.findall(text))
        counts: dict[str, int] = defaultdict(int)
        keys_of = self._keys_of
        for identifier, count in found.items():
            keys = keys_of.get(identifier)
            if keys is None:
                keys = keys_of[identifier] = self._keys(identifier)
            for key in keys:
                counts[key] += count
        return _Counted(
            path=path,
            kind=kind,
            counts=dict(counts),
            length=found.total(),
            path_terms=self._path_terms(path),
            place=max((_agreement(place, path) for place in self._query.places), default=0.0),
        )

    def _text(self, path: str) -> str | None:
        try:
            return self._snapshot.read_text(path, max_bytes=MAX_FILE_BYTES)
        except PathRefusedError:
            return None

    def _keys(self, identifier: str) -> tuple[str, ...]:
        """The parts of the query that this identifier answers."""
        keys = [term for term in terms_of(identifier) if term in self._query.terms]
        if identifier.lower() in self._query.identifiers:
            keys.append(_exact(identifier.lower()))
        return tuple(keys)

    def _path_terms(self, path: str) -> dict[str, float]:
        """Which of the query's words the path holds; the file's name counts full, folders half."""
        *folders, name = path.split("/")
        found: dict[str, float] = {}
        for part, weight in (*((folder, 0.5) for folder in folders), (name, 1.0)):
            for identifier in IDENTIFIER.findall(part.replace("-", " ").replace(".", " ")):
                for term in terms_of(identifier):
                    if term in self._query.terms:
                        found[term] = max(weight, found.get(term, 0.0))
        return found

    def _ranked(self, corpus: _Corpus, limit: int) -> list[RankedFile]:
        self._score(corpus)
        best = sorted(corpus.files, key=lambda counted: (-counted.score, counted.path))
        return [
            RankedFile(
                path=counted.path,
                kind=counted.kind,
                score=round(counted.score, 3),
                terms=self._terms_shown(corpus, counted),
                is_named=counted.place >= 1.0,
            )
            for counted in best[:limit]
            if counted.score > 0
        ]

    def _score(self, corpus: _Corpus) -> None:
        average = corpus.length / len(corpus.files) if corpus.files else 1.0
        for counted in corpus.files:
            damping = _K1 * (1 - _B + _B * counted.length / max(average, 1.0))
            counted.score = sum(
                self._weight_of(key) * corpus.rarity(key) * count * (_K1 + 1) / (count + damping)
                for key, count in counted.counts.items()
            )
            counted.score += sum(
                self._path_weight(held) * self._query.terms[term] * corpus.path_rarity(term)
                for term, held in counted.path_terms.items()
            )
        top = max((counted.score for counted in corpus.files), default=0.0) or 1.0
        for counted in corpus.files:
            counted.score += self._weights.place * counted.place * top

    def _weight_of(self, key: str) -> float:
        return self._query_keys[key] * (self._weights.identifier if key[0] == "=" else 1.0)

    def _path_weight(self, held: float) -> float:
        return self._weights.name if held >= 1.0 else self._weights.path

    def _terms_shown(self, corpus: _Corpus, counted: _Counted) -> tuple[str, ...]:
        keys = {*(k for k in counted.counts if k[0] != "="), *counted.path_terms}
        best = sorted(keys, key=lambda k: (-self._query.terms[k] * corpus.rarity(k), k))
        return tuple(self._query.spelling[key] for key in best[:_TERMS_SHOWN])

    # Second pass -----------------------------------------------------------------------------

    def _looked_at_closer(self, corpus: _Corpus, limit: int) -> tuple[RankedFile, ...]:
        best = sorted(corpus.files, key=lambda counted: (-counted.score, counted.path))
        close = [self._close_look(corpus, c) for c in best[:CLOSER_LOOKS] if c.score > 0]
        if not close:
            return ()
        top_file = max(look.counted.score for look in close) or 1.0
        top_window = max(look.window for look in close) or 1.0
        top_definition = max(look.definition for look in close) or 1.0
        ranked = [
            RankedFile(
                path=look.counted.path,
                kind=FileKind.SOURCE,
                score=round(
                    look.counted.score / top_file
                    + self._weights.window * look.window / top_window
                    + self._weights.definition * look.definition / top_definition,
                    3,
                ),
                terms=self._terms_shown(corpus, look.counted),
                symbols=look.symbols,
                region=look.region,
                is_named=look.counted.place >= 1.0,
            )
            for look in close
        ]
        return tuple(sorted(ranked, key=lambda file: (-file.score, file.path))[:limit])

    def _close_look(self, corpus: _Corpus, counted: _Counted) -> "_Look":
        text = self._text(counted.path) or ""
        definitions = definitions_of(counted.path, text)
        hits = self._hits(text)
        lines_named = [
            place.line
            for place in self._query.places
            if place.line is not None and _agreement(place, counted.path) > 0
        ]
        total = text.count("\n") + 1
        window, first = self._densest_window(corpus, hits)
        if lines_named and lines_named[-1] <= total:
            first = max(1, lines_named[-1] - WINDOW_LINES // 2)
        last = min(first + WINDOW_LINES - 1, total)
        graded = [(self._grade(corpus, definition), definition) for definition in definitions]
        chosen = sorted((g for g in graded if g[0] > 0), key=lambda g: (-g[0], g[1].line))
        around = enclosing(definitions, first + WINDOW_LINES // 2)
        return _Look(
            counted=counted,
            window=window,
            definition=chosen[0][0] if chosen else 0.0,
            symbols=_without_repeats(
                [definition for _, definition in chosen[:_SYMBOLS_SHOWN]]
                + ([around] if around and hits else [])
            ),
            region=Region(first, last) if hits or lines_named else None,
        )

    def _hits(self, text: str) -> list[tuple[int, tuple[str, ...]]]:
        """(line, keys) of each identifier that answers the query, in order."""
        starts = line_starts(text)
        hits = []
        for match in IDENTIFIER.finditer(text):
            keys = self._keys_of.get(match[0])
            if keys:
                hits.append((line_of(starts, match.start()), keys))
        return hits

    def _densest_window(
        self, corpus: _Corpus, hits: Sequence[tuple[int, tuple[str, ...]]]
    ) -> tuple[float, int]:
        """The best score of 40 lines, and the first of them."""
        best, best_first = 0.0, 1
        counts: Counter[str] = Counter()
        begin = 0
        for end, (line, keys) in enumerate(hits):
            counts.update(keys)
            while hits[begin][0] <= line - WINDOW_LINES:
                counts.subtract(hits[begin][1])
                begin += 1
            if end + 1 < len(hits) and hits[end + 1][0] == line:
                continue  # the line is not over
            score = self._window_score(corpus, counts)
            if score > best:
                best, best_first = score, max(1, hits[begin][0] - 2)
        return best, best_first

    def _window_score(self, corpus: _Corpus, counts: Mapping[str, int]) -> float:
        return sum(
            self._weight_of(key) * corpus.rarity(key) * count / (count + _K1)
            for key, count in counts.items()
            if count > 0
        )

    def _grade(self, corpus: _Corpus, definition: Definition) -> float:
        """How well a definition's name answers: rare words count more, foreign ones against it."""
        terms = terms_of(definition.name)
        if not terms:
            return 0.0
        matched = {term for term in terms if term in self._query.terms}
        grade = sum(self._query.terms[term] * corpus.rarity(term) for term in matched)
        grade *= (len(matched) / len(set(terms))) ** 0.5
        lower = definition.name.lower()
        if lower in self._query.identifiers:
            grade += 2 * self._query.identifiers[lower] * corpus.rarity(_exact(lower))
        return grade


@dataclass(frozen=True, slots=True)
class _Look:
    counted: _Counted
    window: float
    definition: float
    symbols: tuple[Definition, ...]
    region: Region | None


def _exact(identifier: str) -> str:
    return "=" + identifier


def _agreement(place: NamedPlace, path: str) -> float:
    """How surely a named place is this path: its weight if one is the other's end, else 0."""
    parts = path.lower().split("/")
    named = list(place.parts)
    if not named:
        return 0.0
    if named[-1].endswith(".*"):
        named[-1] = named[-1][:-2]
        parts[-1] = parts[-1].partition(".")[0]
        if parts[-1] in {"__init__", "index", "mod"}:
            parts.pop()
    shared = 0
    while shared < min(len(parts), len(named)) and parts[-1 - shared] == named[-1 - shared]:
        shared += 1
    if shared == 0 or (shared < min(len(parts), len(named)) and shared < 2):
        return 0.0
    certainty = 1.0 if shared >= 2 or len(parts) == 1 else 0.5
    return place.weight * certainty


def _near_first(tests: Iterable[RankedFile], sources: Sequence[RankedFile]) -> tuple[RankedFile, ...]:
    """Tests that carry the name of a ranked source file come first."""
    stems = [_bare_name(source.path) for source in sources[:5]]

    def nearness(test: RankedFile) -> tuple[int, float]:
        name = _bare_name(test.path)
        rank = next((i for i, bare in enumerate(stems) if bare and bare == name), len(stems))
        return (rank, -test.score)

    return tuple(sorted(tests, key=nearness))


def _bare_name(path: str) -> str:
    name = path.rpartition("/")[2].partition(".")[0].lower()
    for affix in ("test_", "tests_", "test-"):
        name = name.removeprefix(affix)
    for affix in ("_test", "_tests", "-test", "_spec", "-spec", "tests", "test", "spec"):
        if name != affix:
            name = name.removesuffix(affix)
    return name


def _without_repeats(definitions: Iterable[Definition]) -> tuple[Definition, ...]:
    return tuple(dict.fromkeys(definitions))
