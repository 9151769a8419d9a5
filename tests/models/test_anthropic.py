import json
from typing import Any

import pytest

from nightdesk.adapters.models.anthropic import AnthropicModel
from nightdesk.domain.model import (
    CallControl,
    ModelAuthError,
    ModelRequestError,
    ModelThrottledError,
    ModelTurn,
    ModelUnavailableError,
    StopReason,
)
from tests.fakes.clock import FakeClock
from tests.models.provider_server import ProviderServer, replies
from tests.models.providers import ANTHROPIC, KEY, MODELS, SCHEMA, asking
from tests.models.wire_formats import Said, anthropic_event, anthropic_events

CACHED = {"type": "ephemeral"}


def connected(server: ProviderServer, api_key: str = KEY) -> AnthropicModel:
    return AnthropicModel(api_key=api_key, models=MODELS, clock=FakeClock(), base_url=server.url)


def answered(server: ProviderServer, events: list[dict[str, Any]]) -> ModelTurn:
    server.script(replies([anthropic_event(event) for event in events]))
    return connected(server).converse(asking(), CallControl())


def ending(stop_reason: str | None = "end_turn") -> list[dict[str, Any]]:
    delta = {"stop_reason": stop_reason}
    return [
        {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 4}},
        {"type": "message_stop"},
    ]


START = {"type": "message_start", "message": {"usage": {"input_tokens": 9, "output_tokens": 1}}}


def test_the_request_is_as_the_messages_api_documents_it(server: ProviderServer) -> None:
    server.script(replies(anthropic_events(Said(text="ok"))))
    thought = {"type": "thinking", "thinking": "", "signature": "c2ln"}
    conversation = (
        {"role": "user", "content": [{"text": "Where?"}, {"text": " "}]},
        {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"provider": "anthropic", "block": thought}},
                {"text": "I look."},
                {"toolUse": {"toolUseId": "t1", "name": "read_file", "input": {"path": "ä"}}},
            ],
        },
        {
            "role": "user",
            "content": [{"toolResult": {"toolUseId": "t1", "content": [{"text": "x"}]}}],
        },
        {"role": "user", "content": [{"text": "A note."}]},
    )

    connected(server).converse(asking(messages=conversation), CallControl())

    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/v1/messages")
    assert request.headers["x-api-key"] == KEY
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert request.headers["content-type"] == "application/json"
    assert "authorization" not in request.headers
    assert request.json == {
        "model": "global.anthropic.claude-opus-5-5",
        "max_tokens": 1_000,
        "stream": True,
        "system": [{"type": "text", "text": "You are careful.", "cache_control": CACHED}],
        "tools": [
            {"name": "read_file", "description": "Reads a file.", "input_schema": SCHEMA},
            {
                "name": "search_code",
                "description": "Searches the code.",
                "input_schema": {"type": "object", "properties": {}},
                "cache_control": CACHED,
            },
        ],
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": "Where?", "cache_control": CACHED}],
            },
            {
                "role": "assistant",
                "content": [
                    thought,
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "t1", "name": "read_file", "input": {"path": "ä"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": "x", "is_error": False},
                    {"type": "text", "text": "A note.", "cache_control": CACHED},
                ],
            },
        ],
    }


def test_nothing_is_sent_for_what_is_empty(server: ProviderServer) -> None:
    server.script(replies(anthropic_events(Said(text="ok"))))

    connected(server).converse(asking(system=" ", tools=()), CallControl())

    assert server.requests[0].json.keys() == {"model", "max_tokens", "stream", "messages"}


def test_there_are_never_more_than_four_breakpoints(server: ProviderServer) -> None:
    server.script(replies(anthropic_events(Said(text="ok"))))
    conversation = []
    for number in range(6):
        conversation += [
            {"role": "user", "content": [{"text": f"question {number}"}]},
            {"role": "assistant", "content": [{"text": f"answer {number}"}]},
        ]
    conversation.append({"role": "user", "content": [{"text": "last"}]})

    connected(server).converse(asking(messages=tuple(conversation)), CallControl())

    assert json.dumps(server.requests[0].json).count("cache_control") == 4


def test_thoughts_come_back_as_they_were_sent(server: ProviderServer) -> None:
    turn = answered(
        server,
        [
            START,
            {
                "type": "content_block_start",
                "index": 0,
                "content_block": {"type": "thinking", "thinking": "", "signature": ""},
            },
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "thinking_delta", "thinking": "Well, "},
            },
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "thinking_delta", "thinking": "well."},
            },
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "signature_delta", "signature": "c2ln"},
            },
            {
                "type": "content_block_start",
                "index": 1,
                "content_block": {"type": "redacted_thinking", "data": "b3Bx"},
            },
            {
                "type": "content_block_start",
                "index": 2,
                "content_block": {"type": "text", "text": "Yes"},
            },
            *ending(),
        ],
    )
    thinking = {"type": "thinking", "thinking": "Well, well.", "signature": "c2ln"}
    redacted = {"type": "redacted_thinking", "data": "b3Bx"}
    assert turn.message["content"] == [
        {"reasoningContent": {"provider": "anthropic", "block": thinking}},
        {"reasoningContent": {"provider": "anthropic", "block": redacted}},
        {"text": "Yes"},
    ]
    server.script(replies(anthropic_events(Said(text="ok"))))
    conversation = (*asking().messages, turn.message, *asking("Sure?").messages)

    connected(server).converse(asking(messages=conversation), CallControl())

    assert server.requests[1].json["messages"][1]["content"][:2] == [thinking, redacted]


def test_a_thought_that_was_cut_before_its_signature_is_left_out(server: ProviderServer) -> None:
    block = {"type": "thinking", "thinking": "Hm", "signature": ""}
    begun = {"type": "content_block_start", "index": 0, "content_block": block}

    turn = answered(server, [START, begun, *ending("max_tokens")])

    assert turn.message["content"] == []
    assert turn.stop_reason is StopReason.MAX_TOKENS


def test_a_full_context_window_is_a_cut_turn(server: ProviderServer) -> None:
    turn = answered(server, [START, *ending("model_context_window_exceeded")])

    assert turn.stop_reason is StopReason.MAX_TOKENS


@pytest.mark.parametrize("stop_reason", ["pause_turn", "something_new", None])
def test_a_stop_that_is_not_understood_is_no_success(
    server: ProviderServer, stop_reason: str | None
) -> None:
    with pytest.raises(ModelUnavailableError, match="stop reason"):
        answered(server, [START, *ending(stop_reason)])


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("overloaded_error", ModelThrottledError),
        ("rate_limit_error", ModelThrottledError),
        ("api_error", ModelUnavailableError),
        ("timeout_error", ModelUnavailableError),
        ("invalid_request_error", ModelRequestError),
    ],
)
def test_an_error_in_the_middle_of_the_stream_has_its_class(
    server: ProviderServer, kind: str, error: type[Exception]
) -> None:
    event = {"type": "error", "error": {"type": kind, "message": f"Sorry {KEY}"}}

    with pytest.raises(error, match=r"Sorry \[key\]"):
        answered(server, [START, event])


def test_later_counts_replace_earlier_ones(server: ProviderServer) -> None:
    turn = answered(server, [START, *ending()])

    assert (turn.usage.input, turn.usage.output, turn.usage.estimated) == (9, 4, False)


def test_a_gateway_that_counts_nothing_is_estimated_too_high(server: ProviderServer) -> None:
    text = {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "text", "text": "abcdef"},
    }

    turn = answered(
        server,
        [
            {"type": "message_start", "message": {}},
            text,
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
            {"type": "message_stop"},
        ],
    )

    assert turn.usage.estimated
    assert turn.usage.input >= len(server.requests[0].body) // 3
    assert turn.usage.output == 2


def test_an_event_of_the_wrong_shape_is_transient(server: ProviderServer) -> None:
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 5}}

    with pytest.raises(ModelUnavailableError, match="malformed"):
        answered(server, [START, delta, *ending()])


def test_without_a_key_no_call_is_made(server: ProviderServer) -> None:
    with pytest.raises(ModelAuthError):
        connected(server, api_key=" ").converse(asking(), CallControl())

    assert server.requests == []


def test_a_key_with_a_line_break_in_it_is_refused_without_being_shown(
    server: ProviderServer,
) -> None:
    with pytest.raises(ModelAuthError) as caught:
        connected(server, api_key="sk-a\nsk-b").converse(asking(), CallControl())

    assert "sk-" not in str(caught.value)
    assert server.requests == []


def test_the_line_break_at_the_end_of_a_stored_key_is_dropped(server: ProviderServer) -> None:
    server.script(replies(anthropic_events(Said(text="ok"))))

    connected(server, api_key=f"{KEY}\n").converse(asking(), CallControl())

    assert server.requests[0].headers["x-api-key"] == KEY


def test_an_adapter_does_not_show_its_key() -> None:
    model = ANTHROPIC.connect("http://127.0.0.1:1", FakeClock())

    assert KEY not in repr(model)
