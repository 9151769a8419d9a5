from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from tests.github_simulator.conftest import REPO, CheckedClient, Github

COMMENTS = f"{REPO}/issues/1/comments"


def disturb(github: Github, **fields: Any) -> int:
    return int(github.control("POST", "/faults", fields)["id"])


@pytest.fixture
def issue(github: Github) -> int:
    return github.open_issue()


@pytest.mark.usefixtures("issue")
def test_an_ordered_status_comes_instead_of_the_effect(github: Github, bot: CheckedClient) -> None:
    disturb(
        github,
        kind="status",
        status=403,
        method="POST",
        path="/comments$",
        headers={"Retry-After": "60"},
        body={"message": "You have exceeded a secondary rate limit."},
    )

    answer = bot.send("POST", COMMENTS, body={"body": "x"})

    assert (answer.status_code, answer.headers["Retry-After"]) == (403, "60")
    assert answer.json() == {"message": "You have exceeded a secondary rate limit."}
    assert bot.get(COMMENTS) == []
    assert bot.send("POST", COMMENTS, body={"body": "x"}).status_code == 201


@pytest.mark.usefixtures("issue")
def test_an_answer_can_be_lost_after_the_effect(github: Github, bot: CheckedClient) -> None:
    disturb(github, kind="status", status=502, method="POST", after=True, body="<h1>502</h1>")

    answer = bot.send("POST", COMMENTS, body={"body": "x"})

    assert answer.status_code == 502
    assert len(bot.get(COMMENTS)) == 1


@pytest.mark.parametrize(("kind", "comments"), [("drop_before", 0), ("drop_after", 1)])
@pytest.mark.usefixtures("issue")
def test_a_connection_can_be_dropped_before_or_after_the_effect(
    github: Github, bot: CheckedClient, kind: str, comments: int
) -> None:
    disturb(github, kind=kind, method="POST")

    with pytest.raises(requests.ConnectionError):
        bot.send("POST", COMMENTS, body={"body": "x"})

    assert len(bot.get(COMMENTS)) == comments
    (entry,) = github.control("GET", "/requests?method=POST")
    assert (entry["status"], entry["fault"]) == (None, kind)
    assert entry["took_effect"] is (comments == 1)


def test_a_304_can_be_made_to_last_for_ever(github: Github, bot: CheckedClient) -> None:
    url = f"{REPO}/events"
    etag = bot.send("GET", url).headers["ETag"]
    fault = disturb(github, kind="stale_not_modified", path="/events$", count=None)
    github.open_issue()
    conditional = {"If-None-Match": etag}

    stale = [bot.send("GET", url, headers=conditional).status_code for _ in range(5)]

    assert stale == [304] * 5
    assert len(bot.get(url)) == 1
    github.control("DELETE", "/faults", {"id": fault})
    assert bot.send("GET", url, headers=conditional).status_code == 200


def test_a_fault_hits_as_many_requests_as_it_says_after_those_it_skips(
    github: Github, bot: CheckedClient
) -> None:
    disturb(github, kind="status", status=500, count=2, skip=1, path=f"^{REPO}$")

    seen = [bot.send("GET", REPO).status_code for _ in range(5)]

    assert seen == [200, 500, 500, 200, 200]
    assert github.control("GET", "/faults")[0]["count"] == 0


def test_a_delayed_answer_is_the_right_one(github: Github, bot: CheckedClient) -> None:
    disturb(github, kind="delay", seconds=0.05)
    start = time.monotonic()

    answer = bot.send("GET", REPO)

    assert answer.status_code == 200
    assert time.monotonic() - start >= 0.05


def test_latency_is_added_to_every_request(github: Github, bot: CheckedClient) -> None:
    github.control("PATCH", "/settings", {"latency_seconds": 0.02})
    start = time.monotonic()
    bot.get(REPO)
    bot.get(REPO)

    assert time.monotonic() - start >= 0.04


def test_the_tarball_can_be_disturbed_too(github: Github, bot: CheckedClient) -> None:
    disturb(github, kind="status", status=503, path="^/_codeload/")
    address = bot.send("GET", f"{REPO}/tarball/main").headers["Location"]

    assert requests.get(address, timeout=10).status_code == 503
    assert requests.get(address, timeout=10).status_code == 200


@pytest.mark.usefixtures("issue")
def test_the_log_tells_who_asked_what_and_never_a_token(github: Github, bot: CheckedClient) -> None:
    bot.post(COMMENTS, {"body": "Hello."})
    github.anonymous().send("GET", f"{REPO}/issues", query={"state": "all"})
    bot.send("GET", f"{REPO}/issues/99")

    log = github.control("GET", "/requests")

    assert [(item["method"], item["path"], item["status"], item["login"]) for item in log] == [
        ("POST", COMMENTS, 201, "nightdesk[bot]"),
        ("GET", f"{REPO}/issues", 200, None),
        ("GET", f"{REPO}/issues/99", 404, "nightdesk[bot]"),
    ]
    assert log[0]["body"] == '{"body": "Hello."}'
    assert log[1]["query"] == "state=all"
    assert log[0]["at"] == "2026-03-01T12:00:00Z"
    assert str(bot.token) not in repr(log)
    assert len(github.control("GET", f"/requests?after={log[1]['number']}")) == 1
    assert len(github.control("GET", "/requests?login=nightdesk[bot]&method=POST")) == 1
    github.control("DELETE", "/requests")
    assert github.control("GET", "/requests") == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/faults", {"kind": "delay", "nonsense": 1}),
        ("POST", "/faults", {"kind": "delay", "path": "("}),
        ("PATCH", "/settings", {"nonsense": 1}),
        ("POST", "/repos/no/where/issues", {"author": "ann", "title": "x"}),
        ("POST", f"{REPO}/issues", {"author": "ann"}),
        ("POST", f"{REPO}/issues/77/comments", {"author": "ann", "body": "x"}),
        ("POST", f"{REPO}/pulls", {"author": "ann", "title": "x", "head": "nowhere"}),
        ("POST", f"{REPO}/events/irregularity", {"nonsense": 1}),
        ("POST", "/repositories", {"name": "a/b", "path": "/nonexistent"}),
    ],
)
def test_a_control_request_that_makes_no_sense_says_why(
    github: Github, method: str, path: str, body: Any
) -> None:
    url = f"{github.server.url}/_simulator{path}"

    answer = requests.request(method, url, json=body, timeout=10)

    assert answer.status_code == 400
    assert answer.json()["error"]


def test_the_control_paths_describe_themselves(github: Github) -> None:
    described = github.control("GET", "")

    assert any(line.startswith("POST /faults") for line in described)
    assert all(line.split()[0] in {"GET", "POST", "PUT", "PATCH", "DELETE"} for line in described)


def test_a_web_page_cannot_send_a_control_request_in_secret(github: Github) -> None:
    url = f"{github.server.url}/_simulator/reset"

    answer = requests.post(url, data="{}", headers={"Content-Type": "text/plain"}, timeout=10)

    assert answer.status_code == 415


def test_the_simulated_time_can_be_moved(github: Github, bot: CheckedClient) -> None:
    github.control("POST", "/clock", {"seconds": 3600})

    assert github.control("POST", "/clock", {"seconds": 0})["now"] == "2026-03-01T13:00:00Z"
    assert bot.send("GET", REPO).headers["Date"] == "Sun, 01 Mar 2026 13:00:00 GMT"
