"""Start the GitHub simulator and act in it as people do."""

import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from local.children import Child, Children
from local.cloud import inherited_environment
from local.ports import HOST
from local.stage import SAMPLE_BRANCH, SAMPLE_NAME, IssueText, Scene

READY_SECONDS = 30.0
CALL_SECONDS = 10
#: A person who belongs to the project; strangers start only what merely reads.
AUTHOR = "mira-lund"
READ_PERMISSIONS = {
    "contents": "read", "issues": "read", "pull_requests": "read", "metadata": "read",
}  # fmt: skip
BOT = "nightdesk[bot]"


@dataclass(frozen=True, kw_only=True)
class Simulator:
    """A running simulator with one repository and the two tokens that Nightdesk holds."""

    url: str
    repository: str
    read_token: str
    write_token: str
    child: Child
    session: requests.Session

    def open_issue(self, issue: IssueText) -> dict[str, Any]:
        """File an issue as a person; answers GitHub's shape of it."""
        return self._control(
            f"/repos/{self.repository}/issues",
            {
                "author": AUTHOR,
                "association": "MEMBER",
                "title": issue.title,
                "body": issue.body,
            },
        )

    def comments(self, number: int) -> list[dict[str, Any]]:
        """The comments of an issue, over the API that everybody uses."""
        answer = self.session.get(
            f"{self.url}/repos/{self.repository}/issues/{number}/comments",
            headers={"Authorization": f"Bearer {self.read_token}"},
            timeout=CALL_SECONDS,
        )
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()
        return found

    def issue_command(self) -> str:
        """What to paste to file another issue."""
        return (
            f"curl -s {self.url}/_simulator/repos/{self.repository}/issues "
            "-H 'Content-Type: application/json' "
            f'-d \'{{"author": "{AUTHOR}", "association": "MEMBER", "title": "…", "body": "…"}}\''
        )

    def pull_command(self) -> str:
        """What to paste to open a pull request that is reviewed."""
        branch = SAMPLE_BRANCH if self.repository == SAMPLE_NAME else "…"
        return (
            f"curl -s {self.url}/_simulator/repos/{self.repository}/pulls "
            "-H 'Content-Type: application/json' "
            f'-d \'{{"author": "{AUTHOR}", "association": "MEMBER", "title": "…", '
            f'"head": "{branch}", "labels": ["review"]}}\''
        )

    def _control(self, path: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        answer = self.session.post(
            f"{self.url}/_simulator{path}", json=fields, timeout=CALL_SECONDS
        )
        answer.raise_for_status()
        result: dict[str, Any] = answer.json()
        return result

    def add_read_token(self) -> None:
        """Let the second token in: it may read this repository and nothing else."""
        self._control(
            "/tokens",
            {
                "token": self.read_token,
                "login": BOT,
                "permissions": READ_PERMISSIONS,
                "repositories": [self.repository],
            },
        )


def start_simulator(
    children: Children, scene: Scene, *, root: Path, folder: Path, port: int
) -> Simulator:
    """Serve the scene's repository on loopback. Its poll interval is a second instead of a minute.

    Raises:
        LocalRunError: it does not come up.
    """
    write_token = f"ghp_{secrets.token_hex(18)}"
    environment = inherited_environment()
    child = children.start(
        "github_simulator",
        [
            sys.executable, "-m", "local.github_simulator",
            "--port", str(port), "--repo", str(scene.path), "--name", scene.name,
            "--token", write_token, "--login", BOT, "--poll-interval", "1",
        ],
        environment=environment | {"PYTHONPATH": str(root), "TMPDIR": str(folder)},
        cwd=root,
    )  # fmt: skip
    child.wait_until(lambda: _address(child.log) is not None, within_seconds=READY_SECONDS)
    session = requests.Session()
    session.trust_env = False
    simulator = Simulator(
        url=_address(child.log) or "",
        repository=scene.name,
        read_token=f"ghp_{secrets.token_hex(18)}",
        write_token=write_token,
        child=child,
        session=session,
    )
    child.wait_until(lambda: _answers(simulator), within_seconds=READY_SECONDS)
    simulator.add_read_token()
    return simulator


def _address(log: Path) -> str | None:
    """Its first line of output."""
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(f"http://{HOST}:"):
            return line.strip()
    return None


def _answers(simulator: Simulator) -> bool:
    try:
        return simulator.session.get(f"{simulator.url}/meta", timeout=CALL_SECONDS).ok
    except requests.ConnectionError:
        return False
