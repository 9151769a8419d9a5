"""The executor and the sweeper through their real handlers, on moto, with their real events."""

from dataclasses import replace
from datetime import timedelta
from types import ModuleType
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient

from nightdesk import bootstrap
from nightdesk.adapters.dynamodb.due_times import DynamoDueTimes
from nightdesk.adapters.dynamodb.outbox_store import DynamoOutboxStore
from nightdesk.adapters.dynamodb.tables import TableNames, TaskItem
from nightdesk.adapters.dynamodb.task_store import DynamoTaskStore
from nightdesk.adapters.sqs import SqsWakeUps
from nightdesk.adapters.system import SystemClock
from nightdesk.domain.ports import Progress
from nightdesk.domain.specialist import ScheduleTrigger
from nightdesk.domain.task import ORPHAN_MESSAGE, TaskStatus
from nightdesk.services.engine_ports import ExecutorPorts, SweeperPorts
from nightdesk.services.run_schedules import SchedulerPorts
from tests.aws import REGION
from tests.engine.examples import a_task, an_entry, an_origin
from tests.engine.test_run_session import LIST, ORIGIN, READ
from tests.engine.world import World
from tests.fakes.clock import FakeDice
from tests.fakes.model import calls, says
from tests.fakes.specialists import FakeSpecialists, specialist
from tests.handlers import FakeContext, event, load_handler


class Cloud:
    """The real store and queue in moto; the outside world (model, GitHub) faked."""

    def __init__(self) -> None:
        sqs = boto3.client("sqs", region_name=REGION)
        self.queue_url = sqs.create_queue(QueueName="wake-ups")["QueueUrl"]
        self.world = World()
        self.clock = SystemClock()
        self.tasks = DynamoTaskStore(slot_count=2, retention=timedelta(days=90))
        self.executor: ExecutorPorts = replace(
            self.world.executor(),
            tasks=self.tasks,
            wake_ups=SqsWakeUps(self.queue_url, region=REGION),
            clock=self.clock,
        )
        self.sweeper: SweeperPorts = replace(
            self.world.sweeper(),
            tasks=self.tasks,
            outbox=DynamoOutboxStore(),
            wake_ups=SqsWakeUps(self.queue_url, region=REGION),
            clock=self.clock,
        )
        self.specialists = FakeSpecialists("tidy")
        self.scheduler = SchedulerPorts(
            tasks=self.tasks,
            due_times=DynamoDueTimes(),
            specialists=self.specialists,
            wake_ups=SqsWakeUps(self.queue_url, region=REGION),
            clock=self.clock,
            dice=FakeDice(),
            workspace_id="default",
        )

    def submit(self, task_id: str = "t-1") -> None:
        now = self.clock.now()
        assert self.tasks.create(a_task(task_id, at=now), replace(ORIGIN, task_id=task_id))

    def waiting_messages(self) -> int:
        sqs = boto3.client("sqs", region_name=REGION)
        name = "ApproximateNumberOfMessages"
        answer = sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=[name])
        return int(answer["Attributes"][name])


@pytest.fixture
def cloud(aws_tables: TableNames, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    cloud = Cloud()
    monkeypatch.setattr(bootstrap, "executor", lambda: cloud.executor)
    monkeypatch.setattr(bootstrap, "sweeper", lambda: cloud.sweeper)
    monkeypatch.setattr(bootstrap, "scheduler", lambda: cloud.scheduler)
    return cloud


@pytest.fixture(scope="module")
def executor() -> ModuleType:
    return load_handler("executor")


@pytest.fixture(scope="module")
def sweeper() -> ModuleType:
    return load_handler("sweeper")


def test_a_wake_up_runs_a_task_to_its_end(cloud: Cloud, executor: ModuleType) -> None:
    cloud.submit()
    cloud.world.model.will(calls(READ, LIST), says("Look at `src/cache.py`."))

    answer = executor.lambda_handler(event("executor-wake-up"), FakeContext())

    assert answer == {"batchItemFailures": []}
    task = cloud.tasks.get("t-1")
    assert task is not None
    assert (task.status, task.tool_call_count) == (TaskStatus.COMPLETED, 2)
    row = DynamoOutboxStore().get("t-1", "github#0001#comment#1")
    assert row is not None
    assert row.payload["body"] == "Look at `src/cache.py`."


def test_the_same_message_twice_makes_one_session(cloud: Cloud, executor: ModuleType) -> None:
    cloud.submit()
    cloud.world.model.will(says("Done."))

    executor.lambda_handler(event("executor-wake-up"), FakeContext())
    answer = executor.lambda_handler(event("executor-wake-up"), FakeContext())

    assert answer == {"batchItemFailures": []}
    assert len(cloud.world.model.requests) == 1


def test_a_message_that_makes_no_sense_is_still_a_wake_up(
    cloud: Cloud, executor: ModuleType
) -> None:
    cloud.submit()
    cloud.world.model.will(says("Done."))

    answer = executor.lambda_handler(event("executor-garbled-wake-up"), FakeContext())

    assert answer == {"batchItemFailures": []}
    task = cloud.tasks.get("t-1")
    assert task is not None
    assert task.status is TaskStatus.COMPLETED


def test_an_executor_that_saw_another_task_passes_the_word_on(
    cloud: Cloud, executor: ModuleType
) -> None:
    cloud.submit("t-1")
    cloud.submit("t-2")
    cloud.world.model.will(says("Done."))

    executor.lambda_handler(event("executor-wake-up"), FakeContext())

    assert cloud.waiting_messages() == 1


def test_a_sweep_recovers_and_wakes(cloud: Cloud, sweeper: ModuleType) -> None:
    cloud.submit("t-1")
    long_ago = cloud.clock.now() - timedelta(minutes=10)
    by_hand = a_task("by-hand", status=TaskStatus.RUNNING, started_at=long_ago, at=long_ago)
    assert cloud.tasks.create(by_hand, an_origin("by-hand"))

    answer = sweeper.lambda_handler(event("sweeper-each-minute"), FakeContext())

    assert (answer["ok"], answer["orphaned"], answer["woken"]) == (True, 1, 1)
    failed = cloud.tasks.get("by-hand")
    assert failed is not None
    assert failed.error is not None
    assert (failed.status, failed.error.message) == (TaskStatus.FAILED, ORPHAN_MESSAGE)
    assert cloud.waiting_messages() == 1


def test_the_least_that_a_hand_made_row_can_hold_is_enough_to_be_found(
    cloud: Cloud, sweeper: ModuleType
) -> None:
    boto3.client("dynamodb", region_name=REGION).put_item(
        TableName=TaskItem.Meta.table_name,
        Item={
            "id": {"S": "bare"},
            "st": {"S": "RUNNING"},
            "cr": {"S": "2026-01-01T00:00:00.000Z"},
        },
    )

    answer = sweeper.lambda_handler(event("sweeper-each-minute"), FakeContext())

    assert answer["orphaned"] == 1
    failed = cloud.tasks.get("bare")
    assert failed is not None
    assert failed.status is TaskStatus.FAILED


# Requests -------------------------------------------------------------------------------------


@pytest.fixture
def requests_made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The AWS operations that botocore sends, in order."""
    made: list[str] = []
    original = BaseClient._make_api_call

    def counted(self: Any, operation: str, arguments: Any) -> Any:
        made.append(operation)
        return original(self, operation, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", counted)
    return made


def test_a_task_of_n_journal_steps_costs_the_executor_five_requests_and_n(
    cloud: Cloud, executor: ModuleType, requests_made: list[str]
) -> None:
    cloud.submit()
    requests_made.clear()
    cloud.world.model.will(calls(READ, LIST), says("Done."))

    executor.lambda_handler(event("executor-wake-up"), FakeContext())

    assert requests_made == [
        "ChangeMessageVisibility",
        "Query",  # find
        "BatchGetItem",  # read: the task, its origin and the slots
        "TransactWriteItems",  # claim
        "TransactWriteItems",  # turn
        "TransactWriteItems",  # read_file
        "TransactWriteItems",  # list_files
        "TransactWriteItems",  # complete
    ]


@pytest.mark.parametrize("letter", ["x", "ü", "漢"])
def test_the_hot_item_stays_under_1_kb_whatever_the_prompt(cloud: Cloud, letter: str) -> None:
    now = cloud.clock.now()
    long = letter * 200
    task = a_task(
        "0123456789abcdef0123456789abcdef",
        at=now,
        title=long[:120],
        workspace_id="a-workspace-name",
        triggered_by="github:pull_request_review_comment",
    )
    assert cloud.tasks.create(task, an_origin(task.id, prompt="ü" * 100_000))
    claimed = cloud.tasks.claim(
        task,
        cloud.tasks.slots()[0],
        message_id="m",
        now=now,
        lease_until=now,
        reserved_micros=123_456,
    )
    cloud.tasks.step(
        claimed,
        an_entry(task.id, at=now),
        Progress(activity=long, tool_calls=1, cost_micros=999_999),
        lease_until=now,
    )
    raw = boto3.client("dynamodb", region_name=REGION).get_item(
        TableName=TaskItem.Meta.table_name, Key={"id": {"S": task.id}}
    )["Item"]

    size = sum(
        len(name) + len(str(next(iter(value.values()))).encode()) for name, value in raw.items()
    )
    assert size < 1024


def test_a_sweep_starts_what_a_schedule_has_made_due(cloud: Cloud, sweeper: ModuleType) -> None:
    cloud.specialists.add(
        replace(specialist("tidy"), schedules=(ScheduleTrigger(cron="0 6 * * *"),))
    )
    first = sweeper.lambda_handler(event("sweeper-each-minute"), FakeContext())
    ((key, due),) = DynamoDueTimes().all().items()
    DynamoDueTimes().move(key, seen=due, due=due - timedelta(days=2))

    answers = [sweeper.lambda_handler(event("sweeper-each-minute"), FakeContext()) for _ in "ab"]

    assert [a["scheduled"] for a in (first, *answers)] == [0, 1, 0]
    (task,) = (TaskItem.get(item.id) for item in TaskItem.scan())
    assert cloud.tasks.get_origin(task.id) is not None
