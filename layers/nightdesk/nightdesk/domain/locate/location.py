"""Where a text points: the answer of a search, as values."""

from dataclasses import dataclass

from nightdesk.domain.locate.file_kinds import FileKind
from nightdesk.domain.locate.symbols import Definition


@dataclass(frozen=True, slots=True)
class Region:
    """Lines of a file, both ends included, from 1."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class RankedFile:
    """A file and why it is here: `terms` as the text spells them, the rarest first.

    `score` compares files of one list only. `is_named` means that the text names this very path.
    """

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
    commit: str = ""
    notices: tuple[str, ...] = ()
