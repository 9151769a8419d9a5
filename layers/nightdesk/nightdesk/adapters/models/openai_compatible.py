"""Speak OpenAI's Chat Completions, which Ollama, vLLM and most gateways speak too.

`POST {base_url}/chat/completions`, streamed as server-sent events. Compatible servers differ in
what they leave out, so nothing is required of a stream but choices and a finish reason.
"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from nightdesk.adapters.models.conversation import normalised, result_text
from nightdesk.adapters.models.failures import failure_in_stream
from nightdesk.adapters.models.sse import ServerSentEvent
from nightdesk.adapters.models.sse_client import SseClient
from nightdesk.adapters.models.turn_builder import ToolPart, TurnBuilder
from nightdesk.adapters.models.wire import checked_base_url
from nightdesk.domain.model import (
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

_PROVIDER = "openai"
_DEFAULT_BASE_URL = "https://api.openai.com/v1"
#: The hosts whose newer models refuse `max_tokens`. Compatible servers know only that.
_OWN_HOSTS = ("api.openai.com", ".openai.azure.com")
#: Models that take tools in Chat Completions only if they are told not to reason (OpenAI's model
#: pages, 2026-11). Their successors (gpt-6.1, gpt-6.2, gpt-6-astra) take no tools here at all.
_TOOLS_WITHOUT_REASONING = ("gpt-5.6", "gpt-6-sol", "gpt-6-luna")
#: What servers say when the model has ended its turn: OpenAI, LiteLLM, TGI.
_ENDED = frozenset(
    {"stop", "end_turn", "eos_token", "stop_sequence", "tool_calls", "function_call"}
)
_DONE = "[DONE]"


class OpenAICompatibleModel:
    """A model behind Chat Completions.

    `base_url` is with `/v1`. The key may be empty: servers of one's own often want none.
    `output_limit_field` overrules the choice between `max_tokens` and `max_completion_tokens`,
    which is made by the host of `base_url`; a wrong one is a ModelRequestError, never a retry.

    Raises:
        ValueError: the base URL is neither https nor on this machine, or has credentials in it.
    """

    def __init__(
        self,
        *,
        models: Mapping[ModelTier, str],
        clock: Clock,
        api_key: str = "",
        base_url: str = _DEFAULT_BASE_URL,
        output_limit_field: str | None = None,
    ) -> None:
        self._api_key = api_key.strip()
        self._models = dict(models)
        self._clock = clock
        self._is_openai = is_openai(base_url)
        own = "max_completion_tokens" if self._is_openai else "max_tokens"
        self._output_limit_field = output_limit_field or own
        url = f"{checked_base_url(base_url)}/chat/completions"
        self._client = SseClient(url, clock=clock, secret=self._api_key)

    @property
    def provider(self) -> str:
        return _PROVIDER

    def model_id(self, tier: ModelTier) -> str:
        return self._models[tier]

    def converse(self, request: ModelRequest, control: CallControl) -> ModelTurn:
        """See `Model.converse`. Where the server sends no usage, it is estimated from the bytes."""
        if self._is_openai and not self._api_key:
            raise ModelAuthError("no OpenAI API key is configured")
        model_id = self.model_id(request.tier)
        payload = self._payload(request, model_id)
        answer = _Answer(
            TurnBuilder(request, provider=_PROVIDER, model_id=model_id), self._clock, self._api_key
        )
        self._client.post(
            payload,
            headers={"Authorization": f"Bearer {self._api_key}"} if self._api_key else {},
            control=control,
            receive=answer.receive,
        )
        return answer.turn(payload)

    def _payload(self, request: ModelRequest, model_id: str) -> dict[str, Any]:
        payload: dict[str, Any] = {
            "model": model_id,
            "stream": True,
            "stream_options": {"include_usage": True},
            self._output_limit_field: request.max_output_tokens,
            "messages": messages_of(request),
        }
        if request.tools:
            payload["tools"] = [
                {
                    "type": "function",
                    "function": {
                        "name": tool.name,
                        "description": tool.description,
                        "parameters": dict(tool.input_schema),
                    },
                }
                for tool in request.tools
            ]
            if self._is_openai and model_id.startswith(_TOOLS_WITHOUT_REASONING):
                payload["reasoning_effort"] = "none"
        return payload


def is_openai(base_url: str) -> bool:
    """Whether this is OpenAI itself (or Azure's copy), and not a server that imitates it."""
    return (urlsplit(base_url).hostname or "").endswith(_OWN_HOSTS)


def messages_of(request: ModelRequest) -> list[dict[str, Any]]:
    """The conversation in OpenAI's shape: each tool result is a message of its own."""
    result: list[dict[str, Any]] = []
    if request.system.strip():
        result.append({"role": "system", "content": request.system})
    for message in normalised(request.messages, provider=_PROVIDER):
        if message["role"] == "assistant":
            result.append(_assistant(message))
        else:
            result.extend(_from_user(message))
    return result


def _from_user(message: Message) -> list[dict[str, Any]]:
    results = [block["toolResult"] for block in message["content"] if "toolResult" in block]
    messages: list[dict[str, Any]] = [
        {"role": "tool", "tool_call_id": result["toolUseId"], "content": _marked(result)}
        for result in results
    ]
    text = _text(message)
    return [*messages, {"role": "user", "content": text}] if text else messages


def _assistant(message: Message) -> dict[str, Any]:
    calls = [
        {
            "id": use["toolUseId"],
            "type": "function",
            "function": {
                "name": use["name"],
                "arguments": json.dumps(use["input"], ensure_ascii=False),
            },
        }
        for block in message["content"]
        if (use := block.get("toolUse"))
    ]
    said: dict[str, Any] = {"role": "assistant", "content": _text(message) or None}
    return {**said, "tool_calls": calls} if calls else said


def _marked(result: dict[str, Any]) -> str:
    """The result's text; the format has no field that says that the tool failed."""
    text = result_text(result)
    return f"Error: {text}" if result.get("status") == "error" else text


def _text(message: Message) -> str:
    return "\n\n".join(block["text"] for block in message["content"] if "text" in block)


class _Answer:
    """The events of one answer, as they arrive."""

    def __init__(self, builder: TurnBuilder, clock: Clock, secret: str) -> None:
        self._builder = builder
        self._calls = _ToolCalls(builder)
        self._clock = clock
        self._secret = secret
        self._usage: Usage | None = None
        self._finish_reason = ""
        self._refused = False
        self._done = False

    def receive(self, event: ServerSentEvent) -> bool:
        """Take one event; True when it was the last."""
        if self._done or not event.data:
            return self._done
        if event.data.strip() == _DONE:
            self._done = True
            return True
        try:
            self._take(json.loads(event.data))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise _malformed(type(error).__name__) from error
        return False

    def turn(self, payload: Mapping[str, Any]) -> ModelTurn:
        """The whole turn. A finish reason is the end of a turn even where `[DONE]` is missing."""
        if not self._finish_reason:
            raise ModelUnavailableError("the provider's answer was cut off")
        usage = self._usage or self._builder.estimated_usage(payload)
        return self._builder.turn(self._stop_reason(), usage)

    def _stop_reason(self) -> StopReason:
        if self._refused or self._finish_reason == "content_filter":
            return StopReason.REFUSAL
        if self._finish_reason == "length":
            return StopReason.MAX_TOKENS
        if self._finish_reason not in _ENDED:
            raise _malformed(f"finish reason {self._finish_reason[:40]}")
        # Servers say "stop" although the model calls tools, and the other way round.
        return StopReason.TOOL_USE if self._builder.calls_tools else StopReason.END_TURN

    def _take(self, chunk: dict[str, Any]) -> None:
        if chunk.get("error"):
            raise failure_in_stream(chunk["error"], now=self._clock.now(), secret=self._secret)
        # Without include_usage, some servers send the running count with each chunk: the last one.
        self._usage = _counted(chunk.get("usage") or {}) or self._usage
        for choice in chunk.get("choices") or ():
            if choice.get("index", 0) == 0:
                self._add(choice.get("delta") or {})
                self._finish_reason = choice.get("finish_reason") or self._finish_reason

    def _add(self, delta: dict[str, Any]) -> None:
        # What the model thinks is paid for, but there is nowhere to send it back to.
        for name in ("reasoning_content", "reasoning"):
            self._builder.add_unsaid(str(delta.get(name) or ""))
        if content := delta.get("content"):
            self._builder.add_text("content", content)
        if refusal := delta.get("refusal"):
            self._refused = True
            self._builder.add_text("refusal", refusal)
        for call in delta.get("tool_calls") or ():
            self._calls.add(call)


class _ToolCalls:
    """Tells the fragments of several calls apart, by whatever the server gives.

    OpenAI numbers them by `index`. Others send each call whole, without an index or without an id,
    or number all of them 0 and differ in the id only.
    """

    def __init__(self, builder: TurnBuilder) -> None:
        self._builder = builder
        self._open: list[tuple[object, str]] = []  # index and id of each call, in their order

    def add(self, fragment: dict[str, Any]) -> None:
        function = fragment.get("function") or {}
        index, identifier = fragment.get("index"), str(fragment.get("id") or "")
        number = self._find(index, identifier, begins=bool(function.get("name")))
        if number is None:
            number = len(self._open)
            self._open.append((index, identifier))
            self._builder.begin(("call", number), ToolPart(identifier, function["name"]))
        arguments = function.get("arguments") or ""
        if isinstance(arguments, dict):
            arguments = json.dumps(arguments)
        self._builder.add_tool_input(("call", number), arguments)

    def _find(self, index: object, identifier: str, *, begins: bool) -> int | None:
        """Which open call the fragment goes on with; None when it begins another."""
        for number in reversed(range(len(self._open))):
            its_index, its_id = self._open[number]
            if identifier and its_id:
                if identifier == its_id and (index is None or index == its_index):
                    return number
            elif index is not None and index == its_index and not (begins and not identifier):
                return number
        if index is None and not identifier and not begins and self._open:
            return len(self._open) - 1
        return None


def _counted(usage: dict[str, Any]) -> Usage | None:
    """OpenAI's counts: the cached tokens are part of the prompt's, here they are apart.

    None when nothing was counted: no prompt has no tokens, but some servers send zeros.
    """
    details = usage.get("prompt_tokens_details") or {}
    read = int(details.get("cached_tokens") or 0)
    written = int(details.get("cache_write_tokens") or 0)
    prompt = int(usage.get("prompt_tokens") or 0)
    if not prompt:
        return None
    return Usage(
        input=max(0, prompt - read - written),
        output=int(usage.get("completion_tokens") or 0),
        cache_read=read,
        cache_write=written,
    )


def _malformed(what: str) -> ModelUnavailableError:
    return ModelUnavailableError(f"the provider's answer is malformed ({what})")
