"""`make demo` as people run it: it ends with a comment, and leaves nothing behind."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.local.demo import Demo

pytestmark = pytest.mark.ministack


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
