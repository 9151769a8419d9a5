"""A location as text that people and models read, and that can be read back without loss.

Every path stands alone on its line behind a number, so that no name of a file can pass for
anything else in the listing.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from nightdesk.domain.locate.file_kinds import FileKind
from nightdesk.domain.locate.location import Location, RankedFile, Region
from nightdesk.domain.locate.symbols import Definition

_HEADINGS = {
    FileKind.SOURCE: "Source files, best first:",
    FileKind.TEST: "Tests:",
    FileKind.OTHER: "Documents, configuration and other files:",
}
_KIND_OF_HEADING = {heading: kind for kind, heading in _HEADINGS.items()}
_PATH = re.compile(r"\d+\. (?P<path>.+)")
_WHY = re.compile(
    r"   score (?P<score>[\d.]+)(?:; words: (?P<words>[^;]+))?(?P<named>; named in the text)?"
)
_LINES = re.compile(r"   lines (?P<first>\d+)-(?P<last>\d+)")
_SYMBOL = re.compile(r"   line (?P<line>\d+): (?P<kind>\w+) (?P<name>\S+)")
_FIELD = re.compile(r"(?P<name>Commit|Files read|Words found|Words found nowhere): (?P<value>.+)")
_NOTICE = "Notice: "


def location_to_text(location: Location) -> str:
    """The listing: fields, then the three lists, then the notices."""
    lines = [f"Commit: {location.commit}"] if location.commit else []
    lines.append(f"Files read: {location.files_read}")
    if location.words:
        lines.append(f"Words found: {', '.join(location.words)}")
    if location.unknown:
        lines.append(f"Words found nowhere: {', '.join(location.unknown)}")
    for kind, files in (
        (FileKind.SOURCE, location.sources),
        (FileKind.TEST, location.tests),
        (FileKind.OTHER, location.others),
    ):
        if files:
            lines += ["", _HEADINGS[kind], *_files_to_lines(files)]
    if location.notices:
        lines += ["", *(_NOTICE + notice for notice in location.notices)]
    return "\n".join(lines)


def location_of_text(text: str) -> Location:
    """The location that a listing shows; lines that it does not know are passed over."""
    reading = _Reading()
    for line in text.split("\n"):
        reading.read(line)
    return reading.location()


def _files_to_lines(files: Iterable[RankedFile]) -> Iterator[str]:
    for number, file in enumerate(files, start=1):
        yield f"{number}. {file.path}"
        words = f"; words: {', '.join(file.terms)}" if file.terms else ""
        named = "; named in the text" if file.is_named else ""
        yield f"   score {file.score:.3f}{words}{named}"
        if file.region:
            yield f"   lines {file.region.first}-{file.region.last}"
        for symbol in file.symbols:
            yield f"   line {symbol.line}: {symbol.kind} {symbol.name}"


class _Reading:
    """Collects a listing line by line."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}
        self._files: dict[FileKind, list[RankedFile]] = {kind: [] for kind in _HEADINGS}
        self._kind: FileKind | None = None
        self._notices: list[str] = []

    def read(self, line: str) -> None:
        if line in _KIND_OF_HEADING:
            self._kind = _KIND_OF_HEADING[line]
        elif line.startswith(_NOTICE):
            self._notices.append(line.removeprefix(_NOTICE))
        elif self._kind is None:
            if match := _FIELD.fullmatch(line):
                self._fields[match["name"]] = match["value"]
        else:
            self._read_file_line(self._files[self._kind], self._kind, line)

    def _read_file_line(self, files: list[RankedFile], kind: FileKind, line: str) -> None:
        if match := _PATH.fullmatch(line):
            files.append(RankedFile(path=match["path"], kind=kind, score=0.0, terms=()))
        elif not files:
            return
        elif match := _WHY.fullmatch(line):
            words = tuple(match["words"].split(", ")) if match["words"] else ()
            named = match["named"] is not None
            score = float(match["score"])
            files[-1] = replace(files[-1], score=score, terms=words, is_named=named)
        elif match := _LINES.fullmatch(line):
            files[-1] = replace(files[-1], region=Region(int(match["first"]), int(match["last"])))
        elif match := _SYMBOL.fullmatch(line):
            symbol = Definition(match["name"], int(match["line"]), match["kind"])
            files[-1] = replace(files[-1], symbols=(*files[-1].symbols, symbol))

    def location(self) -> Location:
        return Location(
            commit=self._fields.get("Commit", ""),
            sources=tuple(self._files[FileKind.SOURCE]),
            tests=tuple(self._files[FileKind.TEST]),
            others=tuple(self._files[FileKind.OTHER]),
            words=_words(self._fields.get("Words found", "")),
            unknown=_words(self._fields.get("Words found nowhere", "")),
            files_read=int(self._fields.get("Files read", "0")),
            notices=tuple(self._notices),
        )


def _words(value: str) -> tuple[str, ...]:
    return tuple(value.split(", ")) if value else ()
