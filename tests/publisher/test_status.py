"""The commit status of a pull request's head: never older than what is true."""

from contextlib import suppress
from dataclasses import replace
from itertools import permutations

import pytest

from nightdesk.domain.errors import ErrorCode, PermanentError, UnavailableError
from nightdesk.domain.task import Target, TaskError, TaskStatus
from nightdesk.services.outbox_rows import Outcome
from tests.fakes.kill import Kill, KillSwitch
from tests.publisher.world import COMMENT_ROW, TASK, PublisherWorld

SHA = "c" * 40
CONTEXT = "nightdesk/issue-enricher"
STARTED, PROGRESS, ENDED = (
    "github#0001#started#1",
    "github#0001#progress#4",
    "github#0001#completed#1",
)


class StatusWorld(PublisherWorld):
    def __init__(self, *, tracking: str = "") -> None:
        super().__init__()
        target = Target(
            repo="octo-org/widgets", repo_id=501, number=12, kind="pull_request", head_sha=SHA
        )
        self.origin(target=target, shows_status=True, tracking=tracking)

    def is_at(self, status: TaskStatus, **changes: object) -> None:
        known = self.tasks.tasks[TASK]
        self.tasks.tasks[TASK] = replace(known, status=status, **changes)  # type: ignore[arg-type]

    def shows(self, row: str) -> Outcome:
        self.intends({}, row=row)
        return self.publish(row)

    def last(self) -> tuple[str, str, str, str]:
        return self.github.statuses[-1]


@pytest.mark.parametrize(
    ("status", "error", "shown"),
    [
        (TaskStatus.RUNNING, None, ("pending", "Working, 3 steps")),
        (TaskStatus.WAITING, None, ("pending", "Waits for a person")),
        (TaskStatus.COMPLETED, None, ("success", "Done")),
        (TaskStatus.CANCELLED, None, ("error", "Cancelled")),
        (
            TaskStatus.FAILED,
            TaskError(ErrorCode.TURN_LIMIT, "x"),
            ("error", "Failed: TURN_LIMIT"),
        ),
    ],
    ids=["running", "waiting", "completed", "cancelled", "failed"],
)
def test_every_state_has_its_status(
    status: TaskStatus, error: TaskError | None, shown: tuple[str, str]
) -> None:
    world = StatusWorld()
    world.is_at(status, error=error, tool_call_count=3)
    assert world.shows(STARTED) is Outcome.DONE
    assert world.github.statuses == [(SHA, CONTEXT, *shown)]
    assert world.comments() == []


def test_the_comment_of_the_result_ends_the_status_too() -> None:
    for tracking in ("", "task"):
        world = StatusWorld(tracking=tracking)
        world.is_at(TaskStatus.RUNNING)
        world.shows(STARTED)
        world.is_at(TaskStatus.COMPLETED)
        world.intends()
        assert world.publish() is Outcome.DONE
        assert world.last()[2] == "success"
        assert len(world.comments()) == 1


def test_what_has_not_changed_is_not_set_again() -> None:
    world = StatusWorld()
    world.is_at(TaskStatus.RUNNING)
    world.shows(STARTED)
    world.shows(PROGRESS)
    assert len(world.github.statuses) == 1


def test_rows_in_any_order_and_cut_anywhere_end_in_the_end() -> None:
    for order in permutations([STARTED, PROGRESS, ENDED]):
        for calls in range(0, 12, 2):
            world = StatusWorld()
            world.is_at(TaskStatus.RUNNING)
            world.shows(STARTED)
            for row in order:
                world.intends({}, row=row)
            world.is_at(TaskStatus.COMPLETED)
            with suppress(Kill):
                world.publish(order[0], KillSwitch(calls, after_effect=True))
            world.publish_until_quiet()
            assert world.last() == (SHA, CONTEXT, "success", "Done")


def test_a_refused_status_keeps_no_comment_back() -> None:
    world = StatusWorld()
    world.intends()
    real, world.github.fails_before = world.github.comment, []

    def comment(repo: str, number: int, body: str) -> object:
        posted = real(repo, number, body)
        world.github.fails_before = [PermanentError("GitHub: 403")]
        return posted

    world.github.comment = comment  # type: ignore[method-assign,assignment]
    assert world.publish() is Outcome.DONE
    assert (len(world.comments()), world.github.statuses) == (1, [])


def test_a_lost_answer_sets_the_same_again() -> None:
    world = StatusWorld()
    world.github.fails_after = [UnavailableError("GitHub: ReadTimeout")]
    world.is_at(TaskStatus.RUNNING)
    assert world.shows(STARTED) is Outcome.TRY_AGAIN
    world.publish_until_quiet()
    assert set(world.github.statuses) == {(SHA, CONTEXT, "pending", "Working")}


def test_without_the_files_wish_there_is_none() -> None:
    world = StatusWorld()
    world.origin(shows_status=False)
    world.intends(row=COMMENT_ROW)
    world.publish()
    assert world.github.statuses == []
