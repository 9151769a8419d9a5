"""What the reading tools have in common: checked arguments, bounded output, fenced data."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from nightdesk.domain.errors import InvalidInputError
from nightdesk.domain.model import ToolSpec
from nightdesk.domain.tool import ToolResult
from nightdesk.domain.tool_arguments import checked_arguments
from nightdesk.domain.untrusted_text import checked_delimiter, fenced, without_hidden_text
from nightdesk.domain.workspace_files import PathRefusedError

MAX_RESULT_CHARACTERS = 24_000
_MAX_ACTIVITY_CHARACTERS = 120


class ReadingTool(ABC):
    """A Tool without effects. A subclass names its arguments and answers once they are checked."""

    name: ClassVar[str]
    description: ClassVar[str]
    #: JSON schema of each argument; see domain/tool_arguments.py for what is understood.
    properties: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    required: ClassVar[tuple[str, ...]] = ()
    #: The argument that tells people what the call is about.
    told: ClassVar[str] = ""

    def __init__(self, delimiter: str) -> None:
        self._delimiter = checked_delimiter(delimiter)

    @property
    def spec(self) -> ToolSpec:
        schema = {
            "type": "object",
            "properties": dict(self.properties),
            "required": list(self.required),
            "additionalProperties": False,
        }
        return ToolSpec(self.name, self.description, schema)

    @property
    def idempotent(self) -> bool:
        return True

    def activity(self, arguments: Mapping[str, Any]) -> str:
        about = " ".join(without_hidden_text(str(arguments.get(self.told, ""))).split())
        line = f"{self.name} {about}".strip()
        cut = line[: _MAX_ACTIVITY_CHARACTERS - 3] + "..."
        return line if len(line) <= _MAX_ACTIVITY_CHARACTERS else cut

    def run(self, arguments: Mapping[str, Any]) -> ToolResult:
        try:
            return self.answer(checked_arguments(self.spec.input_schema, arguments))
        except (InvalidInputError, PathRefusedError) as refused:
            return ToolResult(f"{self.name}: {self._cleaned(str(refused))}", is_error=True)

    @abstractmethod
    def answer(self, arguments: Mapping[str, Any]) -> ToolResult:
        """The result for arguments that fit the schema, defaults filled in."""

    def data(self, label: str, text: str, *notes: str) -> ToolResult:
        """A result: the text fenced, then our own notes outside the fence."""
        shown = [fenced(text, label=label, delimiter=self._delimiter), *(n for n in notes if n)]
        return ToolResult("\n".join(shown))

    def _cleaned(self, message: str) -> str:
        """An error may name files of the repository, so it is on one line and without marks."""
        return " ".join(without_hidden_text(message).replace(self._delimiter, "[removed]").split())


def cut_to(lines: list[str], characters: int) -> list[str]:
    """As many of the first lines as fit, line breaks counted; always at least one."""
    kept: list[str] = []
    used = 0
    for line in lines:
        used += len(line) + 1
        if kept and used > characters:
            break
        kept.append(line)
    return kept


def cut_line(line: str, characters: int) -> str:
    """A line with its end left out where it is too long to read."""
    if len(line) <= characters:
        return line
    return f"{line[:characters]} [... {len(line) - characters} more characters]"
