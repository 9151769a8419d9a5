"""The files of a pull request, and where a comment can stand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from nightdesk.domain.diff.patch import Hunk, LineKind, parse_patch

#: GitHub lists no more files of a pull request than this.
FILES_MAX = 3_000
_NEAREST = 6
_SIMILAR = 8


@dataclass(frozen=True)
class FileDiff:
    """One changed file. `patch` is None where GitHub gives none: binary, or too large.

    `status` is GitHub's: added, removed, modified, renamed, copied, changed, unchanged.
    """

    path: str
    status: str = "modified"
    additions: int = 0
    deletions: int = 0
    previous_path: str = ""
    patch: str | None = None

    @cached_property
    def hunks(self) -> tuple[Hunk, ...]:
        return parse_patch(self.patch or "")

    @cached_property
    def commentable(self) -> Mapping[int, int]:
        """Lines of the new file that take a comment, ascending, and the number of their hunk."""
        return {
            number: index for index, hunk in enumerate(self.hunks) for number in hunk.new_numbers
        }

    @cached_property
    def _texts(self) -> Mapping[int, str]:
        return {
            line.new: line.text
            for hunk in self.hunks
            for line in hunk.lines
            if line.new is not None
        }

    def text_of(self, line: int) -> str:
        """The text of a line of the new file; "" where the patch does not show it."""
        return self._texts.get(line, "")

    @property
    def added(self) -> tuple[tuple[int, str], ...]:
        """Number and text of each added line."""
        return tuple(
            (line.new, line.text)
            for hunk in self.hunks
            for line in hunk.lines
            if line.kind is LineKind.ADDED and line.new is not None
        )

    def nearest(self, line: int) -> tuple[int, ...]:
        """The lines next to this one that take a comment, ascending."""
        by_distance = sorted(self.commentable, key=lambda number: (abs(number - line), number))
        return tuple(sorted(by_distance[:_NEAREST]))


@dataclass(frozen=True)
class PullDiff:
    """All that a pull request changes, at one head. `left_out` files are not in GitHub's list."""

    head_sha: str
    files: tuple[FileDiff, ...] = ()
    left_out: int = 0
    _by_path: dict[str, FileDiff] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_path", {file.path: file for file in self.files})

    def file(self, path: str) -> FileDiff | None:
        return self._by_path.get(path)

    def similar(self, path: str) -> tuple[str, ...]:
        """Changed files that a wrong path may have meant: of the same name first."""
        name = path.rsplit("/", 1)[-1]
        same = [file.path for file in self.files if file.path.rsplit("/", 1)[-1] == name]
        former = [file.path for file in self.files if file.previous_path == path]
        rest = [file.path for file in self.files]
        return tuple(dict.fromkeys([*former, *same, *rest]))[:_SIMILAR]


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where a comment stands: the lines `start_line` to `line` of the new file."""

    path: str
    line: int
    start_line: int | None = None

    @property
    def shown(self) -> str:
        """`src/a.py:10-12`."""
        first = f"{self.start_line}-" if self.start_line not in {None, self.line} else ""
        return f"{self.path}:{first}{self.line}"


def takes_no_comments(file: FileDiff) -> bool:
    """Whether GitHub shows no line of the new file: binary, too large, removed, only renamed."""
    return not file.commentable


def refusal_of(anchor: Anchor, diff: PullDiff) -> str:
    """Why no comment can stand there, and where it could; "" when it can."""
    file = diff.file(anchor.path)
    if file is None:
        known = ", ".join(diff.similar(anchor.path)) or "none"
        return f"path: {anchor.path} is not changed by this pull request; changed are: {known}"
    lines = file.commentable
    if anchor.line not in lines:
        return (
            f"line: {anchor.line} of {anchor.path} is not in the diff; the nearest lines that "
            f"take a comment are {_numbers(file.nearest(anchor.line))}"
        )
    first = anchor.start_line
    if first is None or first == anchor.line:
        return ""
    if first > anchor.line:
        return f"start_line: {first} is after line {anchor.line}"
    if lines.get(first) != lines[anchor.line]:
        hunk = [number for number in lines if lines[number] == lines[anchor.line]]
        return (
            f"start_line: {first} is not in the hunk of line {anchor.line}, whose lines are "
            f"{hunk[0]} to {hunk[-1]}"
        )
    return ""


def _numbers(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers)) or "none"
