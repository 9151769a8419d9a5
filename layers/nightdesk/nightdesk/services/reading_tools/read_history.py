"""The tool `read_history`: which commits have changed a path, and why they say they did."""

from collections.abc import Mapping
from typing import Any

from nightdesk.domain.errors import InvalidInputError
from nightdesk.domain.snapshot_paths import is_safe_path, shown
from nightdesk.domain.tool import ToolResult
from nightdesk.domain.untrusted_text import without_hidden_text
from nightdesk.services.reading_tools.reading_tool import (
    MAX_RESULT_CHARACTERS,
    ReadingTool,
    cut_line,
    cut_to,
)
from nightdesk.services.task_changes import TaskChanges

COMMITS_MAX = 50
_MESSAGE_LINES = 6
_LINE_CHARACTERS = 300


class ReadHistory(ReadingTool):
    name = "read_history"
    description = (
        "List the latest commits of a file or folder, newest first: when, who, and the first "
        "lines of the message. Tells why code is as it is, before you call it wrong."
    )
    properties = {  # noqa: RUF012 - declared a ClassVar by the base
        "path": {
            "type": "string",
            "minLength": 1,
            "maxLength": 1_000,
            "description": "Path from the repository's root, such as src/cache.py",
        },
        "limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": COMMITS_MAX,
            "default": 10,
            "description": "How many commits",
        },
    }
    required = ("path",)
    told = "path"

    def __init__(self, changes: TaskChanges, delimiter: str) -> None:
        super().__init__(delimiter)
        self._changes = changes

    def answer(self, arguments: Mapping[str, Any]) -> ToolResult:
        path, limit = arguments["path"].strip().removeprefix("./").rstrip("/"), arguments["limit"]
        if not is_safe_path(path):
            message = f"path: {shown(path)} is refused: relative to the repository's root, no '..'"
            raise InvalidInputError("path", message)
        found = self._changes.history(path, limit=limit)
        if not found:
            return ToolResult(f"No commit has changed {self._cleaned(path)}.")
        lines: list[str] = []
        for commit in found:
            author = " ".join(without_hidden_text(commit.author).split())[:100]
            lines.append(f"{commit.sha[:12]} {commit.date:%Y-%m-%d} {author}")
            said = without_hidden_text(commit.message).strip().split("\n")
            lines += [f"    {cut_line(line, _LINE_CHARACTERS)}" for line in said[:_MESSAGE_LINES]]
        kept = cut_to(lines, MAX_RESULT_CHARACTERS)
        notes = ["There may be older ones."] if len(found) == limit else []
        if len(kept) < len(lines):
            notes.append("The end is left out.")
        return self.data("history", "\n".join(kept), *notes)
