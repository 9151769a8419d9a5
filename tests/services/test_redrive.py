"""Dead letters: the fake and the real queue alike, and what sending them again does."""

import json
from collections.abc import Callable
from datetime import timedelta

import boto3
import pytest

from nightdesk.adapters.dynamodb.tables import TableNames
from nightdesk.adapters.sqs import SqsDeadLetters
from nightdesk.domain.dead_letters import DeadLetters
from nightdesk.domain.errors import UnavailableError
from nightdesk.services.redrive_dead_letters import AT_ONCE, redrive
from tests.aws import REGION
from tests.fakes.dead_letters import FakeDeadLetters
from tests.fakes.wake_ups import FakeWakeUps

Put = Callable[..., None]


@pytest.fixture(params=["fake", "moto"])
def queue(request: pytest.FixtureRequest) -> tuple[DeadLetters, Put]:
    """A dead-letter queue, and what puts wake-ups for these tasks into it."""
    if request.param == "fake":
        fake = FakeDeadLetters()
        return fake, fake.put
    request.getfixturevalue("aws_tables")
    sqs = boto3.client("sqs", region_name=REGION)
    url = sqs.create_queue(QueueName="dead")["QueueUrl"]

    def put(*task_ids: str | None) -> None:
        for task_id in task_ids:
            body = "nonsense" if task_id is None else json.dumps({"taskId": task_id})
            sqs.send_message(QueueUrl=url, MessageBody=body)

    return SqsDeadLetters(url, region=REGION), put


def test_every_dead_letter_is_sent_once_and_is_gone(queue: tuple[DeadLetters, Put]) -> None:
    letters, put = queue
    wake_ups = FakeWakeUps()
    put("t-1", "t-2", None, "t-3")

    assert redrive(letters, wake_ups) == 3
    assert sorted(task_id for task_id, _ in wake_ups.sent) == ["t-1", "t-2", "t-3"]
    assert redrive(letters, wake_ups) == 0


def test_what_could_not_be_sent_stays() -> None:
    class Down(FakeWakeUps):
        def send(self, task_id: str, *, delay: timedelta = timedelta(0)) -> None:
            raise UnavailableError("SQS")

    letters = FakeDeadLetters()
    letters.put("t-1")

    with pytest.raises(UnavailableError):
        redrive(letters, Down())

    assert list(letters.letters.values()) == ["t-1"]


def test_one_call_is_bounded() -> None:
    letters, wake_ups = FakeDeadLetters(), FakeWakeUps()
    letters.put(*(f"t-{number}" for number in range(AT_ONCE + 5)))

    assert redrive(letters, wake_ups) == AT_ONCE
    assert len(letters.letters) == 5
    assert redrive(letters, wake_ups) == 5
    assert letters.letters == {}


@pytest.mark.parametrize("body", ["", "[]", "null", '{"taskId": 7}', '{"taskId": ""}', "{}"])
def test_what_names_no_task_is_not_sent(aws_tables: TableNames, body: str) -> None:
    sqs = boto3.client("sqs", region_name=REGION)
    url = sqs.create_queue(QueueName="dead")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=body or " ")
    wake_ups = FakeWakeUps()

    assert redrive(SqsDeadLetters(url, region=REGION), wake_ups) == 0
    assert wake_ups.sent == []


def test_a_queue_that_does_not_answer_is_unavailable(aws_tables: TableNames) -> None:
    with pytest.raises(UnavailableError):
        redrive(
            SqsDeadLetters(f"https://sqs.{REGION}.amazonaws.com/123456789012/none", region=REGION),
            FakeWakeUps(),
        )
