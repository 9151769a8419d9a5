"""What a claim, a sweep, a list page and a queue position read when the table grows.

    python -m bench.tables [--sizes 1000 10000 100000]

Tasks are loaded straight into the embedded cloud's tables, in the form in which the store writes
them: half of them wait in the line, the others have completed; before each sweep ten more are due.
Then the real services run once at each size. *Requests* are counted by botocore's events; *items*
are what DynamoDB has to look at for them (ScannedCount, and the items of a batch get); *units* are
read units by DynamoDB's rules. The times are the emulator's, which sorts whole partitions on each
query; they say nothing about AWS and are not printed.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bench.kill.stage import Stage, embedded_stage
from bench.requests.meter import Made, Meter, bill_of, operations
from nightdesk import bootstrap
from nightdesk.adapters.dynamodb import tables
from nightdesk.adapters.dynamodb.tables import OriginItem, TaskItem
from nightdesk.adapters.dynamodb.task_items import item_of, origin_item
from nightdesk.domain.ports import Release
from nightdesk.domain.task import Hold, Origin, Task, TaskStatus
from nightdesk.services.claim_task import WakeUp, claim_next
from nightdesk.services.engine_ports import ExecutorPorts, SweeperPorts
from nightdesk.services.place_in_line import COUNTED_TO, place_in_line
from nightdesk.services.recover_tasks import sweep

SIZES = (1_000, 10_000, 100_000)
DUE = 10
PAGE = 50
WORKSPACE = "team"
_RETENTION = timedelta(days=90)
#: Far above what AWS takes: the emulator sorts a partition of 50,000 rows for each query.
_READ_TIMEOUT_SECONDS = 120


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What one operation has read."""

    requests: int
    items: int
    units: float
    operations: str

    @classmethod
    def of(cls, made: list[Made]) -> "Reading":
        return cls(
            requests=len(made),
            items=sum(request.items for request in made),
            units=bill_of(made).reads,
            operations=operations(made),
        )


class Bench:
    """One deployment whose table grows."""

    def __init__(self, stage: Stage, meter: Meter) -> None:
        self._meter = meter
        stage.store()  # the environment that bootstrap reads
        executor, sweeper = bootstrap.executor(), bootstrap.sweeper()
        tables.READ_TIMEOUT_SECONDS = _READ_TIMEOUT_SECONDS
        self._store = stage.store()
        self._executor: ExecutorPorts = replace(executor, tasks=self._store)
        self._sweeper: SweeperPorts = replace(sweeper, tasks=self._store)
        self._clock = executor.clock
        self._begun = self._clock.now() - timedelta(hours=20)
        self._loaded = 0

    def grow_to(self, size: int) -> None:
        with TaskItem.batch_write() as batch:
            for task in self._tasks(self._loaded, size):
                batch.save(item_of(task, retention=_RETENTION))
        with OriginItem.batch_write() as batch:
            # Only what a claim can meet needs one: the head of the line.
            for task in self._tasks(self._loaded, min(size, self._loaded + 200)):
                batch.save(origin_item(self._origin(task), retention=_RETENTION))
        self._loaded = size

    def readings(self) -> dict[str, Reading]:
        self._make_due()
        claim = self._measured(self._claim)
        self._complete_claimed()
        return {
            "claim": claim,
            f"sweep, {DUE} due": self._measured(lambda: sweep(self._sweeper)),
            f"list page of {PAGE}": self._measured(lambda: self._page(None)),
            f"list page of {PAGE}, COMPLETED": self._measured(
                lambda: self._page(TaskStatus.COMPLETED)
            ),
            "place of the last in line": self._measured(self._place),
        }

    def _measured(self, work: Callable[[], object]) -> Reading:
        with self._meter.measuring() as made:
            work()
        return Reading.of(made)

    def _claim(self) -> None:
        now = self._clock.now()
        give_up_at = now + timedelta(minutes=14)
        wake_up = WakeUp(task_id="gone", message_id="m")
        claimed = claim_next(wake_up, ports=self._executor, give_up_at=give_up_at)
        assert claimed is not None

    def _complete_claimed(self) -> None:
        """Its slot is free again for the next size."""
        (task,) = self._store.running()
        release = Release(status=TaskStatus.COMPLETED)
        self._store.release(task, release, now=self._clock.now())

    def _page(self, status: TaskStatus | None) -> None:
        page = self._store.list_page(WORKSPACE, status=status, limit=PAGE, cursor=None)
        assert len(page.tasks) == PAGE
        assert page.cursor is not None

    def _place(self) -> None:
        last = max(
            (task for task in self._tasks(0, self._loaded) if task.status is TaskStatus.PENDING),
            key=lambda task: task.rank,
        )
        place = place_in_line(last, tasks=self._store, clock=self._clock)
        assert place is not None
        beyond = self._loaded // 2 > COUNTED_TO
        assert (place.position is None) == beyond, place

    # What is loaded ------------------------------------------------------------------------

    def _tasks(self, first: int, end: int) -> Iterator[Task]:
        for number in range(first, end):
            yield self._task(number)

    def _task(self, number: int) -> Task:
        """Even ones wait, odd ones have completed; the older the number, the earlier."""
        created = self._begun + timedelta(milliseconds=500 * number)
        waiting = Task(
            id=f"t{number:06d}",
            workspace_id=WORKSPACE if number % 10 < 8 else "other",
            agent_id="issue-enricher",
            title=f"Task {number}",
            created_at=created,
            updated_at=created,
            queued_at=self._clock.now(),
        )
        if number % 2 == 0:
            return waiting
        return replace(
            waiting,
            status=TaskStatus.COMPLETED,
            attempts=1,
            started_at=created,
            completed_at=created + timedelta(minutes=5),
        )

    def _origin(self, task: Task) -> Origin:
        return Origin(task_id=task.id, prompt="Where is it?", created_at=task.created_at)

    def _make_due(self) -> None:
        """Ten delayed tasks whose time has come, and ten whose time has not."""
        now: datetime = self._clock.now()
        for number in range(2 * DUE):
            minute = timedelta(minutes=-1 if number < DUE else 60)
            task = replace(
                self._task(0),
                id=f"due-{self._loaded}-{number}",
                created_at=now,
                updated_at=now,
                run_after=now + minute,
                held=Hold.DELAY,
            )
            assert self._store.create(task, self._origin(task))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.tables")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    sizes = sorted(parser.parse_args().sizes)
    meter = Meter.installed()
    found: dict[int, dict[str, Reading]] = {}
    with embedded_stage() as stage:
        bench = Bench(stage, meter)
        for size in sizes:
            begun = time.monotonic()
            bench.grow_to(size)
            loaded = time.monotonic()
            found[size] = bench.readings()
            took = f"loaded in {loaded - begun:.0f} s, read in {time.monotonic() - loaded:.0f} s"
            print(f"{size} tasks: {took} (the emulator's time)", file=sys.stderr)
    _print(found)
    return 0 if _is_bounded(found) else 1


def _print(found: dict[int, dict[str, Reading]]) -> None:
    print(f"{'requests / items / read units':34}", *(f"{size:>20,} tasks" for size in found))
    for what in next(iter(found.values())):
        cells = (found[size][what] for size in found)
        texts = (f"{cell.requests} / {cell.items} / {cell.units:g}" for cell in cells)
        print(f"{what:34}", *(f"{text:>26}" for text in texts))
    largest = found[max(found)]
    for what, reading in largest.items():
        print(f"  {what}: {reading.operations}")


def _is_bounded(found: dict[int, dict[str, Reading]]) -> bool:
    """Nothing grows with the table but the count of those ahead, and that to its limit only."""
    smallest, largest = found[min(found)], found[max(found)]
    return all(largest[what].items <= max(smallest[what].items, COUNTED_TO) for what in largest)


if __name__ == "__main__":
    sys.exit(main())
