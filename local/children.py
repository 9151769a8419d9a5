"""Start child processes, each the leader of a group, and end whole groups.

The group matters: the embedded cloud starts a process for each function, and they must go with it.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.errors import LocalRunError

GRACE_SECONDS = 5.0
POLL_SECONDS = 0.05
LOG_LINES_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Child:
    """A running process, its group and where its output goes."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def wait_until(self, ready: Callable[[], bool], *, within_seconds: float) -> None:
        """Return as soon as `ready()` holds.

        Raises:
            LocalRunError: the process ended before, or the time is up.
        """
        end = time.monotonic() + within_seconds
        while not ready():
            if self.process.poll() is not None:
                raise LocalRunError(f"{self.name} ended at once: {self.last_words()}")
            if time.monotonic() > end:
                raise LocalRunError(
                    f"{self.name} did not answer within {within_seconds:.0f} s. Its log: {self.log}"
                )
            time.sleep(POLL_SECONDS)

    def last_words(self) -> str:
        """The end of its log, and where the rest is."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return " / ".join(lines[-LOG_LINES_SHOWN:]) + f" (log: {self.log})"

    def group_lives(self) -> bool:
        """Whether any process of the group is left."""
        self.process.poll()
        try:
            os.killpg(self.process.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True


class Children:
    """The processes of one run. As a context manager it ends them in reverse order."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._children: list[Child] = []

    def start(
        self, name: str, command: Sequence[str], *, environment: Mapping[str, str], cwd: Path
    ) -> Child:
        """Start a command in a session of its own, its output in `<logs>/<name>.log`."""
        log = self._logs / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "local.attached", str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=cwd,
                start_new_session=True,
            )
        child = Child(name=name, process=process, log=log)
        self._children.append(child)
        return child

    def end_all(self) -> None:
        """Ask every group to end, and kill what is left after the grace period."""
        children, self._children = self._children[::-1], []
        for child in children:
            _signal_group(child, signal.SIGTERM)
        end = time.monotonic() + GRACE_SECONDS
        for child in children:
            while child.group_lives() and time.monotonic() < end:
                time.sleep(POLL_SECONDS)
            _signal_group(child, signal.SIGKILL)
            child.process.wait()


def _signal_group(child: Child, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.process.pid, number)
