"""The three adapters and how each one's provider speaks, for the tests that they share."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nightdesk.adapters.models.anthropic import AnthropicModel
from nightdesk.adapters.models.bedrock import BedrockModel
from nightdesk.adapters.models.openai_compatible import OpenAICompatibleModel
from nightdesk.domain.model import Model, ModelRequest, ModelTier, ToolSpec
from tests.fakes.clock import FakeClock
from tests.models.wire_formats import (
    Events,
    Said,
    anthropic_events,
    bedrock_events,
    frame,
    openai_events,
)

KEY = "sk-secret-0123456789"
MODELS = {
    ModelTier.FAST: "global.anthropic.claude-haiku-5-5",
    ModelTier.BALANCED: "global.anthropic.claude-sonnet-5-5",
    ModelTier.SMART: "global.anthropic.claude-opus-5-5",
}
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
READ_FILE = ToolSpec("read_file", "Reads a file.", SCHEMA)
SEARCH_CODE = ToolSpec("search_code", "Searches the code.", {"type": "object", "properties": {}})


def asking(text: str = "Where is the bug?", **changes: Any) -> ModelRequest:
    whole: dict[str, Any] = {
        "system": "You are careful.",
        "messages": ({"role": "user", "content": [{"text": text}]},),
        "tools": (READ_FILE, SEARCH_CODE),
        "tier": ModelTier.SMART,
        "max_output_tokens": 1_000,
    }
    return ModelRequest(**{**whole, **changes})


@dataclass(frozen=True)
class Provider:
    """`garbled` is an event whose JSON is broken; `error` the body of a refusal."""

    name: str
    content_type: str
    connect: Callable[[str, FakeClock], Model]
    events: Callable[[Said], Events]
    garbled: bytes
    error: Callable[[str, str], bytes]

    def body(self, said: Said) -> bytes:
        return b"".join(self.events(said))


def _bedrock(url: str, clock: FakeClock) -> Model:
    return BedrockModel(models=MODELS, clock=clock, region_name="eu-west-1", endpoint_url=url)


def _anthropic(url: str, clock: FakeClock) -> Model:
    return AnthropicModel(api_key=KEY, models=MODELS, clock=clock, base_url=url)


def _openai(url: str, clock: FakeClock) -> Model:
    return OpenAICompatibleModel(api_key=KEY, models=MODELS, clock=clock, base_url=f"{url}/v1")


_GARBLED_FRAME = frame(
    {":event-type": "contentBlockDelta", ":message-type": "event"}, b'{"delta": {"text": "a"'
)

BEDROCK = Provider(
    "bedrock",
    "application/vnd.amazon.eventstream",
    _bedrock,
    bedrock_events,
    _GARBLED_FRAME,
    lambda code, message: json.dumps({"__type": code, "message": message}).encode(),
)
ANTHROPIC = Provider(
    "anthropic",
    "text/event-stream; charset=utf-8",
    _anthropic,
    anthropic_events,
    b'event: content_block_delta\ndata: {"type": "content_block_delta", "ind\n\n',
    lambda code, message: json.dumps(
        {"type": "error", "error": {"type": code, "message": message}, "request_id": "req_1"}
    ).encode(),
)
OPENAI = Provider(
    "openai",
    "text/event-stream",
    _openai,
    openai_events,
    b'data: {"choices": [{"index": 0, "del\n\n',
    lambda code, message: json.dumps(
        {"error": {"message": message, "type": code, "param": None, "code": code}}
    ).encode(),
)
PROVIDERS = (BEDROCK, ANTHROPIC, OPENAI)
