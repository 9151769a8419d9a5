"""Our adapters against the simulator over real HTTP. Every request, and every answer, is held
against GitHub's OpenAPI document by the gate around the simulator (tests/github_openapi/gate.py).
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from nightdesk.adapters.github.client import GithubClient, Timeouts
from nightdesk.adapters.system import SystemClock
from tests.fakes.clock import FakeClock
from tests.github_simulator.conftest import (
    EVERYTHING,
    Github,
    github,
    repository_path,
    shared_simulator,
)

__all__ = ["github", "repository_path", "shared_simulator"]

QUICK = Timeouts(connect=1.0, read=1.0)


@dataclass
class Recorder:
    """Every request that `requests` sends, before it goes out."""

    sent: list[requests.PreparedRequest] = field(default_factory=list)

    def of(self, method: str) -> list[str]:
        return [urlsplit(r.url or "").path for r in self.sent if r.method == method]


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Remembers each request to GitHub's API."""
    kept = Recorder()
    send = requests.adapters.HTTPAdapter.send

    def remembered(
        self: requests.adapters.HTTPAdapter, request: requests.PreparedRequest, **more: Any
    ) -> requests.Response:
        path = urlsplit(request.url or "").path
        if not path.startswith(("/_simulator", "/_codeload", "/elsewhere")):
            kept.sent.append(request)
        return send(self, request, **more)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", remembered)
    return kept


@pytest.fixture
def system_clock() -> SystemClock:
    return SystemClock()


@pytest.fixture
def token(github: Github) -> str:
    """A token that may do everything, of the account nightdesk-bot."""
    client = github.client("nightdesk-bot", permissions=EVERYTHING)
    assert client.token is not None
    return client.token


@pytest.fixture
def api(github: Github, recorder: Recorder) -> GithubClient:
    del recorder
    clock = FakeClock(github.server.state.now())
    return GithubClient(api_url=github.server.url, clock=clock, timeouts=QUICK)


def disturb(github: Github, **fields: Any) -> None:
    """Make the next matching request go wrong."""
    github.control("POST", "/faults", fields)


def pass_time(github: Github, time: timedelta) -> None:
    github.clock.tick(seconds=time.total_seconds())
