"""Processes of the bench: forked from a zygote, killed by the controller, and replaced."""

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Any

from bench.kill.stage import ROOT

Role = Callable[..., None]
SHORT_LEASE, PROCESSES = "bench.kill.short_lease", "bench.kill.processes"


def zygote(preload: Sequence[str]) -> ForkServerContext:
    """Start the process that imports everything, in this order, and forks the others.

    There is one for each process of Python; later calls find the first one's.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    # It looks for the modules by this variable alone.
    paths = [str(ROOT), str(ROOT / "layers" / "nightdesk")]
    before = os.environ.get("PYTHONPATH")  # noqa: TID251 - of a process that we start
    os.environ["PYTHONPATH"] = os.pathsep.join([*paths, *([before] if before else [])])  # noqa: TID251
    try:
        multiprocessing.forkserver.ensure_running()  # type: ignore[attr-defined]
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]  # noqa: TID251
        else:
            os.environ["PYTHONPATH"] = before  # noqa: TID251
    return context


@dataclass
class Pool:
    """`count` processes of one role."""

    context: ForkServerContext
    role: Role
    argument: Any
    count: int
    alive: list[ForkServerProcess] = field(default_factory=list)

    def fill(self) -> None:
        """Replace what is gone."""
        self.alive = [process for process in self.alive if process.is_alive()]
        while len(self.alive) < self.count:
            process = self.context.Process(target=self.role, args=(self.argument,), daemon=True)
            process.start()
            self.alive.append(process)

    def kill(self, pid: int) -> None:
        """SIGKILL; returns when the process is gone."""
        for process in self.alive:
            if process.pid == pid:
                process.kill()
                process.join()
                self.alive.remove(process)
                return
        raise ValueError(f"{pid} is none of ours: {[p.pid for p in self.alive]}")

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self.alive if process.pid is not None]


@contextmanager
def running(*pools: Pool) -> Iterator[None]:
    """All pools full; whatever happens, all their processes are gone afterwards."""
    try:
        for pool in pools:
            pool.fill()
        yield
    finally:
        for pool in pools:
            for pid in list(pool.pids):
                pool.kill(pid)


def python_version() -> str:
    return ".".join(map(str, sys.version_info[:3]))
