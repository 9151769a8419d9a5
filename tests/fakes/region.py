"""A region of AWS in virtual time around the real services: invocations, queue, stores, GitHub.

Every invocation (executor, sweeper, publisher, a request to the API) is a strand that pauses
before each call of a port. A test says who goes on, what goes wrong with the call, how time passes
and who dies; everything else is the code that is deployed. Nothing here decides anything by chance.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from typing import Any, TypeVar

import pytest

from nightdesk.domain.api_key import ApiKey
from nightdesk.domain.callbacks import Body
from nightdesk.domain.errors import CallAbortedError, NightdeskError, UnavailableError
from nightdesk.domain.model import CallControl, ModelRequest, ModelTier, ModelTurn, Usage
from nightdesk.domain.notices import NOTIFY
from nightdesk.domain.outbox import OutboxRow
from nightdesk.domain.ports import Candidate, OutboxStore, Slot, TaskStore, WakeUps
from nightdesk.domain.push_configs import PushFormat
from nightdesk.domain.session import Entry
from nightdesk.domain.task import (
    VISIBILITY_RENEWAL,
    Origin,
    Target,
    Task,
    TaskStatus,
)
from nightdesk.domain.tracked_comment import TrackedComments
from nightdesk.services import run_session
from nightdesk.services.answer_wake_up import answer_wake_up
from nightdesk.services.api_ports import ApiPorts, ApiSettings
from nightdesk.services.callback_ports import CallbackPorts
from nightdesk.services.claim_task import WakeUp
from nightdesk.services.engine_ports import ExecutorPorts, SweeperPorts
from nightdesk.services.held_task import HeldTask
from nightdesk.services.message_task import MessageAction, message_task
from nightdesk.services.notify import NotifierPorts, Told, notify_row
from nightdesk.services.publish_intents import publish_row
from nightdesk.services.publisher_ports import PublisherPorts
from nightdesk.services.recover_tasks import sweep
from tests.engine.world import ENRICHER, FakeIssues, FakeSnapshots, FakeSpecialists
from tests.fakes.access_store import FakeAccessStore
from tests.fakes.callbacks import FakeCallbackKey, FakeReceivers
from tests.fakes.clock import NOON, FakeClock, FakeDice
from tests.fakes.conversations import FakeConversations, FakePushConfigs
from tests.fakes.functions import FakeFunctions
from tests.fakes.github import REPO, FakePublishing
from tests.fakes.model import calls, says
from tests.fakes.outbox_store import FakeOutboxStore
from tests.fakes.pulls import FakePulls
from tests.fakes.queue import Message, SimulatedQueue
from tests.fakes.strand import Strand
from tests.fakes.task_store import FakeTaskStore
from tests.fakes.tracked_comments import FakeTrackedComments

Port = TypeVar("Port")
Reply = ModelTurn | Exception

#: Timeouts of the functions in template.yaml (tests/template holds them to what the engine needs).
EXECUTOR_TIMEOUT = timedelta(seconds=900)
SWEEPER_TIMEOUT = timedelta(seconds=60)
PUBLISHER_TIMEOUT = timedelta(seconds=60)
API_TIMEOUT = timedelta(seconds=28)
#: How finely time passes for those that are alive.
_TICK = timedelta(seconds=2)

KEY = ApiKey(id="00000000000000aa", workspace_id="default", created_at=NOON)
ENRICHER_WITH_INTENTS = replace(ENRICHER, intents=(("comment", 1), ("labels", 1)))


class Fault(Enum):
    """What goes wrong with one call."""

    KILL_BEFORE = "killed before it"
    KILL_AFTER = "killed after it took effect"
    REFUSED = "refused: throttled or down, without effect"
    LOST_ANSWER = "its answer lost after it took effect"
    LOST_FOR_LONG = "its answers lost, of repetitions too, after it took effect"
    STALE = "answered by an index as of an earlier moment"
    VERY_STALE = "answered by an index as of the very beginning"


class ScriptedDefectError(Exception):
    """What a reply of the model may raise to stand for a defect of ours."""


class HandWatchedTask(HeldTask):
    """A held task whose watching thread is the test: it calls `look` when time has passed."""

    @contextmanager
    def watched(self) -> Iterator[None]:
        strand = Strand.current()
        assert isinstance(strand, Invocation)
        strand.held = self
        try:
            yield
        finally:
            strand.held = None

    def look_if_free(self) -> None:
        """Look, unless the session holds the lock: the real watch would wait for it."""
        if self._lock.acquire(blocking=False):
            try:
                self.look()
            finally:
                self._lock.release()

    @property
    def is_told_to_stop(self) -> bool:
        return self._stop is not None


class SkewedClock:
    """One machine's `Clock`: a little off, and it sleeps until the test has let time pass."""

    def __init__(self, true: FakeClock, off_by: timedelta) -> None:
        self._true = true
        self._off_by = off_by

    def now(self) -> datetime:
        return self._true.now() + self._off_by

    def sleep(self, duration: timedelta) -> None:
        strand = Strand.current()
        assert isinstance(strand, Invocation)
        strand.asleep_until = self._true.now() + duration
        strand.pause("clock.sleep")
        strand.asleep_until = None


class Invocation(Strand):
    """One run of a Lambda function. `clock` is its machine's; `deadline` is in true time."""

    def __init__(
        self,
        name: str,
        work: Callable[["Invocation"], None],
        clock: SkewedClock,
        deadline: datetime,
    ) -> None:
        super().__init__(name, lambda: work(self))
        self.clock = clock
        self.deadline = deadline
        #: Gets no CPU: neither goes on, nor renews anything, nor is ended by its timeout.
        self.is_frozen = False
        self.asleep_until: datetime | None = None
        self.held: HandWatchedTask | None = None
        self.receipt: str | None = None
        self.hidden_at: datetime | None = None
        self.fault: Fault | None = None

    def pause(self, at: str) -> object:
        given = super().pause(at)
        self.fault = given if isinstance(given, Fault) else None
        return given


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that is stored, at one moment."""

    tasks: Mapping[str, Task]
    origins: Mapping[str, Origin]
    journal: Mapping[tuple[str, int, int], Entry]
    rows: Mapping[tuple[str, str], OutboxRow]
    slots: Sequence[Slot]


class Region:
    """The fakes as stores. `history` keeps what the indexes may still show."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.queue = SimulatedQueue(self.clock)
        self.tasks: TaskStore = FakeTaskStore()
        assert isinstance(self.tasks, FakeTaskStore)
        self.outbox: OutboxStore = FakeOutboxStore(self.tasks.rows)
        self.github = FakePublishing(self.clock.now)
        self.tracked: TrackedComments = FakeTrackedComments()
        self.push_configs = FakePushConfigs()
        self.receivers = FakeReceivers()
        self.dice = FakeDice()
        self.specialists = FakeSpecialists(ENRICHER_WITH_INTENTS)
        self.invocations: list[Invocation] = []
        self.history: deque[Snapshot] = deque(maxlen=4)
        self.beginning: Snapshot | None = None
        self.stream: list[tuple[str, str]] = []
        #: What the model says when a test gives no reply; from the conversation alone, so that a
        #: session that goes on elsewhere gets the same.
        self.script: Callable[[ModelRequest], Reply] = lambda _request: says("Done.")
        #: Asked before each call what goes wrong with it, when a test does not say so itself.
        self.plan: Callable[[Invocation], Fault | None] = lambda _strand: None
        self.executor_timeout = EXECUTOR_TIMEOUT
        #: Called after each step of anything, with who made it (None: nobody's step).
        self.observers: list[Callable[[Invocation | None], None]] = []
        self._rows_streamed: set[tuple[str, str]] = set()
        self._count = 0

    # What is stored --------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        tasks = self.tasks
        assert isinstance(tasks, FakeTaskStore)
        return Snapshot(
            dict(tasks.tasks),
            dict(tasks.origins),
            dict(tasks.journal),
            dict(tasks.rows),
            tasks.slots(),
        )

    def ports_of(self, strand: Invocation) -> tuple[TaskStore, OutboxStore]:
        """The stores as an invocation reaches them: it pauses before each call."""
        return (
            _guarded(_LaggingIndexes(self.tasks, self, strand), "tasks", strand),
            _guarded(self.outbox, "outbox", strand),
        )

    def wake_ups_of(self, strand: Invocation) -> WakeUps:
        return _guarded(_QueueOf(self.queue, strand), "wake_ups", strand)

    # Invocations -----------------------------------------------------------------------------

    def deliver(self, message: Message, *, off_by: timedelta = timedelta(0)) -> Invocation:
        """SQS hands the message to a new executor."""
        receipt = self.queue.receive(message)
        wake_up = WakeUp(message.task_id, message.id, message.receives)

        def work(strand: Invocation) -> None:
            ports = self.executor_ports(strand)
            with ports.wake_ups.kept_invisible(receipt):
                answer_wake_up(wake_up, ports=ports, deadline=strand.deadline)
            strand.pause("sqs.delete")
            self.queue.delete(receipt)

        strand = self._invoke("executor", work, self.executor_timeout, off_by)
        strand.receipt = receipt
        return strand

    def begin_sweep(self, *, off_by: timedelta = timedelta(0)) -> Invocation:
        def work(strand: Invocation) -> None:
            sweep(self.sweeper_ports(strand))

        return self._invoke("sweeper", work, SWEEPER_TIMEOUT, off_by)

    def begin_publishing(self, task_id: str, row: str) -> Invocation:
        """The consumer of the row: the publisher, or the notifier."""
        if row.startswith(NOTIFY):
            return self._begin_notifying(task_id, row)

        def work(strand: Invocation) -> None:
            publish_row(task_id, row, self.publisher_ports(strand))

        return self._invoke("publisher", work, PUBLISHER_TIMEOUT, timedelta(0))

    def _begin_notifying(self, task_id: str, row: str) -> Invocation:
        def work(strand: Invocation) -> None:
            notify_row(task_id, row, self.notifier_ports(strand))

        return self._invoke("notifier", work, PUBLISHER_TIMEOUT, timedelta(0))

    def begin_request(
        self, name: str, request: Callable[[ApiPorts], object], *, off_by: timedelta = timedelta(0)
    ) -> Invocation:
        """A request to the API; what it raises is its answer to the caller."""

        def work(strand: Invocation) -> None:
            request(self.api_ports(strand))

        return self._invoke(f"api {name}", work, API_TIMEOUT, off_by)

    def _invoke(
        self,
        kind: str,
        work: Callable[[Invocation], None],
        timeout: timedelta,
        off_by: timedelta,
    ) -> Invocation:
        self._count += 1
        clock = SkewedClock(self.clock, off_by)
        strand = Invocation(f"{kind} {self._count}", work, clock, self.clock.now() + timeout)
        self.invocations.append(strand)
        return strand

    def executor_ports(self, strand: Invocation) -> ExecutorPorts:
        tasks, _ = self.ports_of(strand)
        return ExecutorPorts(
            tasks=tasks,
            wake_ups=self.wake_ups_of(strand),
            specialists=self.specialists,
            snapshots=FakeSnapshots(),
            issues=FakeIssues(),
            pulls=FakePulls(),
            model=_PausingModel(self, strand),
            price_of=_price,
            clock=strand.clock,
            dice=self.dice,
        )

    def sweeper_ports(self, strand: Invocation) -> SweeperPorts:
        tasks, outbox = self.ports_of(strand)
        return SweeperPorts(
            tasks=tasks,
            outbox=outbox,
            wake_ups=self.wake_ups_of(strand),
            functions=_guarded(_PublisherFunction(self, strand), "functions", strand),
            clock=strand.clock,
            publisher_function="publisher",
            notifier_function="notifier",
        )

    def publisher_ports(self, strand: Invocation) -> PublisherPorts:
        tasks, outbox = self.ports_of(strand)
        return PublisherPorts(
            outbox=outbox,
            tasks=tasks,
            github=_guarded(self.github, "github", strand),
            tracked=_guarded(self.tracked, "tracked", strand),
            clock=strand.clock,
        )

    def notifier_ports(self, strand: Invocation) -> NotifierPorts:
        tasks, outbox = self.ports_of(strand)
        return NotifierPorts(
            outbox=outbox,
            tasks=tasks,
            conversations=FakeConversations(FakeTaskStore(), self.push_configs),
            push_configs=_guarded(self.push_configs, "push_configs", strand),
            sender=_guarded(self.receivers, "receivers", strand),
            key=FakeCallbackKey(),
            writers=dict.fromkeys(PushFormat, _body_of),
            clock=strand.clock,
            dice=self.dice,
        )

    def api_ports(self, strand: Invocation) -> ApiPorts:
        tasks, outbox = self.ports_of(strand)
        return ApiPorts(
            tasks=tasks,
            access=FakeAccessStore(),
            wake_ups=self.wake_ups_of(strand),
            specialists=self.specialists,
            functions=FakeFunctions(),
            callbacks=CallbackPorts(
                push_configs=_guarded(self.push_configs, "push_configs", strand),
                outbox=outbox,
                key=FakeCallbackKey(),
            ),
            clock=strand.clock,
            dice=self.dice,
            settings=ApiSettings(sweeper_function="sweeper", github_poller_function="poller"),
        )

    # Going on --------------------------------------------------------------------------------

    def alive(self) -> list[Invocation]:
        return [strand for strand in self.invocations if not strand.ended]

    def may_go_on(self, strand: Invocation) -> bool:
        now = self.clock.now()
        awake = strand.asleep_until is None or strand.asleep_until <= now
        return not strand.ended and not strand.is_frozen and awake

    def step(self, strand: Invocation, given: object = None) -> None:
        """Let the invocation make the call before which it has paused; `given` is a `Fault` for
        it, or the model's `Reply`.
        """
        self._remember()
        if given is None:
            given = self.plan(strand)
        if given is Fault.KILL_BEFORE:
            strand.kill()
        elif not strand.ended:  # what the plan did may have ended it
            strand.resume(given)
        self._after_end_of(strand)
        self._observe(strand)

    def run(self, strand: Invocation, given: object = None) -> None:
        """Let the invocation run to its end; when it sleeps, time passes."""
        while not strand.ended:
            if strand.asleep_until is not None:
                self.advance(max(timedelta(0), strand.asleep_until - self.clock.now()))
            if not strand.ended:
                self.step(strand, given)
                given = None

    def kill(self, strand: Invocation) -> None:
        strand.kill()
        self._after_end_of(strand)
        self._observe(strand)

    def advance(self, duration: timedelta) -> None:
        """Let time pass. Who is alive and not frozen renews its lease and its message."""
        until = self.clock.now() + duration
        while (left := until - self.clock.now()) > timedelta(0):
            living = [strand for strand in self.alive() if not strand.is_frozen]
            self.clock.advance(min(left, _TICK) if living else left)
            for strand in living:
                self._live(strand)

    def _live(self, strand: Invocation) -> None:
        now = self.clock.now()
        if strand.deadline <= now:
            self.kill(strand)
            return
        if strand.held is not None:
            self._remember()
            strand.held.look_if_free()
            self._observe(strand)
        if strand.hidden_at is not None and now - strand.hidden_at >= VISIBILITY_RENEWAL:
            assert strand.receipt is not None
            self.queue.hide(strand.receipt)
            strand.hidden_at = now

    def _after_end_of(self, strand: Invocation) -> None:
        """What the Lambda service makes of an invocation's end: an executor that failed leaves
        its message to come again when its visibility lapses.
        """
        if not strand.ended:
            return
        self.invocations.remove(strand)
        error = strand.error
        if error is not None and not isinstance(error, NightdeskError):
            raise AssertionError(f"{strand.name} broke") from error

    def _observe(self, strand: Invocation | None) -> None:
        for key in self.snapshot().rows:
            if key not in self._rows_streamed:
                self._rows_streamed.add(key)
                self.stream.append(key)
        for observer in self.observers:
            observer(strand)

    def _remember(self) -> None:
        now = self.snapshot()
        self.beginning = self.beginning or now
        self.history.append(now)

    # Quiet -----------------------------------------------------------------------------------

    def settle(self, *, within: timedelta = timedelta(hours=6)) -> None:
        """Deliver, sweep and publish until nothing is left to do; everybody is well from now on.

        Raises:
            AssertionError: something is left to do after that time.
        """
        give_up = self.clock.now() + within
        next_sweep = self.clock.now()
        for strand in self.alive():
            strand.is_frozen = False
        while not self.is_quiet():
            assert self.clock.now() < give_up, f"not quiet: {self.describe()}"
            self._go_on_with_all()
            if self.clock.now() >= next_sweep:
                self.run(self.begin_sweep())
                next_sweep = self.clock.now() + timedelta(minutes=1)
                continue
            started = self.deliver_all() or self.answer_all()
            if started or any(map(self.may_go_on, self.alive())):
                continue
            self.advance(max(timedelta(0), self._next_event(next_sweep) - self.clock.now()))

    def is_quiet(self) -> bool:
        """Nothing runs, waits, or is due, and no message is on its way."""
        stored = self.snapshot()
        return (
            not self.alive()
            and not self.queue.messages
            and not self.stream
            and all(task.status.is_terminal for task in stored.tasks.values())
            and all(row.due_at is None for row in stored.rows.values())
        )

    def deliver_all(self) -> bool:
        """Deliver what may be delivered: two executors at once, a publisher for each record."""
        started = False
        while self.stream:
            self.run(self.begin_publishing(*self.stream.pop(0)))
            started = True
        for message in self.queue.visible():
            if sum(1 for s in self.alive() if s.name.startswith("executor")) >= 2:
                break
            self.deliver(message)
            started = True
        return started

    def answer_all(self) -> bool:
        """People answer every session that waits for them."""
        waiting = [t for t in self.snapshot().tasks.values() if t.status is TaskStatus.WAITING]
        for task in waiting:
            self.run(self.begin_request("answer", partial(_approve, task.id)))
        return bool(waiting)

    def _go_on_with_all(self) -> None:
        while ready := [strand for strand in self.alive() if self.may_go_on(strand)]:
            for strand in ready:
                if not strand.ended:
                    self.step(strand)

    def _next_event(self, next_sweep: datetime) -> datetime:
        times = [next_sweep, *(m.visible_at for m in self.queue.messages.values())]
        times += [s.asleep_until for s in self.alive() if s.asleep_until is not None]
        return min(time for time in times if time > self.clock.now())

    def describe(self) -> str:
        stored = self.snapshot()
        return (
            f"at {self.clock.now()}: {list(stored.tasks.values())}, {list(stored.rows.values())}, "
            f"{self.alive()}, {self.queue.messages}, {stored.slots}"
        )

    def close(self) -> None:
        for strand in self.alive():
            strand.kill()
        self.invocations.clear()


def _approve(task_id: str, ports: ApiPorts) -> object:
    return message_task(task_id, MessageAction.APPROVE, "Yes.", key=KEY, ports=ports)


def create_from_event(
    number: int,
    ports: ApiPorts,
    *,
    max_attempts: int = 3,
    approvals: tuple[str, ...] = (),
    depends_on: tuple[str, ...] = (),
    tracking: str = "",
    issue: int = 0,
    **fields: Any,
) -> bool:
    """What an import of the event of issue `number` does: one task for ever. `fields` are the
    task's own.
    """
    now = ports.clock.now()
    task = Task(
        id=f"issue-{number}",
        workspace_id="default",
        agent_id=ENRICHER.id,
        title=f"Issue {number}",
        created_at=now,
        updated_at=now,
        max_attempts=max_attempts,
        tracked=bool(tracking),
        **fields,
    )
    origin = Origin(
        task_id=task.id,
        prompt="Find it.",
        created_at=now,
        intents=ENRICHER_WITH_INTENTS.intents,
        target=Target(repo=REPO.full_name, repo_id=REPO.id, number=issue or number, kind="issue"),
        delimiter="0123456789abcdef",
        approvals=approvals,
        depends_on=depends_on,
        tracking=tracking,
    )
    known = [ports.tasks.get(task_id) for task_id in depends_on]
    awaits = [found for found in known if found is not None]
    created = ports.tasks.create(task, origin, seen_keys=(f"issue:{number}:opened",), awaits=awaits)
    if created and task.held is None:
        ports.wake_ups.send(task.id)
    return created


def reads(request: ModelRequest, tools: int = 1) -> ModelTurn:
    """A turn that calls some reading tools, under ids that the conversation has not had yet."""
    first_id = 100 * len(request.messages)
    return calls(*[("list_files", {})] * tools, first_id=first_id)


def proposes(request: ModelRequest) -> ModelTurn:
    return calls(("propose_labels", {"labels": ["bug"]}), first_id=100 * len(request.messages))


def hand_watched() -> AbstractContextManager[None]:
    """While it lasts, sessions have no watching thread of their own."""
    return _hand_watched()


@contextmanager
def _hand_watched() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_session, "HeldTask", HandWatchedTask)
        yield


# Ports ----------------------------------------------------------------------------------------


def _guarded(port: Port, name: str, strand: Invocation) -> Port:
    """The same port; its strand pauses before each call and may be given a fault."""
    guarded: Any = _Guarded(port, name, strand)
    return guarded  # type: ignore[no-any-return]


class _Guarded:
    def __init__(self, port: object, name: str, strand: Invocation) -> None:
        self._port = port
        self._name = name
        self._strand = strand

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._port, name)
        if not callable(member) or name == "kept_invisible":
            return member
        return lambda *args, **kwargs: self._call(name, lambda: member(*args, **kwargs))

    def _call(self, name: str, call: Callable[[], Any]) -> Any:
        fault = self._strand.pause(f"{self._name}.{name}")
        if fault is Fault.REFUSED:
            raise UnavailableError("refused")
        answer = call()
        if fault in (Fault.LOST_ANSWER, Fault.LOST_FOR_LONG):
            raise UnavailableError("no answer")
        if fault is Fault.KILL_AFTER:
            self._strand.die()
        return answer


class _LaggingIndexes:
    """The task store, whose indexes may show an earlier moment when they are told to."""

    def __init__(self, store: TaskStore, region: Region, strand: Invocation) -> None:
        self._store = store
        self._region = region
        self._strand = strand

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def runnable(self, *, limit: int) -> list[Candidate]:
        with self._as_shown():
            return self._store.runnable(limit=limit)

    def running(self) -> list[Task]:
        with self._as_shown():
            shown = self._store.running()
        return [task for task in self._as_they_are(shown) if task.status is TaskStatus.RUNNING]

    def due(self, *, now: datetime, limit: int) -> list[Task]:
        with self._as_shown():
            shown = self._store.due(now=now, limit=limit)
        return self._as_they_are(shown)

    def _as_they_are(self, shown: list[Task]) -> list[Task]:
        """Indexes hold keys only: the tasks themselves are read consistently."""
        current = (self._store.get(task.id) for task in shown)
        return [task for task in current if task is not None]

    @contextmanager
    def _as_shown(self) -> Iterator[None]:
        store, past = self._store, self._past()
        assert isinstance(store, FakeTaskStore)
        if past is None:
            yield
            return
        present, store.tasks = store.tasks, dict(past.tasks)
        try:
            yield
        finally:
            store.tasks = present

    def _past(self) -> Snapshot | None:
        match self._strand.fault:
            case Fault.STALE:
                return self._region.history[0]
            case Fault.VERY_STALE:
                return self._region.beginning
            case _:
                return None


class _QueueOf:
    """`WakeUps` of one invocation."""

    def __init__(self, queue: SimulatedQueue, strand: Invocation) -> None:
        self._queue = queue
        self._strand = strand

    def send(self, task_id: str, *, delay: timedelta = timedelta(0)) -> None:
        self._queue.send(task_id, delay=timedelta(seconds=int(delay.total_seconds())))

    @contextmanager
    def kept_invisible(self, receipt_handle: str) -> Iterator[None]:
        self._strand.pause("wake_ups.hide")
        # A failure is harmless, and swallowed by the adapter.
        if self._strand.fault is not Fault.REFUSED:
            self._queue.hide(receipt_handle)
        if self._strand.fault is Fault.KILL_AFTER:
            self._strand.die()
        self._strand.hidden_at = self._strand.clock.now()
        yield


class _PausingModel:
    def __init__(self, region: Region, strand: Invocation) -> None:
        self._region = region
        self._strand = strand

    @property
    def provider(self) -> str:
        return "scripted"

    def model_id(self, tier: ModelTier) -> str:
        return "scripted"

    def converse(self, request: ModelRequest, control: CallControl) -> ModelTurn:
        given = self._strand.pause("model.converse")
        if control.aborted:
            raise CallAbortedError("cut")
        reply = given if isinstance(given, Exception | ModelTurn) else None
        if callable(given):
            reply = given(request)
        reply = reply or self._region.script(request)
        if control.aborted:
            raise CallAbortedError("cut")
        if isinstance(reply, Exception):
            raise reply
        return reply


class _PublisherFunction:
    """The sweeper invokes a row's consumer and waits for it; its calls pause with the sweeper's."""

    def __init__(self, region: Region, strand: Invocation) -> None:
        self._region = region
        self._strand = strand

    def invoke(self, name: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        for row in payload["rows"]:
            if name == "notifier":
                notify_row(row["taskId"], row["row"], self._region.notifier_ports(self._strand))
            else:
                publish_row(row["taskId"], row["row"], self._region.publisher_ports(self._strand))
        return {}


def _body_of(told: Told) -> Body:
    return Body(told.view.task.status.value)


def _price(_model_id: str, usage: Usage) -> int:
    """A tenth of a cent for a thousand tokens, in millionths of a dollar."""
    return usage.input + usage.output
