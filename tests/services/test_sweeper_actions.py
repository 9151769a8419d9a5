"""What else the sweeper does when it is told to, through its real handler, on moto."""

import json
from datetime import timedelta
from types import ModuleType

import boto3
import pytest

from nightdesk import bootstrap
from nightdesk.adapters.dynamodb.outbox_store import DynamoOutboxStore
from nightdesk.adapters.dynamodb.tables import TableNames
from nightdesk.adapters.dynamodb.task_store import DynamoTaskStore
from nightdesk.adapters.sqs import SqsDeadLetters, SqsWakeUps
from nightdesk.adapters.system import SystemClock
from nightdesk.domain.ports import WorkspaceSettings
from nightdesk.services.engine_ports import SweeperPorts
from tests.aws import REGION
from tests.engine.examples import a_task, an_origin
from tests.fakes.functions import FakeFunctions
from tests.handlers import FakeContext, load_handler


class Cloud:
    def __init__(self) -> None:
        self.sqs = boto3.client("sqs", region_name=REGION)
        self.queue_url = self.sqs.create_queue(QueueName="wake-ups")["QueueUrl"]
        self.dead_url = self.sqs.create_queue(QueueName="dead")["QueueUrl"]
        self.tasks = DynamoTaskStore(slot_count=2, retention=timedelta(days=90))
        self.ports = SweeperPorts(
            tasks=self.tasks,
            outbox=DynamoOutboxStore(),
            wake_ups=SqsWakeUps(self.queue_url, region=REGION),
            functions=FakeFunctions(),
            clock=SystemClock(),
            publisher_function="publisher",
            notifier_function="notifier",
        )

    def waiting(self, url: str) -> list[str]:
        messages = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        return [json.loads(m["Body"])["taskId"] for m in messages.get("Messages", [])]


@pytest.fixture
def cloud(aws_tables: TableNames, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    cloud = Cloud()
    letters = SqsDeadLetters(cloud.dead_url, region=REGION)
    monkeypatch.setattr(bootstrap, "sweeper", lambda: cloud.ports)
    monkeypatch.setattr(bootstrap, "dead_letters", lambda: letters)
    return cloud


@pytest.fixture(scope="module")
def sweeper() -> ModuleType:
    return load_handler("sweeper")


def test_a_redrive_moves_the_dead_letters_and_sweeps_nothing(
    cloud: Cloud, sweeper: ModuleType
) -> None:
    for task_id in ("t-1", "t-2"):
        cloud.sqs.send_message(QueueUrl=cloud.dead_url, MessageBody=f'{{"taskId": "{task_id}"}}')

    answer = sweeper.lambda_handler({"action": "redrive"}, FakeContext())

    assert answer == {"ok": True, "redriven": 2}
    assert sorted(cloud.waiting(cloud.queue_url)) == ["t-1", "t-2"]
    assert cloud.waiting(cloud.dead_url) == []


def test_a_pause_of_everything_keeps_what_else_was_set(cloud: Cloud, sweeper: ModuleType) -> None:
    cloud.tasks.set_workspace_settings("*", WorkspaceSettings(tasks_per_day=7))

    paused = sweeper.lambda_handler({"action": "pause"}, FakeContext())
    during = cloud.tasks.view_for_claim([]).settings["*"]
    resumed = sweeper.lambda_handler({"action": "resume"}, FakeContext())

    assert paused == {"ok": True, "paused": True}
    assert during == WorkspaceSettings(paused=True, tasks_per_day=7)
    assert resumed["paused"] is False
    assert cloud.tasks.workspace_settings("*") == WorkspaceSettings(tasks_per_day=7)


def test_resuming_wakes_executors_at_once(cloud: Cloud, sweeper: ModuleType) -> None:
    now = cloud.ports.clock.now()
    cloud.tasks.create(a_task("t-1", at=now), an_origin("t-1"))
    sweeper.lambda_handler({"action": "pause"}, FakeContext())

    answer = sweeper.lambda_handler({"action": "resume"}, FakeContext())

    assert answer["woken"] == 1
    assert cloud.waiting(cloud.queue_url) == ["t-1"]


def test_an_unknown_action_does_nothing(cloud: Cloud, sweeper: ModuleType) -> None:
    with pytest.raises(ValueError, match="sweep, redrive, pause, resume"):
        sweeper.lambda_handler({"action": "drop"}, FakeContext())

    assert cloud.tasks.workspace_settings("*") == WorkspaceSettings()
