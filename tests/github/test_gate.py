"""The gate around the simulator: what is not as GitHub's document says fails its test."""

import pytest
import requests

from nightdesk.adapters.github.client import GithubClient
from tests.github.conftest import disturb
from tests.github_simulator.conftest import REPO, Github

PROPER = {
    "User-Agent": "x",
    "Accept": "application/vnd.github+json",
    "X-GitHub-Api-Version": "2022-11-28",
}


@pytest.mark.parametrize(
    ("method", "path", "change", "complaint"),
    [
        ("GET", REPO, {"X-GitHub-Api-Version": ""}, "X-GitHub-Api-Version"),
        ("GET", REPO, {"Accept": ""}, "no Accept"),
        ("GET", f"{REPO}/issues?colour=red", {}, "unknown query parameter 'colour'"),
        ("GET", f"{REPO}/nonsense", {}, "no operation of GitHub's"),
        ("POST", f"{REPO}/issues/1/labels", {}, "body"),
    ],
)
def test_whoever_sends_what_github_does_not_know_is_found_out(
    github: Github, method: str, path: str, change: dict[str, str], complaint: str
) -> None:
    body = {"labels": 3} if method == "POST" else None

    requests.request(
        method, github.server.url + path, json=body, headers=PROPER | change, timeout=10
    )

    assert complaint in " ".join(github.gate.take_violations())


def test_our_own_client_passes_the_gate_without_a_word(
    github: Github, api: GithubClient, token: str
) -> None:
    api.get(REPO, token=token)
    disturb(github, kind="status", status=418, body="any answer may come from a fault")
    with pytest.raises(Exception, match="418"):
        api.get(REPO, token=token)

    before = github.gate.checked
    assert github.gate.take_violations() == []
    assert github.gate.checked == before + 2
