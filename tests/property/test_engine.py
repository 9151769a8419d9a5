"""The engine under everything that may happen to it at once: a Hypothesis state machine.

Executors, sweepers, publishers and requests of people are interleaved call by call; they die,
freeze and thaw, lose answers, see old indexes and disagree about the time; messages come late,
again, or not at all. After every call the invariants are checked; at the end everybody is well,
and every task must end with everything that it owes the world done once.

To add something that may happen, add a rule. What a session does is in `REPLIES`.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from nightdesk.domain.intents.names import ASK
from nightdesk.domain.model import (
    ModelAuthError,
    ModelRequest,
    ModelThrottledError,
    ModelUnavailableError,
)
from nightdesk.domain.task import HEARTBEAT_AFTER, HOLD_FOR, LEASE, Hold, Priority
from nightdesk.services.api_ports import ApiPorts
from nightdesk.services.cancel_task import cancel_task
from nightdesk.services.delete_task import delete_task
from nightdesk.services.edit_task import TaskEdit, edit_task
from nightdesk.services.message_task import MessageAction, message_task
from nightdesk.services.retry_task import retry_task
from nightdesk.services.submit_task import NewTask, Submitted, submit_task
from tests.engine.world import ENRICHER
from tests.fakes.model import calls, says
from tests.fakes.region import (
    KEY,
    Fault,
    Invocation,
    Region,
    Reply,
    create_from_event,
    proposes,
    reads,
)
from tests.property.invariants import Invariants

SECOND = timedelta(seconds=1)
#: So many tasks, executors and other invocations at once are enough for every race of three.
TASKS, EXECUTORS, OTHERS = 4, 4, 3

REPLIES: dict[str, Callable[[ModelRequest], Reply]] = {
    "reads": reads,
    "reads twice": lambda request: reads(request, 2),
    "proposes": proposes,
    "asks": lambda request: calls(
        (ASK, {"question": "Which cache?"}), first_id=100 * len(request.messages)
    ),
    "answers": lambda _: says("Look at `src/cache.py`."),
    "says nothing": lambda _: says(""),
    "is down": lambda _: ModelUnavailableError("502"),
    "asks to wait": lambda _: ModelThrottledError("429", retry_after=20 * SECOND),
    "refuses the key": lambda _: ModelAuthError("401"),
}


def _cancel(task_id: str, ports: ApiPorts) -> object:
    return cancel_task(task_id, key=KEY, tasks=ports.tasks, clock=ports.clock)


def _tell(task_id: str, ports: ApiPorts, *, action: MessageAction) -> object:
    return message_task(task_id, action, "Look at the cache.", key=KEY, ports=ports)


#: What people ask for of a task.
WISHES: dict[str, Callable[[str, ApiPorts], object]] = {
    "cancel": _cancel,
    "retry": lambda task_id, ports: retry_task(task_id, key=KEY, ports=ports),
    "edit": lambda task_id, ports: edit_task(
        task_id,
        TaskEdit(title="Another", prompt="Look again.", priority=Priority.HIGH),
        key=KEY,
        ports=ports,
    ),
    "tell": partial(_tell, action=MessageAction.TEXT),
    "approve": partial(_tell, action=MessageAction.APPROVE),
    "deny": partial(_tell, action=MessageAction.DENY),
    "delete": lambda task_id, ports: delete_task(
        task_id, key=KEY, tasks=ports.tasks, clock=ports.clock
    ),
}
#: Most calls go well.
FAULTS = st.sampled_from([None] * 4 + [f for f in Fault if f is not Fault.KILL_BEFORE])
#: How many calls whoever begins makes at once; it then waits for its next turn.
ALL = 99
CALLS = st.sampled_from([ALL, ALL, 1, 2, 3, 4, 5, 7])
SKEWS = st.sampled_from([0, 0, 0, -2, -1, 1, 2]).map(lambda seconds: seconds * SECOND)


class Engine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.region = Region()
        self.kept = Invariants(self.region)
        self.submitted: dict[str, list[Submitted]] = {}

    @initialize(old_receipts_delete=st.booleans(), attempts=st.lists(st.integers(1, 3), max_size=3))
    def begin(self, old_receipts_delete: bool, attempts: list[int]) -> None:
        self.region.queue.old_receipts_delete = old_receipts_delete
        for number, most in enumerate(attempts, start=1):
            self.event(number, most, calls=ALL)

    # What people and GitHub do ---------------------------------------------------------------

    @rule(
        priority=st.sampled_from(Priority),
        delay=st.sampled_from([None, None, None, 3, 90, 1200]),
        attempts=st.integers(1, 3),
        timeout=st.sampled_from([None, None, 20_000, 120_000]),
        key=st.sampled_from([None, None, "a", "b"]),
        calls=CALLS,
    )
    def submit(  # noqa: PLR0917 - Hypothesis names them all
        self,
        priority: Priority,
        delay: int | None,
        attempts: int,
        timeout: int | None,
        key: str | None,
        calls: int,
    ) -> None:
        if len(self.region.snapshot().tasks) >= TASKS:
            return
        run_after = self.region.clock.now() + delay * SECOND if delay else None
        new = NewTask(
            prompt="Find it.",
            agent_id=ENRICHER.id,
            workspace_id="default",
            priority=Priority.NORMAL if key else priority,
            run_after=None if key else run_after,
            max_attempts=3 if key else attempts,
            timeout_ms=None if key else timeout,
        )

        def request(ports: ApiPorts) -> object:
            made = submit_task(new, key=KEY, idempotency_key=key, ports=ports)
            if key:
                self.submitted.setdefault(key, []).append(made)
            return made

        self._ask("submit", request, calls=calls)

    @rule(number=st.integers(1, 3), attempts=st.integers(1, 3), calls=CALLS)
    def event(self, number: int, attempts: int, calls: int) -> None:
        self._event(number, calls, max_attempts=attempts, tracking="task" if number == 1 else "")

    @rule(number=st.integers(4, 6), supersedes=st.booleans(), calls=CALLS)
    def event_of_one_group(self, number: int, supersedes: bool, calls: int) -> None:
        shared: dict[str, Any] = {"group": "default#one", "tracking": "sticky", "issue": 5}
        self._event(number, calls, supersedes=supersedes, **shared)

    @rule(number=st.integers(7, 8), calls=CALLS)
    def event_that_needs_approval(self, number: int, calls: int) -> None:
        self._event(number, calls, approvals=("comment",), tracking="task" if number == 7 else "")

    @rule(data=st.data(), calls=CALLS)
    def event_that_waits_for_another(self, data: st.DataObject, calls: int) -> None:
        if (awaited := self._some_task(data)) is not None:
            until = self.region.clock.now() + HOLD_FOR
            self._event(9, calls, depends_on=(awaited,), held=Hold.DEPENDENCIES, run_after=until)

    @rule(data=st.data(), calls=CALLS, skew=SKEWS)
    def cancel(self, data: st.DataObject, calls: int, skew: timedelta) -> None:
        if (task_id := self._some_task(data)) is not None:
            self._ask("cancel", lambda ports: _cancel(task_id, ports), calls=calls, off_by=skew)

    @rule(data=st.data(), wish=st.sampled_from(list(WISHES)), calls=CALLS, skew=SKEWS)
    def wish(self, data: st.DataObject, wish: str, calls: int, skew: timedelta) -> None:
        if (task_id := self._some_task(data)) is not None:
            grant = WISHES[wish]
            self._ask(wish, lambda ports: grant(task_id, ports), calls=calls, off_by=skew)

    # What SQS, the schedule and the stream do ------------------------------------------------

    @precondition(lambda self: self.region.queue.visible() and self._count("executor") < EXECUTORS)
    @rule(data=st.data(), calls=CALLS, skew=SKEWS)
    def deliver(self, data: st.DataObject, calls: int, skew: timedelta) -> None:
        message = data.draw(st.sampled_from(self.region.queue.visible()), "message")
        self._go(self.region.deliver(message, off_by=skew), calls)

    @precondition(lambda self: self._count("executor") < EXECUTORS)
    @rule(data=st.data(), calls=CALLS, skew=SKEWS)
    def deliver_again(self, data: st.DataObject, calls: int, skew: timedelta) -> None:
        """Beside a live receiver, or after it was deleted: SQS promises neither not to happen."""
        queue = self.region.queue
        if known := [*queue.messages.values(), *queue.gone.values()]:
            message = data.draw(st.sampled_from(known), "message")
            self._go(self.region.deliver(message, off_by=skew), calls)

    @precondition(lambda self: self._count("sweeper") < OTHERS)
    @rule(calls=CALLS, skew=SKEWS)
    def begin_sweep(self, calls: int, skew: timedelta) -> None:
        self._go(self.region.begin_sweep(off_by=skew), calls)

    @rule(skew=SKEWS)
    def sweep_twice(self, skew: timedelta) -> None:
        """The second sweep at the same moment finds nothing to change."""
        self._go(self.region.begin_sweep(off_by=skew), ALL)
        before = self.region.snapshot()
        self._go(self.region.begin_sweep(off_by=skew), ALL)
        assert self.region.snapshot() == before, "a second sweep at once changed something"

    @precondition(lambda self: self._count("publisher") < OTHERS)
    @rule(data=st.data(), calls=CALLS)
    def publish(self, data: st.DataObject, calls: int) -> None:
        """A stream record, or one that comes again."""
        if rows := sorted(self.region.snapshot().rows):
            row = data.draw(st.sampled_from(rows), "row")
            self.region.stream = [r for r in self.region.stream if r != row]
            self._go(self.region.begin_publishing(*row), calls)

    # How they go on --------------------------------------------------------------------------

    @precondition(lambda self: self._ready())
    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        """One call, which may go wrong."""
        strand = data.draw(st.sampled_from(self._ready()), "strand")
        if strand.at == "model.converse":
            self._reply(strand, data)
        else:
            self.region.step(strand, data.draw(FAULTS, strand.at))

    @precondition(lambda self: self._ready())
    @rule(data=st.data(), calls=CALLS)
    def go_on(self, data: st.DataObject, calls: int) -> None:
        self._go(data.draw(st.sampled_from(self._ready()), "strand"), calls)

    @precondition(lambda self: self._conversing())
    @rule(data=st.data(), calls=CALLS)
    def reply(self, data: st.DataObject, calls: int) -> None:
        strand = data.draw(st.sampled_from(self._conversing()), "executor")
        self._reply(strand, data)
        self._go(strand, calls)

    @precondition(lambda self: self.region.alive())
    @rule(data=st.data(), what=st.sampled_from(["kill", "freeze", "thaw"]))
    def disturb(self, data: st.DataObject, what: str) -> None:
        strand = data.draw(st.sampled_from(self.region.alive()), "strand")
        if what == "kill":
            self.region.kill(strand)
        else:
            strand.is_frozen = what == "freeze"

    @precondition(lambda self: self.region.queue.messages or self.region.queue.dead)
    @rule(data=st.data())
    def lose_or_redrive(self, data: st.DataObject) -> None:
        queue = self.region.queue
        if queue.dead:
            queue.redrive()
        else:
            queue.lose(data.draw(st.sampled_from(list(queue.messages.values())), "message"))

    @rule(seconds=st.sampled_from([1, 5, 10, 28, 29, 30, 31, 40, 60, 900]))
    def let_time_pass(self, seconds: int) -> None:
        self.region.advance(seconds * SECOND)
        self._check_who_lives_holds_its_lease()

    @precondition(lambda self: self._leases())
    @rule(data=st.data(), off_by=st.sampled_from([0, 0, -1, 1]))
    def let_a_lease_run_out(self, data: st.DataObject, off_by: int) -> None:
        """Time passes to the moment at which a lease ends, or to a second beside it."""
        lease_until = data.draw(st.sampled_from(self._leases()), "lease")
        self.region.advance(lease_until + off_by * SECOND - self.region.clock.now())

    # The end ---------------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            self.region.settle()
            self.kept.check_the_end()
            self._check_one_task_for_each_key()
        finally:
            self.region.close()

    # Pieces ----------------------------------------------------------------------------------

    def _event(self, number: int, calls: int, **fields: Any) -> None:
        if len(self.region.snapshot().tasks) < TASKS:
            self._ask(
                "event", lambda ports: create_from_event(number, ports, **fields), calls=calls
            )

    def _ask(
        self,
        name: str,
        request: Callable[[ApiPorts], object],
        *,
        calls: int,
        off_by: timedelta = timedelta(0),
    ) -> None:
        if self._count("api") >= OTHERS:
            return
        self._go(self.region.begin_request(name, request, off_by=off_by), calls)

    def _go(self, strand: Invocation, calls: int) -> None:
        """So many calls, to the next call of the model at most."""
        for _ in range(calls):
            if self.region.may_go_on(strand) and strand.at != "model.converse":
                self.region.step(strand)

    def _reply(self, strand: Invocation, data: st.DataObject) -> None:
        self.region.step(strand, REPLIES[data.draw(st.sampled_from(list(REPLIES)), "reply")])

    def _conversing(self) -> list[Invocation]:
        return [strand for strand in self._ready() if strand.at == "model.converse"]

    def _ready(self) -> list[Invocation]:
        return [strand for strand in self.region.alive() if self.region.may_go_on(strand)]

    def _leases(self) -> list[datetime]:
        tasks = self.region.snapshot().tasks.values()
        return sorted({task.lease_until for task in tasks if task.lease_until is not None})

    def _count(self, kind: str) -> int:
        return sum(strand.name.startswith(kind) for strand in self.region.alive())

    def _some_task(self, data: st.DataObject) -> str | None:
        known = sorted(self.region.snapshot().tasks)
        return data.draw(st.sampled_from(known), "task") if known else None

    def _check_who_lives_holds_its_lease(self) -> None:
        """An executor that waits for its model keeps its lease whatever time passes."""
        tasks = self.region.snapshot().tasks
        for strand in self.region.alive():
            held = strand.held
            if held is None or strand.is_frozen or strand.at != "model.converse":
                continue
            if not held.is_told_to_stop:
                stored = tasks[held.task.id]
                assert stored.fence == held.task.fence
                assert stored.lease_until is not None
                left = stored.lease_until - strand.clock.now()
                assert left >= LEASE - HEARTBEAT_AFTER - 2 * SECOND, f"{strand}: {left} left"

    def _check_one_task_for_each_key(self) -> None:
        for answers in self.submitted.values():
            assert len({answer.task.id for answer in answers}) == 1


def test_the_engine_holds_under_everything_that_may_happen_at_once() -> None:
    run_state_machine_as_test(Engine, settings=settings.get_profile("bounded"))


@pytest.mark.prove
def test_the_engine_holds_for_long() -> None:
    run_state_machine_as_test(Engine, settings=settings.get_profile("prove"))
