"""A real git repository, a simulator that serves it, and a client that checks all it says."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from starlette.types import ASGIApp

from local.github_simulator.auth import Token
from local.github_simulator.server import SimulatorServer, running_simulator
from local.github_simulator.state import Repository
from tests.github_openapi.gate import CHECKED_BY_SENDER, ConformanceGate
from tests.github_openapi.validator import assert_request_conforms, assert_response_conforms

NOON = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
REPO = "/repos/octo-org/widgets"
EVERYTHING = {
    "contents": "write",
    "issues": "write",
    "pull_requests": "write",
    "statuses": "write",
    "checks": "write",
}


class ManualClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, start: datetime) -> None:
        self.time = start

    def __call__(self) -> datetime:
        return self.time

    def tick(self, **amount: float) -> None:
        self.time += timedelta(**amount)


@dataclass
class CheckedClient:
    """Sends requests, and holds each one and its answer against GitHub's OpenAPI document."""

    url: str
    token: str | None = None
    version: str = "2022-11-28"
    session: requests.Session = field(default_factory=requests.Session)

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        proper: bool = True,
    ) -> requests.Response:
        """`proper=False` sends what GitHub forbids; the answer is checked all the same."""
        sent = {
            "User-Agent": "nightdesk-tests",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": self.version,
            **({"Authorization": f"Bearer {self.token}"} if self.token else {}),
            **({"Content-Type": "application/json"} if body is not None else {}),
            CHECKED_BY_SENDER: "yes",
            **(headers or {}),
        }
        content = None if body is None else json.dumps(body).encode()
        if proper:
            assert_request_conforms(method, path, query or {}, sent, content)
        answer = self.session.request(
            method,
            self.url + path,
            params=query,
            data=content,
            headers=sent,
            allow_redirects=False,
            timeout=10,
        )
        assert_response_conforms(method, path, answer.status_code, answer.headers, answer.content)
        return answer

    def get(self, path: str, /, **query: str) -> Any:
        answer = self.send("GET", path, query=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any, *, status: int = 201) -> Any:
        answer = self.send("POST", path, body=body)
        assert answer.status_code == status, answer.text
        return answer.json()


@dataclass
class Github:
    """A running simulator with one public repository, `octo-org/widgets`."""

    server: SimulatorServer
    repository: Repository
    clock: ManualClock
    gate: ConformanceGate

    def client(
        self,
        login: str = "nightdesk[bot]",
        *,
        permissions: Mapping[str, str] | None = None,
        repositories: frozenset[int] | None = None,
        version: str = "2022-11-28",
    ) -> CheckedClient:
        """Give a client with a fresh token of that user."""
        value = f"token-{len(self.server.state.tokens)}"
        chosen = EVERYTHING if permissions is None else permissions
        self.server.state.user(login)
        self.server.state.add_token(
            Token(
                value=value,
                login=login,
                kind="personal",
                permissions=dict(chosen),
                repositories=repositories,
            )
        )
        return CheckedClient(self.server.url, value, version)

    def anonymous(self) -> CheckedClient:
        return CheckedClient(self.server.url)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request to the control paths and read its answer."""
        answer = requests.request(
            method, f"{self.server.url}/_simulator{path}", json=body or {}, timeout=10
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def open_issue(self, author: str = "ann", title: str = "It breaks", **more: Any) -> int:
        fields = {"author": author, "title": title, **more}
        return int(self.control("POST", f"{REPO}/issues", fields)["number"])

    def open_pull(self, head: str = "feature", author: str = "ann", **more: Any) -> int:
        fields = {"author": author, "title": "Change it", "head": head, **more}
        return int(self.control("POST", f"{REPO}/pulls", fields)["number"])


def git(folder: Path, *arguments: str) -> str:
    """Run git with a fixed identity and time, without anybody's configuration."""
    names = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (
            ("NAME", "Ann"),
            ("EMAIL", "ann@example.org"),
            ("DATE", "2026-02-01T10:00:00+01:00"),
        )
    }
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}  # noqa: TID251 - where git is
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        check=True,
        capture_output=True,
        text=True,
        env=environment | names,
    )
    return done.stdout.strip()


def commit(folder: Path, files: Mapping[str, str | bytes | None], message: str) -> str:
    """Write files (None removes one) and commit them; return the commit."""
    for name, content in files.items():
        path = folder / name
        if content is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD")


LINES = "".join(f"line {number}\n" for number in range(1, 41))


def build_repository(folder: Path) -> None:
    """Make `main` and two branches that change, add, remove and rename files."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q", "-b", "main")
    commit(
        folder,
        {"README.md": "# Widgets\n", "src/app.py": LINES, "old name.txt": "a\nb\nc\nd\n" * 5},
        "Begin\n\nWith a body.",
    )
    (folder / "link").symlink_to("README.md")
    commit(folder, {"docs/über.md": "ü\n", "logo.png": bytes(range(256))}, "Add documents")
    git(folder, "checkout", "-q", "-b", "feature")
    changed = LINES.replace("line 5\n", "line five\n").replace("line 30\n", "")
    commit(
        folder,
        {
            "src/app.py": changed,
            "src/new.py": "print('new')\n",
            "old name.txt": None,
            "new name.txt": "a\nb\nc\nd\n" * 5,
            "logo.png": bytes(reversed(range(256))),
            "docs/über.md": None,
        },
        "Change things",
    )
    git(folder, "checkout", "-q", "-b", "feature-2", "main")
    commit(folder, {"README.md": "# Widgets\n\nMore.\n"}, "Say more")
    git(folder, "checkout", "-q", "main")
    commit(folder, {"src/later.py": "pass\n"}, "Go on with main")
    git(folder, "tag", "v1", "main~1")


@pytest.fixture(scope="session")
def repository_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("git") / "widgets"
    build_repository(folder)
    return folder


@dataclass(frozen=True)
class Shared:
    """One server for all tests: starting and stopping one takes longer than most of them."""

    server: SimulatorServer
    clock: ManualClock
    gate: ConformanceGate


@pytest.fixture(scope="session")
def shared_simulator() -> Iterator[Shared]:
    clock, gates = ManualClock(NOON), []

    def around(app: ASGIApp) -> ConformanceGate:
        gates.append(ConformanceGate(app))
        return gates[0]

    with running_simulator(clock=clock, around=around) as server:
        yield Shared(server, clock, gates[0])


@pytest.fixture
def github(repository_path: Path, shared_simulator: Shared) -> Iterator[Github]:
    """The test fails when a request or an answer is not as GitHub's OpenAPI document says."""
    server, clock, gate = shared_simulator.server, shared_simulator.clock, shared_simulator.gate
    server.state.reset()
    gate.forget()
    clock.time = NOON
    repository = server.state.add_repository("octo-org/widgets", repository_path)
    yield Github(server, repository, clock, gate)
    violations = gate.take_violations()
    assert not violations, violations


@pytest.fixture
def bot(github: Github) -> CheckedClient:
    """A client of the bot, which may do everything."""
    return github.client()
