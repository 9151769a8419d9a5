"""Answer without a language model: plan from the conversation alone, and end with a report."""

import hashlib
import json
from collections.abc import Sequence

from nightdesk.adapters.models.offline.heard import heard_in
from nightdesk.adapters.models.offline.plan import next_step
from nightdesk.adapters.models.offline.review_plan import can_review, next_review_step
from nightdesk.domain.locate.report import MAX_REPORT_CHARACTERS
from nightdesk.domain.model import (
    Block,
    CallControl,
    Message,
    ModelRequest,
    ModelTier,
    ModelTurn,
    StopReason,
    Usage,
)

_NAME = "offline"
_CHARACTERS_A_TOKEN = 3
_LEAST_CHARACTERS = 1_000


class OfflineModel:
    """A deterministic planner that calls the tools that any model has. It keeps no state: the same
    conversation always gets the same turn, so that a session goes on after a crash.
    """

    @property
    def provider(self) -> str:
        return _NAME

    def model_id(self, tier: ModelTier) -> str:
        del tier  # there is only one of it
        return _NAME

    def converse(self, request: ModelRequest, control: CallControl) -> ModelTurn:
        """The next tool calls, or the locating report as the final answer. Costs no tokens.

        Raises:
            CallAbortedError: `control.abort()` was called.
        """
        control.check()
        room = max(_LEAST_CHARACTERS, request.max_output_tokens * _CHARACTERS_A_TOKEN)
        heard, tools = heard_in(request.messages), [tool.name for tool in request.tools]
        if can_review(tools):
            step = next_review_step(heard)
        else:
            step = next_step(heard, tools, max_characters=min(MAX_REPORT_CHARACTERS, room))
        control.on_chunk()
        control.check()
        marks = _digest(request.messages)
        uses: list[Block] = [
            {
                "toolUse": {
                    "toolUseId": f"offline-{marks}-{index}",
                    "name": call.name,
                    "input": dict(call.arguments),
                }
            }
            for index, call in enumerate(step.calls)
        ]
        return ModelTurn(
            message={"role": "assistant", "content": [{"text": step.text}, *uses]},
            stop_reason=StopReason.TOOL_USE if uses else StopReason.END_TURN,
            usage=Usage(),
            model_id=_NAME,
        )


def _digest(messages: Sequence[Message]) -> str:
    text = json.dumps(messages, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
