"""The region with the real adapters on moto: faults happen to the requests on the wire.

Every request of botocore passes `Wire.process`, between botocore's own retries and moto. There it
may be refused, or its answer lost, once or for as long as it is repeated; the strand that sends it
may be killed before or after. SQS is answered from the simulated queue, in virtual time. What moto
leaves out is added here: a transaction with a token that was applied already is not applied again.
"""

import copy
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from moto.core.botocore_stubber import BotocoreStubber
from moto.dynamodb.models import dynamodb_backends

from nightdesk.adapters.dynamodb import transactions
from nightdesk.adapters.dynamodb.outbox_store import DynamoOutboxStore
from nightdesk.adapters.dynamodb.tables import (
    OriginItem,
    OutboxItem,
    SessionLogItem,
    SlotItem,
    TaskItem,
)
from nightdesk.adapters.dynamodb.task_items import entry_of, origin_of, task_of
from nightdesk.adapters.dynamodb.task_store import DynamoTaskStore
from nightdesk.adapters.sqs import SqsWakeUps
from nightdesk.domain.ports import OutboxStore, Slot, TaskStore, WakeUps
from nightdesk.domain.session import EntryKind
from tests.aws import REGION
from tests.fakes.queue import SimulatedQueue
from tests.fakes.region import Fault, Invocation, Region, Snapshot
from tests.fakes.strand import Strand

_ACCOUNT = "123456789012"
_WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"})
_OK = 200
Answer = tuple[int, dict[str, str], bytes]
Pass = Callable[[Any], Answer]


@dataclass
class Wire:
    """What every request goes through while a region is in use."""

    queue: SimulatedQueue | None = None
    writes: int = 0
    #: Tokens of transactions that were applied: content and answer.
    applied: dict[str, tuple[bytes, Answer]] = field(default_factory=dict)
    #: Copies of the tables' items before each write; for indexes that lag.
    past: list[dict[str, Any]] = field(default_factory=list)
    _down_for: tuple[Strand, bytes] | None = None

    def begin(self, queue: SimulatedQueue) -> None:
        """A new region: empty tables, nothing applied."""
        for table in _tables().values():
            table.items.clear()
        self.queue, self.writes, self._down_for = queue, self.writes + 1, None
        self.applied.clear()
        self.past.clear()

    def process(self, request: Any, pass_on: Pass) -> Answer:
        service, _, operation = _target(request).rpartition(".")
        strand = Strand.current()
        fault: object = None
        if isinstance(strand, Invocation):
            if self._down_for == (strand, request.body):
                raise ReadTimeoutError(endpoint_url=request.url)  # the repetition of a lost one
            self._down_for = None
            at = "sqs" if service == "AmazonSQS" else "dynamodb"
            fault = strand.pause(f"{at}.{operation}")
        if fault is Fault.REFUSED:
            return _error("ThrottlingException")
        answer = self._answer(request, operation, fault, pass_on)
        if fault is Fault.KILL_AFTER:
            assert strand is not None
            strand.die()
        if fault is Fault.LOST_ANSWER:
            raise ReadTimeoutError(endpoint_url=request.url)
        if fault is Fault.LOST_FOR_LONG:
            assert strand is not None
            self._down_for = (strand, request.body)
            raise ReadTimeoutError(endpoint_url=request.url)
        return answer

    def _answer(self, request: Any, operation: str, fault: object, pass_on: Pass) -> Answer:
        if operation in _ON_THE_QUEUE:
            assert self.queue is not None
            return _ON_THE_QUEUE[operation](self.queue, json.loads(request.body))
        if operation in _WRITES:
            return self._write(request, operation, pass_on)
        lags = operation == "Query" and "IndexName" in json.loads(request.body)
        if lags and fault in (Fault.STALE, Fault.VERY_STALE) and self.past:
            with _as_of(self.past[-1 if fault is Fault.STALE else 0]):
                return pass_on(request)
        return pass_on(request)

    def _write(self, request: Any, operation: str, pass_on: Pass) -> Answer:
        body = bytes(request.body)
        token = json.loads(body).get("ClientRequestToken") if "Transact" in operation else None
        if token in self.applied:
            content, answer = self.applied[token]
            same = content == body
            return answer if same else _error("IdempotentParameterMismatchException")
        self.past.append({name: copy.deepcopy(t.items) for name, t in _tables().items()})
        del self.past[1:-3]
        answer = pass_on(request)
        self.writes += 1
        if token is not None and answer[0] == _OK:
            self.applied[token] = (body, answer)
        return answer


def _target(request: Any) -> str:
    target = request.headers["X-Amz-Target"]
    return target.decode() if isinstance(target, bytes) else str(target)


def _error(code: str) -> Answer:
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": code}
    return 400, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(body).encode()


def _tables() -> dict[str, Any]:
    tables: dict[str, Any] = dynamodb_backends[_ACCOUNT][REGION].tables
    return tables


@contextmanager
def _as_of(items: dict[str, Any]) -> Iterator[None]:
    tables = _tables()
    present = {name: table.items for name, table in tables.items()}
    for name, table in tables.items():
        table.items = copy.deepcopy(items[name])
    try:
        yield
    finally:
        for name, table in tables.items():
            table.items = present[name]


def _send(queue: SimulatedQueue, body: dict[str, Any]) -> Answer:
    task_id = json.loads(body["MessageBody"])["taskId"]
    message = queue.send(task_id, delay=timedelta(seconds=body.get("DelaySeconds", 0)))
    return _ok({"MessageId": message.id, "MD5OfMessageBody": ""})


def _hide(queue: SimulatedQueue, body: dict[str, Any]) -> Answer:
    seconds = timedelta(seconds=body["VisibilityTimeout"])
    queue.hide(body["ReceiptHandle"], visibility=seconds)
    return _ok({})


def _ok(body: dict[str, Any]) -> Answer:
    return _OK, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(body).encode()


_ON_THE_QUEUE = {"SendMessage": _send, "ChangeMessageVisibility": _hide}


class WiredRegion(Region):
    """The region whose stores and queue are the adapters that are deployed."""

    def __init__(self, wire: Wire, wake_ups: WakeUps) -> None:
        super().__init__()
        wire.begin(self.queue)
        self._wire = wire
        self._wake_ups = wake_ups
        self._seen_writes = -1
        self._snapshot: Snapshot | None = None
        self.tasks: TaskStore = DynamoTaskStore(slot_count=2, retention=timedelta(days=90))
        self.outbox: OutboxStore = DynamoOutboxStore()

    def ports_of(self, strand: Invocation) -> tuple[TaskStore, OutboxStore]:
        return self.tasks, self.outbox

    def wake_ups_of(self, strand: Invocation) -> WakeUps:
        strand.hidden_at = self.clock.now()
        return self._wake_ups

    def snapshot(self) -> Snapshot:
        """Read from moto's memory, not over the wire, and only after a write."""
        if self._snapshot is None or self._seen_writes != self._wire.writes:
            self._seen_writes = self._wire.writes
            self._snapshot = self._read()
        return self._snapshot

    def _read(self) -> Snapshot:
        tasks = [task_of(item) for item in _items(TaskItem) if not item.deleted]
        origins = [origin_of(item) for item in _items(OriginItem)]
        kinds = set(EntryKind)
        journal = [
            entry_of(i) for i in _items(SessionLogItem) if i.kind in kinds and i.entry[0].isdigit()
        ]
        rows = [self.outbox.get(item.task_id, item.row) for item in _items(OutboxItem)]
        held = {item.id: item for item in _items(SlotItem)}
        slots = [_slot(number, held.get(f"slot#{number}")) for number in range(2)]
        return Snapshot(
            {task.id: task for task in tasks},
            {origin.task_id: origin for origin in origins},
            {(e.task_id, e.run, e.seq): e for e in journal},
            {(row.task_id, row.row): row for row in rows if row is not None},
            slots,
        )


def _slot(number: int, item: Any) -> Slot:
    if item is None or item.task_id is None:
        return Slot(number)
    return Slot(number, item.task_id, int(item.fence), item.message_id)


def _items(model: Any) -> list[Any]:
    table = _tables()[model.Meta.table_name]
    found: list[Any] = []
    for stored in table.items.values():
        items = stored.values() if isinstance(stored, dict) else [stored]
        found += [model.from_raw_data(item.to_json()["Attributes"]) for item in items]
    return found


@contextmanager
def wired() -> Iterator[Callable[[], Region]]:
    """While it lasts: makes regions on moto's tables, which exist already. No real time passes in
    retries.
    """
    wire = Wire()
    original = BotocoreStubber.process_request
    real_seconds = [0.0]

    def process(stubber: BotocoreStubber, request: Any) -> Answer:
        return wire.process(request, lambda r: _as_bytes(original(stubber, r)))

    def sleep(seconds: float) -> None:
        real_seconds[0] += seconds

    wake_ups = SqsWakeUps(f"https://sqs.{REGION}.amazonaws.com/{_ACCOUNT}/w", region=REGION)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BotocoreStubber, "process_request", process)
        patch.setattr(time, "sleep", sleep)
        clock = SimpleNamespace(monotonic=lambda: real_seconds[0], sleep=sleep)
        patch.setattr(transactions, "time", clock)
        yield lambda: WiredRegion(wire, wake_ups)


def _as_bytes(answer: Any) -> Answer:
    status, headers, body = answer
    return status, headers, body.encode() if isinstance(body, str) else body
