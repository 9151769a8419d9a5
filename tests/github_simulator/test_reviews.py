from __future__ import annotations

from typing import Any

import pytest

from tests.github_simulator.conftest import REPO, CheckedClient, Github

PULLS = f"{REPO}/pulls"


def line(number: int, **more: Any) -> dict[str, Any]:
    return {"path": "src/app.py", "line": number, "side": "RIGHT", "body": "Why?", **more}


def review(*comments: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"event": "COMMENT", "body": "Some notes.", "comments": list(comments), **more}


def test_a_review_and_its_comments_can_be_read_back(github: Github, bot: CheckedClient) -> None:
    url = f"{PULLS}/{github.open_pull()}"

    made = bot.post(f"{url}/reviews", review(line(5), line(8)), status=200)

    assert made["state"] == "COMMENTED"
    assert made["commit_id"] == bot.get(url)["head"]["sha"]
    assert bot.get(f"{url}/reviews") == [made]
    comments = bot.get(f"{url}/comments")
    assert bot.get(f"{PULLS}/comments") == comments
    assert [(item["path"], item["line"], item["side"]) for item in comments] == [
        ("src/app.py", 5, "RIGHT"),
        ("src/app.py", 8, "RIGHT"),
    ]
    assert comments[0]["diff_hunk"].endswith("-line 5\n+line five")
    assert {item["pull_request_review_id"] for item in comments} == {made["id"]}
    assert bot.get(url)["review_comments"] == 2


@pytest.mark.parametrize(
    "comment",
    [
        line(1),
        line(9),
        line(40),
        line(5, path="README.md"),
        line(1, path="logo.png"),
        line(5, path="docs/über.md"),
        line(8, start_line=1),
        line(5, start_line=5),
    ],
    ids=repr,
)
def test_one_comment_outside_the_diff_refuses_the_whole_review(
    github: Github, bot: CheckedClient, comment: dict[str, Any]
) -> None:
    url = f"{PULLS}/{github.open_pull()}"

    answer = bot.send("POST", f"{url}/reviews", body=review(line(5), comment))

    assert answer.status_code == 422
    assert answer.json()["message"] == "Unprocessable Entity"
    assert len(answer.json()["errors"]) == 1
    assert bot.get(f"{url}/reviews") == bot.get(f"{url}/comments") == []


def test_the_error_is_worded_as_github_words_it(github: Github, bot: CheckedClient) -> None:
    url = f"{PULLS}/{github.open_pull()}"

    in_review = bot.send("POST", f"{url}/reviews", body=review(line(1))).json()
    sha = bot.get(url)["head"]["sha"]
    alone = bot.send("POST", f"{url}/comments", body=line(1, commit_id=sha)).json()

    assert in_review["errors"] == ["Line could not be resolved"]
    assert alone["message"] == "Validation Failed"
    assert alone["errors"][0]["message"].endswith("must be part of the diff")


def test_a_removed_line_takes_a_comment_on_the_left(github: Github, bot: CheckedClient) -> None:
    url = f"{PULLS}/{github.open_pull()}"

    bot.post(f"{url}/reviews", review(line(30, side="LEFT")), status=200)

    (comment,) = bot.get(f"{url}/comments")
    assert comment["diff_hunk"].endswith("-line 30")


def test_several_lines_take_one_comment(github: Github, bot: CheckedClient) -> None:
    url = f"{PULLS}/{github.open_pull()}"

    bot.post(f"{url}/reviews", review(line(6, start_line=3, start_side="RIGHT")), status=200)

    (comment,) = bot.get(f"{url}/comments")
    assert (comment["start_line"], comment["line"]) == (3, 6)


def test_a_single_comment_is_a_review_of_its_own(github: Github, bot: CheckedClient) -> None:
    url = f"{PULLS}/{github.open_pull()}"
    sha = bot.get(url)["head"]["sha"]

    made = bot.post(f"{url}/comments", line(5, commit_id=sha))

    assert bot.get(f"{url}/comments") == [made]
    assert len(bot.get(f"{url}/reviews")) == 1


def test_a_review_of_an_earlier_head_is_placed_in_that_diff(
    github: Github, bot: CheckedClient
) -> None:
    url = f"{PULLS}/{github.open_pull()}"
    old = bot.get(url)["head"]["sha"]
    github.control("PATCH", url, {"actor": "ann", "head": "feature-2"})

    assert bot.send("POST", f"{url}/reviews", body=review(line(5))).status_code == 422
    made = bot.post(f"{url}/reviews", review(line(5), commit_id=old), status=200)
    assert made["commit_id"] == old


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"commit_id": "0" * 40}, "commit_id"),
        ({"body": ""}, "blank"),
        ({"body": "x" * 65_537}, "too long"),
    ],
)
def test_an_unusable_review_is_refused(
    github: Github, bot: CheckedClient, wrong: dict[str, Any], reason: str
) -> None:
    url = f"{PULLS}/{github.open_pull()}/reviews"

    answer = bot.send("POST", url, body={**review(), **wrong})

    assert answer.status_code == 422
    assert reason in answer.json()["errors"][0]


def test_nobody_approves_their_own_pull_request(github: Github) -> None:
    url = f"{PULLS}/{github.open_pull(author='ann')}/reviews"
    ann = github.client("ann")

    assert ann.send("POST", url, body={"event": "APPROVE"}).status_code == 422
    assert ann.send("POST", url, body={"event": "COMMENT", "body": "Note."}).status_code == 200
    assert github.client("bob").post(url, {"event": "APPROVE"}, status=200)["state"] == "APPROVED"


def test_a_pending_review_is_seen_by_its_author_alone(github: Github, bot: CheckedClient) -> None:
    url = f"{PULLS}/{github.open_pull()}"
    made = bot.post(f"{url}/reviews", {"body": "Not yet.", "comments": [line(5)]}, status=200)

    assert made["state"] == "PENDING"
    assert "submitted_at" not in made
    assert len(bot.get(f"{url}/reviews")) == 1
    assert github.client("bob").get(f"{url}/reviews") == []
    assert bot.get(f"{url}/comments") == []
    assert [event["type"] for event in bot.get(f"{REPO}/events")] == ["PullRequestEvent"]


def test_line_comments_can_be_walked_by_their_last_update(
    github: Github, bot: CheckedClient
) -> None:
    url = f"{PULLS}/{github.open_pull()}"
    for number in (5, 6):
        bot.post(f"{url}/reviews", review(line(number)), status=200)
        github.clock.tick(minutes=1)

    def lines(**query: str) -> list[int]:
        return [item["line"] for item in bot.get(f"{PULLS}/comments", **query)]

    assert lines(sort="updated", direction="desc") == [6, 5]
    assert lines(since="2026-03-01T12:01:00Z") == [6]
