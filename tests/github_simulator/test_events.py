from __future__ import annotations

import pytest

from tests.github_simulator.conftest import REPO, CheckedClient, Github

EVENTS = f"{REPO}/events"


def ids(client: CheckedClient, **query: str) -> list[str]:
    return [event["id"] for event in client.get(EVENTS, **query)]


def test_an_unchanged_feed_answers_304_which_costs_nothing(
    github: Github, bot: CheckedClient
) -> None:
    github.open_issue()
    first = bot.send("GET", EVENTS)
    etag = first.headers["ETag"]

    again = bot.send("GET", EVENTS, headers={"If-None-Match": etag})

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == etag
    assert again.headers["X-RateLimit-Remaining"] == first.headers["X-RateLimit-Remaining"]


def test_a_new_event_changes_the_etag(github: Github, bot: CheckedClient) -> None:
    etag = bot.send("GET", EVENTS).headers["ETag"]
    github.open_issue()

    answer = bot.send("GET", EVENTS, headers={"If-None-Match": etag})

    assert answer.status_code == 200
    assert len(answer.json()) == 1


def test_an_etag_without_its_quotes_matches_nothing(bot: CheckedClient) -> None:
    etag = bot.send("GET", EVENTS).headers["ETag"]

    answer = bot.send("GET", EVENTS, headers={"If-None-Match": etag.replace('"', "")})

    assert answer.status_code == 200


def test_an_etag_belongs_to_one_credential_and_one_page_size(github: Github) -> None:
    for _ in range(3):
        github.open_issue()
    one, other = github.client("one"), github.client("other")
    etag = one.send("GET", EVENTS).headers["ETag"]

    assert other.send("GET", EVENTS, headers={"If-None-Match": etag}).status_code == 200
    smaller = one.send("GET", EVENTS, query={"per_page": "2"}, headers={"If-None-Match": etag})
    assert smaller.status_code == 200


def test_the_feed_says_how_often_it_may_be_asked(github: Github, bot: CheckedClient) -> None:
    github.control("PATCH", "/settings", {"poll_interval_seconds": 90})
    answer = bot.send("GET", EVENTS)
    again = bot.send("GET", EVENTS, headers={"If-None-Match": answer.headers["ETag"]})

    assert answer.headers["X-Poll-Interval"] == again.headers["X-Poll-Interval"] == "90"


def test_events_come_newest_first_with_ids_that_are_texts(
    github: Github, bot: CheckedClient
) -> None:
    for title in ("one", "two", "three"):
        github.open_issue(title=title)
        github.clock.tick(seconds=1)

    events = bot.get(EVENTS)

    titles = [event["payload"]["issue"]["title"] for event in events]
    assert titles == ["three", "two", "one"]
    assert all(isinstance(event["id"], str) for event in events)


def test_a_pull_request_event_is_trimmed_to_ids_and_branches(
    github: Github, bot: CheckedClient
) -> None:
    github.open_pull()

    (event,) = bot.get(EVENTS)

    assert event["type"] == "PullRequestEvent"
    assert set(event["payload"]["pull_request"]) == {"id", "number", "url", "head", "base"}


def test_a_push_event_says_only_from_where_to_where(github: Github, bot: CheckedClient) -> None:
    number = github.open_pull(head="feature-2")
    before = bot.get(f"{REPO}/pulls/{number}")["head"]["sha"]
    github.control("PATCH", f"{REPO}/pulls/{number}", {"actor": "ann", "head": "feature"})

    push = bot.get(EVENTS)[0]

    assert push["type"] == "PushEvent"
    assert set(push["payload"]) == {"repository_id", "push_id", "ref", "head", "before"}
    assert push["payload"]["before"] == before
    assert push["payload"]["ref"] == "refs/heads/feature-2"


def test_a_push_to_a_fork_is_in_no_event(github: Github, bot: CheckedClient) -> None:
    number = github.open_pull(head="feature-2", fork_owner="eve")
    github.control("PATCH", f"{REPO}/pulls/{number}", {"actor": "eve", "head": "feature"})

    assert [event["type"] for event in bot.get(EVENTS)] == ["PullRequestEvent"]


def test_comments_and_reviews_are_events(github: Github, bot: CheckedClient) -> None:
    number = github.open_pull()
    github.control("POST", f"{REPO}/issues/{number}/comments", {"author": "bob", "body": "Hm."})
    line = {"path": "src/new.py", "body": "Why?", "line": 1}
    github.control("POST", f"{REPO}/pulls/{number}/reviews", {"author": "bob", "comments": [line]})

    kinds = [event["type"] for event in reversed(bot.get(EVENTS))]

    assert kinds == [
        "PullRequestEvent",
        "IssueCommentEvent",
        "PullRequestReviewEvent",
        "PullRequestReviewCommentEvent",
    ]


@pytest.mark.parametrize("carried", [True, False])
def test_the_association_is_in_events_only_while_github_still_sends_it(
    github: Github, bot: CheckedClient, carried: bool
) -> None:
    github.control("PATCH", "/settings", {"events_carry_association": carried})
    number = github.open_issue(association="MEMBER")
    github.control("POST", f"{REPO}/issues/{number}/comments", {"author": "ann", "body": "Hm."})

    comment, issue = (event["payload"] for event in bot.get(EVENTS))

    assert ("author_association" in issue["issue"]) is carried
    assert ("author_association" in comment["comment"]) is carried


def test_labels_are_in_the_feed_only_when_told_so(github: Github, bot: CheckedClient) -> None:
    github.open_issue(labels=["bug"])
    github.control("PATCH", "/settings", {"events_for_labels": True})
    github.open_issue(labels=["bug"])

    actions = [event["payload"]["action"] for event in reversed(bot.get(EVENTS))]

    assert actions == ["opened", "opened", "labeled"]


def test_a_late_event_appears_below_newer_ones(github: Github, bot: CheckedClient) -> None:
    github.control("POST", f"{REPO}/events/irregularity", {"delay_seconds": 600})
    github.open_issue(title="late")
    github.clock.tick(minutes=1)
    github.open_issue(title="punctual")

    before = [event["payload"]["issue"]["title"] for event in bot.get(EVENTS)]
    github.clock.tick(minutes=9)
    after = [event["payload"]["issue"]["title"] for event in bot.get(EVENTS)]

    assert (before, after) == (["punctual"], ["punctual", "late"])


def test_held_events_come_when_they_are_released(github: Github, bot: CheckedClient) -> None:
    github.control("POST", f"{REPO}/events/irregularity", {"hold": True, "count": 2})
    for _ in range(3):
        github.open_issue()
        github.clock.tick(seconds=1)
    hidden = [item for item in github.control("GET", f"{REPO}/events") if not item["visible_at"]]
    assert len(ids(bot)) == 1

    github.control("POST", f"{REPO}/events/release", {"ids": [hidden[1]["id"]]})
    assert len(ids(bot)) == 2
    assert github.control("POST", f"{REPO}/events/release")["released"] == 1
    assert len(ids(bot)) == 3


def test_a_dropped_event_never_comes(github: Github, bot: CheckedClient) -> None:
    github.control("POST", f"{REPO}/events/irregularity", {"drop": True})
    github.open_issue()
    github.clock.tick(days=1)

    assert ids(bot) == []
    assert len(bot.get(f"{REPO}/issues")) == 1


def test_ids_can_go_backwards(github: Github, bot: CheckedClient) -> None:
    github.open_issue()
    github.clock.tick(seconds=1)
    github.control("POST", f"{REPO}/events/irregularity", {"ids": "backwards"})
    github.open_issue()

    newest, oldest = ids(bot)

    assert int(newest) < int(oldest)


def test_equal_timestamps_can_come_in_either_order(github: Github, bot: CheckedClient) -> None:
    for _ in range(3):
        github.open_issue()
    usual = ids(bot)
    wanted = [usual[2], usual[0], usual[1]]

    github.control("POST", f"{REPO}/events/reorder", {"ids": wanted})

    assert ids(bot) == wanted


def test_the_feed_ends_after_300_events_and_refuses_later_pages(
    github: Github, bot: CheckedClient
) -> None:
    state = github.server.state
    for number in range(305):
        github.repository.events.add(
            "WatchEvent",
            actor=state.user(f"user-{number}"),
            payload={"action": "started"},
            now=state.now(),
        )

    pages = [ids(bot, per_page="100", page=str(page)) for page in (1, 2, 3)]
    beyond = bot.send("GET", EVENTS, query={"per_page": "100", "page": "4"})

    assert [len(page) for page in pages] == [100, 100, 100]
    assert beyond.status_code == 422
    assert "pagination is limited" in beyond.json()["message"]
    assert bot.send("GET", EVENTS, query={"page": "10"}).status_code == 200
    assert bot.send("GET", EVENTS, query={"page": "11"}).status_code == 422


def test_events_leave_the_feed_after_thirty_days(github: Github, bot: CheckedClient) -> None:
    github.open_issue()
    github.clock.tick(days=29)
    assert len(ids(bot)) == 1

    github.clock.tick(days=1)
    assert ids(bot) == []


def test_an_event_keeps_what_was_true_when_it_happened(github: Github, bot: CheckedClient) -> None:
    number = github.open_issue(title="before")
    github.control("PATCH", f"{REPO}/issues/{number}", {"actor": "ann", "title": "after"})

    (event,) = bot.get(EVENTS)

    assert event["payload"]["issue"]["title"] == "before"
    assert bot.get(f"{REPO}/issues/{number}")["title"] == "after"


def test_any_event_can_be_put_into_the_feed(github: Github, bot: CheckedClient) -> None:
    payload = {"action": "started"}
    github.control(
        "POST", f"{REPO}/events", {"type": "WatchEvent", "actor": "fan", "payload": payload}
    )

    (event,) = bot.get(EVENTS)

    assert (event["type"], event["actor"]["login"]) == ("WatchEvent", "fan")
    assert "type" not in event["actor"]
