"""A refused token, from the session through the broker to the App and back."""

import pytest

from nightdesk.domain.github_ports import GithubCredentialsError
from tests.github_faults.app_scenarios import issue_reader
from tests.github_faults.harness import Stage
from tests.github_simulator.conftest import Github

REFUSED = {"kind": "status", "status": 401, "body": {"message": "Bad credentials"}}


def mints(github: Github) -> int:
    return sum("access_tokens" in entry.path for entry in github.server.state.requests.entries)


@pytest.mark.parametrize("call", [2, 3])
def test_a_session_whose_token_is_refused_gets_one_fresh_token(github: Github, call: int) -> None:
    read = issue_reader(Stage(github))
    github.control("POST", "/faults", {**REFUSED, "skip": call})
    read()
    assert mints(github) == 2


def test_a_github_that_refuses_every_token_is_asked_twice_and_no_more(github: Github) -> None:
    read = issue_reader(Stage(github))
    github.control("POST", "/faults", {**REFUSED, "path": "/issues/", "count": 9})
    with pytest.raises(GithubCredentialsError):
        read()
    assert mints(github) == 2
