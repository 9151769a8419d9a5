"""A model that always says the same: so many steps, one effect each, then the answer.

It reads its place from the conversation alone, as a real model does, so that a session resumed
from its journal goes on where it was.
"""

import time
from collections.abc import Callable

from nightdesk.domain.model import (
    Block,
    CallControl,
    ModelRequest,
    ModelTier,
    ModelTurn,
    StopReason,
    Usage,
)

_LOOK_EVERY_SECONDS = 0.01


def label_of(step: int) -> str:
    """The effect of a step: this label on the task's issue. Steps count from 1."""
    return f"step-{step:03d}"


class ScriptedModel:
    """`Model`; it thinks for `think_seconds` before each turn."""

    provider = "scripted"

    def __init__(
        self, *, steps: int, think_seconds: float, on_call: Callable[[int], None] = lambda _: None
    ) -> None:
        self._steps = steps
        self._think_seconds = think_seconds
        self._on_call = on_call

    def model_id(self, tier: ModelTier) -> str:
        del tier
        return "scripted"

    def converse(self, request: ModelRequest, control: CallControl) -> ModelTurn:
        step = 1 + sum(1 for message in request.messages if message["role"] == "assistant")
        self._on_call(step)
        end = time.monotonic() + self._think_seconds
        while time.monotonic() < end:
            control.check()
            time.sleep(_LOOK_EVERY_SECONDS)
        content: list[Block]
        if step > self._steps:
            content = [{"text": f"All {self._steps} steps are done."}]
            stop = StopReason.END_TURN
        else:
            call = {
                "toolUseId": f"call-{step}",
                "name": "propose_labels",
                "input": {"labels": [label_of(step)]},
            }
            content, stop = [{"toolUse": call}], StopReason.TOOL_USE
        message = {"role": "assistant", "content": content}
        return ModelTurn(message, stop, Usage(input=100, output=20), "scripted")
