from __future__ import annotations

from tests.github_simulator.conftest import REPO, CheckedClient, Github

COMMENTS = f"{REPO}/issues/comments"


def test_a_comment_is_posted_read_changed_and_deleted(github: Github, bot: CheckedClient) -> None:
    number = github.open_issue()
    made = bot.post(f"{REPO}/issues/{number}/comments", {"body": "First."})
    github.clock.tick(minutes=5)

    changed = bot.send("PATCH", f"{COMMENTS}/{made['id']}", body={"body": "Second."}).json()

    assert bot.get(f"{COMMENTS}/{made['id']}") == changed
    assert (changed["body"], changed["created_at"]) == ("Second.", made["created_at"])
    assert changed["updated_at"] == "2026-03-01T12:05:00Z"
    assert bot.get(f"{REPO}/issues/{number}")["updated_at"] == changed["updated_at"]
    assert bot.send("DELETE", f"{COMMENTS}/{made['id']}").status_code == 204
    assert bot.send("GET", f"{COMMENTS}/{made['id']}").status_code == 404


def test_only_its_author_can_change_or_delete_a_comment(github: Github, bot: CheckedClient) -> None:
    number = github.open_issue()
    url = f"{REPO}/issues/{number}/comments"
    theirs = github.control("POST", url, {"author": "eve", "body": "<!-- specialist:x -->"})["id"]

    assert bot.send("PATCH", f"{COMMENTS}/{theirs}", body={"body": "x"}).status_code == 403
    assert bot.send("DELETE", f"{COMMENTS}/{theirs}").status_code == 403
    assert bot.get(f"{COMMENTS}/{theirs}")["body"] == "<!-- specialist:x -->"


def test_the_comments_of_an_issue_come_oldest_first(github: Github, bot: CheckedClient) -> None:
    number = github.open_issue()
    other = github.open_issue()
    url = f"{REPO}/issues/{number}/comments"
    for body in ("a", "b", "c"):
        github.control("POST", url, {"author": "bob", "body": body})
        github.clock.tick(minutes=1)
    github.control("POST", f"{REPO}/issues/{other}/comments", {"author": "bob", "body": "other"})

    assert [item["body"] for item in bot.get(url)] == ["a", "b", "c"]
    assert [item["body"] for item in bot.get(url, since="2026-03-01T12:01:00Z")] == ["b", "c"]
    assert bot.get(f"{REPO}/issues/{number}")["comments"] == 3


def test_all_comments_can_be_walked_by_their_last_update(
    github: Github, bot: CheckedClient
) -> None:
    number = github.open_issue()
    made = []
    for body in ("a", "b", "c"):
        url = f"{REPO}/issues/{number}/comments"
        made.append(github.control("POST", url, {"author": "bob", "body": body})["id"])
        github.clock.tick(minutes=1)
    github.control("PATCH", f"{REPO}/comments/{made[0]}", {"body": "a again"})

    def bodies(**query: str) -> list[str]:
        return [item["body"] for item in bot.get(COMMENTS, **query)]

    assert bodies() == ["a again", "b", "c"]
    assert bodies(sort="updated", direction="asc") == ["b", "c", "a again"]
    assert bodies(sort="created", direction="desc") == ["c", "b", "a again"]
    assert bodies(direction="desc") == ["a again", "b", "c"]
    assert bodies(sort="updated", direction="asc", since="2026-03-01T12:02:00Z") == ["c", "a again"]


def test_a_comment_is_not_empty_and_at_most_65536_characters_long(
    github: Github, bot: CheckedClient
) -> None:
    url = f"{REPO}/issues/{github.open_issue()}/comments"

    assert bot.send("POST", url, body={"body": "ä" * 65_536}).status_code == 201
    for body in ("ä" * 65_537, "", "  \n"):
        assert bot.send("POST", url, body={"body": body}).status_code == 422
    assert bot.send("POST", url, body={}, proper=False).status_code == 422
    assert len(bot.get(url)) == 1


def test_a_body_that_is_no_json_object_is_a_bad_request(github: Github, bot: CheckedClient) -> None:
    url = f"{REPO}/issues/{github.open_issue()}/comments"

    answer = bot.send("POST", url, body=["not", "an", "object"], proper=False)

    assert answer.status_code == 400
    assert answer.json()["message"] == "Body should be a JSON object"


def test_a_locked_issue_takes_comments_of_collaborators_only(
    github: Github, bot: CheckedClient
) -> None:
    number = github.open_issue()
    url = f"{REPO}/issues/{number}/comments"
    github.control("PATCH", f"{REPO}/issues/{number}", {"actor": "ann", "locked": True})

    assert bot.send("POST", url, body={"body": "x"}).status_code == 403
    member = github.client("mia")
    github.control("PUT", f"{REPO}/collaborators", {"user": "mia", "association": "MEMBER"})
    assert member.send("POST", url, body={"body": "x"}).status_code == 201


def test_a_pull_request_takes_comments_like_an_issue(github: Github, bot: CheckedClient) -> None:
    number = github.open_pull()

    comment = bot.post(f"{REPO}/issues/{number}/comments", {"body": "Hm."})

    assert comment["html_url"].startswith(f"{bot.url}/octo-org/widgets/pull/{number}#issuecomment-")


def test_labels_are_added_listed_and_removed(github: Github, bot: CheckedClient) -> None:
    url = f"{REPO}/issues/{github.open_issue()}/labels"

    bot.post(url, {"labels": ["bug"]}, status=200)
    both = bot.post(url, {"labels": ["needs info", "BUG"]}, status=200)

    assert [label["name"] for label in both] == ["bug", "needs info"]
    assert [label["name"] for label in bot.get(url)] == ["bug", "needs info"]
    assert "needs info" in [label["name"] for label in bot.get(f"{REPO}/labels")]
    left = bot.send("DELETE", f"{url}/needs%20info")
    assert [label["name"] for label in left.json()] == ["bug"]
    assert bot.send("DELETE", f"{url}/needs%20info").status_code == 404


def test_what_is_no_label_is_refused(github: Github, bot: CheckedClient) -> None:
    url = f"{REPO}/issues/{github.open_issue()}/labels"

    for labels in ([1], "bug", [""], ["x" * 51]):
        answer = bot.send("POST", url, body={"labels": labels}, proper=False)
        assert answer.status_code == 422, labels
    assert bot.get(url) == []
