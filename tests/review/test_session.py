"""A session about a pull request: from the diff to the row that the publisher applies."""

from dataclasses import replace
from typing import Any

import pytest

from nightdesk.domain.task import TaskStatus
from nightdesk.services.session_tools import system_prompt
from tests.engine.examples import an_origin
from tests.engine.world import ENRICHER, World
from tests.fakes.model import calls, says
from tests.fakes.pulls import HEAD, NEXT_HEAD, FakePull
from tests.review.examples import CART, finding
from tests.review.world import TARGET

ORIGIN = an_origin(target=TARGET, intents=(("review", 1),), delimiter="0123456789abcdef")
DIFF: tuple[str, dict[str, Any]] = ("read_diff", {})
REPORT = ("report_finding", finding())


@pytest.fixture
def world() -> World:
    made = World()
    made.pulls[12] = FakePull(files=(CART,))
    return made


def row(world: World) -> dict[str, Any]:
    (found,) = [row for (_, name), row in world.tasks.rows.items() if name.startswith("github#")]
    assert found.row == "github#0001#review#1"
    return dict(found.payload)


def test_findings_become_one_row_with_the_answer_as_their_summary(world: World) -> None:
    world.submit(origin=ORIGIN)
    second = ("report_finding", finding(line=5, title="Another"))
    refused = ("report_finding", finding(line=99))
    world.model.will(calls(DIFF), calls(REPORT, refused, second, first_id=2), says("Not yet."))

    world.run()

    assert world.task().status is TaskStatus.COMPLETED
    payload = row(world)
    assert (payload["body"], payload["head"]) == ("Not yet.", HEAD)
    assert payload["findings"] == [finding(), finding(line=5, title="Another")]
    assert payload["footer"]["model"] == "scripted"


def test_without_findings_the_row_says_so_and_the_answer_is_the_result(world: World) -> None:
    world.submit(origin=ORIGIN)
    world.model.will(calls(DIFF), says("Ready."))
    world.run()
    assert row(world)["findings"] == []


def test_a_session_that_was_killed_keeps_what_it_had_reported(world: World) -> None:
    world.submit(origin=ORIGIN)
    world.model.will(calls(DIFF), calls(REPORT, first_id=2), RuntimeError("the process is gone"))
    world.run()
    world.model.will(calls(REPORT, first_id=3), says("Not yet."))
    task = world.task()
    world.tasks.tasks["t-1"] = replace(task, run_after=None)
    world.run()

    assert row(world)["findings"] == [finding()], "the repetition was refused"


def test_a_push_between_two_executors_leaves_out_what_the_first_had_reported(world: World) -> None:
    """A task that a comment started is about the head that its session finds."""
    origin = replace(ORIGIN, target=replace(TARGET, head_sha=""))
    world.submit(origin=origin)
    world.model.will(calls(DIFF), calls(REPORT, first_id=2), RuntimeError("the process is gone"))
    world.run()
    world.tasks.tasks["t-1"] = replace(world.task(), run_after=None)
    world.pulls[12].head_sha = NEXT_HEAD
    later = ("report_finding", finding(line=5, title="Of the new head"))
    world.model.will(calls(DIFF, first_id=3), calls(later, first_id=4), says("Not yet."))
    world.run()

    payload = row(world)
    assert payload["head"] == NEXT_HEAD
    assert [one["title"] for one in payload["findings"]] == ["Of the new head"]


def test_only_a_task_about_a_pull_request_can_review(world: World) -> None:
    origin = replace(ORIGIN, target=replace(TARGET, kind="issue"))
    world.submit(origin=origin)
    world.model.will(calls(REPORT, DIFF), says("Done."))
    world.run()

    told = str(world.model.requests[1].messages[-1])
    assert "There is no tool 'report_finding'" in told
    assert "There is no tool 'read_diff'" in told
    assert world.tasks.rows == {}


def test_a_review_that_needs_approval_shows_what_it_would_say(world: World) -> None:
    world.submit(origin=replace(ORIGIN, approvals=("review",)))
    world.model.will(calls(DIFF), calls(REPORT, first_id=2), says("Not yet."))
    world.run()

    assert world.task().status is TaskStatus.WAITING
    entry = world.tasks.entry("t-1", 1, world.task().last_entry)
    assert entry is not None
    assert entry.data["text"] == (
        "Not yet.\n\n- critical: src/cart.py:3: Adding a string adds its letters"
    )


def test_a_reviewer_is_told_that_silence_publishes_nothing() -> None:
    told = system_prompt(ENRICHER, ORIGIN)
    assert "Without findings" in told.replace("\n", " ")
    assert "as a comment" not in told
