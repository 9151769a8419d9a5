"""The tool `list_files`: which files the repository has."""

from collections.abc import Mapping
from typing import Any

from nightdesk.domain.path_pattern import PathPattern
from nightdesk.domain.tool import ToolResult
from nightdesk.domain.workspace_files import Snapshot
from nightdesk.services.reading_tools.reading_tool import (
    MAX_RESULT_CHARACTERS,
    ReadingTool,
    cut_to,
)


class ListFiles(ReadingTool):
    name = "list_files"
    description = (
        "List the files of the repository, sorted by path, with their sizes in bytes. Narrow the "
        "list with a glob or a folder; without either, large repositories are shown by folder."
    )
    properties = {  # noqa: RUF012 - declared a ClassVar by the base
        "pattern": {
            "type": "string",
            "minLength": 1,
            "maxLength": 300,
            "description": "Glob such as *.py, src/**/*.{ts,tsx} or docs/*",
        },
        "directory": {
            "type": "string",
            "maxLength": 500,
            "description": "Only files below this folder, such as src/cache",
        },
        "limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": 1_000,
            "default": 200,
            "description": "How many files to show at most",
        },
    }
    told = "pattern"

    def __init__(self, snapshot: Snapshot, delimiter: str) -> None:
        super().__init__(delimiter)
        self._snapshot = snapshot

    def answer(self, arguments: Mapping[str, Any]) -> ToolResult:
        pattern = PathPattern.parse(arguments["pattern"] or "**")
        folder = (arguments["directory"] or "").removeprefix("./").strip("/")
        prefix = "" if folder in {"", "."} else folder + "/"
        found = [
            file
            for file in self._snapshot.files()
            if file.path.startswith(prefix) and pattern.matches(file.path)
        ]
        if not found:
            return ToolResult("No file matches.")
        limit = arguments["limit"]
        everything = not (arguments["pattern"] or prefix)
        if everything and len(found) > limit:
            return self._by_folder([file.path for file in found], limit)
        lines = [f"{file.path} ({file.size})" for file in found[:limit]]
        shown = cut_to([*self._notices(), *lines], MAX_RESULT_CHARACTERS)
        left = len(found) - (len(shown) - len(self._notices()))
        note = f"{left} more files match: narrow the pattern or name a folder." if left else ""
        return self.data("paths", "\n".join(shown), note)

    def _by_folder(self, paths: list[str], limit: int) -> ToolResult:
        counts: dict[str, int] = {}
        for path in paths:
            folder = "/".join(path.split("/")[:-1][:2])
            counts[folder] = counts.get(folder, 0) + 1
        lines = [f"{folder or '.'}/ ({count} files)" for folder, count in sorted(counts.items())]
        shown = cut_to([*self._notices(), *lines[:limit]], MAX_RESULT_CHARACTERS)
        note = (
            f"{len(paths)} files in {len(counts)} folders (two levels shown). "
            "List one with directory, or use a pattern."
        )
        return self.data("paths", "\n".join(shown), note)

    def _notices(self) -> list[str]:
        return [f"Notice: {notice}" for notice in self._snapshot.notices]
