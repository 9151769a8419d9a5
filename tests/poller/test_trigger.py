from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from nightdesk.domain.errors import InvalidInputError
from nightdesk.domain.github_ports import Account, FeedEvent, Repository
from nightdesk.domain.repository_name import is_repository_name, parse_repository_list
from nightdesk.domain.specialist import EventTrigger
from nightdesk.domain.trigger import (
    DefaultTrigger,
    GithubEvent,
    event_of_feed,
    names_event,
    parse_default_triggers,
    task_id_of,
    wants_labels,
)
from tests.fakes.clock import NOON
from tests.fakes.github import issue_event

REPO = Repository(id=501, full_name="octo-org/widgets")
ACTOR = Account(id=7, login="reporter")
LATER = "2026-11-21T12:30:00Z"


def feed_event(kind: str, payload: Mapping[str, Any]) -> FeedEvent:
    return FeedEvent(id="1", type=kind, created_at=NOON, actor=ACTOR, repo_id=501, payload=payload)


def made(kind: str, payload: Mapping[str, Any]) -> GithubEvent:
    event = event_of_feed(feed_event(kind, payload), REPO)
    assert event is not None
    return event


ISSUE = {"id": 1_012, "number": 12, "updated_at": LATER, "closed_at": "2026-11-21T12:20:00Z"}
PULL = {"id": 2_013, "number": 13, "head": {"sha": "a" * 40}}


@pytest.mark.parametrize(
    ("kind", "payload", "key"),
    [
        ("IssuesEvent", {"action": "opened", "issue": ISSUE}, "issue:1012:opened"),
        (
            "IssuesEvent",
            {"action": "closed", "issue": ISSUE},
            "issue:1012:closed:2026-11-21T12:20:00Z",
        ),
        ("IssuesEvent", {"action": "reopened", "issue": ISSUE}, f"issue:1012:reopened:{LATER}"),
        (
            "IssuesEvent",
            {"action": "labeled", "issue": ISSUE, "label": {"name": "bug"}},
            f"issue:1012:labeled:bug:{LATER}",
        ),
        (
            "IssueCommentEvent",
            {"action": "created", "issue": ISSUE, "comment": {"id": 31, "updated_at": LATER}},
            "comment:31:created",
        ),
        (
            "IssueCommentEvent",
            {"action": "edited", "issue": ISSUE, "comment": {"id": 31, "updated_at": LATER}},
            f"comment:31:edited:{LATER}",
        ),
        (
            "PullRequestEvent",
            {"action": "opened", "pull_request": PULL},
            f"pr:2013:head:{'a' * 40}",
        ),
        (
            "PullRequestEvent",
            {"action": "synchronize", "pull_request": PULL},
            f"pr:2013:head:{'a' * 40}",
        ),
    ],
)
def test_the_natural_key_names_the_object_and_not_the_delivery(
    kind: str, payload: dict[str, Any], key: str
) -> None:
    assert made(kind, payload).key == key


def test_a_comment_on_a_pull_request_is_about_the_pull_request() -> None:
    issue = {**ISSUE, "pull_request": {"url": "…"}}
    event = made("IssueCommentEvent", {"action": "created", "issue": issue, "comment": {"id": 1}})
    assert (event.kind, event.number) == ("pull_request", 12)


def test_the_same_event_makes_the_same_task_id_whatever_its_own_id() -> None:
    first, second, other = (
        made("IssuesEvent", issue_event(event_id, number, NOON).payload)
        for event_id, number in (("1", 12), ("2", 12), ("3", 13))
    )
    assert task_id_of("default", first, "enricher") == task_id_of("default", second, "enricher")
    # Fixed for ever: another value would start every known event once more.
    assert task_id_of("default", first, "enricher") == "a407bfb3-b211-5819-beee-5de424292c8c"
    ids = {
        task_id_of("default", first, "enricher"),
        task_id_of("default", other, "enricher"),
        task_id_of("other", first, "enricher"),
        task_id_of("default", first, "critic"),
        task_id_of("default", replace(first, repo=replace(REPO, id=502)), "enricher"),
    }
    assert len(ids) == 5


def test_a_rename_does_not_change_the_task_id() -> None:
    event = made("IssuesEvent", {"action": "opened", "issue": ISSUE})
    renamed = replace(event, repo=replace(REPO, full_name="octo-org/gadgets"))
    assert task_id_of("default", event, "x") == task_id_of("default", renamed, "x")


# Matching -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trigger", "matches"),
    [
        (EventTrigger(event="issues"), True),
        (EventTrigger(event="issues", actions=("opened", "reopened")), True),
        (EventTrigger(event="issues", actions=("closed",)), False),
        (EventTrigger(event="pull_request", actions=("opened",)), False),
    ],
)
def test_event_and_action_must_both_match(trigger: EventTrigger, *, matches: bool) -> None:
    event = made("IssuesEvent", {"action": "opened", "issue": ISSUE})
    assert names_event(trigger, event) is matches


def test_a_labeled_event_counts_for_the_label_that_was_added() -> None:
    payload = {"action": "labeled", "issue": ISSUE, "label": {"name": "docs"}}
    event = made("IssuesEvent", payload)
    trigger = EventTrigger(event="issues", labels=("enrich",))
    assert not wants_labels(trigger, event, ("enrich", "docs"))
    assert wants_labels(replace(trigger, labels=("docs",)), event, ("enrich",))


# Settings -------------------------------------------------------------------------------------

OPENED = DefaultTrigger(
    specialist="issue-enricher", trigger=EventTrigger(event="issues", actions=("opened",))
)


@pytest.mark.parametrize(
    ("text", "triggers"),
    [
        ("", ()),
        ("[]", ()),
        ('{"issues.opened": "issue-enricher"}', (OPENED,)),
        (
            '[{"event":"issues","actions":["opened"],"labels":[],"specialist":"issue-enricher"}]',
            (OPENED,),
        ),
        (
            '[{"event":"issues","labels":["a"],"specialist":"x"}]',
            (DefaultTrigger(specialist="x", trigger=EventTrigger(event="issues", labels=("a",))),),
        ),
    ],
)
def test_default_triggers_are_read(text: str, triggers: tuple[DefaultTrigger, ...]) -> None:
    assert parse_default_triggers(text) == triggers


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "it is not JSON"),
        ("3", "a JSON list, or an object, is expected"),
        ('["issues"]', '"issues": expected'),
        ('[{"event": "issues"}]', '{"event": "issues"}: expected'),
        ('[{"event": "issues", "specialist": "x", "actions": "opened"}]', "expected"),
        ('{"issues.opened": 3}', '"issues.opened": expected'),
    ],
)
def test_a_wrong_default_trigger_is_a_clear_error(text: str, message: str) -> None:
    with pytest.raises(InvalidInputError) as raised:
        parse_default_triggers(text)
    assert raised.value.field == "DEFAULT_TRIGGERS"
    assert message in str(raised.value)


@pytest.mark.parametrize("name", ["octo-org/widgets", "o/r.js", "a1/.github", "enterprise_x/a_b"])
def test_names_of_repositories(name: str) -> None:
    assert is_repository_name(name)


@pytest.mark.parametrize(
    "name", ["", "widgets", "a/b/c", "/a", "a/", "a/..", "a/.", "a b/c", "a/b?x", "a/b%2f", "../b"]
)
def test_what_is_no_name_of_a_repository(name: str) -> None:
    assert not is_repository_name(name)


def test_a_repository_that_is_listed_twice_is_polled_once() -> None:
    listed = parse_repository_list(" o/a ,O/A,, o/b , x ,x")
    assert (listed.names, listed.malformed) == (("o/a", "o/b"), ("x",))
