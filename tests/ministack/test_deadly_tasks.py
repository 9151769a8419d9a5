"""A task that kills its executor at each attempt: it ends, and takes nobody else's turn.

The executors are real processes, really killed: as Lambda does it for too much memory or too much
time, or by themselves. Tables, indexes, queue and redelivery are the embedded cloud's; lease and
visibility are the bench's short ones (2 s, 3 s), the sweep comes each 4 s.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest

from bench.kill.records import Records
from bench.kill.scripted_model import label_of
from bench.kill.stage import Stage, stage_on
from local.run import Nightdesk
from nightdesk.adapters.dynamodb.task_store import DynamoTaskStore
from nightdesk.adapters.system import SystemClock
from nightdesk.domain.errors import ErrorCode
from nightdesk.domain.session import EntryKind
from nightdesk.domain.task import Origin, Target, Task, TaskStatus
from tests.ministack.mortal import DEADLY_STEP, Death, Ground, Orders, hosts_running

pytestmark = pytest.mark.ministack

SLOTS, ORDINARY = 2, 6
#: Ten times what it takes on an idle machine with two cores.
PATIENCE_SECONDS = 180.0
LABELS = tuple(label_of(step) for step in range(1, DEADLY_STEP + 1))
CLOCK = SystemClock()
#: How the host of each sees it die; a model call that hangs is told before that to end.
DIES_OF = {
    Death.EXIT: "status 3",
    Death.MEMORY: "killed for memory",
    Death.TIMEOUT: "cut, then killed for timeout",
}
#: What its journal holds, however often it was tried: steps before the deadly one, each once.
FIRST_STEP = [EntryKind.TURN, EntryKind.TOOL]
JOURNALS = {
    Death.EXIT: [*FIRST_STEP, EntryKind.TURN],  # it dies in a tool, not in a model call
    Death.MEMORY: FIRST_STEP,
    Death.TIMEOUT: FIRST_STEP,
}


@dataclass
class Region:
    """Tables, a queue, and as many executors as there are slots."""

    stage: Stage
    store: DynamoTaskStore
    records: Records
    orders: Orders

    def await_hosts(self) -> None:
        """Nothing is measured while they are still starting."""
        end = time.monotonic() + PATIENCE_SECONDS
        while len(self._events("ready")) < SLOTS:
            assert time.monotonic() < end, "the hosts did not start in time"
            time.sleep(0.1)
            list(self.records.refresh())

    def submit(self, task_id: str, *, prompt: str, max_attempts: int = 3) -> None:
        now = CLOCK.now()
        task = Task(
            id=task_id,
            workspace_id="deadly",
            agent_id="issue-enricher",
            title=task_id,
            created_at=now,
            updated_at=now,
            max_attempts=max_attempts,
        )
        origin = Origin(
            task_id=task_id,
            prompt=prompt,
            created_at=now,
            intents=(("labels", len(LABELS)), ("comment", 1)),
            allowed_labels=LABELS,
            target=Target(repo="octo/demo", repo_id=1, number=1, kind="issue"),
            delimiter="0" * 32,
        )
        assert self.store.create(task, origin)
        self.stage.wake_ups().send(task_id)

    def task(self, task_id: str) -> Task:
        task = self.store.get(task_id)
        assert task is not None
        return task

    def ended(self, task_ids: Sequence[str]) -> list[Task]:
        """The tasks, when all of them have ended, and what their executors wrote down."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            tasks = [self.task(task_id) for task_id in task_ids]
            if all(task.status.is_terminal for task in tasks):
                list(self.records.refresh())
                return tasks
            time.sleep(0.1)
        raise AssertionError(f"not ended in time: {tasks}")

    def deaths(self, task_id: str) -> list[str]:
        """How the executors died that held this task, in their order."""
        holders = {event["pid"] for event in self._events("claimed") if event["task"] == task_id}
        cut = {event["pid"] for event in self._events("cut")}
        return [
            ("cut, then " if event["executor"] in cut else "")
            + (f"killed for {why}" if (why := event["killed_for"]) else f"status {event['code']}")
            for event in self._events("died")
            if event["executor"] in holders
        ]

    def claims(self, task_ids: Sequence[str]) -> list[float]:
        """When one of these was claimed, in epoch seconds."""
        return [event["at"] for event in self._events("claimed") if event["task"] in task_ids]

    def _events(self, what: str) -> list[dict[str, Any]]:
        return [event for event in self.records.events if event["what"] == what]

    def dead_letters(self) -> int:
        name = "ApproximateNumberOfMessages"
        answer = self.stage.client("sqs").get_queue_attributes(
            QueueUrl=self.stage.dead_letters_url, AttributeNames=[name]
        )
        return int(answer["Attributes"][name])

    def errors(self) -> list[str]:
        from bench.kill import processes  # noqa: PLC0415 - it wires loggers when it is imported

        return processes.log_of_errors(self.records.path.parent)


@pytest.fixture(scope="module")
def region(nightdesk: Nightdesk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    stage = stage_on(nightdesk.deployment.cloud.credentials(), slots=SLOTS, prefix="deadly")
    ground = Ground(stage.environment, tmp_path_factory.mktemp("deadly"))
    with pytest.MonkeyPatch.context() as patch, hosts_running(ground, SLOTS) as orders:
        for name, value in stage.environment.items():
            patch.setenv(name, value)
        region = Region(stage, stage.store(), Records(ground.records), orders)
        region.await_hosts()
        yield region


@pytest.mark.parametrize(
    ("death", "max_attempts"), [(Death.EXIT, 3), (Death.MEMORY, 3), (Death.TIMEOUT, 2)], ids=str
)
def test_a_task_that_kills_its_executor_each_time_ends_and_delays_no_other(
    death: Death, max_attempts: int, region: Region
) -> None:
    deadly, others = f"{death}-deadly", [f"{death}-{number}" for number in range(ORDINARY)]
    if death is Death.TIMEOUT:
        region.orders.hurried.set()
    region.submit(deadly, prompt=death, max_attempts=max_attempts)
    for task_id in others:
        region.submit(task_id, prompt="Do it.")

    lost, *done = region.ended([deadly, *others])

    assert lost.error is not None
    assert (lost.status, lost.error.code) == (TaskStatus.FAILED, ErrorCode.EXECUTOR_LOST)
    assert lost.attempts == max_attempts
    assert region.deaths(deadly) == [DIES_OF[death]] * max_attempts
    assert [entry.kind for entry in region.store.entries(deadly, lost.run)] == JOURNALS[death]
    assert [(task.status, task.attempts) for task in done] == [(TaskStatus.COMPLETED, 1)] * ORDINARY
    assert [slot.task_id for slot in region.store.slots()] == [None] * SLOTS
    assert region.dead_letters() == 0
    assert region.errors() == []
    expect_no_delay(lost, done, region)


def expect_no_delay(lost: Task, done: Sequence[Task], region: Region) -> None:
    """Each attempt keeps one slot until its lease has run out; the other is free all the while.

    So from each claim of the deadly task to its next, or to its end, some ordinary task was at
    work, as long as there was one: the line never stood still for a whole turn of the dying. That
    holds however slow the machine is: such a turn is a lease and the very work, to be woken and to
    claim, that lies between two ordinary tasks.
    """
    turns = [*region.claims([lost.id]), ended_at(lost)]
    at_work = [(started_at(task), ended_at(task)) for task in done]
    last_start = max(start for start, _ in at_work)
    for begin, end in pairwise(turns):
        if begin > last_start:
            break  # nobody waits any more
        assert any(start < end and begin < left for start, left in at_work), (turns, at_work)


def started_at(task: Task) -> float:
    assert task.started_at is not None
    return task.started_at.timestamp()


def ended_at(task: Task) -> float:
    assert task.completed_at is not None
    return task.completed_at.timestamp()
