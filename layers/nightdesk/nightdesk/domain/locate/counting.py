"""The first pass over a snapshot: how often each file holds the words of a query."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from math import log

from nightdesk.domain.locate.file_kinds import FileKind, looks_generated
from nightdesk.domain.locate.query import NamedPlace, Query
from nightdesk.domain.locate.weights import Weights
from nightdesk.domain.locate.words import IDENTIFIER, identifiers_of, parts_of, term_of, terms_of

# Okapi's usual constants: how soon repetition stops to count, and how much length is held against.
K1 = 1.2
_B = 0.75
_FOLDERS_AGREE = 2
_FOREIGN_REMEMBERED = 300_000


def exact(identifier: str) -> str:
    """The key under which an identifier is counted whole; no stem begins with this sign."""
    return "=" + identifier


@dataclass(slots=True)
class CountedFile:
    """What the first pass keeps of a file. Keys are stems, and identifiers after `exact`.

    `place` is how surely the text names this path, 0 if it does not; `path_terms` are the words
    of the query in the path, 1.0 in the file's own name and 0.5 in a folder's.
    """

    path: str
    kind: FileKind
    counts: dict[str, int]
    length: int
    path_terms: dict[str, float]
    place: float = 0.0
    score: float = 0.0


@dataclass(slots=True)
class Corpus:
    """The files of one kind, and in how many of them each word occurs."""

    files: list[CountedFile] = field(default_factory=list)
    frequency: Counter[str] = field(default_factory=Counter)
    path_frequency: Counter[str] = field(default_factory=Counter)
    length: int = 0

    def add(self, counted: CountedFile) -> None:
        self.files.append(counted)
        self.frequency.update(counted.counts.keys())
        self.path_frequency.update(counted.path_terms.keys())
        self.length += counted.length

    def rarity(self, key: str) -> float:
        """BM25's weight of a word by the number of files that hold it."""
        return self._rarity(self.frequency[key])

    def path_rarity(self, term: str) -> float:
        return self._rarity(self.path_frequency[term])

    def _rarity(self, count: int) -> float:
        return log(1 + (len(self.files) - count + 0.5) / (count + 0.5))

    def best(self, count: int) -> list[CountedFile]:
        """The files with the highest scores above zero."""
        scored = [counted for counted in self.files if counted.score > 0]
        return sorted(scored, key=lambda counted: (-counted.score, counted.path))[:count]


class WordCounter:
    """Counts one query's words in many files; remembers what each identifier is worth."""

    def __init__(self, query: Query, weights: Weights) -> None:
        self._query = query
        self._weights = weights
        self._keys_of: dict[str, tuple[str, ...]] = {}
        self._foreign: set[str] = set()
        self._term_of: dict[str, str] = {}
        self._weight_of = dict(query.terms)
        for name, weight in query.identifiers.items():
            self._weight_of[exact(name)] = weight * weights.identifier

    def weight_of(self, key: str) -> float:
        return self._weight_of[key]

    def counted(self, path: str, kind: FileKind, text: str) -> CountedFile | None:
        """What the file holds; None where a program wrote it."""
        if looks_generated(text):
            return None
        found = Counter(identifiers_of(text))
        counts: dict[str, int] = defaultdict(int)
        # Most identifiers of a file were met before and have nothing to do with the query.
        for identifier in found.keys() - self._foreign:
            for key in self.keys(identifier):
                counts[key] += found[identifier]
        return CountedFile(
            path=path,
            kind=kind,
            counts=dict(sorted(counts.items())),  # sums must not depend on the hash seed
            length=found.total(),
            path_terms=self._path_terms(path),
            place=max((agreement(place, path) for place in self._query.places), default=0.0),
        )

    def keys(self, identifier: str) -> tuple[str, ...]:
        """The parts of the query that this identifier answers."""
        known = self._keys_of.get(identifier)
        if known is not None:
            return known
        keys = [term for part in parts_of(identifier) if (term := self._asked_term(part))]
        if identifier.lower() in self._query.identifiers:
            keys.append(exact(identifier.lower()))
        if keys:
            self._keys_of[identifier] = tuple(keys)
        else:
            self._forget_if_many()
            self._foreign.add(identifier)
        return tuple(keys)

    def known_keys(self, identifier: str) -> tuple[str, ...]:
        """The same for an identifier that `keys` has met before."""
        return self._keys_of.get(identifier, ())

    def score(self, corpus: Corpus) -> None:
        """Give every file of the corpus its BM25, with its path and whether the text names it."""
        average = max(1.0, corpus.length / max(1, len(corpus.files)))
        for counted in corpus.files:
            damping = K1 * (1 - _B + _B * counted.length / average)
            counted.score = sum(
                self._weight_of[key] * corpus.rarity(key) * count * (K1 + 1) / (count + damping)
                for key, count in counted.counts.items()
            ) + sum(
                self._path_weight(held) * self._weight_of[term] * corpus.path_rarity(term)
                for term, held in counted.path_terms.items()
            )
        top = max((counted.score for counted in corpus.files), default=0.0) or 1.0
        for counted in corpus.files:
            counted.score += self._weights.place * counted.place * top

    def _path_weight(self, held: float) -> float:
        return self._weights.name if held >= 1.0 else self._weights.path

    def _asked_term(self, part: str) -> str:
        term = self._term_of.get(part)
        if term is None:
            term = term_of(part)
            term = self._term_of[part] = term if term in self._query.terms else ""
        return term

    def _forget_if_many(self) -> None:
        if len(self._foreign) >= _FOREIGN_REMEMBERED:
            self._foreign.clear()
            self._term_of.clear()

    def _path_terms(self, path: str) -> dict[str, float]:
        *folders, name = path.split("/")
        found: dict[str, float] = {}
        for part, weight in (*((folder, 0.5) for folder in folders), (name, 1.0)):
            for identifier in IDENTIFIER.findall(part):
                for term in terms_of(identifier):
                    if term in self._query.terms:
                        found[term] = max(weight, found.get(term, 0.0))
        return found


def agreement(place: NamedPlace, path: str) -> float:
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
    most = min(len(parts), len(named))
    shared = 0
    while shared < most and parts[-1 - shared] == named[-1 - shared]:
        shared += 1
    # One common name is enough only where it is all that one of the two has.
    if shared == 0 or (shared < most and shared < _FOLDERS_AGREE):
        return 0.0
    return place.weight * (1.0 if shared >= _FOLDERS_AGREE or len(parts) == 1 else 0.5)
