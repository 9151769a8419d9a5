"""The notifier as deployed: its own handler and wiring, on moto, to a receiver on loopback."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import boto3
import pytest

from nightdesk import bootstrap
from nightdesk.adapters.dynamodb.conversations import DynamoPushConfigs
from nightdesk.adapters.dynamodb.outbox_store import DynamoOutboxStore
from nightdesk.adapters.dynamodb.tables import TableNames
from nightdesk.adapters.dynamodb.task_store import DynamoTaskStore
from nightdesk.domain.callback_signature import secret_of
from nightdesk.domain.notices import NOTIFY, is_delivery
from nightdesk.domain.outbox import OutboxState
from nightdesk.domain.ports import Release, WorkspaceSettings
from nightdesk.domain.push_configs import PushFormat
from nightdesk.domain.session import EntryKind
from nightdesk.domain.task import TaskStatus
from tests.a2a.test_conversations import RETENTION, table_definition
from tests.a2a.test_on_aws import forget_wiring
from tests.aws import REGION
from tests.engine.examples import a_task, an_entry, an_origin, claim
from tests.fakes.clock import NOON
from tests.handlers import FakeContext, event, load_handler
from tests.notifier.test_callback_receivers import Receiver, receiver
from tests.notifier.world import config

__all__ = ["receiver"]

TASK = event("notifier-rows")["rows"][0]["taskId"]
KEY = "canary-callback-key-of-32-characters"


@dataclass
class Deployed:
    tasks: DynamoTaskStore
    outbox: DynamoOutboxStore
    configs: DynamoPushConfigs

    def invoke(self, given: dict[str, Any], *, left_ms: int = 60_000) -> dict[str, Any]:
        answer = load_handler("notifier").lambda_handler(given, FakeContext(left_ms))
        assert isinstance(answer, dict)
        return answer

    def deliveries(self) -> dict[str, Any]:
        """What the stream says of the deliveries that there are."""
        rows = [row.row for row in self.outbox.of_task(TASK, NOTIFY) if is_delivery(row.row)]
        return {"rows": [{"taskId": TASK, "row": row} for row in rows]}


@pytest.fixture
def deployed(aws_tables: TableNames, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    definition = table_definition()
    boto3.client("dynamodb", region_name=REGION).create_table(
        TableName="conversations",
        **{k: definition[k] for k in ("AttributeDefinitions", "KeySchema", "BillingMode")},
    )
    ssm = boto3.client("ssm", region_name=REGION)
    ssm.put_parameter(Name="/nightdesk/callback-key", Value=KEY, Type="SecureString")
    for field in ("tasks", "origins", "session_log", "outbox", "workspaces"):
        monkeypatch.setenv(f"{field.upper()}_TABLE", getattr(aws_tables, field))
    monkeypatch.setenv("CONVERSATIONS_TABLE", "conversations")
    monkeypatch.setenv("CALLBACK_KEY_PARAMETER", "/nightdesk/callback-key")
    monkeypatch.setenv("NIGHTDESK_PROFILE", "local")
    forget_wiring()
    tasks = DynamoTaskStore(slot_count=2, retention=RETENTION)
    task = a_task(TASK, has_callbacks=True)
    assert tasks.create(task, an_origin(TASK))
    output = an_entry(TASK, kind=EntryKind.OUTPUT, data={"result": "Look there."})
    held = claim(tasks, TASK)
    tasks.release(held, Release(status=TaskStatus.COMPLETED, entry=output), now=NOON)
    bootstrap.notifier()
    yield Deployed(tasks, DynamoOutboxStore(), DynamoPushConfigs(retention=RETENTION))
    forget_wiring()


def test_a_record_of_the_stream_becomes_a_signed_callback(
    deployed: Deployed, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://127.0.0.1:{receiver.port}/canary-path"
    wanted = config(url=url, format=PushFormat.JSON, token="canary-token")
    deployed.configs.put(replace(wanted, task_id=TASK))
    settings = WorkspaceSettings(secret_version=1, secret_since=int(NOON.timestamp()))
    deployed.tasks.set_workspace_settings("default", settings)

    told = deployed.invoke(event("notifier-outbox-insert"))
    assert told == {"batchItemFailures": [], "ok": True, "outcomes": {"done": 1}}
    assert deployed.invoke(deployed.deliveries())["outcomes"] == {"done": 1}
    assert deployed.invoke(deployed.deliveries())["outcomes"] == {"left": 1}

    ((path, headers, body),) = receiver.got
    assert path == "/canary-path"
    assert json.loads(body)["data"]["output"]["result"] == "Look there."
    assert headers["webhook-signature"].startswith("v1,")
    logged = "".join(capsys.readouterr())
    for canary in (KEY, "canary-token", "canary-path", secret_of(KEY, "default", 1)):
        assert canary not in logged


def test_a_receiver_that_is_down_leaves_a_row_for_the_sweeper(deployed: Deployed) -> None:
    deployed.configs.put(replace(config(url="http://127.0.0.1:1/"), task_id=TASK))
    deployed.invoke(event("notifier-rows"))

    assert deployed.invoke(deployed.deliveries())["outcomes"] == {"try_again": 1}
    (row,) = [r for r in deployed.outbox.of_task(TASK, NOTIFY) if is_delivery(r.row)]
    assert (row.state, row.tries) == (OutboxState.PENDING, 1)
    assert row.last_error == "127.0.0.1: ConnectionRefusedError"


def test_a_row_that_does_not_fit_into_the_time_is_left_to_the_sweeper(deployed: Deployed) -> None:
    assert deployed.invoke(event("notifier-rows"), left_ms=29_000)["outcomes"] == {"left": 1}


def test_rows_of_others_and_unknown_ones_harm_nobody(deployed: Deployed) -> None:
    rows = [
        {"taskId": TASK, "row": "github#0001#comment#1"},
        {"taskId": "unknown", "row": "notify#0001#000001#COMPLETED"},
        {"taskId": TASK, "row": "notify#nonsense"},
    ]
    assert deployed.invoke({"rows": rows})["outcomes"] == {"left": 2}
