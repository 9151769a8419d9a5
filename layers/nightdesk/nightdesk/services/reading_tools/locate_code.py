"""The tool `locate_code`: where in the repository a text points, ranked."""

from collections.abc import Mapping
from typing import Any

from nightdesk.domain.locate.listing import location_to_text
from nightdesk.domain.locate.query import MAX_TEXT_CHARACTERS
from nightdesk.domain.locate.ranking import locate
from nightdesk.domain.tool import ToolResult
from nightdesk.domain.workspace_files import Snapshot
from nightdesk.services.reading_tools.reading_tool import (
    MAX_RESULT_CHARACTERS,
    ReadingTool,
    cut_to,
)


class LocateCode(ReadingTool):
    name = "locate_code"
    description = (
        "Rank the files that a text is about, such as a whole issue or a stack trace: source files "
        "with the words that they hold, the definitions and the lines that fit best, then the "
        "tests and documents next to them. Start here; then read the lines with read_file."
    )
    properties = {  # noqa: RUF012 - declared a ClassVar by the base
        "text": {
            "type": "string",
            "minLength": 2,
            "maxLength": MAX_TEXT_CHARACTERS,
            "description": "Words, identifiers and paths; the first line counts as the title",
        },
        "limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": 30,
            "default": 10,
            "description": "How many files of each kind to show at most",
        },
    }
    required = ("text",)
    told = "text"

    def __init__(self, snapshot: Snapshot, delimiter: str) -> None:
        super().__init__(delimiter)
        self._snapshot = snapshot

    def answer(self, arguments: Mapping[str, Any]) -> ToolResult:
        location = locate(self._snapshot, arguments["text"], limit=arguments["limit"])
        lines = location_to_text(location).split("\n")
        shown = cut_to(lines, MAX_RESULT_CHARACTERS)
        note = "The end of the list is left out: lower limit." if len(shown) < len(lines) else ""
        return self.data("location", "\n".join(shown), note)
