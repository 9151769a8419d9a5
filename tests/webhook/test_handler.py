"""The function through its real handler and wiring: moto is the cloud."""

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from nightdesk.adapters.dynamodb.deferred_events import DynamoDeferredEvents
from nightdesk.adapters.dynamodb.tables import TableNames, TaskItem
from tests.aws import REGION, TEMPLATE
from tests.github.conftest import disturb
from tests.github.test_handlers import forget_wiring
from tests.github_simulator.conftest import Github, github, repository_path, shared_simulator
from tests.handlers import FakeContext, event, load_handler
from tests.webhook.world import SECRET, signature

__all__ = ["github", "repository_path", "shared_simulator"]

CANARY_PREVIOUS = "previous-CANARY-secret"


@pytest.fixture
def wired(
    aws_tables: TableNames, monkeypatch: pytest.MonkeyPatch, github: Github
) -> Iterator[None]:
    queue = boto3.client("sqs", region_name=REGION).create_queue(QueueName="wake-ups")
    ssm = boto3.client("ssm", region_name=REGION)
    for name, value in (("/hook/now", SECRET), ("/hook/previous", CANARY_PREVIOUS)):
        ssm.put_parameter(Name=name, Value=value, Type="SecureString")
    for field in ("tasks", "origins", "github", "limits"):
        monkeypatch.setenv(f"{field.upper()}_TABLE", getattr(aws_tables, field))
    for name, value in {
        "WAKE_UP_QUEUE_URL": queue["QueueUrl"],
        "SPECIALISTS_DIR": str(TEMPLATE.parent / "specialists"),
        "DEFAULT_TRIGGERS": '{"issues.opened": "issue-enricher"}',
        "GITHUB_API_URL": github.server.url,
        "GITHUB_WEBHOOK_REPOS": "octo-org/widgets",
        "GITHUB_WEBHOOK_SECRET_PARAMETER": "/hook/now",
        "GITHUB_WEBHOOK_SECRET_PREVIOUS_PARAMETER": "/hook/previous",
    }.items():
        monkeypatch.setenv(name, value)
    forget_wiring()
    yield
    forget_wiring()


def invoke(sent: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    answer = load_handler("github_webhook").lambda_handler(sent, FakeContext(9_000))
    return answer["statusCode"], json.loads(answer["body"])


def tasks() -> list[str]:
    return [item.id for item in TaskItem.scan()]


@pytest.mark.usefixtures("wired")
def test_the_event_file_of_a_new_issue_makes_a_task() -> None:
    status, body = invoke(event("github-webhook-issue-opened"))
    assert (status, body["taskIds"]) == (202, tasks())
    assert len(tasks()) == 1

    again = invoke(event("github-webhook-issue-opened"))
    assert again == (202, {"ok": True, "taskIds": [], "ignored": "already_started"})


@pytest.mark.usefixtures("wired")
def test_the_event_file_of_a_ping_is_answered() -> None:
    assert invoke(event("github-webhook-ping")) == (200, {"ok": True, "pong": True})


@pytest.mark.usefixtures("wired")
def test_base64_odd_header_case_and_the_previous_secret_are_taken() -> None:
    sent = event("github-webhook-issue-opened")
    raw = sent["body"].encode()
    sent["body"], sent["isBase64Encoded"] = base64.b64encode(raw).decode(), True
    sent["headers"] = {name.upper(): value for name, value in sent["headers"].items()}
    sent["headers"]["X-HUB-SIGNATURE-256"] = signature(raw, CANARY_PREVIOUS)
    assert invoke(sent)[0] == 202
    assert len(tasks()) == 1


@pytest.mark.usefixtures("wired")
@pytest.mark.parametrize(
    "change",
    [
        {"headers": {}},
        {"body": None},
        {"body": "no base64!", "isBase64Encoded": True},
        {"body": "\ud800"},
    ],
)
def test_a_request_that_is_not_githubs_is_401_and_tells_nothing(change: dict[str, Any]) -> None:
    status, body = invoke({**event("github-webhook-issue-opened"), **change})
    assert (status, body) == (401, {"ok": False, "error": "the signature is missing or wrong"})
    assert tasks() == []


@pytest.mark.usefixtures("wired")
def test_no_secret_in_ssm_refuses_everything() -> None:
    ssm = boto3.client("ssm", region_name=REGION)
    ssm.delete_parameters(Names=["/hook/now", "/hook/previous"])
    status, body = invoke(event("github-webhook-issue-opened"))
    assert (status, body["error"]) == (503, "no webhook secret is configured")
    assert tasks() == []


@pytest.mark.usefixtures("wired")
def test_no_secret_is_in_any_row_or_log(capsys: pytest.CaptureFixture[str]) -> None:
    invoke(event("github-webhook-issue-opened"))
    invoke({**event("github-webhook-issue-opened"), "headers": {}})
    database = boto3.client("dynamodb", region_name=REGION)
    rows = [database.scan(TableName=name)["Items"] for name in database.list_tables()["TableNames"]]
    logged = capsys.readouterr()
    everything = f"{rows} {logged.out} {logged.err}"
    for secret in (SECRET, CANARY_PREVIOUS):
        assert secret not in everything


@pytest.mark.usefixtures("wired")
def test_a_github_that_hangs_is_not_waited_for_and_the_event_is_kept(github: Github) -> None:
    invoke(event("github-webhook-ping"))
    disturb(github, kind="delay", seconds=3, count=None)
    took = []
    for number in (71, 72):  # twice: the first one also pays for connections
        began = time.monotonic()
        status, body = invoke(opened(number))
        took.append(time.monotonic() - began)
        assert (status, body) == (202, {"ok": True, "taskIds": [], "state": "deferred"})
    assert min(took) < 1
    assert DynamoDeferredEvents().count(most=10) == 2
    assert tasks() == []


def opened(number: int) -> dict[str, Any]:
    """The event file's delivery, of another issue."""
    sent = event("github-webhook-issue-opened")
    whole = json.loads(sent["body"])
    whole["issue"] |= {"number": number, "id": 70_000 + number}
    body = json.dumps(whole)
    headers = {**sent["headers"], "x-hub-signature-256": signature(body.encode())}
    return {**sent, "headers": headers, "body": body}
