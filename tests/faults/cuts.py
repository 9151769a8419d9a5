"""Plays scenarios with faults at chosen calls, brings them to their end, and checks what holds."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from nightdesk.domain.task import TaskStatus
from tests.fakes.region import EXECUTOR_TIMEOUT, Fault, Invocation, Region
from tests.faults.scenarios import Scenario
from tests.property.invariants import Invariants

#: Pauses that are no calls of a store or a service.
_NO_CALLS = frozenset({"start", "end", "clock.sleep"})
_READS_OF_AN_INDEX = frozenset(
    {"tasks.runnable", "tasks.running", "tasks.due", "dynamodb.Query"},
)


class Deliver:
    """Not a fault of a call: at this moment the message is delivered a second time, and that
    executor runs to its end before the first goes on.
    """

    def __repr__(self) -> str:
        return "the message delivered again"


DELIVER_AGAIN = Deliver()
Cut = Fault | Deliver


@dataclass(slots=True)
class Recorder:
    """Counts the calls of a run and makes the planned ones go wrong."""

    region: Region
    cuts: Mapping[int, Cut]
    calls: list[str] = field(default_factory=list)
    _is_busy: bool = False

    def __call__(self, strand: Invocation) -> Fault | None:
        if strand.at in _NO_CALLS or self._is_busy:
            return None
        cut = self.cuts.get(len(self.calls))
        self.calls.append(f"{strand.name}: {strand.at}")
        if isinstance(cut, Deliver):
            self._deliver_again(strand)
            return None
        return cut

    def _deliver_again(self, strand: Invocation) -> None:
        message_id = (strand.receipt or "").partition("/")[0]
        message = self.region.queue.messages.get(message_id)
        if message is None:
            return
        self._is_busy = True
        self.region.executor_timeout = EXECUTOR_TIMEOUT
        self.region.run(self.region.deliver(message))
        self._is_busy = False


def play(
    scenario: Scenario, cuts: Mapping[int, Cut], make_region: Callable[[], Region]
) -> list[str]:
    """Play the scenario with these cuts (by number of the call), settle, and check everything.

    Answers the calls that the play made, without those of the settling.
    """
    region = make_region()
    rules = Invariants(region)
    region.plan = recorder = Recorder(region, cuts)
    try:
        scenario.play(region)
        of_the_play = list(recorder.calls)
        region.settle()
        rules.check_the_end()
        _check_ends(scenario, region)
    finally:
        region.close()
    return of_the_play


def _check_ends(scenario: Scenario, region: Region) -> None:
    tasks = region.snapshot().tasks
    assert tasks, "the task was lost"
    for task in tasks.values():
        assert task.status in scenario.ends, f"{task.status} {task.error}: {task}"
        if task.status is TaskStatus.FAILED:
            assert task.error is not None


def cuts_of(call: str, kinds: tuple[Cut, ...]) -> Iterator[Cut]:
    """What can go wrong with this call."""
    at = call.partition(": ")[2]
    for kind in kinds:
        if kind is Fault.LOST_FOR_LONG and not at.startswith("dynamodb."):
            continue
        if kind in (Fault.STALE, Fault.VERY_STALE) and at not in _READS_OF_AN_INDEX:
            continue
        if at == "model.converse" and kind not in (Fault.KILL_BEFORE, DELIVER_AGAIN):
            continue
        if kind is DELIVER_AGAIN and not call.startswith("executor"):
            continue
        yield kind
