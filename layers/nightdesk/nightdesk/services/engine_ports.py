"""Everything that the engine's use cases need, wired by `bootstrap`."""

from dataclasses import dataclass, field

from nightdesk.domain.functions import Functions
from nightdesk.domain.model import Model
from nightdesk.domain.ports import (
    Clock,
    Dice,
    IssueReader,
    OutboxStore,
    PriceOf,
    Snapshots,
    Specialists,
    TaskStore,
    WakeUps,
)
from nightdesk.domain.pull_ports import PullReader
from nightdesk.domain.turns import Turns


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorPorts:
    """What claims and runs sessions. It holds no GitHub secret and cannot read one."""

    tasks: TaskStore
    wake_ups: WakeUps
    specialists: Specialists
    snapshots: Snapshots
    issues: IssueReader
    pulls: PullReader
    model: Model
    price_of: PriceOf
    clock: Clock
    dice: Dice
    turns: Turns = field(default_factory=Turns)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweeperPorts:
    """What finds everything that is due."""

    tasks: TaskStore
    outbox: OutboxStore
    wake_ups: WakeUps
    functions: Functions
    clock: Clock
    publisher_function: str
    notifier_function: str
