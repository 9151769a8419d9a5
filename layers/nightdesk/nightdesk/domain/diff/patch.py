"""Read the `patch` of one file, as git and GitHub write it, into hunks with both line numbers."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

_HEADER = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)", re.DOTALL)


class LineKind(StrEnum):
    """The first character of a line of a patch."""

    CONTEXT = " "
    ADDED = "+"
    REMOVED = "-"


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line; `old` and `new` are its numbers in the two files, None where it is not in one.

    `text` has no line break, but keeps the carriage return of a file with Windows' line ends.
    """

    kind: LineKind
    old: int | None
    new: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines that belong together. `section` is what git shows behind the numbers."""

    section: str
    lines: tuple[DiffLine, ...]

    @property
    def new_numbers(self) -> tuple[int, ...]:
        """The lines of the new file in it, which are those that take a comment, ascending."""
        return tuple(line.new for line in self.lines if line.new is not None)


def parse_patch(patch: str) -> tuple[Hunk, ...]:
    """The hunks of a patch that begins with its first `@@`.

    A header says how many lines follow, so nothing in a line's text can be taken for a header. A
    patch that was cut gives what is there; what is no patch gives nothing.
    """
    lines = patch.split("\n")
    hunks: list[Hunk] = []
    place = 0
    while place < len(lines):
        match = _HEADER.fullmatch(lines[place])
        place += 1
        if match is None:
            continue
        taken = tuple(_lines(lines, place, match))
        hunks.append(Hunk(match[5].strip(), taken))
        place += len(taken)
    return tuple(hunks)


def _lines(lines: list[str], place: int, header: re.Match[str]) -> Iterator[DiffLine]:
    """The lines below a header. Markers such as "no newline at end of file" are no lines."""
    old, new = int(header[1]), int(header[3])
    old_end, new_end = old + int(header[2] or 1), new + int(header[4] or 1)
    for line in lines[place:]:
        if old >= old_end and new >= new_end:
            return
        kind, text = line[:1], line[1:]
        if kind == LineKind.ADDED and new < new_end:
            yield DiffLine(LineKind.ADDED, None, new, text)
            new += 1
        elif kind == LineKind.REMOVED and old < old_end:
            yield DiffLine(LineKind.REMOVED, old, None, text)
            old += 1
        elif kind == LineKind.CONTEXT and old < old_end and new < new_end:
            yield DiffLine(LineKind.CONTEXT, old, new, text)
            old, new = old + 1, new + 1
        elif kind != "\\":
            return
