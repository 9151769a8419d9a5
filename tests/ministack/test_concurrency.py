"""Many processes and threads on the same tables: claims, steps and creates exclude each other.

The tables and the queue are this test's own, on the session's embedded cloud: the deployed
executors do not see them. The executors are processes that run the real handler (bench/kill).
moto cannot show any of this: its transactions lose concurrent writes.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import TypeVar

import pytest

from bench.kill.audit import JournalLine, TaskFacts, judge
from bench.kill.pool import PROCESSES, Pool, running, zygote
from bench.kill.records import Records
from bench.kill.scripted_model import label_of
from bench.kill.stage import Stage, stage_on
from local.run import Nightdesk
from nightdesk.adapters.dynamodb.access_store import DynamoAccessStore
from nightdesk.adapters.dynamodb.tables import SessionLogItem
from nightdesk.adapters.dynamodb.task_store import DynamoTaskStore
from nightdesk.adapters.system import SystemClock, SystemDice
from nightdesk.domain.api_key import ApiKey, Credential, hash_of
from nightdesk.domain.errors import LeaseLostError, NotClaimableError
from nightdesk.domain.ports import Progress, Release, Slot
from nightdesk.domain.rate_limit import RateLimitedError
from nightdesk.domain.session import Entry, EntryKind
from nightdesk.domain.task import LEASE, Origin, Target, Task, TaskStatus
from nightdesk.services.api_ports import ApiPorts, ApiSettings
from nightdesk.services.submit_task import NewTask, Submitted, submit_task
from tests.engine.world import ENRICHER, FakeSpecialists
from tests.fakes.access_store import FakeAccessStore
from tests.fakes.callbacks import callback_ports
from tests.fakes.functions import FakeFunctions
from tests.fakes.wake_ups import FakeWakeUps

pytestmark = pytest.mark.ministack

TASKS, STEPS, SLOTS = 30, 2, 2
#: Twenty times what it takes on an idle machine with two cores.
PATIENCE_SECONDS = 120.0
LABELS = [label_of(step) for step in range(1, STEPS + 1)]
CLOCK = SystemClock()
Result = TypeVar("Result")


@dataclass
class Region:
    """Tables and a queue of one test."""

    stage: Stage
    store: DynamoTaskStore


@pytest.fixture(scope="module")
def region(nightdesk: Nightdesk) -> Iterator[Region]:
    """Each test has a workspace of its own, and leaves no task in the line and no slot taken."""
    stage = stage_on(nightdesk.deployment.cloud.credentials(), slots=SLOTS, prefix="concurrency")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stage.environment.items():
            patch.setenv(name, value)
        yield Region(stage, stage.store())


def a_task(number: int, workspace: str) -> tuple[Task, Origin]:
    now = CLOCK.now()
    task = Task(
        id=f"{workspace}-{number:03d}",
        workspace_id=workspace,
        agent_id="issue-enricher",
        title=f"Task {number}",
        created_at=now,
        updated_at=now,
    )
    origin = Origin(
        task_id=task.id,
        prompt="Do it.",
        created_at=now,
        intents=(("labels", STEPS), ("comment", 1)),
        allowed_labels=tuple(LABELS),
        target=Target(repo="octo/demo", repo_id=1, number=number + 1, kind="issue"),
        delimiter=f"{number:032x}",
    )
    return task, origin


def at_once(count: int, work: Callable[[int], Result]) -> list[Result]:
    """Run `work(0)` to `work(count - 1)` in threads that begin together."""
    barrier = Barrier(count)

    def begin(number: int) -> Result:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(begin, range(count)))


# Executors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("executors", [2, 4])
def test_executor_processes_share_the_tasks_and_never_one_task(
    executors: int, region: Region, tmp_path: Path
) -> None:
    from bench.kill import processes  # noqa: PLC0415 - it wires loggers when it is imported

    setup = processes.Setup(
        environment=region.stage.environment,
        folder=tmp_path,
        steps=STEPS,
        think_seconds=0.02,
        sweep_every_seconds=60,
    )
    workspace, wake_ups = f"processes-{executors}", region.stage.wake_ups()
    made = [a_task(number, workspace) for number in range(TASKS)]
    for task, origin in made:
        assert region.store.create(task, origin)
        wake_ups.send(task.id)

    pool = Pool(zygote([PROCESSES]), processes.run_executor, setup, executors)
    records = Records(setup.records)
    with running(pool):
        most_running = most_running_until_done(region.store, records)

    claims = [(e["task"], e["fence"]) for e in records.events if e["what"] == "claimed"]
    assert Counter(claims).most_common(1)[0][1] == 1, "a fence was given twice"
    assert sorted(claims) == [(task.id, 1) for task, _ in made]
    workers = {event["pid"] for event in records.events if event["what"] == "claimed"}
    assert len(workers) >= 2
    assert 0 < most_running <= SLOTS
    facts = [facts_of(region.store, task.id) for task, _ in made]
    verdict = judge(facts, LABELS)
    assert (verdict.completed, verdict.steps_repeated, verdict.steps_lost) == (TASKS, 0, 0)
    assert verdict.journals_broken == []
    assert [slot.task_id for slot in region.store.slots()] == [None] * SLOTS
    assert processes.log_of_errors(tmp_path) == []


def most_running_until_done(store: DynamoTaskStore, records: Records) -> int:
    """The most tasks RUNNING in any sample, no two of them in one slot."""
    most, left, end = 0, 0, time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        running_now = store.running()
        assert len({task.slot for task in running_now}) == len(running_now), "a slot held twice"
        most = max(most, len(running_now))
        left += sum(1 for event in records.refresh() if event["what"] == "left")
        if left == TASKS:
            return most
        time.sleep(0.05)
    raise AssertionError("the tasks did not complete in time")


def facts_of(store: DynamoTaskStore, task_id: str) -> TaskFacts:
    task = store.get(task_id)
    assert task is not None
    journal = [
        JournalLine(int(i.entry[5:]), i.kind, int(i.fence), i.at, i.document)
        for i in SessionLogItem.query(task.id, consistent_read=True)
    ]
    # Nothing publishes here: that each effect would be there once is not this test's matter.
    return TaskFacts(task=task, journal=journal, comments=1, labels=dict.fromkeys(LABELS, 1))


# Transactions -----------------------------------------------------------------------------------


def test_of_eight_claims_at_once_one_wins(region: Region) -> None:
    for round_number in range(8):
        task, origin = a_task(round_number, "claims")
        assert region.store.create(task, origin)
        slots = region.store.slots()

        def claim(number: int, task: Task = task, slots: tuple[Slot, ...] = slots) -> bool:
            now = CLOCK.now()
            try:
                region.store.claim(
                    task,
                    slots[number % SLOTS],
                    message_id=f"m-{number}",
                    now=now,
                    lease_until=now + LEASE,
                    reserved_micros=0,
                )
            except NotClaimableError:
                return False
            return True

        assert sum(at_once(8, claim)) == 1
        held = region.store.get(task.id)
        assert held is not None
        assert (held.status, held.fence, held.attempts) == (TaskStatus.RUNNING, 1, 1)
        assert sum(slot.task_id == task.id for slot in region.store.slots()) == 1
        region.store.end_expired(held, Release(status=TaskStatus.CANCELLED), now=CLOCK.now())


def test_of_eight_steps_at_once_under_one_number_one_is_journalled(region: Region) -> None:
    task, origin = a_task(0, "steps")
    assert region.store.create(task, origin)
    now = CLOCK.now()
    held = region.store.claim(
        task,
        region.store.slots()[0],
        message_id="m",
        now=now,
        lease_until=now + LEASE,
        reserved_micros=0,
    )
    for seq in range(1, 9):
        now = CLOCK.now()

        def step(
            number: int, held: Task = held, seq: int = seq, now: datetime = now
        ) -> Task | None:
            # Apart by a millisecond: two with the same request token would be the same write.
            at = now + timedelta(milliseconds=number)
            data = {"text": f"writer {number}", "by": "a person"}
            entry = Entry(held.id, held.run, seq, EntryKind.NOTE, at, data)
            try:
                return region.store.step(held, entry, Progress(), lease_until=at + LEASE)
            except LeaseLostError:
                return None

        (held,) = [done for done in at_once(8, step) if done is not None]
    assert [entry.seq for entry in region.store.entries(task.id, 1)] == list(range(1, 9))
    region.store.release(held, Release(status=TaskStatus.CANCELLED), now=CLOCK.now())


# Creates ----------------------------------------------------------------------------------------


def test_ten_creates_at_once_with_one_idempotency_key_make_one_task(region: Region) -> None:
    wake_ups = FakeWakeUps()
    ports = ApiPorts(
        tasks=region.store,
        access=FakeAccessStore(),
        wake_ups=wake_ups,
        specialists=FakeSpecialists(ENRICHER),
        functions=FakeFunctions(),
        callbacks=callback_ports(),
        clock=CLOCK,
        dice=SystemDice(),
        settings=ApiSettings(sweeper_function="", github_poller_function=""),
    )
    new = NewTask(prompt="Where is it?", agent_id=ENRICHER.id, workspace_id="creates")

    key = ApiKey(id="0" * 16, workspace_id="creates", created_at=CLOCK.now())

    def submit(_: int) -> Submitted:
        return submit_task(new, key=key, idempotency_key="only-once", ports=ports)

    answers = at_once(10, submit)

    assert sum(answer.created for answer in answers) == 1
    assert len({answer.task.id for answer in answers}) == 1
    stored = region.store.list_page("creates", status=None, limit=100, cursor=None).tasks
    assert [task.id for task in stored] == [answers[0].task.id]
    region.store.end_unclaimed(stored[0], TaskStatus.CANCELLED, None, now=CLOCK.now())


def test_many_requests_at_once_are_admitted_up_to_the_keys_limit_and_no_further(
    region: Region,
) -> None:
    access, now = DynamoAccessStore(), CLOCK.now()
    key = ApiKey(id="c" * 16, workspace_id="limits", created_at=now, requests_per_minute=7)
    access.add(key, hash_of("secret"))

    def use(_: int) -> bool:
        try:
            return access.use(Credential(key.id, hash_of("secret")), now=now) is not None
        except RateLimitedError:
            return False

    assert sum(at_once(24, use)) == 7
    stored = access.get(key.id)
    assert stored is not None
    assert stored.uses == 7
