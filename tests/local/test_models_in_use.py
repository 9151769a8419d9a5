"""With a model's credentials in the environment, the same command uses that model."""

import json
from pathlib import Path

import pytest

from nightdesk.domain.model import StopReason
from tests.local.demo import Demo
from tests.models.provider_server import ProviderServer, replies
from tests.models.wire_formats import Call, Said, bedrock_events, openai_events

pytestmark = pytest.mark.ministack

READS = Said(
    calls=(Call("c1", "read_file", json.dumps({"path": "quayside/refunds.py"})),),
    stop=StopReason.TOOL_USE,
)
ANSWERS = Said(text="The refund ignores who cancelled: `quayside/refunds.py:12`.")


def test_an_openai_compatible_server_gets_the_key_and_answers_the_issue(tmp_path: Path) -> None:
    with ProviderServer() as server:
        server.script(*(replies(openai_events(said)) for said in (READS, ANSWERS)))
        demo = Demo(
            tmp_path,
            "demo",
            environment={
                "OPENAI_BASE_URL": f"{server.url}/v1",
                "OPENAI_API_KEY": "sk-canary-0123456789",
                "NIGHTDESK_MODEL_SMART": "some-model",
            },
        )

        assert demo.end() == 0, demo.text()
        assert "openai (OPENAI_BASE_URL is set)" in demo.text()
        assert "The refund ignores who cancelled" in demo.text()
        assert [request.json["model"] for request in server.requests] == ["some-model"] * 2
        sent = {request.headers["authorization"] for request in server.requests}
        assert sent == {"Bearer sk-canary-0123456789"}
        # The tool's result went back to the model.
        assert b"def refund_for" in server.requests[1].body
    for log in (tmp_path / "logs").iterdir():
        assert "sk-canary-0123456789" not in log.read_text(encoding="utf-8"), log


def test_bedrock_is_called_with_the_users_credentials_and_the_rest_stays_here(
    tmp_path: Path,
) -> None:
    with ProviderServer() as server:
        server.script(
            *(
                replies(bedrock_events(said), content_type="application/vnd.amazon.eventstream")
                for said in (READS, ANSWERS)
            )
        )
        demo = Demo(
            tmp_path,
            "demo",
            environment={
                "AWS_ACCESS_KEY_ID": "AKIACANARY",
                "AWS_SECRET_ACCESS_KEY": "canary-secret",
                "AWS_REGION": "eu-central-1",
                "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": server.url,
            },
        )

        assert demo.end() == 0, demo.text()
        assert "bedrock (AWS_ACCESS_KEY_ID is set)" in demo.text()
        assert "The refund ignores who cancelled" in demo.text()
        assert len(server.requests) == 2
        for request in server.requests:
            assert request.path.endswith("/converse-stream")
            assert "Credential=AKIACANARY/" in request.headers["authorization"]
    for log in (tmp_path / "logs").iterdir():
        assert "canary-secret" not in log.read_text(encoding="utf-8"), log
