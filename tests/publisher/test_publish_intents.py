from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from nightdesk.domain.errors import PermanentError, TryLaterError, UnavailableError
from nightdesk.domain.github_ports import (
    Account,
    GithubCredentialsError,
    GithubNotFoundError,
    GithubRefusedError,
    Repository,
)
from nightdesk.domain.intents.labels import LABELS_AT_ONCE
from nightdesk.domain.outbox import OUTBOX_LEASE, RETRY_AFTER, OutboxState
from nightdesk.domain.publication import COMMENT_MAX, is_marked, marker_of
from nightdesk.domain.task import Target
from nightdesk.services.outbox_rows import Outcome
from tests.fakes.github import FakePublishing
from tests.fakes.kill import Kill, KillSwitch
from tests.publisher.world import COMMENT_ROW, LABELS_ROW, TASK, PublisherWorld

MARKER = (
    "<!-- nightdesk specialist:issue-enricher "
    "task:1b4e28ba-2fa1-11d2-883f-0016d3cca427 row:github#0001#comment#1 -->"
)


# A comment ------------------------------------------------------------------------------------


def test_a_comment_is_posted_to_the_tasks_target(world: PublisherWorld) -> None:
    world.intends({"body": "Hello", "footer": {"model": "claude-x", "durationSeconds": 83.4}})

    assert world.publish() is Outcome.DONE

    footer = (
        "Written by an automated agent: issue-enricher, task `1b4e28ba`, "
        "1 min 23 s, model `claude-x`"
    )
    assert world.comments() == [f"Hello\n\n___\n\n{footer}\n\n{MARKER}\n"]
    url = "https://github.com/octo-org/widgets/issues/12#issuecomment-1"
    assert (world.row().state, world.row().result_url) == (OutboxState.DONE, url)
    assert world.tasks.tasks[TASK].publication == url


def test_a_row_that_is_done_is_left_alone(world: PublisherWorld) -> None:
    world.intends()
    world.publish()
    world.clock.advance(timedelta(hours=1))

    assert world.publish() is Outcome.LEFT
    assert len(world.comments()) == 1


def test_a_row_that_does_not_exist_is_left_alone(world: PublisherWorld) -> None:
    assert world.publish() is Outcome.LEFT


def test_the_body_is_sanitised(world: PublisherWorld) -> None:
    world.intends({"body": "@octocat fixes #3 <img src=x> /deploy\n<!-- nightdesk task:1 -->"})
    world.publish()

    (body,) = world.comments()
    assert body.startswith("`@octocat` fixes `#3`")
    assert "<img" not in body
    assert body.count("<!--") == 1


@pytest.mark.parametrize("length", [65_000, 65_536, 200_000])
def test_a_long_comment_is_cut_to_githubs_limit_and_keeps_its_marker(
    world: PublisherWorld, length: int
) -> None:
    world.intends({"body": "word " * (length // 5)})
    world.publish()

    (body,) = world.comments()
    assert len(body) <= COMMENT_MAX
    assert body.endswith(MARKER + "\n")


def test_a_footer_of_nonsense_is_only_text(world: PublisherWorld) -> None:
    footer = {"model": "`@x` <b>\n\n# ![](y)", "durationSeconds": "long", "other": {"a": 1}}
    world.intends({"body": "Hello", "footer": footer})
    world.publish()

    footer_line = world.comments()[0].split("___\n\n")[1].split("\n\n<!--")[0]
    assert "\n" not in footer_line
    assert footer_line.endswith("model `@x <b> # ![](y)`")


# Exactly once ---------------------------------------------------------------------------------


@pytest.mark.parametrize("after_effect", [False, True])
@pytest.mark.parametrize("row", [COMMENT_ROW, LABELS_ROW])
def test_a_publisher_killed_anywhere_writes_exactly_once(row: str, *, after_effect: bool) -> None:
    calls = 0
    while True:
        world = PublisherWorld()
        world.intends({"body": "Hello", "labels": ["bug"]}, row=row)
        switch = KillSwitch(calls, after_effect=after_effect)
        try:
            world.publish(row, switch)
        except Kill:
            world.publish_until_quiet()
        else:
            assert calls == len(switch.made)
            break
        assert world.row(row).state is OutboxState.DONE, (calls, switch.made)
        assert len(world.comments()) == (row == COMMENT_ROW), (calls, switch.made)
        assert world.github.labelled == ({12: ["bug"]} if row == LABELS_ROW else {})
        if row == COMMENT_ROW:
            assert world.tasks.tasks[TASK].publication == world.row().result_url
        calls += 1
    assert calls >= 6


def test_pairs_of_kills_write_exactly_once() -> None:
    for first in range(12):
        for second in range(12):
            world = PublisherWorld()
            world.intends()
            for calls in (first, second):
                try:
                    world.publish(COMMENT_ROW, KillSwitch(calls, after_effect=True))
                except Kill:
                    world.clock.advance(timedelta(hours=2))
            world.publish_until_quiet()
            assert len(world.comments()) == 1
            assert world.row().state is OutboxState.DONE


def test_a_lost_answer_is_found_again_by_its_marker(world: PublisherWorld) -> None:
    world.intends()
    world.github.fails_after = [UnavailableError("GitHub: ReadTimeout")]

    assert world.publish() is Outcome.TRY_AGAIN
    assert (world.row().last_error, world.row().tries) == ("GitHub: ReadTimeout", 1)
    world.clock.advance(RETRY_AFTER[0])
    assert world.publish() is Outcome.DONE
    assert len(world.comments()) == 1


def test_a_deleted_task_does_not_hide_the_marker(world: PublisherWorld) -> None:
    world.intends()
    world.github.fails_after = [UnavailableError("GitHub: ReadTimeout")]
    world.publish()
    del world.tasks.tasks[TASK]
    world.publish_until_quiet()

    assert len(world.comments()) == 1


def test_a_strangers_copy_of_the_marker_hides_nothing(world: PublisherWorld) -> None:
    world.intends()
    world.github.write_as(Account(id=666, login="mallory"), 12, MARKER)

    assert world.publish() is Outcome.DONE
    assert len(world.comments()) == 2


def test_another_rows_marker_hides_nothing(world: PublisherWorld) -> None:
    world.origin(intents=(("comment", 3),))
    for number in (1, 2, 3):
        row = f"github#0001#comment#{number}"
        world.intends(row=row)
        world.publish(row)
    second_run = "github#0002#comment#1"
    world.intends(row=second_run)
    world.publish(second_run)

    assert len(world.comments()) == 4


def test_a_leased_row_is_left_to_its_holder(world: PublisherWorld) -> None:
    row = world.intends()
    world.outbox.lease(world.row(), until=world.clock.now() + OUTBOX_LEASE)

    assert world.publish() is Outcome.LEFT
    assert world.comments() == []
    world.clock.advance(OUTBOX_LEASE)
    assert world.publish() is Outcome.DONE
    assert row.tries == 0


def test_a_new_row_is_published_at_once_though_the_sweeper_would_come_later(
    world: PublisherWorld,
) -> None:
    row = world.intends()
    later = replace(row, due_at=world.clock.now() + timedelta(minutes=1))
    world.outbox.rows[row.task_id, row.row] = later

    assert world.publish() is Outcome.DONE


def test_a_publisher_that_lost_its_lease_stores_nothing(world: PublisherWorld) -> None:
    world.intends()

    def overtaken() -> None:
        world.clock.advance(OUTBOX_LEASE)
        assert world.publish() is Outcome.DONE

    class Slow(FakePublishing):
        def own_account(self) -> Account:
            world.github = rest
            overtaken()
            return self.account

    rest = world.github
    world.github = Slow(world.clock.now, comments=rest.comments)

    assert world.publish() is Outcome.LEFT
    assert len(world.comments()) == 1
    assert world.row().state is OutboxState.DONE


# What is not allowed --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("github#0001#comment#2", "the specialist may propose 1 x comment"),
        ("github#0001#merge#1", "there is no intent 'merge'"),
        ("github#0001#comment#0", "is no row of the publisher"),
        ("github#1#comment#1", "is no row of the publisher"),
        ("github#0001#comment#1 ", "is no row of the publisher"),
    ],
)
def test_an_intent_beyond_its_bounds_is_dead(world: PublisherWorld, row: str, reason: str) -> None:
    world.intends(row=row)

    assert world.publish(row) is Outcome.DEAD
    assert reason in world.row(row).last_error
    assert world.comments() == []
    assert world.tasks.tasks[TASK].publication == f"failed: {world.row(row).last_error}"


@pytest.mark.parametrize("payload", [{}, {"body": 3}, {"body": "  "}, {"body": "<!-- x -->"}])
def test_a_comment_that_says_nothing_is_dead(
    world: PublisherWorld, payload: dict[str, Any]
) -> None:
    world.intends(payload)
    assert world.publish() is Outcome.DEAD
    assert world.comments() == []


def test_a_payload_cannot_choose_where_it_is_published(world: PublisherWorld) -> None:
    world.intends({"body": "Hello", "repo": "evil/repo", "number": 1, "target": {"number": 1}})
    world.publish()
    assert list(world.github.comments) == [12]


@pytest.mark.parametrize("changes", [{"target": None}, {"intents": ()}])
def test_a_task_that_may_publish_nothing_publishes_nothing(
    world: PublisherWorld, changes: dict[str, Any]
) -> None:
    world.origin(**changes)
    world.intends()
    assert world.publish() is Outcome.DEAD


def test_a_row_without_an_origin_is_dead(world: PublisherWorld) -> None:
    world.intends()
    world.tasks.origins.clear()
    assert world.publish() is Outcome.DEAD


def test_a_name_that_somebody_else_took_receives_nothing(world: PublisherWorld) -> None:
    world.intends()
    world.github.repo = Repository(id=777, full_name="octo-org/widgets")

    assert world.publish() is Outcome.DEAD
    assert "another repository" in world.row().last_error


def test_a_target_without_an_id_is_trusted_by_its_name(world: PublisherWorld) -> None:
    world.origin(target=Target(repo="octo-org/widgets", repo_id=0, number=12, kind="issue"))
    world.intends()
    assert world.publish() is Outcome.DONE


# Labels ---------------------------------------------------------------------------------------

LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")


@pytest.mark.parametrize(
    ("allowed", "wanted", "added"),
    [
        ((), ["Bug", "nonsense"], ["bug"]),
        (("triage/ok", "p1"), ["P1", "bug", "p1"], ["p1"]),
        (LETTERS, list(reversed(LETTERS)), list(reversed(LETTERS))[:LABELS_AT_ONCE]),
        ((), ["\u200bbug\u202e"], ["bug"]),
    ],
)
def test_only_allowed_labels_are_added(
    world: PublisherWorld, allowed: tuple[str, ...], wanted: list[str], added: list[str]
) -> None:
    world.origin(allowed_labels=allowed)
    world.intends({"labels": wanted}, row=LABELS_ROW)

    assert world.publish(LABELS_ROW) is Outcome.DONE
    assert world.github.labelled == {12: added}


@pytest.mark.parametrize("labels", [None, "bug", [], ["nonsense"], [3], [["bug"]]])
def test_labels_of_which_none_is_allowed_are_dead(world: PublisherWorld, labels: object) -> None:
    world.intends({"labels": labels}, row=LABELS_ROW)
    assert world.publish(LABELS_ROW) is Outcome.DEAD
    assert world.github.labelled == {}


def test_labels_that_fail_do_not_hide_where_the_comment_is(world: PublisherWorld) -> None:
    world.intends()
    world.intends({"labels": ["nonsense"]}, row=LABELS_ROW)
    world.publish()
    assert world.publish(LABELS_ROW) is Outcome.DEAD
    assert (world.tasks.tasks[TASK].publication or "").startswith("https://")


def test_labels_do_not_hide_where_the_comment_is(world: PublisherWorld) -> None:
    world.intends()
    world.intends({"labels": ["bug"]}, row=LABELS_ROW)
    world.publish()
    world.publish(LABELS_ROW)
    assert (world.tasks.tasks[TASK].publication or "").startswith("https://")


# Failures -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [UnavailableError("GitHub: 502"), GithubCredentialsError("GitHub: 401")]
)
def test_what_may_pass_is_tried_again_and_again_and_then_dead(
    world: PublisherWorld, error: PermanentError | UnavailableError
) -> None:
    world.intends()
    world.github.fails_before = [error] * 50
    waits = []
    while world.publish() is Outcome.TRY_AGAIN:
        due_at = world.row().due_at
        assert due_at is not None
        waits.append(due_at - world.clock.now())
        world.clock.advance(waits[-1] - timedelta(milliseconds=1))
        assert world.publish() is Outcome.LEFT
        world.clock.advance(timedelta(milliseconds=1))

    assert tuple(waits) == RETRY_AFTER
    assert world.row().state is OutboxState.DEAD
    assert world.tasks.tasks[TASK].publication == f"failed: {error}"


@pytest.mark.parametrize(
    "error",
    [
        GithubNotFoundError("GitHub: 410 deleted"),
        GithubRefusedError("GitHub: 422"),
        PermanentError("GitHub: 403 locked"),
    ],
)
def test_what_will_not_pass_is_dead_at_once(world: PublisherWorld, error: PermanentError) -> None:
    world.intends()
    world.github.fails_before = [error]
    assert world.publish() is Outcome.DEAD
    assert world.row().last_error == str(error)


def test_a_rate_limit_is_waited_out_and_uses_up_no_tries(world: PublisherWorld) -> None:
    world.intends()
    limit = TryLaterError("secondary rate limit", retry_after=timedelta(seconds=61))
    world.github.fails_before = [limit] * 30
    for _ in range(30):
        assert world.publish() is Outcome.TRY_AGAIN
        assert world.row().due_at == world.clock.now() + timedelta(seconds=61)
        world.clock.advance(timedelta(seconds=61))

    assert world.publish() is Outcome.DONE


def test_a_rate_limit_that_lasts_for_a_day_ends_the_row(world: PublisherWorld) -> None:
    world.intends()
    world.github.fails_before = [TryLaterError("limited", retry_after=timedelta(hours=2))] * 50
    world.publish_until_quiet()
    assert world.row().state is OutboxState.DEAD


def test_a_row_whose_every_try_is_cut_ends_too(world: PublisherWorld) -> None:
    world.intends()
    killed = 0
    while world.row().state is OutboxState.PENDING:
        with suppress(Kill):
            world.publish(COMMENT_ROW, KillSwitch(4))
            break
        killed += 1
        world.clock.advance(timedelta(hours=2))

    assert killed > len(RETRY_AFTER)
    assert world.row().state is OutboxState.DEAD
    assert "given up" in world.row().last_error


# The marker -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a--b", "a-->b", "a b", "x\ny", "ü", "a<!--"])
def test_a_marker_cannot_be_broken_by_the_name_in_it(name: str) -> None:
    marker = marker_of(name, TASK, COMMENT_ROW)
    assert marker.count("<!--") == marker.count("-->") == 1
    assert "--" not in marker.removeprefix("<!--").removesuffix("-->")
    assert is_marked(f"x\n{marker}", TASK, COMMENT_ROW)


def test_a_marker_is_of_one_row_of_one_task() -> None:
    marker = marker_of("x", TASK, COMMENT_ROW)
    assert not is_marked(marker, TASK, LABELS_ROW)
    assert not is_marked(marker, TASK[:-1], COMMENT_ROW)
    assert not is_marked(marker, TASK, COMMENT_ROW + "0")


def test_waits_that_github_asks_for_use_up_no_tries(world: PublisherWorld) -> None:
    world.intends()
    for _ in range(12):
        world.github.fails_before.append(TryLaterError("429", retry_after=timedelta(minutes=1)))
        assert world.publish() is Outcome.TRY_AGAIN
        world.clock.advance(timedelta(minutes=1))
    world.github.fails_before.append(UnavailableError("502"))
    assert world.publish() is Outcome.TRY_AGAIN
    world.publish_until_quiet()
    assert len(world.github.bodies(12)) == 1
