"""Say the same turn in the words of each provider, byte for byte as they stream it.

Sources: the Messages API's streaming guide, the Chat Completions reference, and the event stream
encoding of AWS (prelude, headers, payload, each with its CRC).
"""

import json
from binascii import crc32
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from struct import pack
from typing import Any

from nightdesk.domain.model import StopReason, Usage

COUNTED = Usage(input=11, output=7, cache_read=5, cache_write=3)


@dataclass(frozen=True)
class Call:
    """A tool call as the model writes it: `arguments` is text, and need not be JSON."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Said:
    """A turn, before anybody has encoded it."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    stop: StopReason = StopReason.END_TURN
    usage: Usage = COUNTED


#: Where a stream ends before its last event: everything but that.
Events = list[bytes]


def pieces(text: str, size: int = 5) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def interleaved(calls: tuple[Call, ...]) -> Iterator[tuple[int, str]]:
    """The fragments of all calls in turn: (number of the call, fragment)."""
    for fragments in zip_longest(*(pieces(call.arguments) for call in calls)):
        for number, fragment in enumerate(fragments):
            if fragment is not None:
                yield number, fragment


# Anthropic -----------------------------------------------------------------------------------

_ANTHROPIC_STOPS = {
    StopReason.END_TURN: "end_turn",
    StopReason.TOOL_USE: "tool_use",
    StopReason.MAX_TOKENS: "max_tokens",
    StopReason.REFUSAL: "refusal",
}


def anthropic_event(data: dict[str, Any]) -> bytes:
    return f"event: {data['type']}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def anthropic_events(said: Said) -> Events:
    usage = said.usage
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": "m",
        "stop_reason": None,
        "usage": {
            "input_tokens": usage.input,
            "cache_creation_input_tokens": usage.cache_write,
            "cache_read_input_tokens": usage.cache_read,
            "output_tokens": 1,
        },
    }
    events: list[dict[str, Any]] = [{"type": "message_start", "message": message}]
    first = 0
    if said.text:
        first = 1
        block = {"type": "text", "text": ""}
        events.append({"type": "content_block_start", "index": 0, "content_block": block})
        events.append({"type": "ping"})
        for piece in pieces(said.text):
            delta = {"type": "text_delta", "text": piece}
            events.append({"type": "content_block_delta", "index": 0, "delta": delta})
        events.append({"type": "content_block_stop", "index": 0})
    for number, call in enumerate(said.calls):
        tool: dict[str, Any] = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        events.append(
            {"type": "content_block_start", "index": first + number, "content_block": tool}
        )
    for number, fragment in interleaved(said.calls):
        delta = {"type": "input_json_delta", "partial_json": fragment}
        events.append({"type": "content_block_delta", "index": first + number, "delta": delta})
    events += [
        {"type": "content_block_stop", "index": first + number}
        for number, _ in enumerate(said.calls)
    ]
    stop = {"stop_reason": _ANTHROPIC_STOPS[said.stop], "stop_sequence": None}
    counted = {"output_tokens": usage.output}
    events.append({"type": "message_delta", "delta": stop, "usage": counted})
    events.append({"type": "message_stop"})
    return [anthropic_event(event) for event in events]


# OpenAI --------------------------------------------------------------------------------------

_OPENAI_STOPS = {
    StopReason.END_TURN: "stop",
    StopReason.TOOL_USE: "tool_calls",
    StopReason.MAX_TOKENS: "length",
    StopReason.REFUSAL: "content_filter",
}


def openai_event(data: dict[str, Any]) -> bytes:
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m", **data}
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()


def openai_delta(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return openai_event({"choices": [choice], "usage": None})


def openai_events(said: Said) -> Events:
    usage = said.usage
    events = [openai_delta({"role": "assistant", "content": ""})]
    events += [openai_delta({"content": piece}) for piece in pieces(said.text)]
    for number, call in enumerate(said.calls):
        function = {"name": call.name, "arguments": ""}
        started = {"index": number, "id": call.id, "type": "function", "function": function}
        events.append(openai_delta({"tool_calls": [started]}))
    for number, fragment in interleaved(said.calls):
        more = {"index": number, "function": {"arguments": fragment}}
        events.append(openai_delta({"tool_calls": [more]}))
    events.append(openai_delta({}, _OPENAI_STOPS[said.stop]))
    prompt = usage.input + usage.cache_read + usage.cache_write
    counted = {
        "prompt_tokens": prompt,
        "completion_tokens": usage.output,
        "total_tokens": prompt + usage.output,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write,
        },
    }
    events.append(openai_event({"choices": [], "usage": counted}))
    return [*events, b"data: [DONE]\n\n"]


# Bedrock -------------------------------------------------------------------------------------

_BEDROCK_STOPS = {
    StopReason.END_TURN: "end_turn",
    StopReason.TOOL_USE: "tool_use",
    StopReason.MAX_TOKENS: "max_tokens",
    StopReason.REFUSAL: "guardrail_intervened",
}


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    """One message of application/vnd.amazon.eventstream."""
    encoded = b""
    for name, value in headers.items():
        encoded += pack("!B", len(name)) + name.encode()
        encoded += pack("!BH", 7, len(value.encode())) + value.encode()
    prelude = pack("!II", 12 + len(encoded) + len(payload) + 4, len(encoded))
    message = prelude + pack("!I", crc32(prelude)) + encoded + payload
    return message + pack("!I", crc32(message))


def bedrock_event(kind: str, data: dict[str, Any]) -> bytes:
    headers = {
        ":event-type": kind,
        ":content-type": "application/json",
        ":message-type": "event",
    }
    return frame(headers, json.dumps(data, ensure_ascii=False).encode())


def bedrock_exception(kind: str, message: str) -> bytes:
    headers = {
        ":exception-type": kind,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return frame(headers, json.dumps({"message": message}).encode())


def bedrock_events(said: Said) -> Events:
    usage = said.usage
    events = [bedrock_event("messageStart", {"role": "assistant"})]
    first = 0
    if said.text:
        first = 1
        for piece in pieces(said.text):
            delta = {"delta": {"text": piece}, "contentBlockIndex": 0}
            events.append(bedrock_event("contentBlockDelta", delta))
        events.append(bedrock_event("contentBlockStop", {"contentBlockIndex": 0}))
    for number, call in enumerate(said.calls):
        start = {"toolUse": {"toolUseId": call.id, "name": call.name}}
        begun = {"start": start, "contentBlockIndex": first + number}
        events.append(bedrock_event("contentBlockStart", begun))
    for number, fragment in interleaved(said.calls):
        delta = {"toolUse": {"input": fragment}}
        more = {"delta": delta, "contentBlockIndex": first + number}
        events.append(bedrock_event("contentBlockDelta", more))
    events.append(bedrock_event("messageStop", {"stopReason": _BEDROCK_STOPS[said.stop]}))
    counted = {
        "inputTokens": usage.input,
        "outputTokens": usage.output,
        "totalTokens": usage.input + usage.output,
        "cacheReadInputTokens": usage.cache_read,
        "cacheWriteInputTokens": usage.cache_write,
    }
    metadata = {"usage": counted, "metrics": {"latencyMs": 12}}
    return [*events, bedrock_event("metadata", metadata)]
