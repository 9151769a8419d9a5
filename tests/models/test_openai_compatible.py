from typing import Any

import pytest

from nightdesk.adapters.models.openai_compatible import OpenAICompatibleModel
from nightdesk.domain.model import (
    CallControl,
    ModelAuthError,
    ModelRequest,
    ModelThrottledError,
    ModelTier,
    ModelTurn,
    ModelUnavailableError,
    StopReason,
    Usage,
)
from tests.fakes.clock import FakeClock
from tests.models.provider_server import ProviderServer, replies
from tests.models.providers import KEY, MODELS, SCHEMA, asking
from tests.models.wire_formats import Said, openai_delta, openai_event, openai_events

DONE = b"data: [DONE]\n\n"
STOP = openai_delta({}, "stop")


def connected(server: ProviderServer, api_key: str = KEY, **options: Any) -> OpenAICompatibleModel:
    return OpenAICompatibleModel(
        api_key=api_key, models=MODELS, clock=FakeClock(), base_url=f"{server.url}/v1/", **options
    )


def answered(server: ProviderServer, *events: bytes) -> ModelTurn:
    server.script(replies(events))
    return connected(server).converse(asking(), CallControl())


def called(server: ProviderServer, *fragments: dict[str, Any]) -> list[tuple[str, Any]]:
    """The tool calls that come of these fragments: (name, input)."""
    deltas = [openai_delta({"tool_calls": [fragment]}) for fragment in fragments]
    turn = answered(server, *deltas, STOP, DONE)
    return [(use["name"], use["input"]) for use in turn.tool_uses]


def to_openai(model_id: str, request: ModelRequest, url: str = "https://api.openai.com/v1") -> Any:
    model = OpenAICompatibleModel(
        api_key=KEY, models=dict.fromkeys(ModelTier, model_id), clock=FakeClock(), base_url=url
    )
    return model._payload(request, model_id)


def test_the_request_is_as_chat_completions_documents_it(server: ProviderServer) -> None:
    server.script(replies(openai_events(Said(text="ok"))))
    calls = [
        {"toolUse": {"toolUseId": "t1", "name": "read_file", "input": {"path": "ä"}}},
        {"toolUse": {"toolUseId": "t2", "name": "search_code", "input": {}}},
    ]
    results = [
        {"text": "A note."},
        {"toolResult": {"toolUseId": "t1", "content": [{"text": "x"}, {"text": "y"}]}},
        {"toolResult": {"toolUseId": "t2", "content": [{"text": "e"}], "status": "error"}},
    ]
    conversation = (
        {"role": "user", "content": [{"text": "Where?"}]},
        {"role": "assistant", "content": calls},
        {"role": "user", "content": results},
        {"role": "assistant", "content": [{"text": "I see."}]},
        {"role": "user", "content": [{"text": "Go on."}]},
    )

    connected(server).converse(asking(messages=conversation), CallControl())

    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.json == {
        "model": "global.anthropic.claude-opus-5-5",
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 1_000,
        "messages": [
            {"role": "system", "content": "You are careful."},
            {"role": "user", "content": "Where?"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "t1",
                        "type": "function",
                        "function": {"name": "read_file", "arguments": '{"path": "ä"}'},
                    },
                    {
                        "id": "t2",
                        "type": "function",
                        "function": {"name": "search_code", "arguments": "{}"},
                    },
                ],
            },
            {"role": "tool", "tool_call_id": "t1", "content": "x\ny"},
            {"role": "tool", "tool_call_id": "t2", "content": "Error: e"},
            {"role": "user", "content": "A note."},
            {"role": "assistant", "content": "I see."},
            {"role": "user", "content": "Go on."},
        ],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "read_file",
                    "description": "Reads a file.",
                    "parameters": SCHEMA,
                },
            },
            {
                "type": "function",
                "function": {
                    "name": "search_code",
                    "description": "Searches the code.",
                    "parameters": {"type": "object", "properties": {}},
                },
            },
        ],
    }


def test_a_server_of_ones_own_needs_no_key(server: ProviderServer) -> None:
    server.script(replies(openai_events(Said(text="ok"))))

    connected(server, api_key="").converse(asking(), CallControl())

    assert "authorization" not in server.requests[0].headers


def test_openai_itself_needs_one() -> None:
    model = OpenAICompatibleModel(models=MODELS, clock=FakeClock())

    with pytest.raises(ModelAuthError):
        model.converse(asking(), CallControl())


@pytest.mark.parametrize(
    ("url", "field"),
    [
        ("https://api.openai.com/v1", "max_completion_tokens"),
        ("https://eu.api.openai.com/v1", "max_completion_tokens"),
        ("https://us.openai.azure.com/openai/v1", "max_completion_tokens"),
        ("https://gateway.example.com/v1", "max_tokens"),
        ("http://localhost:11434/v1", "max_tokens"),
        ("https://example.com/api.openai.com", "max_tokens"),
    ],
)
def test_the_host_decides_how_the_output_is_limited(url: str, field: str) -> None:
    payload = to_openai("some-model", asking(), url)

    assert payload.keys() & {"max_tokens", "max_completion_tokens"} == {field}
    assert payload[field] == 1_000


def test_the_configuration_overrules_the_host(server: ProviderServer) -> None:
    server.script(replies(openai_events(Said(text="ok"))))

    connected(server, output_limit_field="max_completion_tokens").converse(asking(), CallControl())

    assert server.requests[0].json["max_completion_tokens"] == 1_000
    assert "max_tokens" not in server.requests[0].json


def test_models_that_refuse_tools_while_they_reason_are_told_not_to() -> None:
    assert to_openai("gpt-6-sol", asking())["reasoning_effort"] == "none"
    assert "reasoning_effort" not in to_openai("gpt-6-sol", asking(tools=()))
    assert "reasoning_effort" not in to_openai("gpt-5.2", asking())
    assert "reasoning_effort" not in to_openai("gpt-6-sol", asking(), "https://gateway.test/v1")


def test_calls_that_come_whole_in_one_delta_are_told_apart(server: ProviderServer) -> None:
    whole = [
        {"function": {"name": "read_file", "arguments": '{"path": "a"}'}},
        {"function": {"name": "read_file", "arguments": '{"path": "b"}'}},
    ]
    turn = answered(server, openai_delta({"tool_calls": whole}, "stop"), DONE)

    assert [use["input"] for use in turn.tool_uses] == [{"path": "a"}, {"path": "b"}]
    assert [use["toolUseId"] for use in turn.tool_uses] == ["call_1_0", "call_1_1"]
    assert turn.stop_reason is StopReason.TOOL_USE


def test_fragments_without_an_index_go_on_with_the_last_call(server: ProviderServer) -> None:
    assert called(
        server,
        {"id": "a", "function": {"name": "read_file", "arguments": '{"pa'}},
        {"function": {"arguments": 'th": "x"}'}},
        {"id": "b", "function": {"name": "search_code", "arguments": "{"}},
        {"function": {"arguments": "}"}},
    ) == [("read_file", {"path": "x"}), ("search_code", {})]


def test_fragments_may_be_told_by_their_id_alone(server: ProviderServer) -> None:
    assert called(
        server,
        {"id": "a", "function": {"name": "read_file", "arguments": '{"path"'}},
        {"id": "b", "function": {"name": "search_code", "arguments": '{"q"'}},
        {"id": "a", "function": {"arguments": ': "x"}'}},
        {"id": "b", "function": {"arguments": ": 1}"}},
    ) == [("read_file", {"path": "x"}), ("search_code", {"q": 1})]


def test_calls_that_are_all_numbered_0_are_told_by_their_ids(server: ProviderServer) -> None:
    assert called(
        server,
        {"index": 0, "id": "a", "function": {"name": "read_file", "arguments": '{"path": "x"}'}},
        {"index": 0, "id": "b", "function": {"name": "search_code", "arguments": '{"q"'}},
        {"index": 0, "function": {"arguments": ": 1}"}},
    ) == [("read_file", {"path": "x"}), ("search_code", {"q": 1})]


def test_calls_that_are_all_numbered_0_and_have_no_ids_are_told_by_their_names(
    server: ProviderServer,
) -> None:
    assert called(
        server,
        {"index": 0, "function": {"name": "read_file", "arguments": '{"path": "x"}'}},
        {"index": 0, "function": {"name": "search_code", "arguments": '{"q": 1}'}},
    ) == [("read_file", {"path": "x"}), ("search_code", {"q": 1})]


def test_an_id_and_name_that_each_fragment_repeats_begin_one_call(server: ProviderServer) -> None:
    assert called(
        server,
        {"index": 0, "id": "a", "function": {"name": "read_file", "arguments": '{"path"'}},
        {"index": 0, "id": "a", "function": {"name": "read_file", "arguments": ': "x"}'}},
    ) == [("read_file", {"path": "x"})]


def test_arguments_may_be_an_object_already(server: ProviderServer) -> None:
    function = {"name": "read_file", "arguments": {"path": "x"}}

    assert called(server, {"index": 0, "id": "a", "function": function}) == [
        ("read_file", {"path": "x"})
    ]


def test_a_finish_for_tools_without_a_call_is_the_end_of_the_turn(server: ProviderServer) -> None:
    turn = answered(server, openai_delta({"content": "x"}), openai_delta({}, "tool_calls"), DONE)

    assert turn.stop_reason is StopReason.END_TURN


def test_a_refusal_is_one_whatever_the_finish_reason(server: ProviderServer) -> None:
    turn = answered(server, openai_delta({"refusal": "I can't"}), STOP, DONE)

    assert (turn.stop_reason, turn.text) == (StopReason.REFUSAL, "I can't")


@pytest.mark.parametrize("reason", ["error", "abort", "something_new"])
def test_a_finish_reason_that_is_not_understood_is_no_success(
    server: ProviderServer, reason: str
) -> None:
    with pytest.raises(ModelUnavailableError, match=reason):
        answered(server, openai_delta({"content": "x"}), openai_delta({}, reason), DONE)


def test_a_server_may_forget_done_but_not_the_finish_reason(server: ProviderServer) -> None:
    assert answered(server, openai_delta({"content": "x"}), STOP).text == "x"
    with pytest.raises(ModelUnavailableError, match="cut off"):
        answered(server, openai_delta({"content": "x"}), DONE)


def test_usage_that_is_missing_or_zero_is_estimated_too_high(server: ProviderServer) -> None:
    zeros = openai_event({"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0}})
    said = openai_delta({"content": "世界", "reasoning_content": "abc"})

    turn = answered(server, said, STOP, zeros, DONE)

    assert turn.usage.estimated
    assert turn.usage.input >= len(server.requests[0].body) // 3
    assert turn.usage.output == 3


def test_usage_without_details_has_nothing_cached(server: ProviderServer) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": None}

    turn = answered(server, STOP, openai_event({"choices": [], "usage": usage}), DONE)

    assert turn.usage == Usage(input=10, output=2)


def test_thoughts_are_no_part_of_the_turn(server: ProviderServer) -> None:
    turn = answered(
        server, openai_delta({"reasoning": "hm"}), openai_delta({"content": "x"}), STOP, DONE
    )

    assert turn.message["content"] == [{"text": "x"}]


def test_other_choices_are_ignored(server: ProviderServer) -> None:
    other = openai_event({"choices": [{"index": 1, "delta": {"content": "no"}}]})

    assert answered(server, openai_delta({"content": "yes"}), other, STOP, DONE).text == "yes"


def test_a_surrogate_pair_in_two_deltas_is_one_character(server: ProviderServer) -> None:
    halves = [
        b'data: {"choices": [{"index": 0, "delta": {"content": "\\ud83c"}}]}\n\n',
        b'data: {"choices": [{"index": 0, "delta": {"content": "\\udf19"}}]}\n\n',
    ]

    assert answered(server, *halves, STOP, DONE).text == "🌙"


def test_an_error_in_the_middle_of_the_stream_has_its_class(server: ProviderServer) -> None:
    error = openai_event({"error": {"code": 429, "message": f"slow down {KEY}"}})

    with pytest.raises(ModelThrottledError, match=r"slow down \[key\]"):
        answered(server, openai_delta({"content": "x"}), error)
