"""Speak the Anthropic Messages API: `POST /v1/messages`, streamed as server-sent events."""

import json
from collections.abc import Mapping
from typing import Any

from nightdesk.adapters.models.conversation import normalised, result_text
from nightdesk.adapters.models.failures import failure_in_stream
from nightdesk.adapters.models.sse import ServerSentEvent
from nightdesk.adapters.models.sse_client import SseClient
from nightdesk.adapters.models.turn_builder import (
    ReasoningPart,
    TextPart,
    ToolPart,
    TurnBuilder,
)
from nightdesk.adapters.models.wire import checked_base_url
from nightdesk.domain.model import (
    Block,
    CallControl,
    Message,
    ModelAuthError,
    ModelRequest,
    ModelTier,
    ModelTurn,
    ModelUnavailableError,
    StopReason,
    Usage,
)
from nightdesk.domain.ports import Clock

_PROVIDER = "anthropic"
_DEFAULT_BASE_URL = "https://api.anthropic.com"
#: 2026-10-21 changes nothing that we send or read, and gateways speak this one.
_API_VERSION = "2023-06-01"
_CACHED = {"cache_control": {"type": "ephemeral"}}
_STOP_REASONS = {
    "end_turn": StopReason.END_TURN,
    "stop_sequence": StopReason.END_TURN,
    "tool_use": StopReason.TOOL_USE,
    "max_tokens": StopReason.MAX_TOKENS,
    "model_context_window_exceeded": StopReason.MAX_TOKENS,
    "refusal": StopReason.REFUSAL,
}


class AnthropicModel:
    """Claude over Anthropic's own API, or a gateway that speaks it.

    `models` names a model for each tier. `base_url` is without `/v1`.

    Raises:
        ValueError: the base URL is not https, or has credentials in it.
    """

    def __init__(
        self,
        *,
        api_key: str,
        models: Mapping[ModelTier, str],
        clock: Clock,
        base_url: str = _DEFAULT_BASE_URL,
    ) -> None:
        self._api_key = api_key.strip()
        self._models = dict(models)
        self._clock = clock
        url = f"{checked_base_url(base_url)}/v1/messages"
        self._client = SseClient(url, clock=clock, secret=self._api_key)

    @property
    def provider(self) -> str:
        return _PROVIDER

    def model_id(self, tier: ModelTier) -> str:
        return self._models[tier]

    def converse(self, request: ModelRequest, control: CallControl) -> ModelTurn:
        """See `Model.converse`."""
        if not self._api_key:
            raise ModelAuthError("no Anthropic API key is configured")
        model_id = self.model_id(request.tier)
        answer = _Answer(
            TurnBuilder(request, provider=_PROVIDER, model_id=model_id), self._clock, self._api_key
        )
        payload = payload_of(request, model_id)
        self._client.post(
            payload,
            headers={"x-api-key": self._api_key, "anthropic-version": _API_VERSION},
            control=control,
            receive=answer.receive,
        )
        return answer.turn(payload)


def payload_of(request: ModelRequest, model_id: str) -> dict[str, Any]:
    """The body of the request.

    Four cache breakpoints, which is all that the API allows: the tools, the system prompt, the end
    of the conversation, and where it ended one call ago, because a breakpoint only looks back
    20 blocks and a turn can call more tools than that.
    """
    messages = normalised(request.messages, provider=_PROVIDER)
    payload: dict[str, Any] = {
        "model": model_id,
        "max_tokens": request.max_output_tokens,
        "stream": True,
        "messages": [_message(message) for message in messages],
    }
    if request.system.strip():
        payload["system"] = [{"type": "text", "text": request.system, **_CACHED}]
    if request.tools:
        payload["tools"] = [
            {
                "name": tool.name,
                "description": tool.description,
                "input_schema": dict(tool.input_schema),
            }
            for tool in request.tools
        ]
        payload["tools"][-1].update(_CACHED)
    for message in [m for m in payload["messages"] if m["role"] == "user"][-2:]:
        message["content"][-1].update(_CACHED)
    return payload


def _message(message: Message) -> dict[str, Any]:
    return {"role": message["role"], "content": [_block(block) for block in message["content"]]}


def _block(block: Block) -> dict[str, Any]:
    match block:
        case {"text": text}:
            return {"type": "text", "text": text}
        case {"toolUse": use}:
            named = {"id": use["toolUseId"], "name": use["name"], "input": use["input"]}
            return {"type": "tool_use", **named}
        case {"toolResult": result}:
            return {
                "type": "tool_result",
                "tool_use_id": result["toolUseId"],
                "content": result_text(result),
                "is_error": result.get("status") == "error",
            }
        case _:
            return dict(block["reasoningContent"]["block"])


class _Answer:
    """The events of one answer, as they arrive."""

    def __init__(self, builder: TurnBuilder, clock: Clock, secret: str) -> None:
        self._builder = builder
        self._clock = clock
        self._secret = secret
        self._usage: dict[str, int] = {}
        self._stop_reason: str | None = None
        self._stopped = False

    def receive(self, event: ServerSentEvent) -> bool:
        """Take one event; True when it was the last."""
        if not event.data or self._stopped:
            return self._stopped
        try:
            self._take(json.loads(event.data))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise _malformed(type(error).__name__) from error
        return self._stopped

    def turn(self, payload: Mapping[str, Any]) -> ModelTurn:
        if not self._stopped:
            raise ModelUnavailableError("the provider's answer was cut off")
        reason = _STOP_REASONS.get(self._stop_reason or "")
        if reason is None:
            raise _malformed(f"stop reason {self._stop_reason}")
        return self._builder.turn(reason, self._counted(payload))

    def _counted(self, payload: Mapping[str, Any]) -> Usage:
        if "input_tokens" not in self._usage:  # gateways
            return self._builder.estimated_usage(payload)
        return Usage(
            input=self._usage["input_tokens"],
            output=self._usage.get("output_tokens", 0),
            cache_read=self._usage.get("cache_read_input_tokens", 0),
            cache_write=self._usage.get("cache_creation_input_tokens", 0),
        )

    def _take(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "message_start":
                self._count(event["message"].get("usage"))
            case "content_block_start":
                self._begin(event["index"], event["content_block"])
            case "content_block_delta":
                self._add(event["index"], event["delta"])
            case "message_delta":
                self._stop_reason = event["delta"].get("stop_reason") or self._stop_reason
                self._count(event.get("usage"))
            case "message_stop":
                self._stopped = True
            case "error":
                raise failure_in_stream(event["error"], now=self._clock.now(), secret=self._secret)
            case _:  # ping, content_block_stop, and what later versions add
                pass

    def _count(self, usage: Mapping[str, Any] | None) -> None:
        # The counts of message_delta are cumulative; a field that it leaves out keeps its value.
        self._usage.update({k: v for k, v in (usage or {}).items() if isinstance(v, int)})

    def _begin(self, index: int, block: dict[str, Any]) -> None:
        match block["type"]:
            case "text":
                self._builder.begin(index, TextPart([block.get("text", "")]))
            case "tool_use":
                given = block.get("input")
                fragments = [json.dumps(given)] if given else []
                self._builder.begin(index, ToolPart(block["id"], block["name"], fragments))
            case "thinking":
                part = ReasoningPart(dict(block), is_signed=bool(block.get("signature")))
                self._builder.begin(index, part)
            case "redacted_thinking":
                self._builder.begin(index, ReasoningPart(dict(block), is_signed=True))
            case _:  # the provider's own tools, which are never asked for
                pass

    def _add(self, index: int, delta: dict[str, Any]) -> None:
        match delta["type"]:
            case "text_delta":
                self._builder.add_text(index, delta["text"])
            case "input_json_delta":
                self._builder.add_tool_input(index, delta["partial_json"])
            case "thinking_delta":
                self._think(index, "thinking", delta["thinking"])
            case "signature_delta":
                self._think(index, "signature", delta["signature"])
            case _:  # citations
                pass

    def _think(self, index: int, name: str, fragment: str) -> None:
        part = self._builder.part(index)
        if not isinstance(part, ReasoningPart):
            raise _malformed("thinking outside its block")
        part.block[name] = part.block.get(name, "") + fragment
        part.is_signed = part.is_signed or name == "signature"


def _malformed(what: str) -> ModelUnavailableError:
    return ModelUnavailableError(f"the provider's answer is malformed ({what})")
