"""Nightdesk as deployed, on the embedded cloud with IAM enforced, beside the GitHub simulator.

One deployment serves the whole test session. Tests share it, so each works on tasks of its own.
"""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from local.choices import GithubChoice, ModelChoice
from local.run import Nightdesk, Options, running
from local.screen import Screen

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def nightdesk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nightdesk]:
    """A running deployment with the offline model; its logs are in pytest's temporary folder."""
    options = Options(
        stays=False,
        port=0,
        repo=None,
        issue=None,
        root=ROOT,
        logs=tmp_path_factory.mktemp("nightdesk") / "logs",
    )
    screen = Screen(Console(file=io.StringIO()))
    model = ModelChoice(provider="offline", why="tests")
    with running(options, model, GithubChoice(), screen) as deployment:
        yield deployment
