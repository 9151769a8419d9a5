"""Ranks the files of a snapshot by how likely a text is about them, without an index.

Two passes. The first counts the text's words in every file (BM25, identifiers split) and looks at
the path; the second looks closer at the best: their definitions and their densest window of lines.
Measured against fixing commits in bench/locate.
"""

from collections.abc import Iterable, Sequence

from nightdesk.domain.locate.closer_look import CloserLook
from nightdesk.domain.locate.counting import Corpus, CountedFile, WordCounter
from nightdesk.domain.locate.file_kinds import FileKind, kind_of
from nightdesk.domain.locate.location import Location, RankedFile
from nightdesk.domain.locate.query import Query, query_of
from nightdesk.domain.locate.weights import Weights
from nightdesk.domain.workspace_files import PathRefusedError, Snapshot

# Sources are read up to the first figure, tests and documents up to the others: they are long and
# only named, never ranked against sources.
MAX_BYTES_OF = {FileKind.SOURCE: 200_000, FileKind.TEST: 50_000, FileKind.OTHER: 20_000}
MAX_TOTAL_BYTES = 150_000_000
CLOSER_LOOKS = 40
_TERMS_SHOWN = 8
_SOURCES_WITH_TESTS = 5
_KINDS = (FileKind.SOURCE, FileKind.TEST, FileKind.OTHER)


def locate(
    snapshot: Snapshot, text: str, *, limit: int = 10, weights: Weights | None = None
) -> Location:
    """The files that a text is about; its first line counts as the title.

    Reads at most 200 KB of each file and 150 MB in all, sources first; memory grows with the
    number of files, not with their size.
    """
    return _Locating(snapshot, query_of(text), weights or Weights()).location(limit)


class _Locating:
    """One search over one snapshot."""

    def __init__(self, snapshot: Snapshot, query: Query, weights: Weights) -> None:
        self._snapshot = snapshot
        self._query = query
        self._weights = weights
        self._words = WordCounter(query, weights)
        self._notices = list(snapshot.notices)

    def location(self, limit: int) -> Location:
        corpora = self._count_all()
        for corpus in corpora.values():
            self._words.score(corpus)
        sources = self._sources(corpora[FileKind.SOURCE], limit)
        # A test that is named like a source may stand far down in the list of its own.
        tests = self._ranked(corpora[FileKind.TEST], CLOSER_LOOKS)
        seen = {key for corpus in corpora.values() for key in corpus.frequency}
        words = sorted(self._query.terms, key=lambda term: (-self._query.terms[term], term))
        return Location(
            sources=sources,
            tests=_near_first(tests, sources)[:limit],
            others=tuple(self._ranked(corpora[FileKind.OTHER], limit)),
            words=tuple(self._query.spelling[term] for term in words if term in seen),
            unknown=tuple(self._query.spelling[term] for term in words if term not in seen),
            files_read=sum(len(corpus.files) for corpus in corpora.values()),
            commit=self._snapshot.commit,
            notices=tuple(self._notices),
        )

    def _count_all(self) -> dict[FileKind, Corpus]:
        corpora = {kind: Corpus() for kind in _KINDS}
        files = [(kind_of(file.path), file) for file in self._snapshot.files()]
        budget = MAX_TOTAL_BYTES
        for kind in _KINDS:
            for file in (file for found, file in files if found is kind):
                budget -= min(file.size, MAX_BYTES_OF[kind])
                if budget < 0:
                    searched = f"Only the first {MAX_TOTAL_BYTES / 1e6:g} MB were searched"
                    self._notices.append(searched)
                    return corpora
                text = self._text(file.path, kind)
                counted = self._words.counted(file.path, kind, text) if text is not None else None
                if counted is not None:
                    corpora[kind].add(counted)
        return corpora

    def _text(self, path: str, kind: FileKind) -> str | None:
        try:
            return self._snapshot.read_text(path, max_bytes=MAX_BYTES_OF[kind])
        except PathRefusedError:
            return None  # binary

    def _ranked(self, corpus: Corpus, count: int) -> list[RankedFile]:
        return [
            RankedFile(
                path=counted.path,
                kind=counted.kind,
                score=round(counted.score, 3),
                terms=self._terms_shown(corpus, counted),
                is_named=counted.place >= 1.0,
            )
            for counted in corpus.best(count)
        ]

    def _sources(self, corpus: Corpus, limit: int) -> tuple[RankedFile, ...]:
        look = CloserLook(self._query, self._words, corpus)
        looks = [
            look.at(counted, self._text(counted.path, counted.kind) or "")
            for counted in corpus.best(CLOSER_LOOKS)
        ]
        # Each sign is measured against the best file by that sign.
        top_score = max((one.counted.score for one in looks), default=0.0) or 1.0
        top_window = max((one.window for one in looks), default=0.0) or 1.0
        top_definition = max((one.definition for one in looks), default=0.0) or 1.0
        ranked = [
            RankedFile(
                path=one.counted.path,
                kind=FileKind.SOURCE,
                score=round(
                    one.counted.score / top_score
                    + self._weights.window * one.window / top_window
                    + self._weights.definition * one.definition / top_definition,
                    3,
                ),
                terms=self._terms_shown(corpus, one.counted),
                symbols=one.symbols,
                region=one.region,
                is_named=one.counted.place >= 1.0,
            )
            for one in looks
        ]
        return tuple(sorted(ranked, key=lambda file: (-file.score, file.path))[:limit])

    def _terms_shown(self, corpus: Corpus, counted: CountedFile) -> tuple[str, ...]:
        held = {key for key in counted.counts if key in self._query.terms} | {*counted.path_terms}
        best = sorted(held, key=lambda key: (-self._query.terms[key] * corpus.rarity(key), key))
        return tuple(self._query.spelling[key] for key in best[:_TERMS_SHOWN])


def _near_first(
    tests: Iterable[RankedFile], sources: Sequence[RankedFile]
) -> tuple[RankedFile, ...]:
    """Tests that carry the name of a ranked source file come first."""
    names = [_bare_name(source.path) for source in sources[:_SOURCES_WITH_TESTS]]

    def order(test: RankedFile) -> tuple[int, float, str]:
        name = _bare_name(test.path)
        rank = names.index(name) if name in names else len(names)
        return (rank, -test.score, test.path)

    return tuple(sorted(tests, key=order))


def _bare_name(path: str) -> str:
    name = path.rpartition("/")[2].partition(".")[0].lower()
    for prefix in ("test_", "tests_", "test-"):
        name = name.removeprefix(prefix)
    for suffix in ("_test", "_tests", "-test", "_spec", "-spec", "tests", "test", "spec"):
        if name != suffix:
            name = name.removesuffix(suffix)
    return name
