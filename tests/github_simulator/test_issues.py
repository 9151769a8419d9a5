from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.github_simulator.answers import Page, link_header
from tests.github_simulator.conftest import REPO, CheckedClient, Github

ISSUES = f"{REPO}/issues"
VERSIONS = pytest.mark.parametrize("version", ["2022-11-28", "2026-03-10"])


def numbers(client: CheckedClient, **query: str) -> list[int]:
    return [issue["number"] for issue in client.get(ISSUES, **query)]


@VERSIONS
def test_an_issue_that_was_created_can_be_read_by_its_number(github: Github, version: str) -> None:
    bot = github.client(version=version)
    made = bot.post(ISSUES, {"title": "It breaks", "body": "Here.", "labels": ["bug"]})

    read = bot.get(f"{ISSUES}/{made['number']}")

    assert read == made
    assert read["user"]["login"] == "nightdesk[bot]"
    assert read["user"]["type"] == "Bot"
    assert ("assignee" in read) is (version == "2022-11-28")


def test_only_who_may_push_or_triage_can_label_an_issue_while_opening_it(github: Github) -> None:
    stranger = github.client("stranger")

    made = stranger.post(ISSUES, {"title": "Help", "labels": ["bug"]})

    assert made["labels"] == []
    assert made["author_association"] == "NONE"
    github.control("PUT", f"{REPO}/collaborators", {"user": "stranger", "permission": "triage"})
    assert stranger.post(ISSUES, {"title": "Help", "labels": ["bug"]})["labels"]


def test_the_list_has_open_issues_and_pull_requests_newest_first(
    github: Github, bot: CheckedClient
) -> None:
    for _ in range(2):
        github.open_issue()
        github.clock.tick(seconds=1)
    pull = github.open_pull()
    github.control("PATCH", f"{ISSUES}/1", {"actor": "ann", "state": "closed"})

    assert numbers(bot) == [3, 2]
    assert numbers(bot, state="all") == [3, 2, 1]
    assert numbers(bot, state="closed") == [1]
    assert [("pull_request" in issue) for issue in bot.get(ISSUES)] == [True, False]
    assert pull == 3


def test_the_list_can_be_walked_by_its_last_update(github: Github, bot: CheckedClient) -> None:
    for _ in range(3):
        github.open_issue()
        github.clock.tick(minutes=1)
    cursor = github.clock.time.strftime("%Y-%m-%dT%H:%M:%SZ")
    github.control("PATCH", f"{ISSUES}/2", {"actor": "ann", "body": "edited"})
    github.clock.tick(minutes=1)
    github.control("POST", f"{ISSUES}/1/comments", {"author": "bob", "body": "Me too."})
    walk = {"state": "all", "sort": "updated", "direction": "asc"}

    assert numbers(bot, **walk) == [3, 2, 1]
    assert numbers(bot, **walk, since=cursor) == [2, 1]


def test_since_includes_the_very_second(github: Github, bot: CheckedClient) -> None:
    github.open_issue()

    assert numbers(bot, since="2026-03-01T12:00:00Z") == [1]
    assert numbers(bot, since="2026-03-01T12:00:01Z") == []


def test_the_list_can_be_narrowed_by_label_and_creator(github: Github, bot: CheckedClient) -> None:
    github.open_issue(labels=["bug", "ui"])
    github.open_issue(author="bob", labels=["bug"])

    assert numbers(bot, labels="bug,ui") == [1]
    assert numbers(bot, labels="bug") == [2, 1]
    assert numbers(bot, creator="bob") == [2]


@pytest.mark.parametrize("name", ["state", "sort", "direction", "since"])
def test_an_unknown_word_in_the_query_is_refused(bot: CheckedClient, name: str) -> None:
    answer = bot.send("GET", ISSUES, query={name: "sideways"}, proper=False)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == name


def test_pages_are_linked_by_the_id_of_the_repository(github: Github, bot: CheckedClient) -> None:
    for _ in range(5):
        github.open_issue()

    answer = bot.send("GET", ISSUES, query={"per_page": "2", "page": "2"})

    links = re.findall(r'<([^>]+)>; rel="(\w+)"', answer.headers["Link"])
    by_relation = {relation: address for address, relation in links}
    assert set(by_relation) == {"prev", "next", "last", "first"}
    assert f"/repositories/{github.repository.id}/issues?" in by_relation["next"]
    path, _, query = by_relation["next"].removeprefix(bot.url).partition("?")
    rest = dict(pair.split("=") for pair in query.split("&"))
    assert [issue["number"] for issue in bot.get(path, **rest)] == [1]


def test_no_page_has_more_than_a_hundred_elements(github: Github, bot: CheckedClient) -> None:
    for _ in range(103):
        github.open_issue()

    assert len(numbers(bot, per_page="500")) == 100
    assert len(numbers(bot)) == 30


def test_a_single_page_has_no_link(github: Github, bot: CheckedClient) -> None:
    github.open_issue()

    assert "Link" not in bot.send("GET", ISSUES).headers


def test_an_issue_can_be_closed_and_reopened(github: Github, bot: CheckedClient) -> None:
    github.open_issue()
    github.control(
        "PUT", f"{REPO}/collaborators", {"user": "nightdesk[bot]", "permission": "write"}
    )

    closed = bot.send("PATCH", f"{ISSUES}/1", body={"state": "closed"}).json()
    reopened = bot.send("PATCH", f"{ISSUES}/1", body={"state": "open"}).json()

    assert (closed["state"], closed["state_reason"]) == ("closed", "completed")
    assert closed["closed_by"]["login"] == "nightdesk[bot]"
    assert (reopened["state"], reopened["closed_at"]) == ("open", None)
    kinds = [event["payload"]["action"] for event in reversed(bot.get(f"{REPO}/events"))]
    assert kinds == ["opened", "closed", "reopened"]


def test_a_stranger_cannot_change_the_issue_of_another(github: Github) -> None:
    github.open_issue(author="ann")
    stranger = github.client("stranger")

    assert stranger.send("PATCH", f"{ISSUES}/1", body={"title": "x"}).status_code == 403
    assert github.client("ann").send("PATCH", f"{ISSUES}/1", body={"title": "x"}).ok


def test_a_title_is_needed_and_bounded(bot: CheckedClient) -> None:
    assert bot.send("POST", ISSUES, body={"body": "x"}, proper=False).status_code == 422
    assert bot.send("POST", ISSUES, body={"title": " "}).status_code == 422
    assert bot.send("POST", ISSUES, body={"title": "x" * 256}).status_code == 201
    assert bot.send("POST", ISSUES, body={"title": "x" * 257}).status_code == 422


def test_a_deleted_issue_is_gone(github: Github, bot: CheckedClient) -> None:
    github.open_issue()
    github.control("PATCH", f"{ISSUES}/1", {"actor": "ann", "deleted": True})

    assert bot.send("GET", f"{ISSUES}/1").status_code == 410
    assert numbers(bot) == []


def test_an_issue_that_never_was_is_not_found_in_githubs_words(bot: CheckedClient) -> None:
    answer = bot.send("GET", f"{ISSUES}/99")

    assert answer.status_code == 404
    assert answer.json() == {
        "message": "Not Found",
        "documentation_url": "https://docs.github.com/rest/issues/issues",
        "status": "404",
    }


@given(total=st.integers(0, 250), size=st.integers(1, 100), page=st.integers(1, 20))
def test_the_links_lead_over_every_page_exactly_once(total: int, size: int, page: int) -> None:
    header = link_header("http://x/y", {"per_page": str(size)}, Page(page, size), total=total)

    pages = {name: int(n) for n, name in re.findall(r'[?&]page=(\d+)>; rel="(\w+)"', header)}
    last = max(1, -(-total // size))
    assert ("next" in pages) == (page < last) == ("last" in pages)
    assert ("prev" in pages) == (page > 1) == ("first" in pages)
    assert pages.get("next", page + 1) == page + 1
    assert pages.get("last", last) == last
    assert pages.get("prev", 1) <= last


@pytest.mark.parametrize("folder", ["issues", "pulls"])
def test_texts_change_where_the_request_has_them(github: Github, folder: str) -> None:
    github.open_pull(title="old", body="old")
    ann = github.client("ann")
    url = f"{REPO}/{folder}/1"

    def texts_after(body: dict[str, str]) -> tuple[str, str | None]:
        changed = ann.send("PATCH", url, body=body).json()
        return changed["title"], changed["body"]

    assert texts_after({"title": "new"}) == ("new", "old")
    assert texts_after({"body": "new"}) == ("new", "new")
    assert texts_after({"body": ""}) == ("new", None)
    assert ann.send("PATCH", url, body={"title": " "}).status_code == 422
    assert ann.send("PATCH", url, body={"body": "x" * 65_537}).status_code == 422


def test_only_a_change_moves_the_time_of_the_last_update(
    github: Github, bot: CheckedClient
) -> None:
    github.open_issue(title="same", body="same", labels=["bug"])
    ann = github.client("ann")
    github.clock.tick(minutes=1)

    for body in ({"title": "same"}, {"body": "same"}, {"state": "open"}, {}):
        assert ann.send("PATCH", f"{ISSUES}/1", body=body).status_code == 200
    github.control("PATCH", f"{ISSUES}/1", {"actor": "ann", "labels": ["BUG"]})
    before = bot.get(f"{ISSUES}/1")["updated_at"]
    ann.send("PATCH", f"{ISSUES}/1", body={"title": "other"})

    assert before == "2026-03-01T12:00:00Z"
    assert bot.get(f"{ISSUES}/1")["updated_at"] == "2026-03-01T12:01:00Z"
