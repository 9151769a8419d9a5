"""Functions reach the real Bedrock through a signer that holds the credentials for them."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import botocore.session
import pytest
import requests
from botocore.config import Config

from local.bedrock_gateway import BedrockGateway
from local.errors import LocalRunError

ANSWER = (
    b'{"output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}},'
    b' "stopReason": "end_turn", "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},'
    b' "metrics": {"latencyMs": 1}}'
)


class _Bedrock(BaseHTTPRequestHandler):
    seen: list[dict[str, str]]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.seen.append({"path": self.path} | {k.lower(): v for k, v in self.headers.items()})
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def seen() -> list[dict[str, str]]:
    return []


@pytest.fixture
def gateway(seen: list[dict[str, str]]) -> Iterator[BedrockGateway]:
    bedrock = ThreadingHTTPServer(("127.0.0.1", 0), type("Bedrock", (_Bedrock,), {"seen": seen}))
    thread = threading.Thread(target=bedrock.serve_forever)
    thread.start()
    session = botocore.session.Session()
    session.set_credentials("AKIAREAL", "real-secret", "real-token")
    session.set_config_variable("region", "eu-central-1")
    gateway = BedrockGateway(session, endpoint=f"http://127.0.0.1:{bedrock.server_port}")
    yield gateway
    gateway.close()
    bedrock.shutdown()
    bedrock.server_close()
    thread.join()


def client(url: str) -> Any:
    return boto3.session.Session().client(
        "bedrock-runtime",
        endpoint_url=url,
        region_name="eu-west-1",
        aws_access_key_id="made-up",
        aws_secret_access_key="made-up",
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )


def test_a_call_arrives_signed_with_the_users_credentials(
    gateway: BedrockGateway, seen: list[dict[str, str]]
) -> None:
    message = {"role": "user", "content": [{"text": "hello"}]}

    answer = client(gateway.url).converse(modelId="eu.some.model-v1:0", messages=[message])

    assert answer["output"]["message"]["content"] == [{"text": "hi"}]
    assert seen[0]["path"] == "/model/eu.some.model-v1%3A0/converse"
    assert "Credential=AKIAREAL/" in seen[0]["authorization"]
    assert "/eu-central-1/bedrock/aws4_request" in seen[0]["authorization"]
    assert seen[0]["x-amz-security-token"] == "real-token"
    assert "made-up" not in str(seen)


def test_without_its_secret_address_it_serves_nobody(
    gateway: BedrockGateway, seen: list[dict[str, str]]
) -> None:
    root = gateway.url.rpartition("/")[0]

    answer = requests.post(f"{root}/model/x/converse", data=b"{}", timeout=5)

    assert (answer.status_code, seen) == (404, [])


def test_missing_credentials_and_region_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    with pytest.raises(LocalRunError, match="AWS_REGION"):
        BedrockGateway(botocore.session.Session())
    with pytest.raises(LocalRunError, match="aws sts get-caller-identity"):
        BedrockGateway(botocore.session.Session(), region="eu-west-1")
    monkeypatch.setenv("AWS_PROFILE", "not-there")
    with pytest.raises(LocalRunError, match="not-there"):
        BedrockGateway(botocore.session.Session())
