"""The tool `search_code`: lines that hold a text or match a regular expression.

Regular expressions run in the `regex` library because it can stop a match that takes too long and
lets other threads run meanwhile; Python's own would hang the executor, heartbeat and all.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import regex

from nightdesk.domain.errors import InvalidInputError
from nightdesk.domain.locate.file_kinds import FileKind, kind_of
from nightdesk.domain.path_pattern import PathPattern
from nightdesk.domain.tool import ToolResult
from nightdesk.domain.untrusted_text import with_hidden_characters_shown
from nightdesk.domain.workspace_files import PathRefusedError, Snapshot
from nightdesk.services.reading_tools.reading_tool import (
    MAX_RESULT_CHARACTERS,
    ReadingTool,
    cut_line,
    cut_to,
)

MAX_FILE_BYTES = 500_000
_TOTAL_SECONDS = 10.0
_SECONDS_A_FILE = 1.0
_MATCHES_A_FILE = 20
_MAX_LINE_CHARACTERS = 300
_KIND_ORDER = [FileKind.SOURCE, FileKind.TEST, FileKind.OTHER, FileKind.IGNORED]

#: Takes a text and how many seconds it may use, yields the numbers of the lines that match.
Finder = Callable[[str, float], Iterator[int]]


@dataclass(slots=True)
class _Findings:
    lines: list[str]
    files: int = 0
    unread: int = 0
    stopped: str = ""


class SearchCode(ReadingTool):
    name = "search_code"
    description = (
        "Find lines in the repository's files. The query is plain text, in any case, unless regex "
        "is true. Source files come first, then tests, then other files. At most 20 lines a file."
    )
    properties = {  # noqa: RUF012 - declared a ClassVar by the base
        "query": {
            "type": "string",
            "minLength": 2,
            "maxLength": 300,
            "description": "Text within one line, or a regular expression",
        },
        "path": {
            "type": "string",
            "minLength": 1,
            "maxLength": 300,
            "description": "Only files that match this glob, such as src/**/*.py",
        },
        "regex": {"type": "boolean", "default": False, "description": "Query is an expression"},
        "case_sensitive": {"type": "boolean", "default": False, "description": "Match case"},
        "limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": 300,
            "default": 60,
            "description": "How many lines to show at most",
        },
    }
    required = ("query",)
    told = "query"

    def __init__(
        self,
        snapshot: Snapshot,
        delimiter: str,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        total_seconds: float = _TOTAL_SECONDS,
    ) -> None:
        super().__init__(delimiter)
        self._snapshot = snapshot
        self._monotonic = monotonic
        self._total_seconds = total_seconds

    def answer(self, arguments: Mapping[str, Any]) -> ToolResult:
        find = _finder(arguments)
        findings = _Findings([])
        self._search(find, arguments["path"], arguments["limit"], findings)
        shown = cut_to(findings.lines, MAX_RESULT_CHARACTERS) if findings.lines else []
        left = len(findings.lines) - len(shown)
        notes = [
            findings.stopped,
            f"{left} more lines were found: narrow the query or the path." if left else "",
            f"{findings.unread} files took too long to match." if findings.unread else "",
        ]
        if not shown:
            said = " ".join(note for note in notes if note)
            return ToolResult(f"No line matches in {findings.files} files. {said}".strip())
        return self.data("matches", "\n".join(shown), *notes)

    def _search(self, find: Finder, glob: str | None, limit: int, findings: _Findings) -> None:
        deadline = self._monotonic() + self._total_seconds
        for path in self._paths(glob):
            remaining = deadline - self._monotonic()
            if remaining <= 0:
                findings.stopped = (
                    f"Stopped after {self._total_seconds:g} seconds and {findings.files} files: "
                    "narrow the query or the path."
                )
                return
            if len(findings.lines) >= limit:
                findings.stopped = (
                    f"Stopped at {limit} lines in the first {findings.files} files: raise limit, "
                    "or narrow the query or the path."
                )
                return
            self._search_file(find, path, min(remaining, _SECONDS_A_FILE), findings)
            del findings.lines[limit:]

    def _search_file(self, find: Finder, path: str, seconds: float, findings: _Findings) -> None:
        try:
            text = self._snapshot.read_text(path, max_bytes=MAX_FILE_BYTES)
        except PathRefusedError:
            return  # binary
        findings.files += 1
        lines: list[str] | None = None
        found = 0
        try:
            for number in find(text, seconds):
                found += 1
                if found > _MATCHES_A_FILE:
                    findings.lines.append(f"{path}: more lines match")
                    return
                lines = lines if lines is not None else text.split("\n")
                line = cut_line(lines[number - 1].strip(), _MAX_LINE_CHARACTERS)
                findings.lines.append(f"{path}:{number}: {with_hidden_characters_shown(line)}")
        except TimeoutError:
            findings.unread += 1

    def _paths(self, glob: str | None) -> list[str]:
        """Sources first. Generated, vendored and lock files only where the glob asks for them."""
        paths = [file.path for file in self._snapshot.files()]
        if glob is not None:
            pattern = PathPattern.parse(glob)
            paths = [path for path in paths if pattern.matches(path)]
        order = {path: _KIND_ORDER.index(kind_of(path)) for path in paths}
        ignored = len(_KIND_ORDER) - 1
        return sorted(
            (path for path in paths if glob is not None or order[path] != ignored),
            key=lambda path: (order[path], path),
        )


def _finder(arguments: Mapping[str, Any]) -> Finder:
    if arguments["regex"]:
        return _expression_finder(arguments["query"], case_sensitive=arguments["case_sensitive"])
    return _text_finder(arguments["query"], case_sensitive=arguments["case_sensitive"])


def _text_finder(query: str, *, case_sensitive: bool) -> Finder:
    wanted = query if case_sensitive else query.lower()

    def find(text: str, _seconds: float) -> Iterator[int]:
        folded = text if case_sensitive else text.lower()
        if wanted not in folded:
            return
        for number, line in enumerate(folded.split("\n"), start=1):
            if wanted in line:
                yield number

    return find


def _expression_finder(query: str, *, case_sensitive: bool) -> Finder:
    flags = regex.MULTILINE | (0 if case_sensitive else regex.IGNORECASE)
    try:
        pattern = regex.compile(query, flags, cache_pattern=False)
    except regex.error as error:
        message = f"query: {query!r} is not a regular expression: {error}"
        raise InvalidInputError("query", message) from error

    def find(text: str, seconds: float) -> Iterator[int]:
        last, position, line = 0, 0, 1
        for match in pattern.finditer(text, timeout=seconds, concurrent=True):
            line += text.count("\n", position, match.start())
            position = match.start()
            if line != last:
                last = line
                yield line

    return find
