"""A question to the people of the project; the session waits for its answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nightdesk.domain.intents.names import ASK
from nightdesk.domain.model import ToolSpec
from nightdesk.domain.tool import ToolResult

QUESTION_MAX = 2_000


@dataclass(frozen=True, slots=True)
class AskPerson:
    """The tool that asks a person; the session waits, without a slot, until somebody answers."""

    @property
    def spec(self) -> ToolSpec:
        return ToolSpec(
            name=ASK,
            description=(
                "Ask the people of this project one question and wait for the answer, which may "
                "take hours. Only for what you cannot find out and cannot do without."
            ),
            input_schema={
                "type": "object",
                "properties": {"question": {"type": "string", "maxLength": QUESTION_MAX}},
                "required": ["question"],
                "additionalProperties": False,
            },
        )

    @property
    def idempotent(self) -> bool:
        return True

    def activity(self, arguments: Mapping[str, Any]) -> str:
        return f"{ASK} {question_of(arguments)}".strip()

    def run(self, arguments: Mapping[str, Any]) -> ToolResult:
        """Only reached without a question: one that has a question waits for its answer."""
        del arguments
        limit = f"1 to {QUESTION_MAX} characters"
        return ToolResult(f"question must be a text of {limit}", is_error=True)


def question_of(arguments: Mapping[str, Any]) -> str:
    """The question on one line; "" when there is none that can be asked."""
    question = arguments.get("question")
    if not isinstance(question, str) or len(question) > QUESTION_MAX:
        return ""
    return " ".join(question.split())
