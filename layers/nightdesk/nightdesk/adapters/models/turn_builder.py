"""Put a turn together from the fragments in which providers stream it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nightdesk.domain.model import (
    INVALID_INPUT,
    Block,
    ModelRequest,
    ModelTurn,
    ModelUnavailableError,
    StopReason,
    Usage,
)

_LONGEST_INVALID_INPUT = 2_000
#: For estimates: English has about 4 bytes a token, code and Chinese 3.
_FEWEST_BYTES_A_TOKEN = 3


@dataclass(slots=True)
class TextPart:
    fragments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class ToolPart:
    tool_use_id: str
    name: str
    fragments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class ReasoningPart:
    """What the provider wants back unchanged. Without a signature it would not take it back."""

    block: dict[str, Any]
    is_signed: bool = False


Part = TextPart | ToolPart | ReasoningPart


class TurnBuilder:
    """The parts of one turn, in the order in which they began. A key names a part in the stream."""

    def __init__(self, request: ModelRequest, *, provider: str, model_id: str) -> None:
        self._provider = provider
        self._model_id = model_id
        self._parts: dict[object, Part] = {}
        self._taken_ids = _tool_use_ids(request)
        self._position = len(request.messages)
        self._unsaid_bytes = 0

    def begin(self, key: object, part: Part) -> None:
        if isinstance(part, ToolPart) and not isinstance(part.name, str):
            raise _out_of_order(key)
        self._parts[key] = part

    def part(self, key: object) -> Part | None:
        return self._parts.get(key)

    def add_text(self, key: object, fragment: str) -> None:
        """More text; the part begins with its first fragment."""
        part = self._parts.setdefault(key, TextPart())
        if not isinstance(part, TextPart) or not isinstance(fragment, str):
            raise _out_of_order(key)
        part.fragments.append(fragment)

    def add_tool_input(self, key: object, fragment: str) -> None:
        part = self._parts.get(key)
        if not isinstance(part, ToolPart) or not isinstance(fragment, str):
            raise _out_of_order(key)
        part.fragments.append(fragment)

    def add_unsaid(self, fragment: str) -> None:
        """What was paid for but is no part of the turn, such as thoughts that are not sent back."""
        self._unsaid_bytes += _size(fragment)

    def estimated_usage(self, payload: Mapping[str, Any]) -> Usage:
        """The usage of a call for which the server sends none, too high rather than too low."""
        fragments = (f for p in self._parts.values() for f in getattr(p, "fragments", ()))
        said = self._unsaid_bytes + sum(map(_size, fragments))
        sent = _size(json.dumps(payload, ensure_ascii=False))
        return Usage(
            input=-(-sent // _FEWEST_BYTES_A_TOKEN),
            output=-(-said // _FEWEST_BYTES_A_TOKEN),
            estimated=True,
        )

    def turn(self, stop_reason: StopReason, usage: Usage) -> ModelTurn:
        content = [block for part in self._parts.values() if (block := self._block(part))]
        message = {"role": "assistant", "content": content}
        return ModelTurn(message, stop_reason, usage, self._model_id)

    @property
    def calls_tools(self) -> bool:
        return any(isinstance(part, ToolPart) for part in self._parts.values())

    def _block(self, part: Part) -> Block | None:
        match part:
            case TextPart(fragments):
                text = _whole_characters("".join(fragments))
                return {"text": text} if text.strip() else None
            case ToolPart(tool_use_id, name, fragments):
                identifier = self._unique(tool_use_id)
                arguments = parsed_input("".join(fragments))
                return {"toolUse": {"toolUseId": identifier, "name": name, "input": arguments}}
            case ReasoningPart(block, is_signed):
                mine = {"provider": self._provider, "block": block}
                return {"reasoningContent": mine} if is_signed else None

    def _unique(self, tool_use_id: str) -> str:
        """An id that no other call of the conversation has: some servers send none, or the same
        in each turn. Derived from the position, so that a replay gives the same.
        """
        candidate, number = tool_use_id, 0
        while not candidate or candidate in self._taken_ids:
            candidate = f"call_{self._position}_{number}"
            number += 1
        self._taken_ids.add(candidate)
        return candidate


def parsed_input(raw: str) -> dict[str, Any]:
    """The JSON object that the model wrote as a tool's input; nothing at all means no arguments.

    Anything else becomes {INVALID_INPUT: the raw text, capped}, which `invalid_input` finds.
    """
    if not raw.strip():
        return {}
    try:
        arguments = json.loads(raw, parse_constant=_refuse_constant)
        json.dumps(arguments, ensure_ascii=False).encode()  # half a surrogate pair cannot be stored
    except (ValueError, RecursionError):
        arguments = None
    if isinstance(arguments, dict):
        return arguments
    return {INVALID_INPUT: _whole_characters(raw)[:_LONGEST_INVALID_INPUT]}


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _size(text: str) -> int:
    return len(text.encode("utf-8", errors="replace"))


def _whole_characters(text: str) -> str:
    """Joins surrogate pairs that were escaped in two fragments; a lone half becomes U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _tool_use_ids(request: ModelRequest) -> set[str]:
    return {
        block["toolUse"]["toolUseId"]
        for message in request.messages
        for block in message["content"]
        if "toolUse" in block
    }


def _out_of_order(key: object) -> ModelUnavailableError:
    return ModelUnavailableError(f"the provider's answer is malformed: part {key}")
