"""A new issue: one, in the task's own repository, with allowed labels only."""

from contextlib import suppress
from typing import Any

import pytest

from nightdesk.domain.errors import UnavailableError
from nightdesk.domain.outbox import OutboxState
from nightdesk.services.outbox_rows import Outcome
from tests.fakes.kill import Kill, KillSwitch
from tests.publisher.world import PublisherWorld

ROW = "github#0001#issue#1"
PAYLOAD = {"title": "Closes #3 @ann", "body": "It **leaks**. Fixes #3.", "labels": ["BUG", "x"]}


def issues() -> PublisherWorld:
    world = PublisherWorld()
    world.origin(intents=(("issue", 1),))
    world.intends(PAYLOAD, row=ROW)
    return world


def test_an_issue_is_opened_with_its_labels_and_nothing_that_reaches_others() -> None:
    world = issues()
    assert world.publish(ROW) is Outcome.DONE

    ((_, issue, (title, labels)),) = world.github.opened
    assert (title, labels) == ("Closes `#3` `@ann`", ["bug"])
    assert issue.body.startswith("It **leaks**. Fixes `#3`.")
    assert world.row(ROW).result_url == issue.url


@pytest.mark.parametrize("after_effect", [False, True])
def test_a_publisher_killed_anywhere_opens_one_issue(*, after_effect: bool) -> None:
    for calls in range(14):
        world = issues()
        with suppress(Kill):
            world.publish(ROW, KillSwitch(calls, after_effect=after_effect))
        world.publish_until_quiet()
        assert len(world.github.opened) == 1, calls
        assert world.row(ROW).state is OutboxState.DONE


def test_a_lost_answer_opens_one_issue() -> None:
    world = issues()
    world.github.fails_after = [UnavailableError("GitHub: ReadTimeout")]
    world.publish_until_quiet()
    assert len(world.github.opened) == 1


@pytest.mark.parametrize(
    ("payload", "intents"),
    [
        (PAYLOAD, (("comment", 1),)),
        ({**PAYLOAD, "title": ""}, (("issue", 1),)),
        ({**PAYLOAD, "title": 3}, (("issue", 1),)),
        ({**PAYLOAD, "body": "<!-- -->"}, (("issue", 1),)),
    ],
    ids=["not-allowed", "no-title", "no-text", "nothing-left"],
)
def test_what_is_not_allowed_or_says_nothing_is_dead(
    payload: dict[str, Any], intents: tuple[tuple[str, int], ...]
) -> None:
    world = PublisherWorld()
    world.origin(intents=intents)
    world.intends(payload, row=ROW)
    assert world.publish(ROW) is Outcome.DEAD
    assert world.github.opened == []
