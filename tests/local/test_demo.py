"""`make demo` as people run it: it ends with a comment, and leaves nothing behind."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-run" / "bin" / "python"
WITHIN_SECONDS = 120.0

pytestmark = pytest.mark.ministack


class Demo:
    """A running `python -m local …` whose children can be told by their temporary folder."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        assert PYTHON.exists(), "not installed: make .venv-run/.done .venv-cloud/.done"
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.output = folder / "output.txt"
        self._folder = folder
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    str(PYTHON), "-m", "local", *arguments,
                    "--port", "0", "--logs", str(folder / "logs"),
                ],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={
                    "PATH": os.environ["PATH"],  # noqa: TID251 - where git and make are
                    "PYTHONPATH": str(ROOT / "layers" / "nightdesk"),
                    "TMPDIR": str(self.temporary),
                },
            )  # fmt: skip

    def text(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def wait_for(self, text: str) -> None:
        end = time.monotonic() + WITHIN_SECONDS
        while text not in self.text():
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < end, self.text()
            time.sleep(0.02)

    def end(self) -> int:
        return self.process.wait(timeout=WITHIN_SECONDS)

    def survivors(self) -> list[str]:
        """Command lines of processes that were started by this run."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                environment = (process / "environ").read_bytes()
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            if str(self.temporary).encode() in environment:
                found.append(command)
        return found


def issue_in(folder: Path) -> Path:
    file = folder / "issue.md"
    file.write_text("# Rounding of shares\n\nA share of an odd amount is one cent too low.\n")
    return file


def bare_repository(folder: Path) -> Path:
    """A bare repository with one commit, as people have them on a server."""
    work, bare = folder / "work", folder / "ledger.git"
    (work / "ledger").mkdir(parents=True)
    (work / "ledger" / "shares.py").write_text(
        '"""Split amounts into shares."""\n\n\ndef share(cents: int, parts: int) -> int:\n'
        '    """A share, rounded down."""\n    return cents // parts\n'
    )
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    for command in (
        ["git", "init", "-q", "-b", "trunk", str(work)],
        ["git", "-C", str(work), "add", "-A"],
        ["git", "-C", str(work), "-c", "user.name=A", "-c", "user.email=a@example.org",
         "commit", "-q", "-m", "Split amounts"],
        ["git", "clone", "-q", "--bare", str(work), str(bare)],
    ):  # fmt: skip
        subprocess.run(command, check=True, env=os.environ | settings)  # noqa: TID251 - git
    return bare


def test_the_main_job_ends_with_a_comment_about_ones_own_repository(tmp_path: Path) -> None:
    repository, issue = bare_repository(tmp_path), issue_in(tmp_path)

    demo = Demo(tmp_path, "demo", "--repo", str(repository), "--issue", str(issue))

    assert demo.end() == 0, demo.text()
    shown = demo.text()
    assert "local/ledger" in shown
    assert "opened: Rounding of shares" in shown
    assert "COMPLETED" in shown
    assert "ledger/shares.py" in shown
    assert "No language model was used" in " ".join(shown.split())
    assert demo.survivors() == []
    assert list(demo.temporary.iterdir()) == []
    logs = {path.name for path in (tmp_path / "logs").iterdir()}
    assert {"api.log", "executor.log", "publisher.log", "cloud.log"} <= logs


@pytest.mark.parametrize(
    ("command", "moment", "number", "code"),
    [
        ("demo", "RUNNING", signal.SIGINT, 130),
        ("run", "End: Ctrl-C", signal.SIGINT, 0),
        ("run", "packaging and deploying", signal.SIGTERM, 0),
    ],
)
def test_an_interrupted_run_leaves_nothing_behind(
    tmp_path: Path, command: str, moment: str, number: signal.Signals, code: int
) -> None:
    demo = Demo(tmp_path, command)
    demo.wait_for(moment)
    assert demo.survivors() != []

    demo.process.send_signal(number)

    assert demo.end() == code, demo.text()
    assert "nothing is left running" in demo.text()
    assert demo.survivors() == []
    assert list(demo.temporary.iterdir()) == []


def test_a_path_that_is_no_repository_ends_at_once_in_one_line(tmp_path: Path) -> None:
    demo = Demo(tmp_path, "demo", "--repo", str(tmp_path), "--issue", str(issue_in(tmp_path)))

    assert demo.end() == 1
    assert f"REPO={tmp_path} is no git repository" in demo.text()
    assert len(demo.text().splitlines()) == 1
