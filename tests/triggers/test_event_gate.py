"""What is asked of GitHub before an event starts something: permissions, files, rules."""

from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import pytest

from nightdesk.domain.errors import PermanentError, TryLaterError, UnavailableError
from nightdesk.domain.gate_ports import ChangedPaths, Permission
from nightdesk.domain.name_filter import NameFilter
from nightdesk.domain.repository_rules import Narrowing, RepositoryRules
from nightdesk.domain.specialist import (
    READING_TOOLS,
    Audience,
    Concurrency,
    ConcurrencyGroup,
    EventTrigger,
    OnConflict,
)
from nightdesk.domain.task import TaskStatus
from nightdesk.services.explain_event import explain
from tests.fakes.github import AUTHOR, US
from tests.webhook.test_commands import comment
from tests.webhook.world import WebhookWorld, account, issue, payload, pull

ADMIN = Permission("admin", "admin")
WRITE = Permission("write", "write")
TRIAGE = Permission("read", "triage")
OPENED = EventTrigger(event="pull_request", actions=("opened",))
COMMENTED = EventTrigger(event="issue_comment")
COMMAND = "/nightdesk enricher"


@pytest.fixture
def world() -> WebhookWorld:
    return WebhookWorld()


def details(world: WebhookWorld, number: int) -> list[tuple[str, str]]:
    rows = explain("octo-org/widgets", number, world.decisions)["decisions"]
    return [(row["outcome"], row.get("detail", "")) for row in rows]


def ignored(world: WebhookWorld, event: str, sent: dict[str, Any]) -> str | None:
    answer = world.deliver(event, sent)
    assert answer.status is HTTPStatus.ACCEPTED, answer.body
    return answer.body.get("ignored")


# Paths ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trigger", "paths", "reason"),
    [
        (replace(OPENED, paths=NameFilter(("src/**",))), ("src/a.py", "b.md"), None),
        (replace(OPENED, paths=NameFilter(("src/**",))), ("docs/a.md",), "paths"),
        (replace(OPENED, paths=NameFilter(("**", "!**/*.md"))), ("docs/a.md",), "paths"),
        (replace(OPENED, paths_ignore=NameFilter(("docs/**",))), ("docs/a.md",), "paths"),
        (replace(OPENED, paths_ignore=NameFilter(("docs/**",))), ("docs/a.md", "b"), None),
        (replace(OPENED, paths=NameFilter(("**",))), (), "paths"),
    ],
)
def test_changed_files_decide(
    world: WebhookWorld, trigger: EventTrigger, paths: tuple[str, ...], reason: str | None
) -> None:
    world.wants("reviewer", trigger)
    world.gate_reader.changed[13] = ChangedPaths(paths)
    assert ignored(world, "pull_request", payload("opened", pull_request=pull(13))) == reason


def test_files_are_read_only_where_somebody_asks_for_them(world: WebhookWorld) -> None:
    world.wants("reviewer", OPENED)
    asking = replace(OPENED, paths=NameFilter(("**",)), drafts=False)
    world.wants("asking", asking)
    world.deliver("pull_request", payload("opened", pull_request=pull(13, draft=True)))
    assert world.agents() == ["reviewer"]
    assert not [call for call in world.gate_reader.calls if call.startswith("files")]


def test_what_is_read_for_one_specialist_serves_the_others(world: WebhookWorld) -> None:
    for name in ("a", "b"):
        world.wants(name, replace(OPENED, paths=NameFilter(("src/**",))))
    world.gate_reader.changed[13] = ChangedPaths(("src/a",))
    world.deliver("pull_request", payload("opened", pull_request=pull(13)))
    assert world.agents() == ["a", "b"]
    assert world.gate_reader.calls == ["rules octo-org/widgets", "files octo-org/widgets 13"]


def test_a_list_of_files_that_is_cut_says_so(world: WebhookWorld) -> None:
    world.wants("reviewer", replace(OPENED, paths=NameFilter(("src/**",))))
    world.gate_reader.changed[13] = ChangedPaths(("a", "b"), is_complete=False)
    world.deliver("pull_request", payload("opened", pull_request=pull(13)))
    assert details(world, 13) == [("paths", "none of the first 2 changed files matches")]


@pytest.mark.parametrize(
    "error",
    [
        UnavailableError("GitHub: 502"),
        TryLaterError("GitHub: 429", retry_after=timedelta(seconds=60)),
    ],
)
def test_files_that_cannot_be_read_now_are_read_again_and_nothing_is_skipped(
    world: WebhookWorld, error: UnavailableError | TryLaterError
) -> None:
    world.wants("reviewer", replace(OPENED, paths=NameFilter(("src/**",))))
    world.gate_reader.changed[13] = ChangedPaths(("src/a",))
    sent = payload("opened", pull_request=pull(13))
    world.gate_reader.failures = [None, error]
    answer = world.deliver("pull_request", sent)
    assert (answer.status, answer.body["state"]) == (HTTPStatus.ACCEPTED, "deferred")
    assert details(world, 13) == [("deferred", str(error))]
    assert world.agents() == []

    world.clock.advance(world.settings.interval)
    assert ignored(world, "pull_request", sent) is None
    assert world.agents() == ["reviewer"]


def test_a_poll_defers_what_it_cannot_decide_now(world: WebhookWorld) -> None:
    world.watch()
    world.happens(1)
    world.gate_reader.failures = [UnavailableError("GitHub: 502")]
    assert world.poll_one()["skipped"] == {"deferred": 1}
    world.clock.advance(world.settings.interval)
    assert world.poll_one()["eventsProcessed"] == 1


def test_files_that_may_not_be_read_are_a_reason_that_people_see(world: WebhookWorld) -> None:
    world.wants("reviewer", replace(OPENED, paths=NameFilter(("src/**",))))
    world.gate_reader.failures = [None, PermanentError("GitHub: 403")]
    sent = payload("opened", pull_request=pull(13))
    assert ignored(world, "pull_request", sent) == "unreadable"
    assert details(world, 13) == [("unreadable", "the changed files: GitHub: 403")]


# Permissions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("association", ["NONE", "CONTRIBUTOR", "", "MANNEQUIN"])
@pytest.mark.parametrize("permission", [ADMIN, WRITE, TRIAGE, Permission("read", "read")])
def test_a_command_is_taken_from_whom_github_lets_triage(
    world: WebhookWorld, association: str, permission: Permission
) -> None:
    world.gate_reader.permissions[AUTHOR.id] = permission
    refused = None if permission.triages else "actor"
    assert ignored(world, "issue_comment", comment(COMMAND, association)) == refused


def test_a_members_command_to_read_asks_for_no_permission(world: WebhookWorld) -> None:
    assert ignored(world, "issue_comment", comment(COMMAND, "MEMBER")) is None
    assert not [call for call in world.gate_reader.calls if call.startswith("permission")]


@pytest.mark.parametrize(
    ("permission", "refused"), [(WRITE, None), (TRIAGE, "actor"), (Permission(), "actor")]
)
def test_a_command_that_can_write_needs_the_right_to_write(
    world: WebhookWorld, permission: Permission, refused: str | None
) -> None:
    world.wants("enricher", EventTrigger(event="issues"), intents=(("comment", 1), ("labels", 1)))
    world.gate_reader.permissions[AUTHOR.id] = permission
    assert ignored(world, "issue_comment", comment(COMMAND, "OWNER")) == refused


def test_a_permission_that_cannot_be_read_refuses_and_says_so(world: WebhookWorld) -> None:
    world.gate_reader.failures = [None, PermanentError("GitHub: 403")]
    assert ignored(world, "issue_comment", comment(COMMAND, "NONE")) == "actor"
    reason = "the actor's permission cannot be read: GitHub: 403"
    assert details(world, 12) == [("actor", reason)]


def test_the_editor_of_a_comment_is_who_is_asked_about(world: WebhookWorld) -> None:
    world.wants("watcher", EventTrigger(event="issue_comment", actions=("edited",)))
    editor = account(71, "mallory")
    sent = {**comment("x", "OWNER"), "action": "edited", "sender": editor}
    assert ignored(world, "issue_comment", sent) == "actor"
    assert "permission octo-org/widgets mallory" in world.gate_reader.calls
    world.gate_reader.permissions[71] = WRITE
    world.clock.advance(world.settings.interval)
    sent["comment"] = {**sent["comment"], "updated_at": "2026-11-21T12:09:00Z"}
    assert ignored(world, "issue_comment", sent) is None


def test_who_labels_anothers_issue_is_looked_up(world: WebhookWorld) -> None:
    world.wants(
        "asker", EventTrigger(event="issues", actions=("labeled",)), audience=Audience.MEMBERS
    )
    labeled = payload(
        "labeled",
        issue=issue(12, updated_at="2026-11-21T12:30:00Z"),
        label={"name": "go"},
        sender=account(72, "ann"),
    )
    assert ignored(world, "issues", labeled) == "actor"
    world.gate_reader.permissions[72] = TRIAGE
    assert ignored(world, "issues", labeled) is None


def test_a_specialist_for_members_is_not_started_by_a_stranger(world: WebhookWorld) -> None:
    opened = EventTrigger(event="issues", actions=("opened",))
    world.wants("shy", opened, audience=Audience.MEMBERS)
    world.wants("asker", opened, tools=(*READING_TOOLS, "ask_person"))
    world.wants("open", opened)
    world.deliver("issues", payload("opened", issue=issue(12)))
    assert world.agents() == ["enricher", "open"]


@pytest.mark.parametrize(
    ("trigger", "changes", "reason"),
    [
        (replace(COMMENTED, locked=False), {"locked": True}, "locked"),
        (replace(COMMENTED, locked=False), {}, None),
        (COMMENTED, {"locked": True}, None),
        (replace(COMMENTED, closed=False), {"state": "closed"}, "closed"),
        (COMMENTED, {"state": "closed"}, None),
    ],
)
def test_locked_and_closed_are_filters(
    world: WebhookWorld, trigger: EventTrigger, changes: dict[str, Any], reason: str | None
) -> None:
    world.wants("watcher", trigger)
    sent = comment("x", "OWNER", issue=issue(12, **changes))
    assert ignored(world, "issue_comment", sent) == reason


# The repository's rules -----------------------------------------------------------------------


def test_a_broken_file_starts_nothing_and_says_where(world: WebhookWorld) -> None:
    world.gate_reader.found = RepositoryRules(problem="nightdesk.yml: not valid YAML, line 3")
    assert ignored(world, "issues", payload("opened", issue=issue(12))) == "rules_broken"
    assert ignored(world, "issue_comment", comment(COMMAND, "OWNER")) == "rules_broken"
    reason = ("rules_broken", "nightdesk.yml: not valid YAML, line 3")
    assert details(world, 12) == [reason, reason]
    assert world.agents() == []


def test_rules_that_may_not_be_read_start_nothing(world: WebhookWorld) -> None:
    world.gate_reader.failures = [PermanentError("GitHub: 403")]
    assert ignored(world, "issues", payload("opened", issue=issue(12))) == "unreadable"
    assert details(world, 12) == [("unreadable", "the repository's rules: GitHub: 403")]


def test_the_key_that_leaves_an_event_out_is_named(world: WebhookWorld) -> None:
    own = Narrowing(labels=("go",), commands=False)
    world.gate_reader.found = RepositoryRules(by_specialist={"enricher": own})
    assert ignored(world, "issues", payload("opened", issue=issue(12))) == "rules"
    world.clock.advance(world.settings.interval)
    assert ignored(world, "issue_comment", comment(COMMAND, "OWNER")) == "rules"
    assert details(world, 12) == [
        ("rules", "nightdesk.yml: specialists.enricher.commands"),
        ("rules", "nightdesk.yml: specialists.enricher.labels"),
    ]


def test_rules_lower_what_a_task_may_do(world: WebhookWorld) -> None:
    world.gate_reader.found = RepositoryRules(everybody=Narrowing(intents=(("comment", 0),)))
    world.deliver("issues", payload("opened", issue=issue(12)))
    (origin,) = world.tasks.origins.values()
    assert origin.intents == (("comment", 0),)


# Nothing that is left out touches what runs ---------------------------------------------------


FILTERED: dict[str, dict[str, Any]] = {
    "labels": {"trigger": {"labels": ("never",)}},
    "own": {"own": True},
    "bot": {"sender": account(5, "b[bot]", "Bot")},
    "actor": {"changes": {"audience": Audience.MEMBERS}},
    "rules": {"rules": RepositoryRules(everybody=Narrowing(enabled=False))},
    "rules_broken": {"rules": RepositoryRules(problem="x")},
    "paths": {"trigger": {"paths": NameFilter(("never",))}},
    "draft": {"trigger": {"drafts": False}, "pull": {"draft": True}},
    "branch": {"trigger": {"branches": NameFilter(("never",))}},
    "too_many": {"most": 1},
    "already_started": {"pull": {}},
}


@pytest.mark.parametrize("reason", FILTERED)
def test_an_event_that_is_left_out_ends_no_task_of_its_group(
    world: WebhookWorld, reason: str
) -> None:
    case = FILTERED[reason]
    concurrency = Concurrency(group=ConcurrencyGroup.ISSUE, on_conflict=OnConflict.SUPERSEDE)
    world.wants("reviewer", EventTrigger(event="pull_request"), concurrency=concurrency)
    assert ignored(world, "pull_request", payload("opened", pull_request=pull(13))) is None
    (first,) = world.tasks.tasks.values()

    trigger = EventTrigger(event="pull_request", **case.get("trigger", {}))
    world.wants("reviewer", trigger, concurrency=concurrency, **case.get("changes", {}))
    world.gate_reader.found = case.get("rules", world.gate_reader.found)
    own = frozenset({US.id}) if case.get("own") else frozenset[int]()
    world.settings = replace(world.settings, own_account_ids=own)
    world.tasks_per_hour = case.get("most", 10)
    head = {"ref": "topic", "sha": "c" * 40, "repo": {"id": 501}}
    changes = {"head": head} if reason != "already_started" else {}
    sender = account(US.id, US.login) if own else case.get("sender", account(7, "reporter"))
    sent = payload(
        "synchronize", pull_request=pull(13, **changes, **case.get("pull", {})), sender=sender
    )
    assert ignored(world, "pull_request", sent) == reason

    after = world.tasks.tasks[first.id]
    assert (after.status, after.cancel_requested) == (TaskStatus.PENDING, False)
    assert after.superseded_by is None
    assert len(world.tasks.tasks) == 1


def test_a_pull_request_that_is_opened_with_all_that_goes_with_it_is_one_task(
    world: WebhookWorld,
) -> None:
    world.wants("reviewer", EventTrigger(event="pull_request"))
    for action, more in (
        ("opened", {}),
        ("labeled", {"label": {"name": "a"}}),
        ("assigned", {"assignee": account(1, "x")}),
        ("review_requested", {"requested_reviewer": account(1, "x")}),
    ):
        world.deliver("pull_request", payload(action, pull_request=pull(13), **more))
    assert world.agents() == ["reviewer"]
