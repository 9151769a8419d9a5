"""The examples run as they are, against the function over loopback."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nightdesk.a2a.app import A2aSettings
from tests.a2a.loopback import served
from tests.a2a.world import AGENT, World

EXAMPLES = Path(__file__).parents[2] / "examples" / "a2a"
QUESTION = 'Where is the "cache"\ninvalidated?'


@pytest.fixture
def world() -> World:
    return World(settings=A2aSettings(scheme="http"))


@pytest.fixture
def agent_url(world: World) -> Iterator[str]:
    """A world in which whoever looks at a task finds it a step further."""
    steps: list[Callable[[str], object]] = [world.start, world.complete]
    get = world.tasks.get

    def moving(task_id: str) -> object:
        if task_id in world.tasks.tasks and steps:
            steps.pop(0)(task_id)
        return get(task_id)

    world.tasks.get = moving  # type: ignore[method-assign, assignment]
    with served(world.app) as url:
        yield f"{url}/a2a/{AGENT}"


def run(world: World, *command: str) -> subprocess.CompletedProcess[str]:
    path = os.environ["PATH"]  # noqa: TID251 - to find curl
    environment = {"PATH": path, "NIGHTDESK_KEY": world.key, "PAUSE": "0.01"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_client_of_the_sdk_prints_the_answer(world: World, agent_url: str) -> None:
    script = (EXAMPLES / "ask.py").read_text().replace("LOOKS = 2", "LOOKS = 0.01")

    result = run(world, sys.executable, "-c", script, agent_url, QUESTION)

    assert (result.returncode, result.stdout.splitlines()[-1]) == (0, "Done."), result.stderr


def test_curl_prints_the_answer(world: World, agent_url: str) -> None:
    result = run(world, str(EXAMPLES / "ask.sh"), agent_url, QUESTION)

    assert result.returncode == 0, result.stderr
    assert '"text":"Done."' in result.stdout
    (origin,) = world.tasks.origins.values()
    assert origin.prompt == QUESTION


def test_curl_says_what_was_refused(world: World, agent_url: str) -> None:
    result = run(world, str(EXAMPLES / "ask.sh"), agent_url, "")

    assert (result.returncode, "INVALID_PARAMS" in result.stderr) == (1, True)
