from dataclasses import replace
from typing import Any

import pytest

from nightdesk.domain.command import COMMANDS_MAX, Command, commands_in
from nightdesk.domain.name_filter import NameFilter
from nightdesk.domain.specialist import EventTrigger
from nightdesk.domain.specialist_document import SpecialistFileError, specialist_from
from nightdesk.domain.untrusted_text import fenced_parts
from tests.fakes.github import AUTHOR, US
from tests.webhook.world import WebhookWorld, account, as_in_feed, issue, payload, pull


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("/nightdesk enricher", (Command("enricher"),)),
        (
            "/nightdesk  enricher  look at the cache \r\nplease",
            (Command("enricher", "look at the cache"),),
        ),
        ("Thanks!\n/Nightdesk enricher", (Command("enricher"),)),
        ("@Night-Bot enricher now", (Command("enricher", "now"),)),
        ("/nightdesk a\n/nightdesk b\n/nightdesk a again", (Command("a"), Command("b"))),
        ("/nightdesk", ()),
        ("/nightdeskenricher", ()),
        ("/nightdesk ../enricher", ()),
        ("please /nightdesk enricher", ()),
        ("@night-bots enricher", ()),
        ("> /nightdesk enricher", ()),
        ("    /nightdesk enricher", ()),
        ("```\n/nightdesk enricher\n```", ()),
        ("~~~\n```\n/nightdesk enricher\n~~~\n/nightdesk b", (Command("b"),)),
        ("<!--\n/nightdesk enricher\n-->", ()),
        (
            "\n".join(f"/nightdesk s{n}" for n in range(9)),
            tuple(Command(f"s{n}") for n in range(COMMANDS_MAX)),
        ),
    ],
)
def test_commands_begin_their_line(text: str, commands: tuple[Command, ...]) -> None:
    assert commands_in(text, handle="night-bot") == commands


@pytest.mark.parametrize(
    "text",
    [
        "> hello\u2028/nightdesk enricher do evil",
        "> hello\u2029/nightdesk enricher do evil",
        "> hello\x0b/nightdesk enricher do evil",
        "> hello\x85/nightdesk enricher do evil",
        "```\n```js\n/nightdesk enricher x\n```",
        "````\n```\n/nightdesk enricher x\n````",
        "~~~\n```\n/nightdesk enricher x\n~~~",
    ],
)
def test_what_a_page_shows_as_quoted_or_as_code_is_no_command(text: str) -> None:
    assert commands_in(text) == ()


def test_a_command_after_a_block_that_has_ended_counts() -> None:
    assert commands_in("```\nx\n`````  \n/nightdesk enricher") == (Command("enricher"),)


def test_without_a_handle_a_mention_is_no_command() -> None:
    assert commands_in("@ enricher\n@night-bot enricher") == ()


def comment(body: str, association: str = "MEMBER", **changes: Any) -> dict[str, Any]:
    author = account(AUTHOR.id, AUTHOR.login)
    whole = {"id": 31, "body": body, "user": author, "author_association": association}
    sent = {"comment": {**whole, "updated_at": "2026-11-21T12:00:00Z"}, "issue": issue(12)}
    return payload("created", **{**sent, **changes})


@pytest.mark.parametrize("way", ["webhook", "poll"])
def test_a_members_command_starts_its_specialist_by_either_way(
    world: WebhookWorld, way: str
) -> None:
    sent = comment("/nightdesk enricher only the cache, please")
    world.watch()
    world.happens(12, event_id="old", action="pinned")
    if way == "webhook":
        world.deliver("issue_comment", sent)
    else:
        later = world.clock.now()
        item = as_in_feed("e1", "IssueCommentEvent", sent)
        world.source.events.append(replace(item, created_at=later))
        world.poll()

    (task,) = world.tasks.tasks.values()
    assert task.agent_id == "enricher"
    origin = world.tasks.origins[task.id]
    assert origin.tracking == "task", "who asks gets an answer below the question"
    parts = {part.label: part.text for part in fenced_parts(origin.prompt)}
    assert parts["request"].strip() == "only the cache, please"


@pytest.mark.parametrize("association", ["NONE", "CONTRIBUTOR", "FIRST_TIMER", ""])
def test_a_strangers_command_starts_nothing(world: WebhookWorld, association: str) -> None:
    answer = world.deliver("issue_comment", comment("/nightdesk enricher", association))
    assert answer.body == {"ok": True, "taskIds": [], "ignored": "actor"}


def test_our_own_words_and_a_bots_start_nothing(world: WebhookWorld) -> None:
    own = frozenset({US.id})
    world.settings = replace(world.settings, own_account_ids=own)
    for sender, ignored in ((account(US.id, US.login), "own"), (account(5, "b", "Bot"), "bot")):
        sent = comment("/nightdesk enricher", sender=sender)
        assert world.deliver("issue_comment", sent).body["ignored"] == ignored
    marked = comment("/nightdesk enricher\n<!-- nightdesk task:1 -->")
    assert world.deliver("issue_comment", marked).body["ignored"] == "own"


def test_an_unknown_specialist_is_named_as_the_reason(world: WebhookWorld) -> None:
    answer = world.deliver("issue_comment", comment("/nightdesk nobody"))
    assert answer.body["ignored"] == "unknown_specialist"


def test_an_edited_comment_commands_nothing(world: WebhookWorld) -> None:
    sent = {**comment("/nightdesk enricher"), "action": "edited"}
    assert world.deliver("issue_comment", sent).body["ignored"] == "no_trigger"


def test_a_command_on_a_pull_request_is_about_the_pull_request(world: WebhookWorld) -> None:
    on_pull = issue(13, pull_request={"url": "https://api.github.com/x"})
    world.deliver("issue_comment", comment("/nightdesk enricher", issue=on_pull))
    (origin,) = world.tasks.origins.values()
    assert origin.target is not None
    assert (origin.target.kind, origin.target.number) == ("pull_request", 13)


# Filters --------------------------------------------------------------------------------------

OPENED = EventTrigger(event="pull_request", actions=("opened",))
FORK = {"head": {"ref": "x", "sha": "b" * 40, "repo": {"id": 7}}}
GONE = {"head": {"ref": "x", "sha": "b" * 40, "repo": None}}


@pytest.mark.parametrize(
    ("trigger", "changes", "ignored"),
    [
        (OPENED, {"draft": True}, None),
        (replace(OPENED, drafts=False), {"draft": True}, "draft"),
        (replace(OPENED, drafts=False), {"draft": False}, None),
        (OPENED, FORK, None),
        (replace(OPENED, forks=False), FORK, "fork"),
        (replace(OPENED, forks=False), GONE, "fork"),
        (replace(OPENED, forks=False), {}, None),
        (replace(OPENED, branches=NameFilter(("main",))), {}, None),
        (replace(OPENED, branches=NameFilter(("release/*", "ma?in"))), {}, None),
        (replace(OPENED, branches=NameFilter(("release/*",))), {}, "branch"),
        (replace(OPENED, labels=("go",)), {}, "labels"),
        (replace(OPENED, labels=("go",)), {"labels": [{"name": "go"}]}, None),
    ],
)
def test_filters_of_pull_requests(
    world: WebhookWorld, trigger: EventTrigger, changes: dict[str, Any], ignored: str | None
) -> None:
    world.wants("reviewer", trigger)
    sent = payload("opened", pull_request=pull(13, **changes))
    assert world.deliver("pull_request", sent).body.get("ignored") == ignored


def triggers(on: Any) -> tuple[EventTrigger, ...]:
    return specialist_from({"name": "R", "on": on}, "Review.", file_id="r").triggers


def test_filters_are_read_from_the_file() -> None:
    on = {"pull_request": {"branches": ["main", "release/*"], "drafts": False, "forks": False}}
    expected = EventTrigger(
        event="pull_request",
        branches=NameFilter(("main", "release/*")),
        drafts=False,
        forks=False,
    )
    assert triggers(on) == (expected,)
    assert triggers({"pull_request": {"branches": "main"}})[0].branches == NameFilter(("main",))


@pytest.mark.parametrize(
    "on",
    [
        {"issues": {"drafts": False}},
        {"pull_request": {"drafts": "no"}},
        {"pull_request": {"branches": []}},
        {"pull_request": {"branches": [1]}},
        {"pull_request": {"paths": ["!src"]}},
        {"issues": {"paths": ["src"]}},
    ],
)
def test_a_wrong_filter_is_a_clear_error(on: dict[str, Any]) -> None:
    with pytest.raises(SpecialistFileError, match=r"on\.(issues|pull_request)\."):
        triggers(on)
