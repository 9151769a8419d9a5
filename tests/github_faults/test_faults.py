"""Each fault at each call of each scenario (see `harness.py`)."""

from pathlib import Path

import pytest

from tests.github_faults.app_scenarios import APP_SCENARIOS
from tests.github_faults.harness import FAULTS, Fault, Run, Scenario, Stage, assert_borne, run
from tests.github_faults.scenarios import SCENARIOS
from tests.github_simulator.conftest import NOON, Github

ALL = (*SCENARIOS, *APP_SCENARIOS)


def name_of(item: Scenario | Fault) -> str:
    return item.name.replace(" ", "-")


def fresh(github: Github, files: Path) -> Github:
    """The same simulator, as if nothing had happened."""
    github.server.state.reset()
    github.clock.time = NOON
    repository = github.server.state.add_repository("octo-org/widgets", files)
    return Github(github.server, repository, github.clock, github.gate)


def undisturbed(github: Github, scenario: Scenario) -> Run:
    clean = run(Stage(github), scenario)
    assert clean.requests, "the scenario makes no call"
    assert clean.play.effects() == 1, clean.play.reason()
    return clean


@pytest.mark.parametrize("fault", FAULTS, ids=name_of)
@pytest.mark.parametrize("scenario", ALL, ids=name_of)
def test_each_call_may_go_wrong(
    github: Github, repository_path: Path, scenario: Scenario, fault: Fault
) -> None:
    clean = undisturbed(github, scenario)
    for call, entry in enumerate(clean.requests):
        stage = Stage(fresh(github, repository_path), timeouts=fault.timeouts)
        disturbed = run(stage, scenario, fault, call)
        try:
            assert_borne(scenario, clean, disturbed, fault)
        except AssertionError as error:
            raise AssertionError(f"at call {call}, {entry.method} {entry.path}: {error}") from error
