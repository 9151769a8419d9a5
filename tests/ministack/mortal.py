"""Executors that can die, as on Lambda: what a test and the processes must both know of them.

The processes run on the bench's short lease. They are started afresh and import what they need by
themselves, because the test's own process has the engine's real clocks.
"""

import multiprocessing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from multiprocessing.synchronize import Event
from pathlib import Path

#: How long an invocation may take, where that is what kills it, and where it is not; and how long
#: before its end it hands its session over.
SHORT_SECONDS, LONG_SECONDS, HAND_OVER_SECONDS = 8.0, 60.0, 2.5
#: By how much an invocation may grow.
MEMORY_MIB = 128
#: How long a host waits for a message before it looks whether it is to end.
POLL_SECONDS = 1
#: The step of a session in which it kills its executor; those before it are journalled.
DEADLY_STEP = 2


class Death(StrEnum):
    """How a session ends its executor; such a task has the word for its prompt."""

    MEMORY = "memory"
    EXIT = "exit"
    TIMEOUT = "timeout"


@dataclass(frozen=True)
class Ground:
    """Where the processes work: plain data, sent to them through a pipe."""

    environment: Mapping[str, str]
    folder: Path

    @property
    def records(self) -> Path:
        return self.folder / "records.jsonl"


@dataclass(frozen=True)
class Orders:
    """What the test tells the hosts while they run."""

    ended: Event
    #: Whether invocations are short from now on.
    hurried: Event


@contextmanager
def hosts_running(ground: Ground, count: int) -> Iterator[Orders]:
    """`count` processes that each do what Lambda does for one executor, and a sweeper.

    When the block ends, each ends the invocation that it has, and then itself.
    """
    context = multiprocessing.get_context("spawn")
    orders = Orders(context.Event(), context.Event())
    arguments = (ground, orders)
    hosts = [context.Process(target=_host, args=arguments, daemon=True) for _ in range(count)]
    sweeper = context.Process(target=_sweeper, args=(ground,), daemon=True)
    for process in [*hosts, sweeper]:
        process.start()
    try:
        yield orders
    finally:
        orders.ended.set()
        sweeper.kill()  # a sweep may be cut off at any point
        for process in [*hosts, sweeper]:
            process.join(SHORT_SECONDS + 2 * POLL_SECONDS)
            process.kill()
            process.join()


def _host(ground: Ground, orders: Orders) -> None:
    import bench.kill.short_lease  # noqa: F401, PLC0415 - before anything that takes the clocks
    from tests.ministack.lambda_host import run_host  # noqa: PLC0415 - after the lease

    run_host(ground, orders)


def _sweeper(ground: Ground) -> None:
    import bench.kill.short_lease  # noqa: F401, PLC0415 - as above
    from tests.ministack.lambda_host import run_sweeper  # noqa: PLC0415 - as above

    run_sweeper(ground)
