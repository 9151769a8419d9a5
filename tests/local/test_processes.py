"""Children end with the run, whatever they do, and ports are claimed plainly."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from local.children import Children
from local.errors import LocalRunError
from local.ports import claim_port, free_port

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {"PATH": os.defpath, "PYTHONPATH": str(ROOT)}
#: Starts a process of its own, says its id, ignores SIGTERM and sleeps.
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
other = subprocess.Popen([sys.executable, "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"])
print(other.pid, flush=True)
time.sleep(60)
"""


def lives(pid: int) -> bool:
    """Whether a process runs; one that waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_a_stubborn_child_and_its_own_child_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local.children.GRACE_SECONDS", 0.2)
    children = Children(tmp_path)
    child = children.start(
        "stubborn", [sys.executable, "-c", STUBBORN], environment=ENVIRONMENT, cwd=ROOT
    )
    child.wait_until(lambda: child.log.read_text().endswith("\n"), within_seconds=10)
    grandchild = int(child.log.read_text())

    children.end_all()

    assert not lives(child.process.pid)
    assert wait_for(lambda: not lives(grandchild))


def test_a_child_that_ends_at_once_is_said_with_its_last_words(tmp_path: Path) -> None:
    children = Children(tmp_path)
    child = children.start(
        "broken", [sys.executable, "-c", "exit('no such thing')"], environment=ENVIRONMENT, cwd=ROOT
    )

    with pytest.raises(LocalRunError, match="broken ended at once: no such thing"):
        child.wait_until(lambda: False, within_seconds=10)


def test_a_child_that_does_not_get_ready_is_said_with_its_log(tmp_path: Path) -> None:
    children = Children(tmp_path)
    child = children.start(
        "slow", [sys.executable, "-c", "import time; time.sleep(60)"],
        environment=ENVIRONMENT, cwd=ROOT,
    )  # fmt: skip

    with pytest.raises(LocalRunError, match=r"slow did not answer.*slow\.log"):
        child.wait_until(lambda: False, within_seconds=0.1)
    children.end_all()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_children_end_even_when_their_starter_is_killed(tmp_path: Path) -> None:
    code = f"""
import sys, time
from pathlib import Path
from local.children import Children
child = Children(Path({str(tmp_path)!r})).start(
    "sleeper", [sys.executable, "-c", "import time; time.sleep(60)"],
    environment={ENVIRONMENT!r}, cwd=Path({str(ROOT)!r}))
print(child.process.pid, flush=True)
time.sleep(60)
"""
    starter = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    child = int(starter.stdout.readline())
    assert wait_for(lambda: b"time.sleep(60)" in Path(f"/proc/{child}/cmdline").read_bytes())

    starter.send_signal(signal.SIGKILL)
    starter.wait()
    starter.stdout.close()

    assert wait_for(lambda: not lives(child))


def test_a_busy_port_is_one_line_with_the_next_step() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(LocalRunError, match=f"Port {port} is busy.*Next:") as raised:
            claim_port(port, what="the API")

    assert "\n" not in str(raised.value)


def test_a_free_port_is_given_as_it_is_and_0_is_any() -> None:
    port = free_port()

    assert claim_port(port, what="the API") == port
    assert claim_port(0, what="the API") > 0
