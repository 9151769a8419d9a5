"""What a conversation has said so far, as the offline planner needs it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nightdesk.domain.issue_text import question_in
from nightdesk.domain.model import Block, Message
from nightdesk.domain.untrusted_text import fenced_parts


@dataclass(frozen=True, slots=True)
class AnsweredCall:
    """A tool call and what came back."""

    name: str
    arguments: dict[str, Any]
    text: str
    is_error: bool

    def data(self, label: str) -> str | None:
        """The fenced part of this kind in the answer; None where there is none."""
        found = (part.text for part in fenced_parts(self.text) if part.label == label)
        return next(found, None) if not self.is_error else None


@dataclass(frozen=True, slots=True)
class Heard:
    """The current round: from the last final answer, or the beginning, to now."""

    asked: tuple[str, ...]
    calls: tuple[AnsweredCall, ...]

    def called(self, name: str) -> bool:
        return any(call.name == name for call in self.calls)

    def answers(self, name: str) -> list[AnsweredCall]:
        """The calls of a tool that succeeded."""
        return [call for call in self.calls if call.name == name and not call.is_error]

    @property
    def question(self) -> str:
        """The issue as it was read, or as the prompt quotes it, or else the prompt itself.

        The first line is the title; whatever a person said besides follows.
        """
        pages = [page for call in self.calls if (page := call.data("issue"))]
        parts = [part for text in self.asked for part in fenced_parts(text)]
        pages += [part.text for part in parts if part.label == "issue"]
        if not pages:
            return "\n".join(self.asked)
        said = [part.text for part in parts if part.label != "issue"]
        notes = [text for text in self.asked[1:] if not list(fenced_parts(text))]
        return "\n".join([question_in(pages[0]), *said, *notes])


def heard_in(messages: Sequence[Message]) -> Heard:
    """Read a conversation; an answer without tool calls ended the round before."""
    begin = 0
    for index, message in enumerate(messages):
        if message["role"] == "assistant" and not _blocks(message, "toolUse"):
            begin = index + 1
    current = messages[begin:]
    results = {
        result["toolUseId"]: result
        for message in current
        for result in _blocks(message, "toolResult")
    }
    calls = tuple(
        _answered(use, results[use["toolUseId"]])
        for message in current
        for use in _blocks(message, "toolUse")
        if use["toolUseId"] in results
    )
    asked = tuple(
        block["text"]
        for message in current
        if message["role"] == "user"
        for block in message["content"]
        if "text" in block
    )
    return Heard(asked, calls)


def _blocks(message: Message, kind: str) -> list[Block]:
    return [block[kind] for block in message["content"] if kind in block]


def _answered(use: Block, result: Block) -> AnsweredCall:
    text = "\n".join(block.get("text", "") for block in result["content"])
    return AnsweredCall(use["name"], dict(use["input"]), text, result.get("status") == "error")
