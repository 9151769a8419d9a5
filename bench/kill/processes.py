"""What runs and gets killed: executors, the sweeper and the publisher, around the real handlers.

Each is forked, when it is needed, from one process that has imported everything and holds no
client and no connection (multiprocessing's fork server), as a warm Lambda environment would be.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any

import botocore.session

from bench.kill.records import Recorder
from bench.kill.scripted_model import ScriptedModel
from nightdesk import bootstrap
from nightdesk.adapters.dynamodb.outbox_store import DynamoOutboxStore
from nightdesk.adapters.dynamodb.task_store import DynamoTaskStore
from nightdesk.domain.errors import ConditionFailedError
from nightdesk.domain.notices import NOTIFY
from nightdesk.domain.ports import BudgetCharge, Release, Slot
from nightdesk.domain.task import Task
from nightdesk.services.engine_ports import ExecutorPorts
from tests.handlers import FakeContext, load_handler

# What bootstrap would import in each process: one state of the code, and faster forks.
for _module in (
    "adapters.dynamodb.outbox_store",
    "adapters.functions",
    "adapters.github.issues",
    "adapters.github.publishing",
    "adapters.github.snapshots",
    "adapters.models.offline",
    "adapters.secrets",
    "adapters.specialist_files",
    "adapters.sqs",
    "adapters.tokens",
    "services.engine_ports",
    "services.publish_intents",
):
    importlib.import_module(f"nightdesk.{_module}")

EXECUTOR = load_handler("executor")
SWEEPER = load_handler("sweeper")
PUBLISHER = load_handler("publisher")

#: Long polling of the queue, well below SQS's own limit of 20 s.
_POLL_SECONDS = 2
_ROWS_EVERY_SECONDS = 0.4
_ROWS_AT_ONCE = 50


@dataclass(frozen=True, kw_only=True)
class Setup:
    """All that a process is told; plain data, sent to it through a pipe."""

    environment: Mapping[str, str]
    folder: Path
    steps: int
    think_seconds: float
    sweep_every_seconds: float

    @property
    def records(self) -> Path:
        return self.folder / "records.jsonl"


class RecordedStore(DynamoTaskStore):
    """The real store; it writes down what it has done, after it was done."""

    def __init__(self, recorder: Recorder, *, slot_count: int, retention: timedelta) -> None:
        super().__init__(slot_count=slot_count, retention=retention)
        self._recorder = recorder
        self.held = ""

    def claim(
        self,
        task: Task,
        slot: Slot,
        *,
        message_id: str,
        now: datetime,
        lease_until: datetime,
        reserved_micros: int,
        charge: BudgetCharge | None = None,
        calls_back: bool = False,
    ) -> Task:
        claimed = super().claim(
            task,
            slot,
            message_id=message_id,
            now=now,
            lease_until=lease_until,
            reserved_micros=reserved_micros,
            charge=charge,
            calls_back=calls_back,
        )
        self.held = claimed.id
        self._recorder.note("claimed", task=claimed.id, fence=claimed.fence)
        return claimed

    def release(self, task: Task, release: Release, *, now: datetime) -> Task:
        left = super().release(task, release, now=now)
        self._recorder.note("left", task=task.id, fence=task.fence, status=left.status.value)
        return left


# Executors ------------------------------------------------------------------------------------


def run_executor(setup: Setup) -> None:
    """Take messages one at a time and answer them, as Lambda's poller and one environment do."""
    sqs = begin(setup, "executor")
    recorder = Recorder(setup.records)
    ports = executor_ports(setup, recorder)
    bootstrap.executor = lambda: ports  # type: ignore[assignment]
    recorder.note("ready")
    queue_url = setup.environment["WAKE_UP_QUEUE_URL"]
    parent = os.getppid()
    while os.getppid() == parent:
        answer = sqs.receive_message(
            QueueUrl=queue_url,
            MaxNumberOfMessages=1,
            WaitTimeSeconds=_POLL_SECONDS,
            MessageSystemAttributeNames=["All"],
        )
        for message in answer.get("Messages", ()):
            recorder.note("received", messageId=message["MessageId"])
            failed = EXECUTOR.lambda_handler(event_of(message), FakeContext())
            recorder.note("answered", messageId=message["MessageId"])
            if not failed["batchItemFailures"]:
                delete(sqs, queue_url, message)


def delete(sqs: Any, queue_url: str, message: Mapping[str, Any]) -> None:
    """As the Lambda service does; a receipt that a later delivery has replaced is no failure."""
    with suppress(sqs.exceptions.ReceiptHandleIsInvalid):
        sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])


def event_of(message: Mapping[str, Any]) -> dict[str, Any]:
    """Lambda's event for a message as ReceiveMessage answers it."""
    record = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": dict(message["Attributes"]),
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:000000000000:wake-ups",
        "awsRegion": "eu-west-1",
    }
    return {"Records": [record]}


def executor_ports(setup: Setup, recorder: Recorder) -> ExecutorPorts:
    """What bootstrap wires, with the scripted model and the store that writes down."""
    known = bootstrap.settings()
    wired = bootstrap.executor()
    tasks = RecordedStore(recorder, slot_count=known.executor_slots, retention=known.retention)

    def on_call(step: int) -> None:
        recorder.note("model", task=tasks.held, step=step)

    model = ScriptedModel(steps=setup.steps, think_seconds=setup.think_seconds, on_call=on_call)
    return replace(wired, tasks=tasks, model=model)


# Sweeper and publisher ------------------------------------------------------------------------


class _NoFunctions:
    """The publisher of this bench looks for due rows itself; the sweeper has nobody to call."""

    def invoke(self, name: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        del name, payload
        return {}


def run_sweeper(setup: Setup) -> None:
    """What EventBridge Scheduler does each minute."""
    begin(setup, "sweeper")
    ports = replace(bootstrap.sweeper(), functions=_NoFunctions())
    bootstrap.sweeper = lambda: ports  # type: ignore[assignment]
    recorder = Recorder(setup.records)
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(setup.sweep_every_seconds)
        recorder.note("swept", **SWEEPER.lambda_handler({}, FakeContext()))


def run_publisher(setup: Setup) -> None:
    """What the outbox's stream and the sweeper do: hand the publisher the rows that are due."""
    begin(setup, "publisher")
    outbox, clock = DynamoOutboxStore(), bootstrap.publisher().clock
    parent = os.getppid()
    while os.getppid() == parent:
        due = outbox.due(now=clock.now(), limit=_ROWS_AT_ONCE)
        # Nobody asked for callbacks here: notices of ends without a session have no receiver.
        for row in due:
            if row.row.startswith(NOTIFY):
                with suppress(ConditionFailedError):
                    outbox.done(row, result_url="")
        rows = [
            {"taskId": row.task_id, "row": row.row} for row in due if not row.row.startswith(NOTIFY)
        ]
        if rows:
            PUBLISHER.lambda_handler({"rows": rows}, FakeContext())
        else:
            time.sleep(_ROWS_EVERY_SECONDS)


def begin(setup: Setup, name: str) -> Any:
    """Settings, a log of its own, and a queue client; the first that this process makes."""
    os.environ.update(setup.environment)  # noqa: TID251 - as Lambda does before it loads a function
    log = os.open(setup.folder / f"{name}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(log, sys.stdout.fileno())
    os.dup2(log, sys.stderr.fileno())
    for handler in (EXECUTOR, SWEEPER, PUBLISHER):
        handler.logger.setLevel("ERROR")
        bootstrap.share_logger(handler.logger)
    return botocore.session.Session().create_client("sqs")


def log_of_errors(folder: Path) -> list[str]:
    """The error lines of all processes of a folder: defects, or an emulator that broke."""
    found: list[str] = []
    for log in sorted(folder.glob("*.log")):
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        for number, line in enumerate(lines):
            if '"level":"ERROR"' in line:
                found.append(f"{log.stem}: {_short(line)}")
            elif line.startswith("Traceback"):
                found.append(f"{log.stem}: {_raised(lines[number + 1 :])}")
    return found


def _raised(lines: list[str]) -> str:
    """The place and the exception of a traceback; it may have been cut off by a kill."""
    inside = list(takewhile(lambda line: line.startswith(" "), lines))
    return " ".join(" ".join([*inside[-4:], *lines[len(inside) : len(inside) + 1]]).split())[-600:]


def _short(line: str) -> str:
    try:
        entry = json.loads(line)
    except ValueError:
        return line[:200]
    return f"{entry.get('message', '')} {str(entry.get('exception', ''))[-300:]}"
