"""The function as it is deployed: its own handler and wiring, on moto's DynamoDB and SQS."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import boto3
import botocore.handlers
import pytest

from nightdesk import bootstrap
from nightdesk.adapters.dynamodb.access_store import DynamoAccessStore
from nightdesk.adapters.dynamodb.tables import TableNames
from nightdesk.adapters.system import SystemClock, SystemDice
from nightdesk.services.manage_keys import create_key
from tests.a2a.test_conversations import table_definition
from tests.a2a.world import HOOK, message
from tests.api.caller import Answered, answered
from tests.aws import REGION, TEMPLATE
from tests.handlers import FakeContext, event, load_handler

AGENT = "issue-enricher"


@dataclass
class Deployed:
    """The deployed function; `requests` are the AWS operations of the latest call."""

    handler: ModuleType
    queue_url: str
    requests: list[str]
    key: str = ""

    def send_event(self, name: str, **changes: Any) -> Answered:
        """One of the events of `sam local invoke`, with a key that exists here."""
        sent = event(name)
        if "authorization" in sent["headers"]:
            sent["headers"]["authorization"] = f"Bearer {self.key}"
        sent.update(changes)
        self.requests.clear()
        return answered(self.handler.lambda_handler(sent, FakeContext()))

    def rpc(self, method: str, params: Any) -> dict[str, Any]:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return self.send_event("a2a-send", body=json.dumps(body)).json

    def wake_ups(self) -> list[str]:
        sqs = boto3.client("sqs", region_name=REGION)
        received = sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10)
        return [json.loads(m["Body"])["taskId"] for m in received.get("Messages", [])]


def forget_wiring() -> None:
    """Wire anew, as a fresh environment of the function does."""
    for part in vars(bootstrap).values():
        if hasattr(part, "cache_clear"):
            part.cache_clear()


@pytest.fixture
def deployed(aws_tables: TableNames, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    sent: list[str] = []

    def note(event_name: str, **_: Any) -> None:
        sent.append(event_name.rpartition(".")[2])

    hook = ("before-send", note)
    queue = boto3.client("sqs", region_name=REGION).create_queue(QueueName="wake-ups")
    definition = table_definition()
    boto3.client("dynamodb", region_name=REGION).create_table(
        TableName="conversations",
        **{k: definition[k] for k in ("AttributeDefinitions", "KeySchema", "BillingMode")},
    )
    for name in ("tasks", "origins", "session_log", "outbox", "access", "limits"):
        monkeypatch.setenv(f"{name.upper()}_TABLE", getattr(aws_tables, name))
    monkeypatch.setenv("CONVERSATIONS_TABLE", "conversations")
    monkeypatch.setenv("WAKE_UP_QUEUE_URL", queue["QueueUrl"])
    monkeypatch.setenv("SPECIALISTS_DIR", str(TEMPLATE.parent / "specialists"))
    monkeypatch.setenv("A2A_DEFAULT_AGENT", AGENT)
    forget_wiring()
    botocore.handlers.BUILTIN_HANDLERS.insert(0, hook)
    made = Deployed(load_handler("a2a"), queue["QueueUrl"], sent)
    made.key = create_key(
        workspace_id="team", access=DynamoAccessStore(), clock=SystemClock(), dice=SystemDice()
    ).text
    yield made
    botocore.handlers.BUILTIN_HANDLERS.remove(hook)
    forget_wiring()


def test_a_card_asks_nobody(deployed: Deployed) -> None:
    card = deployed.send_event("a2a-card")

    assert (card.status, card.json["name"]) == (200, "Issue Enricher")
    assert deployed.send_event("a2a-default-card").json == card.json
    assert deployed.requests == []


def test_a_task_is_sent_shown_listed_and_canceled(deployed: Deployed) -> None:
    sent = deployed.send_event("a2a-send").json["result"]["task"]
    assert deployed.wake_ups() == [sent["id"]]

    shown = deployed.rpc("GetTask", {"id": sent["id"]})["result"]
    listed = deployed.send_event("a2a-list").json
    canceled = deployed.rpc("CancelTask", {"id": sent["id"]})["result"]
    again = deployed.send_event("a2a-list").json

    assert shown == sent
    assert (listed["totalSize"], listed["tasks"][0]["id"]) == (1, sent["id"])
    assert canceled["status"]["state"] == "TASK_STATE_CANCELED"
    assert again["tasks"][0]["status"]["state"] == "TASK_STATE_CANCELED"


def test_a_send_makes_one_request_more_than_the_rest_api(deployed: Deployed) -> None:
    """Authenticate, create, record the conversation, send the wake-up: nothing else."""
    deployed.send_event("a2a-send")
    deployed.send_event("a2a-send")  # the first one also finds out about the tables

    assert deployed.requests == [
        "UpdateItem",
        "TransactWriteItems",
        "TransactWriteItems",
        "SendMessage",
    ]


def test_a_malformed_key_asks_nobody_and_an_unknown_one_asks_once(deployed: Deployed) -> None:
    deployed.key = "nd_malformed"
    assert deployed.send_event("a2a-send").status == 401
    assert deployed.requests == []
    deployed.key = f"nd_{'a' * 16}_{'b' * 64}"
    assert deployed.send_event("a2a-send-rest").status == 401
    assert deployed.requests == ["UpdateItem"]


def test_an_idempotency_key_and_a_callback_are_kept(deployed: Deployed) -> None:
    headers = event("a2a-send")["headers"] | {
        "authorization": f"Bearer {deployed.key}",
        "idempotency-key": "k",
    }
    configuration = {"returnImmediately": True, "taskPushNotificationConfig": {"url": HOOK}}
    params = {"message": message(), "configuration": configuration}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": params})

    ids = {
        deployed.send_event("a2a-send", headers=headers, body=body).json["result"]["task"]["id"]
        for _ in range(3)
    }

    (task_id,) = ids
    configs = deployed.rpc("ListTaskPushNotificationConfigs", {"taskId": task_id})["result"]
    assert [config["url"] for config in configs["configs"]] == [HOOK]


def test_the_predecessors_task_is_accepted_and_polled(deployed: Deployed) -> None:
    made = deployed.send_event("a2a-task-create")
    path = made.json["checkUrl"]
    context = event("a2a-list")["requestContext"]

    shown = deployed.send_event("a2a-list", rawPath=path, requestContext=context)

    assert (made.status, shown.json["status"]) == (202, "pending")


def test_nothing_secret_is_logged(deployed: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
    deployed.send_event("a2a-send")
    deployed.send_event("a2a-task-create")

    written = capsys.readouterr()
    assert deployed.key.rpartition("_")[2] not in written.out + written.err
    assert "cache invalidated" not in written.out + written.err
