import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nightdesk.adapters.models.bedrock import BedrockModel, cache_fields
from nightdesk.domain.model import (
    CallControl,
    ModelAuthError,
    ModelRequestError,
    ModelThrottledError,
    ModelTier,
    ModelTurn,
    ModelUnavailableError,
    StopReason,
)
from tests.fakes.clock import FakeClock
from tests.models.provider_server import ProviderServer, replies
from tests.models.providers import BEDROCK, MODELS, SCHEMA, asking
from tests.models.wire_formats import Said, bedrock_event, bedrock_events, bedrock_exception

POINT = {"cachePoint": {"type": "default"}}
METADATA = bedrock_event(
    "metadata",
    {
        "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
        "metrics": {"latencyMs": 1},
    },
)


def connected(server: ProviderServer, model_id: str | None = None) -> BedrockModel:
    models = dict.fromkeys(ModelTier, model_id) if model_id else MODELS
    return BedrockModel(
        models=models, clock=FakeClock(), region_name="eu-west-1", endpoint_url=server.url
    )


def answered(server: ProviderServer, *events: bytes) -> ModelTurn:
    server.script(replies(events, content_type=BEDROCK.content_type))
    return connected(server).converse(asking(), CallControl())


def stopped(reason: str) -> bytes:
    return bedrock_event("messageStop", {"stopReason": reason})


def delta(content: dict[str, Any], index: int = 0) -> bytes:
    return bedrock_event("contentBlockDelta", {"contentBlockIndex": index, "delta": content})


def test_the_request_is_as_converse_stream_documents_it(server: ProviderServer) -> None:
    server.script(replies(bedrock_events(Said(text="ok")), content_type=BEDROCK.content_type))
    conversation = (
        {"role": "user", "content": [{"text": "Where?"}]},
        {
            "role": "assistant",
            "content": [
                {"text": "I look."},
                {"toolUse": {"toolUseId": "t1", "name": "read_file", "input": {"path": "ä"}}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "t1", "content": [{"text": "x"}], "status": "error"}}
            ],
        },
        {"role": "user", "content": [{"text": "A note."}]},
    )

    connected(server).converse(asking(messages=conversation), CallControl())

    (request,) = server.requests
    assert request.method == "POST"
    assert request.path == "/model/global.anthropic.claude-opus-5-5/converse-stream"
    assert request.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/")
    assert "/eu-west-1/bedrock/aws4_request" in request.headers["authorization"]
    assert request.json == {
        "system": [{"text": "You are careful."}, POINT],
        "inferenceConfig": {"maxTokens": 1_000},
        "toolConfig": {
            "tools": [
                {
                    "toolSpec": {
                        "name": "read_file",
                        "description": "Reads a file.",
                        "inputSchema": {"json": SCHEMA},
                    }
                },
                {
                    "toolSpec": {
                        "name": "search_code",
                        "description": "Searches the code.",
                        "inputSchema": {"json": {"type": "object", "properties": {}}},
                    }
                },
                POINT,
            ]
        },
        "messages": [
            {"role": "user", "content": [{"text": "Where?"}, POINT]},
            {
                "role": "assistant",
                "content": [
                    {"text": "I look."},
                    {"toolUse": {"toolUseId": "t1", "name": "read_file", "input": {"path": "ä"}}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "toolResult": {
                            "toolUseId": "t1",
                            "content": [{"text": "x"}],
                            "status": "error",
                        }
                    },
                    {"text": "A note."},
                    POINT,
                ],
            },
        ],
    }


def test_a_profile_by_arn_and_an_old_version_reach_their_path(server: ProviderServer) -> None:
    arn = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc"
    server.script(replies(bedrock_events(Said(text="ok")), content_type=BEDROCK.content_type))

    connected(server, arn).converse(asking(), CallControl())

    assert server.requests[0].path == (
        "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3A"
        "application-inference-profile%2Fabc/converse-stream"
    )
    assert b"cachePoint" not in server.requests[0].body


@pytest.mark.parametrize(
    ("model_id", "fields"),
    [
        ("anthropic.claude-3-7-sonnet-20250219-v1:0", {"tools", "system", "messages"}),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", {"tools", "system", "messages"}),
        (
            "arn:aws:bedrock:us-east-1:1:inference-profile/global.anthropic.claude-opus-5-5",
            {"tools", "system", "messages"},
        ),
        ("eu.amazon.nova-pro-v1:0", {"system"}),
        ("anthropic.claude-3-haiku-20240307-v1:0", set()),
        ("meta.llama3-70b-instruct-v1:0", set()),
        ("arn:aws:bedrock:us-east-1:1:application-inference-profile/abc", set()),
    ],
)
def test_cache_points_go_only_where_the_model_takes_them(model_id: str, fields: set[str]) -> None:
    assert cache_fields(model_id) == fields


def test_thoughts_come_back_as_they_were_sent(server: ProviderServer) -> None:
    turn = answered(
        server,
        delta({"reasoningContent": {"text": "Well, "}}),
        delta({"reasoningContent": {"text": "well."}}),
        delta({"reasoningContent": {"signature": "c2ln"}}),
        delta({"reasoningContent": {"redactedContent": "AQI="}}, 1),
        delta({"reasoningContent": {"redactedContent": "Aw=="}}, 1),
        delta({"text": "Yes"}, 2),
        stopped("end_turn"),
        METADATA,
    )
    thinking = {"reasoningText": {"text": "Well, well.", "signature": "c2ln"}}
    redacted = {"redactedContent": "AQID"}
    assert turn.message["content"] == [
        {"reasoningContent": {"provider": "bedrock", "block": thinking}},
        {"reasoningContent": {"provider": "bedrock", "block": redacted}},
        {"text": "Yes"},
    ]
    server.script(replies(bedrock_events(Said(text="ok")), content_type=BEDROCK.content_type))
    conversation = (*asking().messages, turn.message, *asking("Sure?").messages)

    connected(server).converse(asking(messages=conversation), CallControl())

    assert server.requests[1].json["messages"][1]["content"][:2] == [
        {"reasoningContent": thinking},
        {"reasoningContent": redacted},
    ]


def test_content_that_a_filter_took_away_is_a_refusal(server: ProviderServer) -> None:
    turn = answered(server, stopped("content_filtered"), METADATA)

    assert turn.stop_reason is StopReason.REFUSAL


@pytest.mark.parametrize("reason", ["malformed_tool_use", "malformed_model_output", "new"])
def test_a_stop_that_is_no_end_is_transient(server: ProviderServer, reason: str) -> None:
    with pytest.raises(ModelUnavailableError, match=reason):
        answered(server, delta({"text": "x"}), stopped(reason), METADATA)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("throttlingException", ModelThrottledError),
        ("validationException", ModelRequestError),
        ("modelStreamErrorException", ModelUnavailableError),
        ("internalServerException", ModelUnavailableError),
        ("serviceUnavailableException", ModelUnavailableError),
    ],
)
def test_an_exception_in_the_middle_of_the_stream_has_its_class(
    server: ProviderServer, kind: str, error: type[Exception]
) -> None:
    with pytest.raises(error, match="Sorry"):
        answered(server, delta({"text": "x"}), bedrock_exception(kind, "Sorry"))


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (403, "AccessDeniedException", ModelAuthError),
        (403, "ExpiredTokenException", ModelAuthError),
        (404, "ResourceNotFoundException", ModelRequestError),
        (400, "ValidationException", ModelRequestError),
        (429, "ThrottlingException", ModelThrottledError),
        (429, "ModelNotReadyException", ModelThrottledError),
        (424, "ModelErrorException", ModelUnavailableError),
        (408, "ModelTimeoutException", ModelUnavailableError),
        (503, "ServiceUnavailableException", ModelUnavailableError),
    ],
)
def test_each_error_of_the_service_has_its_class(
    server: ProviderServer, status: int, code: str, error: type[Exception]
) -> None:
    body = BEDROCK.error(code, "You may not.")
    server.script(
        replies(
            [body],
            status=status,
            headers={"x-amzn-ErrorType": code},
            content_type="application/json",
        )
    )

    with pytest.raises(error, match=f"{status} {code}: You may not."):
        connected(server).converse(asking(), CallControl())


def test_a_frame_with_a_wrong_checksum_is_transient(server: ProviderServer) -> None:
    good = delta({"text": "x"})
    bad = good[:-6] + bytes([good[-6] ^ 1]) + good[-5:]

    with pytest.raises(ModelUnavailableError, match="malformed"):
        answered(server, bad, stopped("end_turn"), METADATA)


def test_missing_credentials_are_for_a_person_to_mend(
    server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    with pytest.raises(ModelAuthError, match="NoCredentialsError"):
        connected(server).converse(asking(), CallControl())


def test_a_missing_region_is_for_a_person_to_mend() -> None:
    model = BedrockModel(models=MODELS, clock=FakeClock())

    with pytest.raises(ModelAuthError, match="NoRegionError"):
        model.converse(asking(), CallControl())


def test_a_request_that_boto3_refuses_is_permanent(server: ProviderServer) -> None:
    conversation = (
        {"role": "user", "content": [{"toolUse": {"toolUseId": "t", "name": 7, "input": {}}}]},
    )

    with pytest.raises(ModelRequestError, match="name"):
        connected(server).converse(asking(messages=conversation), CallControl())

    assert server.requests == []


def test_boto3_is_imported_by_the_first_call_only() -> None:
    code = (
        "import sys; import nightdesk.adapters.models.bedrock;"
        "print(sorted(sys.modules.keys() & {'boto3', 'botocore'}))"
    )
    layer = Path(__file__).parents[2] / "layers/nightdesk"

    found = subprocess.run(
        [sys.executable, "-c", code], cwd=layer, capture_output=True, text=True, check=True
    )

    assert found.stdout == "[]\n"
