"""Runs a model against tools as a session does, one turn at a time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from nightdesk.adapters.models.offline import OfflineModel
from nightdesk.domain.issue_text import IssueText
from nightdesk.domain.model import CallControl, Message, ModelRequest, ModelTier, ModelTurn
from nightdesk.domain.tool import Tool
from nightdesk.domain.workspace_files import Snapshot
from nightdesk.services.reading_tools import READING_TOOLS, reading_tools

DELIMITER = "0ff1" * 8
PROMPT = "Do your job for the issue below."


def tools_of(
    snapshot: Snapshot, issue: IssueText | None, allowed: Iterable[str] = READING_TOOLS
) -> tuple[Tool, ...]:
    fetch = None if issue is None else (lambda: issue)
    return reading_tools(snapshot, fetch, delimiter=DELIMITER, allowed=tuple(allowed))


def turn_of(
    messages: Sequence[Message], tools: Sequence[Tool], *, max_output_tokens: int = 4_096
) -> ModelTurn:
    request = ModelRequest(
        system="You enrich issues.",
        messages=tuple(messages),
        tools=tuple(tool.spec for tool in tools),
        tier=ModelTier.SMART,
        max_output_tokens=max_output_tokens,
    )
    return OfflineModel().converse(request, CallControl())


@dataclass
class Conversation:
    """Messages from a prompt to the final answer."""

    tools: Sequence[Tool]
    messages: list[Message] = field(default_factory=list)

    def ask(self, text: str = PROMPT) -> str:
        self.messages.append({"role": "user", "content": [{"text": text}]})
        return self.go_on()

    def go_on(self) -> str:
        """Continue from wherever the messages stop, up to the final answer."""
        while True:
            turn = turn_of(self.messages, self.tools)
            self.messages.append(turn.message)
            if not turn.tool_uses:
                return turn.text
            results = [self._result(use) for use in turn.tool_uses]
            self.messages.append({"role": "user", "content": results})

    def _result(self, use: dict[str, Any]) -> dict[str, Any]:
        named = {tool.spec.name: tool for tool in self.tools}
        result = named[use["name"]].run(use["input"])
        status = "error" if result.is_error else "success"
        content = [{"text": result.text}]
        return {"toolResult": {"toolUseId": use["toolUseId"], "content": content, "status": status}}

    @property
    def called(self) -> list[str]:
        return [
            block["toolUse"]["name"]
            for message in self.messages
            for block in message["content"]
            if "toolUse" in block
        ]


def report_on(
    snapshot: Snapshot, issue: IssueText | None, allowed: Iterable[str] = READING_TOOLS
) -> str:
    return Conversation(tools_of(snapshot, issue, allowed)).ask()
