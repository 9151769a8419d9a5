"""AWS requests and dollars per task, counted on the real handlers (design, section 4, rule 11).

    python -m bench.requests

Create (the API's handler), run and complete (the executor's), publish (the publisher's) and sweep
on the embedded cloud; requests by botocore's `before-call`, so one that botocore repeats is one.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.kill.github import REPOSITORY, REPOSITORY_ID, CountingGithub
from bench.kill.processes import event_of
from bench.kill.stage import ROOT, Stage, embedded_stage
from bench.requests.capacity import item_size
from bench.requests.meter import Bill, Made, Meter, bill_of, operations
from bench.requests.prices import Prices, heartbeats_at_most
from nightdesk import bootstrap
from nightdesk.adapters.dynamodb.access_store import DynamoAccessStore
from nightdesk.adapters.dynamodb.tables import OriginItem, TaskItem
from nightdesk.adapters.dynamodb.task_items import item_of, origin_item
from nightdesk.domain.model import (
    CallControl,
    ModelRequest,
    ModelTier,
    ModelTurn,
    StopReason,
    Usage,
)
from nightdesk.domain.task import (
    ACTIVITY_MAX,
    HEARTBEAT_AFTER,
    LEASE,
    PROMPT_MAX,
    TITLE_MAX,
    VISIBILITY_RENEWAL,
    Target,
    Task,
    TaskStatus,
)
from nightdesk.services.manage_keys import create_key
from tests.engine.world import FakeSnapshots
from tests.handlers import FakeContext, event, load_handler

MINUTES = 5
STEP_BYTES = 8 * 1024
MEMORY_MB = {"executor": 1024, "api": 512}
#: The poller of Lambda: at least five, each waiting up to 20 s for a message.
POLLS_A_MONTH = 5 * 3 * 60 * 24 * 30
SWEEPS_A_MONTH = 60 * 24 * 30
#: Lambda gives a whole CPU at this memory, and the sweeper has 512 MB.
MB_OF_A_CPU, SWEEPER_MB = 1769, 512
#: ReceiveMessage and DeleteMessage, which Lambda makes for us.
LAMBDAS_OWN_SQS = Bill(sqs=2)


@dataclass
class FilledModel:
    """Makes `entries` journal transactions before its answer: turn and tool result in turns.

    `text` is what a turn says beside its call, so that turns have a size too.
    """

    entries: int
    text: str = ""
    provider: str = "scripted"

    def model_id(self, tier: ModelTier) -> str:
        del tier
        return "scripted"

    def converse(self, request: ModelRequest, control: CallControl) -> ModelTurn:
        del control
        turn = sum(1 for message in request.messages if message["role"] == "assistant")
        usage = Usage(input=1000, output=100)
        if turn * 2 >= self.entries:
            message = {"role": "assistant", "content": [{"text": "This is the answer."}]}
            return ModelTurn(message, StopReason.END_TURN, usage, "scripted")
        uses = {"toolUseId": f"c{turn}", "name": "read_file", "input": {"path": f"{turn}.py"}}
        said = [{"text": self.text}] if self.text else []
        message = {"role": "assistant", "content": [*said, {"toolUse": uses}]}
        return ModelTurn(message, StopReason.TOOL_USE, usage, "scripted")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The requests of one task, by who made them."""

    created: list[Made]
    ran: list[Made]
    published: list[Made]
    hot_bytes: int
    journal_bytes: tuple[int, ...]

    @property
    def ours(self) -> list[Made]:
        return [*self.created, *self.ran]


class Bench:
    """One deployment; every task is created and run through the handlers."""

    def __init__(self, stage: Stage, meter: Meter) -> None:
        self._stage, self._meter = stage, meter
        self._store = stage.store()
        ports = bootstrap.api()
        new = create_key(
            workspace_id="team",
            access=DynamoAccessStore(),
            clock=ports.clock,
            dice=ports.dice,
        )
        self._key = new.text
        self._api, self._executor = load_handler("api"), load_handler("executor")
        self._publisher, self._sweeper = load_handler("publisher"), load_handler("sweeper")
        self._sqs = stage.client("sqs")

    def task(
        self, entries: int, *, prompt: str = "Where is it?", step_bytes: int = 0, turns_too: bool
    ) -> Measured:
        with self._meter.measuring() as created:
            answer = self._api.lambda_handler(_create_event(self._key, prompt), FakeContext())
        assert answer["statusCode"] == 201, answer
        message = self._receive()
        task_id = self._aim(message)
        files = {f"{n}.py": text for n, text in enumerate(_sources(step_bytes, entries))}
        text = _source(step_bytes) if turns_too else ""
        with self._executor_with(FilledModel(entries, text), files), self._meter.measuring() as ran:
            failed = self._executor.lambda_handler(event_of(message), FakeContext())
        assert failed == {"batchItemFailures": []}, failed
        task = self._store.get(task_id)
        assert task is not None
        assert task.status.value == "COMPLETED", task
        row = {"taskId": task_id, "row": "github#0001#comment#1"}
        with self._meter.measuring() as published:
            self._publisher.lambda_handler({"rows": [row]}, FakeContext())
        self._sqs.purge_queue(QueueUrl=self._stage.queue_url)
        return Measured(
            created=created,
            ran=ran,
            published=published,
            hot_bytes=self._hot_bytes(task_id),
            journal_bytes=self._journal_bytes(task_id),
        )

    def heartbeat(self) -> Bill:
        """One heartbeat of a task that is claimed for this."""
        message = self._create_and_receive()
        view = self._store.view_for_claim([message])
        now = bootstrap.executor().clock.now()
        claimed = self._store.claim(
            view.tasks[message],
            view.slots[0],
            message_id="m",
            now=now,
            lease_until=now + LEASE,
            reserved_micros=0,
        )
        with self._meter.measuring() as made:
            self._store.heartbeat(claimed, lease_until=now + 2 * LEASE)
        return bill_of(made)

    def idle_sweep(self) -> tuple[list[Made], float]:
        """The requests and the CPU seconds of a sweep that finds nothing."""
        ports = bootstrap.sweeper()
        assert ports.tasks.runnable(limit=1) == []
        begun = time.process_time()
        with self._meter.measuring() as made:
            self._sweeper.lambda_handler(event("sweeper-each-minute"), FakeContext())
        return made, time.process_time() - begun

    def _create_and_receive(self) -> str:
        self._api.lambda_handler(_create_event(self._key, "Wait."), FakeContext())
        return _task_id_of(self._receive())

    def _receive(self) -> Mapping[str, Any]:
        answer = self._sqs.receive_message(
            QueueUrl=self._stage.queue_url, WaitTimeSeconds=5, MessageSystemAttributeNames=["All"]
        )
        message: Mapping[str, Any] = answer["Messages"][0]
        return message

    def _aim(self, message: Mapping[str, Any]) -> str:
        """Give the task what one from GitHub has: a target, and the right to one comment."""
        task_id = _task_id_of(message)
        origin = self._store.get_origin(task_id)
        assert origin is not None
        aimed = replace(
            origin,
            target=Target(repo=REPOSITORY, repo_id=REPOSITORY_ID, number=1, kind="issue"),
            intents=(("comment", 1),),
        )
        origin_item(aimed, retention=bootstrap.settings().retention).save()
        return task_id

    @contextmanager
    def _executor_with(self, model: FilledModel, files: Mapping[str, str]) -> Iterator[None]:
        snapshots = FakeSnapshots()
        snapshots.files = dict(files)
        wired = bootstrap.executor
        ports = replace(wired(), model=model, snapshots=snapshots)
        bootstrap.executor = lambda: ports  # type: ignore[assignment]
        try:
            yield
        finally:
            bootstrap.executor = wired

    def _hot_bytes(self, task_id: str) -> int:
        dynamodb = self._stage.client("dynamodb")
        name = str(TaskItem.Meta.table_name)
        return item_size(dynamodb.get_item(TableName=name, Key={"id": {"S": task_id}})["Item"])

    def _journal_bytes(self, task_id: str) -> tuple[int, ...]:
        dynamodb = self._stage.client("dynamodb")
        found = dynamodb.query(
            TableName=self._stage.settings.session_log_table,
            KeyConditionExpression="taskId = :id",
            ExpressionAttributeValues={":id": {"S": task_id}},
        )
        return tuple(item_size(item) for item in found["Items"])

    def origin_bytes(self) -> int:
        """The largest origin that is stored."""
        dynamodb = self._stage.client("dynamodb")
        items = dynamodb.scan(TableName=str(OriginItem.Meta.table_name))["Items"]
        return max(map(item_size, items))


def _task_id_of(message: Mapping[str, Any]) -> str:
    return str(message["Body"]).partition('"taskId": "')[2].rstrip('"}')


def _create_event(key: str, prompt: str) -> dict[str, Any]:
    made = event("api-create")
    made["headers"]["authorization"] = f"Bearer {key}"
    made["body"] = json.dumps(
        {"prompt": prompt, "agentId": "issue-enricher", "workspaceId": "team"}
    )
    return made


def _source(size: int) -> str:
    """That many characters of real code: it compresses as code does."""
    return next(_sources(size, 1))


def _sources(size: int, count: int) -> Iterator[str]:
    folder = ROOT / "layers" / "nightdesk" / "nightdesk"
    files = sorted(folder.rglob("*.py"))
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    for number in range(count):
        yield text[number * size : (number + 1) * size]


# The report -----------------------------------------------------------------------------------


def main() -> int:
    meter, prices = Meter.installed(), Prices.read()
    with (
        CountingGithub() as github,
        embedded_stage(settings={"GITHUB_API_URL": github.url}) as stage,
    ):
        stage.put_write_token()
        bench = Bench(stage, meter)
        idle, cpu_seconds = bench.idle_sweep()
        bench.task(0, turns_too=False)  # clients, specialists and the token are read once
        good = _print_requests(bench)
        good &= _print_hot_item(bench)
        good &= _print_dollars(bench, prices, bench.task)
        _print_idle(idle, cpu_seconds, prices)
    return 0 if good else 1


def _print_requests(bench: Bench) -> bool:
    print("Requests of a task with N journal transactions before the last (rule 11: 8 + N)")
    good = True
    for entries in (0, 2, 10, 20):
        measured = bench.task(entries, turns_too=False)
        total = len(measured.ours)
        good &= total == 8 + entries
        print(f"  N = {entries:2}: {total:2} requests = 8 + {total - 8}", end="   ")
        print(f"create: {operations(measured.created)}; executor: {operations(measured.ran)}")
    print(f"  publication of a comment: {operations(measured.published)}, and GitHub's own")
    return good


def _print_hot_item(bench: Bench) -> bool:
    measured = bench.task(2, prompt=_source(PROMPT_MAX), turns_too=False)
    print(f"Hot item of a task with a prompt of 100,000 characters: {measured.hot_bytes} bytes")
    print(f"  its origin, compressed: {bench.origin_bytes()} bytes (the prompt is Python code)")
    latin, japanese = _running_bytes("x"), _running_bytes("\u8a9e")
    print(f"  RUNNING, title and activity as long as they may be: {latin} bytes,", end=" ")
    print(f"{japanese} in Japanese")
    return max(measured.hot_bytes, latin) < 1024


def _running_bytes(letter: str) -> int:
    """The hot item of a task at work, its texts of this letter."""
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    task = Task(
        id="0" * 32,
        workspace_id="a-workspace-name",
        agent_id="issue-enricher",
        title=letter * TITLE_MAX,
        created_at=now,
        updated_at=now,
        status=TaskStatus.RUNNING,
        attempts=3,
        queued_at=now,
        started_at=now,
        lease_until=now,
        last_activity=now,
        # The engine bounds it in bytes.
        current_activity=(letter * ACTIVITY_MAX).encode()[:ACTIVITY_MAX].decode(errors="ignore"),
        result_session_id=f"ses_{'0' * 32}_1",
        input_tokens=1_234_567,
        output_tokens=123_456,
        cost_micros=499_999,
        tool_call_count=60,
        fence=12,
        slot=1,
        last_entry=120,
    )
    return item_size(item_of(task, retention=timedelta(days=90)).to_dynamodb_dict())


def _print_dollars(bench: Bench, prices: Prices, task: Any) -> bool:
    heartbeat = bench.heartbeat()
    seconds = MINUTES * 60.0
    renewals = Bill(sqs=seconds / VISIBILITY_RENEWAL.total_seconds())
    print(f"Dollars per 1,000 tasks of {MINUTES} minutes, list prices of {prices.date}, ", end="")
    print(f"{prices.region} (free tiers not deducted)")
    good = True
    shapes = (
        ("N = 10, each of 8 KB", 10, True),
        ("N = 20: ten short turns, ten tool results of 8 KB", 20, False),
    )
    for what, entries, turns_too in shapes:
        measured = task(entries, step_bytes=STEP_BYTES, turns_too=turns_too)
        beats = heartbeats_at_most(entries, seconds, after_seconds=HEARTBEAT_AFTER.total_seconds())
        ours = bill_of(measured.ours)
        clock = heartbeat.times(beats) + renewals
        sum_of_all = ours + clock + LAMBDAS_OWN_SQS + bill_of(measured.published)
        dollars = 1000 * prices.of(sum_of_all)
        good &= dollars < 0.20
        stored = sum(measured.journal_bytes)
        print(f"  {what}: ${dollars:.3f} for DynamoDB and SQS")
        print(f"    journal stored: {stored} bytes in {len(measured.journal_bytes)} entries")
        print(f"    create and run: {_units(ours)} = ${1000 * prices.of(ours):.3f}")
        print(f"    by the clock:   {beats} heartbeats, {_units(clock)}", end="")
        print(f" = ${1000 * prices.of(clock):.3f}")
        print(f"    published:      {_units(bill_of(measured.published))}")
        requests = 2 * prices.lambda_request + prices.http_api_request
        lambdas = prices.lambda_seconds(seconds, memory_mb=MEMORY_MB["executor"])
        with_lambda = dollars + 1000 * (requests + lambdas)
        print(f"    with API request, invocations and the executor's {seconds:.0f} s", end="")
        print(f" at {MEMORY_MB['executor']} MB: ${with_lambda:.2f}")
    print("  not in it: the model, CloudWatch logs, storage, data transfer, backups")
    return good


def _print_idle(idle: list[Made], cpu_seconds: float, prices: Prices) -> None:
    sweeps = bill_of(idle).times(SWEEPS_A_MONTH)
    polls = Bill(sqs=POLLS_A_MONTH)
    # Its wait for DynamoDB's answers comes on top: some milliseconds for each.
    seconds = cpu_seconds * MB_OF_A_CPU / SWEEPER_MB + 0.005 * len(idle)
    lambdas = SWEEPS_A_MONTH * (
        prices.lambda_request
        + prices.lambda_seconds(seconds, memory_mb=SWEEPER_MB)
        + prices.scheduler_invocation
    )
    print(f"Idle, a month of 30 days, without free tiers: a sweep is {operations(idle)}")
    print(f"  DynamoDB ${prices.of(sweeps):.2f}, Lambda's polling of the queue", end=" ")
    print(f"${prices.of(polls):.2f}, sweeper of about {seconds:.2f} s ${lambdas:.2f}")


def _units(bill: Bill) -> str:
    return f"{bill.writes:.0f} write units, {bill.reads:.1f} read units, {bill.sqs:.0f} SQS"


if __name__ == "__main__":
    sys.exit(main())
