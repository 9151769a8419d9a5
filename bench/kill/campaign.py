"""One campaign: submit tasks, kill executors at random, let everything come to rest, judge."""

import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bench.kill.audit import (
    JournalLine,
    Kill,
    Recovery,
    Sign,
    TaskFacts,
    Verdict,
    judge,
    recoveries,
)
from bench.kill.github import REPOSITORY, REPOSITORY_ID, CountingGithub
from bench.kill.pool import Pool, running
from bench.kill.records import Records
from bench.kill.scripted_model import label_of
from bench.kill.stage import Stage
from nightdesk.adapters.dynamodb.outbox_store import DynamoOutboxStore
from nightdesk.adapters.dynamodb.tables import SessionLogItem, TaskItem
from nightdesk.adapters.dynamodb.task_items import task_of
from nightdesk.adapters.dynamodb.task_store import DynamoTaskStore
from nightdesk.adapters.system import SystemClock
from nightdesk.domain.task import Origin, Target, Task, TaskStatus

WORKSPACE = "bench"
_TICK_SECONDS = 0.02
_LOOK_EVERY_SECONDS = 0.5
_TELL_EVERY_SECONDS = 60.0
#: One kill in so many takes the publisher too.
_PUBLISHER_EACH = 20


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the campaign does; `kills` counts those that hit an executor holding a task."""

    kills: int
    mean_gap_seconds: float
    #: The share of kills that strike an executor at work. The others strike any, also one that
    #: looks for work, or waits for a dead one's lease and so is killed in the midst of a recovery.
    at_work: float
    steps: int
    seed: int
    #: Stop killing after this time, whatever was reached.
    kill_seconds: float
    #: How long everything may take to come to rest afterwards.
    rest_seconds: float


@dataclass(kw_only=True)
class Tally:
    """What was done, by number."""

    kills: list[Kill] = field(default_factory=list)
    kills_without_task: int = 0
    publisher_kills: int = 0
    tasks: list[str] = field(default_factory=list)
    most_running: int = 0
    kill_seconds: float = 0.0
    rest_seconds: float = 0.0
    came_to_rest: bool = False


@dataclass(frozen=True, kw_only=True)
class Result:
    tally: Tally
    verdict: Verdict
    recovery: Recovery
    model_calls: int
    turns: int
    slots_left: int
    dead_letters: int
    undelivered_rows: int


class Campaign:
    """Runs in one process and one thread; everything that is killed runs in others."""

    def __init__(
        self,
        plan: Plan,
        *,
        stage: Stage,
        github: CountingGithub,
        executors: Pool,
        others: tuple[Pool, ...],
        publisher: Pool,
        folder: Path,
    ) -> None:
        self._plan = plan
        self._stage = stage
        self._github = github
        self._executors = executors
        self._others = others
        self._publisher = publisher
        self._records = Records(folder / "records.jsonl")
        self._random = random.Random(plan.seed)
        self._tally = Tally()
        self._store: DynamoTaskStore = stage.store()
        self._wake_ups = stage.wake_ups()
        self._clock = SystemClock()
        #: By pid: the message and the task that it works on, as far as its records say.
        self._message: dict[int, str] = {}
        self._holding: dict[int, str] = {}

    def run(self) -> Result:
        with running(self._executors, self._publisher, *self._others):
            self._kill_until_enough()
            self._come_to_rest()
        return self._result()

    # Killing ---------------------------------------------------------------------------------

    def _kill_until_enough(self) -> None:
        begun = time.monotonic()
        next_kill = begun + self._gap()
        next_look, next_word = 0.0, begun + _TELL_EVERY_SECONDS
        while len(self._tally.kills) < self._plan.kills:
            now = time.monotonic()
            if now - begun > self._plan.kill_seconds:
                break
            if now >= next_look:
                self._look()
                self._top_up()
                next_look = now + _LOOK_EVERY_SECONDS
            if now >= next_word:
                self._tell(now - begun)
                next_word = now + _TELL_EVERY_SECONDS
            if now >= next_kill:
                self._kill_one()
                next_kill = time.monotonic() + self._gap()
            time.sleep(_TICK_SECONDS)
        self._tally.kill_seconds = time.monotonic() - begun

    def _tell(self, seconds: float) -> None:
        kills, tasks = len(self._tally.kills), len(self._tally.tasks)
        print(f"  {seconds:5.0f} s: {kills} kills, {tasks} tasks submitted", flush=True)

    def _gap(self) -> float:
        return self._random.expovariate(1 / self._plan.mean_gap_seconds)

    def _kill_one(self) -> None:
        self._read_records()
        pids = self._executors.pids
        if self._random.random() < self._plan.at_work:
            pids = [pid for pid in pids if pid in self._holding]
        if not pids:
            return
        victim = self._random.choice(pids)
        at = time.time()
        self._executors.kill(victim)
        self._note_kill(victim, at)
        self._executors.fill()
        if self._random.randrange(_PUBLISHER_EACH) == 0:
            self._publisher.kill(self._random.choice(self._publisher.pids))
            self._publisher.fill()
            self._tally.publisher_kills += 1

    def _note_kill(self, victim: int, at: float) -> None:
        """What it held is what the slots say: its records may lack the last line."""
        self._read_records()
        message = self._message.pop(victim, None)
        self._holding.pop(victim, None)
        for slot in self._store.slots():
            if slot.task_id is not None and message is not None and slot.message_id == message:
                self._tally.kills.append(Kill(at, slot.task_id, slot.fence))
                return
        self._tally.kills_without_task += 1

    def _read_records(self) -> None:
        for event in self._records.refresh():
            match event["what"]:
                case "received":
                    self._message[event["pid"]] = event["messageId"]
                case "claimed":
                    self._holding[event["pid"]] = event["task"]
                case "left":
                    self._holding.pop(event["pid"], None)
                case "answered":
                    self._message.pop(event["pid"], None)
                case _:
                    pass  # what the report counts

    # Tasks -----------------------------------------------------------------------------------

    def _look(self) -> None:
        running_now = len(self._store.running())
        self._tally.most_running = max(self._tally.most_running, running_now)

    def _top_up(self) -> None:
        """Keep a line of waiting tasks, so that no slot is free for want of work."""
        wanted = 2 * self._executors.count
        for _ in range(wanted - len(self._store.runnable(limit=wanted))):
            self._submit()

    def _submit(self) -> None:
        number = len(self._tally.tasks) + 1
        task_id = f"t{number:05d}"
        now = self._clock.now()
        labels = self._labels()
        target = Target(repo=REPOSITORY, repo_id=REPOSITORY_ID, number=number, kind="issue")
        task = Task(
            id=task_id,
            workspace_id=WORKSPACE,
            agent_id="issue-enricher",
            title=f"Task {number}",
            created_at=now,
            updated_at=now,
            max_attempts=10,
            timeout_ms=1_800_000,
        )
        origin = Origin(
            task_id=task_id,
            prompt=f"Do {self._plan.steps} steps.",
            created_at=now,
            intents=(("labels", len(labels)), ("comment", 1)),
            allowed_labels=tuple(labels),
            target=target,
            delimiter=f"{number:032x}",
        )
        assert self._store.create(task, origin)
        self._wake_ups.send(task_id)
        self._tally.tasks.append(task_id)

    def _labels(self) -> list[str]:
        return [label_of(step) for step in range(1, self._plan.steps + 1)]

    # Resting ---------------------------------------------------------------------------------

    def _come_to_rest(self) -> None:
        """Nothing is killed any more, and nothing is helped along either."""
        begun = time.monotonic()
        while time.monotonic() - begun < self._plan.rest_seconds:
            self._read_records()
            self._look()
            if not self._unfinished() and not self._undelivered():
                self._tally.came_to_rest = True
                break
            time.sleep(_LOOK_EVERY_SECONDS)
        self._tally.rest_seconds = time.monotonic() - begun

    def _unfinished(self) -> bool:
        for status in (TaskStatus.RUNNING, TaskStatus.PENDING):
            if self._store.list_page(WORKSPACE, status=status, limit=1, cursor=None).tasks:
                return True
        return False

    def _undelivered(self) -> int:
        far = self._clock.now() + timedelta(days=1)
        return len(DynamoOutboxStore().due(now=far, limit=100))

    # The result ------------------------------------------------------------------------------

    def _result(self) -> Result:
        self._read_records()
        journals = self._journals()
        facts = list(self._facts(journals))
        turns = sum(1 for lines in journals.values() for line in lines if line.kind != "tool")
        return Result(
            tally=self._tally,
            verdict=judge(facts, self._labels()),
            recovery=recoveries(self._tally.kills, self._signs(journals, facts)),
            model_calls=sum(1 for event in self._records.events if event["what"] == "model"),
            turns=turns,
            slots_left=sum(1 for slot in self._store.slots() if slot.task_id is not None),
            dead_letters=self._dead_letters(),
            undelivered_rows=self._undelivered(),
        )

    def _journals(self) -> Mapping[str, list[JournalLine]]:
        found: dict[str, list[JournalLine]] = {}
        for item in SessionLogItem.scan(consistent_read=True):
            seq = int(item.entry.partition("#")[2])
            line = JournalLine(seq, item.kind, int(item.fence), item.at, item.document)
            found.setdefault(item.task_id, []).append(line)
        return {task_id: sorted(lines, key=_by_number) for task_id, lines in found.items()}

    def _facts(self, journals: Mapping[str, list[JournalLine]]) -> Iterator[TaskFacts]:
        tasks = {item.id: task_of(item) for item in TaskItem.scan(consistent_read=True)}
        effects = self._github.effects
        for number, task_id in enumerate(self._tally.tasks, start=1):
            yield TaskFacts(
                task=tasks[task_id],
                journal=journals.get(task_id, []),
                comments=len(effects.comments[number]),
                labels=Counter(effects.labels[number]),
            )

    def _signs(
        self, journals: Mapping[str, list[JournalLine]], facts: list[TaskFacts]
    ) -> Iterator[Sign]:
        for event in self._records.events:
            if event["what"] == "claimed":
                yield Sign(event["at"], event["task"], event["fence"])
        for task_id, lines in journals.items():
            for line in lines:
                yield Sign(_seconds(line.at), task_id, line.fence)
        for fact in facts:
            # Ended without a session (EXECUTOR_LOST): the fence does not move, its row does.
            if fact.task.completed_at is not None:
                yield Sign(_seconds(fact.task.completed_at), fact.task.id, fact.task.fence + 1)

    def _dead_letters(self) -> int:
        name = "ApproximateNumberOfMessages"
        answer: dict[str, Any] = self._stage.client("sqs").get_queue_attributes(
            QueueUrl=self._stage.dead_letters_url, AttributeNames=[name]
        )
        return int(answer["Attributes"][name])


def _by_number(line: JournalLine) -> int:
    return line.seq


def _seconds(moment: datetime) -> float:
    return moment.timestamp()
