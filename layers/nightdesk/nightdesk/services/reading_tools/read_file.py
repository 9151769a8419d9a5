"""The tool `read_file`: lines of one file, numbered."""

from collections.abc import Mapping
from typing import Any

from nightdesk.domain.errors import InvalidInputError
from nightdesk.domain.tool import ToolResult
from nightdesk.domain.untrusted_text import with_hidden_characters_shown
from nightdesk.domain.workspace_files import Snapshot
from nightdesk.services.reading_tools.reading_tool import (
    MAX_RESULT_CHARACTERS,
    ReadingTool,
    cut_line,
    cut_to,
)

MAX_FILE_BYTES = 2_000_000
_MAX_LINES = 1_000
_DEFAULT_LINES = 400
_MAX_LINE_CHARACTERS = 500


class ReadFile(ReadingTool):
    name = "read_file"
    description = (
        "Read a text file of the repository, with line numbers. Shows 400 lines unless end_line "
        "says otherwise, at most 1,000."
    )
    properties = {  # noqa: RUF012 - declared a ClassVar by the base
        "path": {
            "type": "string",
            "minLength": 1,
            "maxLength": 1_000,
            "description": "Path from the repository's root, such as src/cache.py",
        },
        "start_line": {
            "type": "integer",
            "minimum": 1,
            "maximum": 10_000_000,
            "default": 1,
            "description": "First line to show, from 1",
        },
        "end_line": {
            "type": "integer",
            "minimum": 1,
            "maximum": 10_000_000,
            "description": "Last line to show",
        },
    }
    required = ("path",)
    told = "path"

    def __init__(self, snapshot: Snapshot, delimiter: str) -> None:
        super().__init__(delimiter)
        self._snapshot = snapshot

    def answer(self, arguments: Mapping[str, Any]) -> ToolResult:
        text = self._snapshot.read_text(arguments["path"], max_bytes=MAX_FILE_BYTES)
        lines = with_hidden_characters_shown(text).removesuffix("\n").split("\n")
        first = arguments["start_line"]
        last = arguments["end_line"] or first + _DEFAULT_LINES - 1
        if last < first:
            message = f"end_line: {last} is before start_line {first}"
            raise InvalidInputError("end_line", message)
        if first > len(lines):
            message = f"start_line: {first} is after the last line, which is {len(lines)}"
            raise InvalidInputError("start_line", message)
        chosen = lines[first - 1 : min(last, first + _MAX_LINES - 1)]
        numbered = [
            f"{number:>6}\t{cut_line(line, _MAX_LINE_CHARACTERS)}"
            for number, line in enumerate(chosen, start=first)
        ]
        shown = cut_to(numbered, MAX_RESULT_CHARACTERS)
        end = first + len(shown) - 1
        note = f"Lines {first}-{end} of {len(lines)}."
        if end < len(lines):
            note += f" Read on with start_line={end + 1}."
        return self.data("file", f"{arguments['path']}\n" + "\n".join(shown), note)
