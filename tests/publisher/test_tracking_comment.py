"""The tracking comment: one comment, never older than what is true, whatever is cut or late."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightdesk.domain.errors import ErrorCode, TryLaterError, UnavailableError
from nightdesk.domain.github_ports import Account
from nightdesk.domain.outbox import OutboxRow, OutboxState
from nightdesk.domain.task import TaskError, TaskStatus
from nightdesk.domain.tracking import refresh_wait
from nightdesk.services.outbox_rows import Outcome
from nightdesk.services.publish_intents import publish_row
from tests.fakes.kill import Kill, KillSwitch
from tests.publisher.world import COMMENT_ROW, TASK, PublisherWorld

STARTED = "github#0001#started#1"
SECOND = timedelta(seconds=1)
NEWER = "00000000-0000-0000-0000-00000000beef"


class Tracked(PublisherWorld):
    """A world whose task has a tracking comment; its states come as they would from the engine."""

    def __init__(self, *, sticky: bool = False) -> None:
        super().__init__()
        self.origin(tracking="sticky" if sticky else "task")
        self.becomes(TaskStatus.RUNNING, attempts=1, fence=1, tracked=True)

    def becomes(self, status: TaskStatus, *, task: str = TASK, **changes: Any) -> None:
        known = self.tasks.tasks[task]
        self.tasks.tasks[task] = replace(known, status=status, **changes)

    def tells(self, row: str, *, task: str = TASK, **payload: Any) -> OutboxRow:
        made = OutboxRow(task_id=task, row=row, payload=payload, created_at=self.clock.now())
        self.outbox.put(made)
        return made

    def shows(self, row: str, *, task: str = TASK, **payload: Any) -> Outcome:
        self.tells(row, task=task, **payload)
        return publish_row(task, row, self.ports())

    def completes(self, body: str = "Look at **src/cache.py**.", *, task: str = TASK) -> None:
        self.becomes(TaskStatus.COMPLETED, task=task)
        footer = {"specialist": "issue-enricher", "model": "m", "costMicros": 12_300}
        self.tells(COMMENT_ROW, task=task, body=body, footer=footer)

    def comes_newer(self) -> None:
        """A later task of the same specialist on the same issue has started."""
        self.clock.advance(SECOND)
        now = self.clock.now()
        self.tasks.tasks[NEWER] = replace(
            self.tasks.tasks[TASK], id=NEWER, status=TaskStatus.RUNNING, created_at=now, fence=1
        )
        self.tasks.origins[NEWER] = replace(self.tasks.origins[TASK], task_id=NEWER, created_at=now)

    def only(self) -> str:
        (body,) = self.comments()
        return body


@pytest.fixture
def tracked() -> Tracked:
    return Tracked()


# What it says ---------------------------------------------------------------------------------


def test_one_comment_says_that_it_runs_and_is_replaced_by_the_result(tracked: Tracked) -> None:
    assert tracked.shows(STARTED) is Outcome.DONE
    assert "`issue-enricher` **is working on this**" in tracked.only()
    assert "- [x] Started\n- [ ] Answer" in tracked.only()
    assert tracked.tasks.tasks[TASK].publication is None

    tracked.completes()
    assert tracked.publish() is Outcome.DONE

    assert tracked.only().startswith("Look at **src/cache.py**.")
    assert "working" not in tracked.only()
    assert "$0.01" in tracked.only()
    assert tracked.tasks.tasks[TASK].publication == tracked.row().result_url != ""


def test_what_was_done_is_ticked_and_counted(tracked: Tracked) -> None:
    tracked.becomes(TaskStatus.RUNNING, current_activity="Running: read_file `src/a.py` @ann")
    tools = {"read_issue": 1, "search_code": 2, "locate_code": 1, "read_file": 4}
    tracked.shows("github#0001#progress#9", entry=9, tools={**tools, "propose_labels": 1})

    body = tracked.only()
    assert "- [x] Read what it is about (1 step)" in body
    assert "- [x] Looked for the places (3 steps)" in body
    assert "- [x] Read the code (4 steps)" in body
    assert "- [x] Prepared 1 proposal" in body
    assert "- [ ] Answer" in body
    assert "Now: `Running: read_file 'src/a.py' @ann`" in body


@pytest.mark.parametrize(
    ("status", "changes", "payload", "words"),
    [
        (
            TaskStatus.FAILED,
            {"error": TaskError(ErrorCode.MODEL_AUTH, "refused <b>@ann</b>")},
            {},
            [
                "**failed**: `MODEL_AUTH`.",
                "`refused <b>@ann</b>`",
                "set them right",
                f"{TASK}/retry",
            ],
        ),
        (
            TaskStatus.PENDING,
            {"error": TaskError(ErrorCode.MODEL_ERROR, "502")},
            {},
            ["**tries again soon.**", "Attempt 1 failed: `MODEL_ERROR`"],
        ),
        (TaskStatus.CANCELLED, {}, {}, ["**was cancelled.**"]),
        (
            TaskStatus.CANCELLED,
            {"superseded_by": NEWER},
            {},
            ["**stopped**: newer work (task `00000000`)"],
        ),
        (
            TaskStatus.WAITING,
            {"last_entry": 4},
            {"entry": 4, "reason": "question", "question": "Which cache?\nThe @first?"},
            ["> Which cache?", "> The `@first`?", f"{TASK}/messages"],
        ),
        (
            TaskStatus.WAITING,
            {"last_entry": 4},
            {"entry": 4, "reason": "approval", "question": "propose_labels bug"},
            ["asks for approval", '"action": "approve"'],
        ),
        (TaskStatus.COMPLETED, {}, {}, ["**is done.**", "- [x] Answer"]),
    ],
    ids=["failed", "next-attempt", "cancelled", "superseded", "question", "approval", "done"],
)
def test_every_state_takes_the_comments_place(
    tracked: Tracked,
    status: TaskStatus,
    changes: dict[str, Any],
    payload: dict[str, Any],
    words: list[str],
) -> None:
    tracked.shows(STARTED)
    tracked.becomes(status, **changes)
    tracked.shows(f"github#0001#{status.value.lower()}#1", **payload)

    assert [word for word in words if word not in tracked.only()] == []


def test_an_answer_that_cannot_be_shown_is_said_to_be_so(tracked: Tracked) -> None:
    tracked.shows(STARTED)
    tracked.completes("<!-- nothing -->")
    assert tracked.publish() is Outcome.DONE
    assert "its result cannot be shown" in tracked.only()


def test_what_is_cancelled_before_it_said_anything_says_nothing(tracked: Tracked) -> None:
    tracked.becomes(TaskStatus.CANCELLED)
    assert tracked.shows("github#0001#cancelled#1") is Outcome.DONE
    assert tracked.comments() == []


def test_a_persons_retry_goes_on_in_the_same_comment(tracked: Tracked) -> None:
    tracked.shows(STARTED)
    error = TaskError(ErrorCode.MODEL_ERROR, "502")
    tracked.becomes(TaskStatus.FAILED, error=error)
    tracked.shows("github#0001#failed#1", entry=3)
    tracked.becomes(TaskStatus.RUNNING, error=None, run=2, fence=2)
    tracked.shows("github#0002#started#2")

    assert "is working on this" in tracked.only()


def test_without_a_tracking_comment_a_status_row_is_refused(tracked: Tracked) -> None:
    tracked.origin(tracking="")
    assert tracked.shows(STARTED) is Outcome.DEAD
    assert tracked.comments() == []
    assert tracked.tasks.tasks[TASK].publication is None


# Never older than what is true ----------------------------------------------------------------


def test_rows_in_any_order_end_in_the_result() -> None:
    rows = [STARTED, "github#0001#progress#5", "github#0001#progress#9", COMMENT_ROW]
    for order in permutations(rows):
        tracked = Tracked()
        tracked.tells(STARTED)
        tracked.tells("github#0001#progress#5", entry=5, tools={"read_file": 1})
        tracked.tells("github#0001#progress#9", entry=9, tools={"read_file": 2})
        tracked.completes()
        for row in order:
            assert tracked.publish(row) is Outcome.DONE
        assert tracked.only().startswith("Look at **src/cache.py**.")


def test_a_late_row_brings_no_older_counts(tracked: Tracked) -> None:
    tracked.shows("github#0001#progress#9", entry=9, tools={"read_file": 5})
    tracked.shows("github#0001#progress#5", entry=5, tools={"read_file": 2})
    assert "Read the code (5 steps)" in tracked.only()


def test_what_has_not_changed_is_not_written_again(tracked: Tracked) -> None:
    tracked.shows(STARTED)
    tracked.shows("github#0001#started#2")
    assert (len(tracked.comments()), tracked.github.edits) == (1, 0)


def test_a_comment_that_another_publisher_holds_is_looked_at_later(tracked: Tracked) -> None:
    tracked.tracked.lease(
        f"task-{TASK}", now=tracked.clock.now(), until=tracked.clock.now() + 90 * SECOND
    )
    assert tracked.shows(STARTED) is Outcome.TRY_AGAIN
    assert tracked.comments() == []
    tracked.clock.advance(90 * SECOND)
    assert tracked.publish(STARTED) is Outcome.DONE


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_two_publishers_at_once_end_in_the_result(data: st.DataObject) -> None:
    """Each may be cut before or after any call, while the other works and the task goes on."""
    tracked = Tracked(sticky=data.draw(st.booleans()))
    tracked.tells(STARTED)
    names = [STARTED]
    for number in range(data.draw(st.integers(1, 5))):
        if number == 2:
            tracked.completes()
            names.append(COMMENT_ROW)
        else:
            row = f"github#0001#progress#{number + 2}"
            tracked.tells(row, entry=number + 2, tools={"read_file": number + 1})
            names.append(row)
        calls, after = data.draw(st.integers(0, 14)), data.draw(st.booleans())
        with suppress(Kill):
            tracked.publish(
                data.draw(st.sampled_from(names)), KillSwitch(calls, after_effect=after)
            )
        tracked.clock.advance(data.draw(st.sampled_from([0, 11, 91])) * SECOND)
    if COMMENT_ROW not in names:
        tracked.completes()
    tracked.publish_until_quiet()

    assert tracked.only().startswith("Look at **src/cache.py**.")
    assert all(row.state is OutboxState.DONE for row in tracked.outbox.rows.values())


@pytest.mark.parametrize("after_effect", [False, True])
@pytest.mark.parametrize("sticky", [False, True])
def test_a_publisher_killed_anywhere_leaves_one_comment(
    *, sticky: bool, after_effect: bool
) -> None:
    for calls in range(40):
        tracked = Tracked(sticky=sticky)
        tracked.tells(STARTED)
        with suppress(Kill):
            tracked.publish(STARTED, KillSwitch(calls, after_effect=after_effect))
        tracked.completes()
        with suppress(Kill):
            tracked.publish(COMMENT_ROW, KillSwitch(calls, after_effect=after_effect))
        tracked.publish_until_quiet()

        assert tracked.only().startswith("Look at **src/cache.py**."), calls
        assert tracked.row().state is OutboxState.DONE


@pytest.mark.parametrize("failing", [1, 2])
def test_a_lost_answer_leaves_one_comment(tracked: Tracked, failing: int) -> None:
    tracked.github.fails_after = [UnavailableError("GitHub: ReadTimeout")] * failing
    tracked.shows(STARTED)
    tracked.completes()
    tracked.publish()
    tracked.publish_until_quiet()
    assert tracked.only().startswith("Look at **src/cache.py**.")


def test_a_rate_limit_holds_all_rows_of_the_comment(tracked: Tracked) -> None:
    limit = TryLaterError("secondary rate limit", retry_after=60 * SECOND)
    tracked.github.fails_before = [limit]
    assert tracked.shows(STARTED) is Outcome.TRY_AGAIN
    tracked.clock.advance(30 * SECOND)
    assert tracked.shows("github#0001#progress#4", entry=4) is Outcome.TRY_AGAIN
    assert tracked.row("github#0001#progress#4").due_at == tracked.clock.now() + 30 * SECOND
    tracked.clock.advance(30 * SECOND)
    assert tracked.publish(STARTED) is Outcome.DONE
    assert len(tracked.comments()) == 1


# Whose comment --------------------------------------------------------------------------------


def test_a_strangers_copy_of_the_marker_is_left_alone(tracked: Tracked) -> None:
    tracked.shows(STARTED)
    copy = tracked.only()
    tracked.github.delete_comment(1)
    stranger = tracked.github.write_as(Account(id=666, login="mallory"), 12, copy)
    tracked.completes()
    assert tracked.publish() is Outcome.DONE

    theirs, ours = tracked.comments()
    assert theirs == stranger.body
    assert ours.startswith("Look at")


def test_a_comment_that_bears_our_marker_no_more_is_left_alone(tracked: Tracked) -> None:
    tracked.shows(STARTED)
    tracked.github.edit_comment("octo-org/widgets", 1, "A maintainer's own words.")
    tracked.completes()
    tracked.publish()
    assert tracked.comments()[0] == "A maintainer's own words."
    assert len(tracked.comments()) == 2


def test_a_deleted_comment_comes_back_with_the_result_and_not_before(tracked: Tracked) -> None:
    tracked.shows(STARTED)
    tracked.github.delete_comment(1)
    tracked.shows("github#0001#progress#4", entry=4)
    assert tracked.comments() == []
    tracked.completes()
    tracked.publish()
    assert tracked.only().startswith("Look at")


def test_a_deleted_tasks_result_still_takes_its_comments_place(tracked: Tracked) -> None:
    tracked.shows(STARTED)
    tracked.completes()
    del tracked.tasks.tasks[TASK]
    assert tracked.publish() is Outcome.DONE
    assert tracked.only().startswith("Look at")


# Sticky ---------------------------------------------------------------------------------------


def test_a_later_task_edits_the_same_comment_and_keeps_the_result_until_it_has_one() -> None:
    tracked = Tracked(sticky=True)
    tracked.shows(STARTED)
    tracked.completes("The first result.")
    tracked.publish()
    tracked.comes_newer()
    tracked.shows(STARTED, task=NEWER)

    working = tracked.only()
    assert "is working on this" in working
    assert "*Earlier result:*\n\nThe first result." in working
    tracked.completes("The second result.", task=NEWER)
    publish_row(NEWER, COMMENT_ROW, tracked.ports())
    assert tracked.only().startswith("The second result.")


@pytest.mark.parametrize("newer_first", [False, True])
def test_an_older_tasks_late_result_is_neither_lost_nor_in_the_way(*, newer_first: bool) -> None:
    tracked = Tracked(sticky=True)
    tracked.shows(STARTED)
    tracked.completes("The first result.")
    tracked.comes_newer()
    tracked.tells(STARTED, task=NEWER)
    tries = [(TASK, COMMENT_ROW), (NEWER, STARTED)]
    for task, row in reversed(tries) if newer_first else tries:
        assert publish_row(task, row, tracked.ports()) is Outcome.DONE
    assert "is working on this" in tracked.only()
    assert "The first result." in tracked.only()

    tracked.completes("The second result.", task=NEWER)
    publish_row(NEWER, COMMENT_ROW, tracked.ports())
    assert tracked.only().startswith("The second result.")
    tracked.tells("github#0001#progress#3", entry=3)
    tracked.publish("github#0001#progress#3")
    assert tracked.only().startswith("The second result.")


def test_without_sticky_each_task_has_a_comment_of_its_own() -> None:
    tracked = Tracked()
    tracked.shows(STARTED)
    tracked.comes_newer()
    tracked.shows(STARTED, task=NEWER)
    assert len(tracked.comments()) == 2


def test_a_lost_comment_of_an_older_task_is_found_by_the_newer() -> None:
    tracked = Tracked(sticky=True)
    tracked.tells(STARTED)
    tracked.github.fails_after = [UnavailableError("GitHub: ReadTimeout")]
    tracked.publish(STARTED)
    tracked.comes_newer()
    tracked.shows(STARTED, task=NEWER)
    tracked.publish_until_quiet()
    assert f"task `{NEWER[:8]}`" in tracked.only()


# How often ------------------------------------------------------------------------------------


def test_half_an_hour_makes_some_twenty_refreshes() -> None:
    running, refreshes = timedelta(0), 0
    while running < timedelta(minutes=30):
        wait = refresh_wait(running)
        assert wait >= 20 * SECOND
        running += wait
        refreshes += 1
    assert refreshes <= 25
