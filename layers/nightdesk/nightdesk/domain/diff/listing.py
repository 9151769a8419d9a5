"""A diff as a session reads it, and read back.

    modified src/a.py (+2 -1)
    @@ def total
        10     10   unchanged
        11        - removed
               11 + added

The first number is the line in the old file, the second in the new one, which findings cite.
"""

import re
from collections.abc import Iterator

from nightdesk.domain.diff.patch import DiffLine, Hunk, LineKind
from nightdesk.domain.diff.pull_diff import FileDiff
from nightdesk.domain.untrusted_text import with_hidden_characters_shown

LINE_CHARACTERS = 500
_FILE = re.compile(
    r"(?P<status>[a-z]+) (?P<path>.+?)(?: \(was .+\))? \(\+\d+ -\d+\)(?P<without>:.*)?"
)
_LINE = re.compile(r"(?: {0,5}\d+| {6}) {1,6}(?P<new>\d+) (?P<kind>[+ ]) (?P<text>.*)")
_NO_PATCH = ": no text to show (binary, too large, or only renamed)"


def heading_of(file: FileDiff) -> str:
    """One line that names a file and says how much of it is changed."""
    was = f" (was {_one_line(file.previous_path)})" if file.previous_path else ""
    counts = f"(+{file.additions} -{file.deletions})"
    rest = "" if file.hunks else _NO_PATCH
    return f"{file.status} {_one_line(file.path)}{was} {counts}{rest}"


def lines_of(file: FileDiff) -> Iterator[str]:
    """The hunks of a file, line by line, without its heading."""
    for hunk in file.hunks:
        yield _hunk_heading(hunk)
        yield from map(_line, hunk.lines)


def _hunk_heading(hunk: Hunk) -> str:
    return f"@@ {_cut(_visible(hunk.section))}".rstrip()


def _line(line: DiffLine) -> str:
    old = "" if line.old is None else str(line.old)
    new = "" if line.new is None else str(line.new)
    return f"{old:>6} {new:>6} {line.kind.value} {_cut(_visible(line.text))}"


def _visible(text: str) -> str:
    """A line stays one line: the carriage return of a Windows line end goes, others are shown."""
    return with_hidden_characters_shown(text.removesuffix("\r").replace("\r", "<U+000D>"))


def _one_line(path: str) -> str:
    return _visible(path).replace("\n", "<U+000A>")


def _cut(text: str) -> str:
    if len(text) <= LINE_CHARACTERS:
        return text
    return f"{text[:LINE_CHARACTERS]} [... {len(text) - LINE_CHARACTERS} more characters]"


def files_shown(listing: str) -> Iterator[tuple[str, str, list[tuple[int, LineKind, str]]]]:
    """Status, path, and the lines of the new file, of each file in a listing made above."""
    found: tuple[str, str, list[tuple[int, LineKind, str]]] | None = None
    for row in listing.split("\n"):
        heading = _FILE.fullmatch(row)
        if heading is not None:
            if found is not None:
                yield found
            found = heading["status"], heading["path"], []
        elif found is not None and (line := _LINE.fullmatch(row)):
            found[2].append((int(line["new"]), LineKind(line["kind"]), line["text"]))
    if found is not None:
        yield found
