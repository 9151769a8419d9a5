"""`Model` that says what the test tells it to say."""

from collections.abc import Callable
from typing import Any

from nightdesk.domain.model import (
    CallControl,
    ModelRequest,
    ModelTier,
    ModelTurn,
    StopReason,
    Usage,
)

Reply = ModelTurn | Exception | Callable[[ModelRequest, CallControl], ModelTurn]


def says(
    text: str, *, stop: StopReason = StopReason.END_TURN, usage: Usage | None = None
) -> ModelTurn:
    """A turn without tool calls."""
    content = [{"text": text}] if text else []
    message = {"role": "assistant", "content": content}
    return ModelTurn(message, stop, usage or Usage(input=10, output=5), "scripted")


def calls(*tools: tuple[str, dict[str, Any]], first_id: int = 1) -> ModelTurn:
    """A turn that calls these tools: (name, input), with ids `c1`, `c2`, ..."""
    content = [
        {"toolUse": {"toolUseId": f"c{number}", "name": name, "input": arguments}}
        for number, (name, arguments) in enumerate(tools, start=first_id)
    ]
    message = {"role": "assistant", "content": content}
    return ModelTurn(message, StopReason.TOOL_USE, Usage(input=10, output=5), "scripted")


class ScriptedModel:
    """Replies in the order given to `will`; remembers what it was asked."""

    def __init__(self) -> None:
        self.requests: list[ModelRequest] = []
        self._replies: list[Reply] = []

    @property
    def provider(self) -> str:
        return "scripted"

    def model_id(self, tier: ModelTier) -> str:
        return "scripted"

    def will(self, *replies: Reply) -> None:
        self._replies.extend(replies)

    def converse(self, request: ModelRequest, control: CallControl) -> ModelTurn:
        self.requests.append(request)
        reply = self._replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply(request, control) if callable(reply) else reply
