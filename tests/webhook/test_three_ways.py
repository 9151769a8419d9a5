"""An event comes by webhook, in the feed and in the lists, in any order: it is one task."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from nightdesk.domain.github_ports import Change
from nightdesk.domain.specialist import EventTrigger
from nightdesk.services.reconcile import EVERY
from tests.fakes.github import AUTHOR, issue_facts
from tests.webhook.world import WebhookWorld, account, as_in_feed, issue, payload, pull

OLD, NEW = "a" * 40, "b" * 40
NUMBER = 12
ORDERS = tuple(permutations(("webhook", "feed", "lists")))


@dataclass(frozen=True)
class Way:
    """What GitHub sends of the event, at a time; `listed` is the action that its making had."""

    event: str
    kind: str
    sent: Callable[[str], dict[str, Any]]
    listed: str
    head: str = ""


def _comment(at: str) -> dict[str, Any]:
    comment = {
        "id": 31,
        "body": "What about this?",
        "user": account(AUTHOR.id, AUTHOR.login),
        "author_association": "MEMBER",
        "created_at": at,
        "updated_at": at,
    }
    return payload("created", issue=issue(NUMBER, updated_at=at), comment=comment)


def _pull(action: str, at: str, created: str) -> dict[str, Any]:
    whole = pull(NUMBER, created_at=created, updated_at=at)
    return payload(action, pull_request={**whole, "head": {**whole["head"], "sha": NEW}})


EVENTS = [
    Way(
        "issues",
        "IssuesEvent",
        lambda at: payload("opened", issue=issue(NUMBER, created_at=at, updated_at=at)),
        "opened",
    ),
    Way("issue_comment", "IssueCommentEvent", _comment, "created"),
    Way("pull_request", "PullRequestEvent", lambda at: _pull("opened", at, at), "opened", NEW),
    Way(
        "pull_request",
        "PullRequestEvent",
        lambda at: _pull("synchronize", at, "2026-11-01T12:00:00Z"),
        "opened",
        NEW,
    ),
]


def in_list(way: Way, sent: dict[str, Any], world: WebhookWorld) -> Change:
    item = as_in_feed("listed", way.kind, {**sent, "action": way.listed})
    facts = issue_facts(NUMBER, is_pull_request=bool(way.head))
    return Change(item=item, facts=facts, updated_at=world.clock.now(), head_sha=way.head)


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
@pytest.mark.parametrize("way", EVENTS, ids=lambda way: f"{way.event}.{way.sent('')['action']}")
def test_it_is_one_task(world: WebhookWorld, way: Way, order: tuple[str, ...]) -> None:
    world.wants("asker", EventTrigger(event=way.event))
    world.source.issues[NUMBER] = issue_facts(NUMBER, is_pull_request=bool(way.head))
    world.watch()
    text = world.clock.now().isoformat().replace("+00:00", "Z")
    sent = way.sent(text)
    if sent["action"] == "synchronize":  # its pull request was known with another head
        before = _pull("opened", "2026-11-01T12:00:00Z", "2026-11-01T12:00:00Z")
        known = in_list(Way("", way.kind, way.sent, "opened", OLD), before, world)
        world.source.changed = [known]
        world.clock.advance(EVERY)
        world.poll()
    for channel in order:
        world.clock.advance(EVERY)
        match channel:
            case "webhook":
                world.deliver(way.event, sent)
            case "feed":
                world.source.events.append(as_in_feed("e1", way.kind, sent))
                world.poll()
            case _:
                world.source.changed = [in_list(way, sent, world)]
                world.poll()
        started = [task for task in world.tasks.tasks.values() if task.agent_id == "asker"]
        assert len(started) == 1, channel
    world.clock.advance(timedelta(hours=1))
    world.poll()
    assert world.agents().count("asker") == 1


def _labeled(kind: str, at: str) -> dict[str, Any]:
    subject = pull if kind == "pull_request" else issue
    long_ago = "2026-11-01T12:00:00Z"
    whole = subject(NUMBER, created_at=long_ago, updated_at=at)
    return payload("labeled", label={"name": "review"}, **{kind: whole})


@pytest.mark.parametrize("apart", [0, 1, 7, 29, 30])
@pytest.mark.parametrize("second", [0, 15, 29, 30, 45, 59])
@pytest.mark.parametrize("first", ["webhook", "feed"])
@pytest.mark.parametrize("kind", ["pull_request", "issue"])
def test_a_label_whose_time_the_channels_tell_differently_is_one_task(
    world: WebhookWorld, kind: str, first: str, second: int, apart: int
) -> None:
    event = "pull_request" if kind == "pull_request" else "issues"
    world.wants("asker", EventTrigger(event=event, actions=("labeled",)))
    world.source.issues[NUMBER] = issue_facts(
        NUMBER, is_pull_request=kind == "pull_request", labels=("review",)
    )
    world.watch()
    at = world.clock.now().replace(second=second)
    later = at + timedelta(seconds=apart)
    feed_kind = "PullRequestEvent" if kind == "pull_request" else "IssuesEvent"
    for channel in (first, "feed" if first == "webhook" else "webhook"):
        told = _labeled(kind, (at if channel == "webhook" else later).isoformat())
        if channel == "webhook":
            world.deliver(event, told)
        else:
            world.source.events.append(as_in_feed("e1", feed_kind, told))
        world.clock.advance(EVERY)
        world.poll()

    assert world.agents().count("asker") == 1

    world.clock.advance(timedelta(minutes=3))
    again = _labeled(kind, (at + timedelta(minutes=2)).isoformat())
    world.deliver(event, again)
    assert world.agents().count("asker") == 2
