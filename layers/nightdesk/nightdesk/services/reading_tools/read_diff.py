"""The tool `read_diff`: what the task's pull request changes, with the line numbers to cite."""

from collections.abc import Mapping, Sequence
from typing import Any

from nightdesk.domain.diff.listing import heading_of, lines_of
from nightdesk.domain.diff.pull_diff import FileDiff, PullDiff
from nightdesk.domain.errors import InvalidInputError
from nightdesk.domain.pull_ports import HeadMovedError
from nightdesk.domain.review.marks import earlier_findings
from nightdesk.domain.tool import ToolResult
from nightdesk.services.reading_tools.reading_tool import (
    MAX_RESULT_CHARACTERS,
    ReadingTool,
    cut_to,
)
from nightdesk.services.task_changes import TaskChanges

_FILES_LISTED = 300
_LIST_CHARACTERS = MAX_RESULT_CHARACTERS // 2
_EARLIER_CHARACTERS = 8_000
_PAGES_MAX = 10_000


class ReadDiff(ReadingTool):
    name = "read_diff"
    description = (
        "Read what this pull request changes: every changed file, then as many whole diffs as "
        "fit, then what was reported before. With `path`, the diff of one file, page by page. "
        "Each line shows its number in the old and in the new file; findings cite the new one."
    )
    properties = {  # noqa: RUF012 - declared a ClassVar by the base
        "path": {
            "type": "string",
            "minLength": 1,
            "maxLength": 1_000,
            "description": "One changed file; all of them without it",
        },
        "page": {
            "type": "integer",
            "minimum": 1,
            "maximum": _PAGES_MAX,
            "default": 1,
            "description": "Page of a long diff; only with path",
        },
    }
    told = "path"

    def __init__(self, changes: TaskChanges, delimiter: str) -> None:
        super().__init__(delimiter)
        self._changes = changes

    def answer(self, arguments: Mapping[str, Any]) -> ToolResult:
        try:
            diff = self._changes.diff
        except HeadMovedError as moved:
            message = (
                f"{self.name}: {moved}. A review of the older state would be discarded: end with "
                "one sentence that says so, the push has a review of its own."
            )
            return ToolResult(message, is_error=True)
        if arguments["path"] is None:
            return self._all(diff)
        return self._one(diff, arguments["path"], arguments["page"])

    def _all(self, diff: PullDiff) -> ToolResult:
        listed = cut_to([heading_of(f) for f in diff.files[:_FILES_LISTED]], _LIST_CHARACTERS)
        files = "\n".join(listed) or "(no file is changed)"
        shown, rest = _whole_diffs(diff.files, MAX_RESULT_CHARACTERS - len(files))
        text = f"{files}\n\n{shown}" if shown else files
        unlisted = len(diff.files) - len(listed) + diff.left_out
        result = self.data("diff", text, *_notes(diff, len(rest), unlisted))
        earlier = "\n".join(one.shown() for one in earlier_findings(self._changes.comments))
        if not earlier:
            return result
        cut = "" if len(earlier) <= _EARLIER_CHARACTERS else "Some of it is left out."
        said = "Reported on this pull request before. It is not reported again:"
        part = self.data("earlier_findings", earlier[-_EARLIER_CHARACTERS:], cut)
        return ToolResult(f"{result.text}\n\n{said}\n{part.text}")

    def _one(self, diff: PullDiff, path: str, page: int) -> ToolResult:
        file = diff.file(path)
        if file is None:
            known = ", ".join(diff.similar(path)) or "none"
            message = f"path: {path} is not changed by this pull request; changed are: {known}"
            raise InvalidInputError("path", message)
        pages = _pages(list(lines_of(file)))
        if page > len(pages):
            raise InvalidInputError("page", f"page: {page} is after the last, {len(pages)}")
        text = "\n".join([heading_of(file), *pages[page - 1]])
        note = f"Page {page} of {len(pages)}."
        return self.data("diff", text, note if len(pages) > 1 else "")


def _whole_diffs(files: Sequence[FileDiff], room: int) -> tuple[str, list[FileDiff]]:
    """The diffs that fit, and the files whose diff is left out."""
    shown: list[str] = []
    rest: list[FileDiff] = []
    for file in files:
        if not file.hunks:
            continue
        text = "\n".join([heading_of(file), *lines_of(file)])
        if len(text) + 2 > room:
            rest.append(file)
        else:
            shown.append(text)
            room -= len(text) + 2
    return "\n\n".join(shown), rest


def _pages(lines: list[str]) -> list[list[str]]:
    pages: list[list[str]] = []
    while lines:
        page = cut_to(lines, MAX_RESULT_CHARACTERS)
        pages.append(page)
        lines = lines[len(page) :]
    return pages or [[]]


def _notes(diff: PullDiff, rest: int, unlisted: int) -> list[str]:
    notes = [f"Head: {diff.head_sha}."]
    if rest:
        notes.append(f"The diffs of {rest} files did not fit: read them one by one, by path.")
    if unlisted:
        notes.append(f"{unlisted} more changed files are not listed.")
    return notes
