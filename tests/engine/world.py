"""A small world for the engine's tests: fakes of everything, and executors that live or die."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from nightdesk.domain.issue_text import IssueText
from nightdesk.domain.model import ModelTier, Usage
from nightdesk.domain.ports import BudgetCharge, Candidate, Slot
from nightdesk.domain.specialist import Specialist, SpecialistSet
from nightdesk.domain.task import LEASE, Origin, Target, Task
from nightdesk.domain.turns import Turns
from nightdesk.domain.workspace_files import Snapshot
from nightdesk.services.claim_task import Claimed, WakeUp, claim_next
from nightdesk.services.engine_ports import ExecutorPorts, SweeperPorts
from nightdesk.services.run_session import run_session
from tests.engine.examples import add
from tests.fakes.clock import FakeClock, FakeDice
from tests.fakes.functions import FakeFunctions
from tests.fakes.model import ScriptedModel
from tests.fakes.outbox_store import FakeOutboxStore
from tests.fakes.pulls import FakePull, FakePulls
from tests.fakes.snapshot import FakeSnapshot
from tests.fakes.task_store import FakeTaskStore
from tests.fakes.wake_ups import FakeWakeUps


class StagedTaskStore(FakeTaskStore):
    """A store whose index can lag, and in which a rival can be quicker."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden_from_index: set[str] = set()
        self.before_claim: Callable[[], object] | None = None

    def runnable(self, *, limit: int) -> list[Candidate]:
        shown = super().runnable(limit=limit + len(self.hidden_from_index))
        return [c for c in shown if c.task_id not in self.hidden_from_index][:limit]

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
        rival, self.before_claim = self.before_claim, None
        if rival is not None:
            rival()
        return super().claim(
            task,
            slot,
            message_id=message_id,
            now=now,
            lease_until=lease_until,
            reserved_micros=reserved_micros,
            charge=charge,
            calls_back=calls_back,
        )


class LivingClock(FakeClock):
    """While somebody sleeps, the executors that are alive renew their leases."""

    def __init__(self) -> None:
        super().__init__()
        self.while_sleeping: Callable[[], None] = lambda: None

    def sleep(self, duration: timedelta) -> None:
        super().sleep(duration)
        self.while_sleeping()


class FakeSnapshots:
    """`Snapshots` that opens the same files for every task."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {"src/cache.py": "def get(key):\n    return None\n"}
        self.opened: list[str] = []

    @contextmanager
    def open(self, task_id: str, target: Target) -> Iterator[Snapshot]:
        self.opened.append(f"{task_id} {target.repo}")
        yield FakeSnapshot(self.files)


class FakeIssues:
    """`IssueReader` with one issue."""

    def read(self, task_id: str, target: Target) -> IssueText:
        return IssueText(title=f"Cache never expires ({target.number})", body="See `get`.")


class FakeSpecialists:
    def __init__(self, *specialists: Specialist) -> None:
        self.specialists = list(specialists)

    def load(self) -> SpecialistSet:
        return SpecialistSet({s.id: s for s in self.specialists})


ENRICHER = Specialist(
    id="issue-enricher",
    name="Issue Enricher",
    description="Enriches issues",
    prompt="You enrich issues.",
)
TARGET = Target(repo="octo/demo", repo_id=1, number=7, kind="issue", url="https://github/7")


class World:
    """One store, one queue, one clock; every executor works on them."""

    def __init__(self) -> None:
        self.clock = LivingClock()
        self.tasks = StagedTaskStore()
        self.outbox = FakeOutboxStore(self.tasks.rows)
        self.wake_ups = FakeWakeUps()
        self.dice = FakeDice()
        self.model = ScriptedModel()
        self.snapshots = FakeSnapshots()
        self.specialists = FakeSpecialists(ENRICHER)
        self.functions = FakeFunctions()
        self.price_per_token = 0
        self.turns = Turns()
        self.pulls: dict[int, FakePull] = {}

    def executor(self) -> ExecutorPorts:
        return ExecutorPorts(
            tasks=self.tasks,
            wake_ups=self.wake_ups,
            specialists=self.specialists,
            snapshots=self.snapshots,
            issues=FakeIssues(),
            pulls=FakePulls(self.pulls),
            model=self.model,
            price_of=self._price,
            clock=self.clock,
            dice=self.dice,
            turns=self.turns,
        )

    def sweeper(self) -> SweeperPorts:
        return SweeperPorts(
            tasks=self.tasks,
            outbox=self.outbox,
            wake_ups=self.wake_ups,
            functions=self.functions,
            clock=self.clock,
            publisher_function="publisher",
            notifier_function="notifier",
        )

    def task(self, task_id: str = "t-1") -> Task:
        task = self.tasks.get(task_id)
        assert task is not None
        return task

    def claim(
        self, hint: str, *, message_id: str = "m-1", receives: int = 1, alive: bool = False
    ) -> Claimed | None:
        """Answer a wake-up as far as the claim; `alive`: the other executors keep their leases."""
        self.clock.while_sleeping = self._renew_leases if alive else lambda: None
        return claim_next(
            WakeUp(hint, message_id, receives),
            ports=self.executor(),
            give_up_at=self.clock.now() + timedelta(minutes=14),
        )

    def run(
        self, task_id: str = "t-1", *, for_at_most: timedelta = timedelta(minutes=14)
    ) -> Task | None:
        """Claim the task and run its session in this executor."""
        claimed = self.claim(task_id)
        assert claimed is not None
        return run_session(
            claimed.task,
            claimed.origin,
            ports=self.executor(),
            hand_over_at=self.clock.now() + for_at_most,
        )

    def submit(self, task_id: str = "t-1", *, origin: Origin | None = None) -> Task:
        task = add(self.tasks, task_id)
        if origin is not None:
            self.tasks.origins[task_id] = origin
        return task

    def _renew_leases(self) -> None:
        for task in self.tasks.running():
            self.tasks.heartbeat(task, lease_until=self.clock.now() + LEASE)

    def _price(self, model_id: str, usage: Usage) -> int | None:
        assert model_id == self.model.model_id(ModelTier.SMART)
        return self.price_per_token * (usage.input + usage.output)
