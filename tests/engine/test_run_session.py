"""A session: the loop over its journal, what ends it, and what a crash leaves behind."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from nightdesk.domain.errors import (
    CallAbortedError,
    ErrorCode,
    UnavailableError,
)
from nightdesk.domain.model import (
    INVALID_INPUT,
    CallControl,
    ModelAuthError,
    ModelRequest,
    ModelThrottledError,
    ModelTurn,
    ModelUnavailableError,
    StopReason,
    Usage,
)
from nightdesk.domain.recovery import MAX_HOPS
from nightdesk.domain.session import EntryKind
from nightdesk.domain.task import HEARTBEAT_AFTER, LEASE, Limits, Task, TaskStatus
from nightdesk.services.run_session import run_session
from tests.engine.examples import add, an_origin
from tests.engine.world import ENRICHER, TARGET, World
from tests.fakes.clock import NOON
from tests.fakes.model import calls, says
from tests.fakes.snapshot import FakeSnapshot

DELIMITER = "0123456789abcdef"
ORIGIN = an_origin(
    target=TARGET,
    intents=(("comment", 1), ("labels", 1)),
    delimiter=DELIMITER,
)
READ = ("read_file", {"path": "src/cache.py"})
LIST: tuple[str, dict[str, Any]] = ("list_files", {})
SECOND = timedelta(seconds=1)


def kinds(world: World, run: int = 1) -> list[EntryKind]:
    return [entry.kind for entry in world.tasks.entries("t-1", run)]


def code(world: World) -> ErrorCode | None:
    error = world.task().error
    return error.code if error else None


# The good end ---------------------------------------------------------------------------------


def test_a_session_reads_then_answers_and_its_answer_becomes_the_comment(world: World) -> None:
    world.submit(origin=ORIGIN)
    world.model.will(calls(READ), says("Look at `src/cache.py`."))

    world.run()

    task = world.task()
    assert (task.status, task.tool_call_count, task.attempts) == (TaskStatus.COMPLETED, 1, 1)
    assert (task.input_tokens, task.output_tokens) == (20, 10)
    assert kinds(world) == [EntryKind.TURN, EntryKind.TOOL, EntryKind.OUTPUT]
    output = world.tasks.entry("t-1", 1, task.last_entry)
    assert output is not None
    assert output.data["result"] == "Look at `src/cache.py`."
    row = world.tasks.rows[("t-1", "github#0001#comment#1")]
    assert row.payload["body"] == "Look at `src/cache.py`."
    assert row.payload["footer"]["model"] == "scripted"


def test_a_tracked_session_has_its_comment_refreshed_now_and_then(world: World) -> None:
    task = world.submit(origin=replace(ORIGIN, tracking="task"))
    world.tasks.tasks["t-1"] = replace(task, tracked=True)

    def after(seconds: int) -> Callable[[ModelRequest, CallControl], ModelTurn]:
        def reply(request: ModelRequest, control: CallControl) -> ModelTurn:
            del control
            world.clock.advance(seconds * SECOND)
            return calls(READ, ("no_such_tool", {}), first_id=10 * len(request.messages))

        return reply

    world.model.will(after(3), after(19), after(3), after(20), says("Done."))
    world.run()

    rows = {name: row.payload for (_, name), row in world.tasks.rows.items()}
    assert rows.pop("github#0001#comment#1")
    assert rows == {
        "github#0001#started#1": {},
        "github#0001#progress#5": {"entry": 5, "tools": {"read_file": 2}},
        "github#0001#progress#11": {"entry": 11, "tools": {"read_file": 4}},
    }


def test_a_session_that_nobody_tracks_writes_no_row_on_the_way(world: World) -> None:
    def later(request: ModelRequest, control: CallControl) -> ModelTurn:
        del request, control
        world.clock.advance(60 * SECOND)
        return calls(READ)

    world.submit(origin=ORIGIN)
    world.model.will(later, says("Done."))
    world.run()
    assert list(world.tasks.rows) == [("t-1", "github#0001#comment#1")]


def test_accepted_changes_become_one_pull_request_with_their_commit(world: World) -> None:
    world.submit(origin=replace(ORIGIN, intents=(("comment", 1), ("pull_request", 1))))
    path, old = "src/cache.py", "return None"
    world.model.will(
        calls(
            ("propose_pull_request", {"title": "Too early", "body": ""}),
            ("propose_change", {"path": path, "old": "no such text", "new": "x"}),
            ("propose_change", {"path": path, "old": old, "new": "return 1"}),
            ("propose_change", {"path": path, "old": old, "new": "return 2"}),
            ("propose_change", {"path": path, "old": "return 1", "new": "return 3"}),
            ("propose_change", {"path": ".github/workflows/x.yml", "new": "on: push"}),
            ("propose_change", {"path": "src/new.py", "new": "A = 1\n"}),
            ("propose_pull_request", {"title": "Return three", "body": "Why."}),
            ("propose_pull_request", {"title": "Again", "body": ""}),
        ),
        says("Done."),
    )
    world.run()

    results = [e.data for e in world.tasks.entries("t-1", 1) if e.kind is EntryKind.TOOL]
    refused = [True, True, False, True, False, True, False, False, True]
    assert [result["isError"] for result in results] == refused, results
    row = world.tasks.rows["t-1", "github#0001#pull_request#1"]
    assert row.payload == {
        "title": "Return three",
        "body": "Why.",
        "base": FakeSnapshot({}).commit,
        "changes": [
            {"path": path, "old": old, "new": "return 1"},
            {"path": path, "old": "return 1", "new": "return 3"},
            {"path": "src/new.py", "new": "A = 1\n"},
        ],
    }


def test_a_proposed_issue_is_checked_and_bounded(world: World) -> None:
    origin = replace(ORIGIN, intents=(("issue", 1),), allowed_labels=("bug",))
    world.submit(origin=origin)
    good = {"title": "It leaks", "body": "Look.", "labels": ["bug"]}
    world.model.will(
        calls(
            ("propose_issue", {**good, "title": " "}),
            ("propose_issue", {**good, "body": ""}),
            ("propose_issue", {**good, "labels": ["wontfix"]}),
            ("propose_issue", {**good, "labels": "bug"}),
            ("propose_issue", good),
            ("propose_issue", good),
        ),
        says("Done."),
    )
    world.run()

    results = [e.data for e in world.tasks.entries("t-1", 1) if e.kind is EntryKind.TOOL]
    assert [result["isError"] for result in results] == [True, True, True, True, False, True]
    rows = {name: row.payload for (_, name), row in world.tasks.rows.items()}
    assert rows == {"github#0001#issue#1": good}


def test_changes_without_a_proposed_pull_request_are_not_published(world: World) -> None:
    world.submit(origin=replace(ORIGIN, intents=(("comment", 1), ("pull_request", 1))))
    world.model.will(calls(("propose_change", {"path": "a.py", "new": "A"})), says("Done."))
    world.run()
    assert [row for _, row in world.tasks.rows] == ["github#0001#comment#1"]


def test_the_tool_really_reads_the_repository_and_its_result_goes_to_the_model(
    world: World,
) -> None:
    world.submit(origin=ORIGIN)
    world.model.will(calls(READ), says("Done."))

    world.run()

    result = world.model.requests[1].messages[-1]["content"][0]["toolResult"]
    assert "def get(key):" in result["content"][0]["text"]
    assert result["status"] == "success"
    assert DELIMITER in result["content"][0]["text"]
    assert world.snapshots.opened == ["t-1 octo/demo"]


def test_the_repository_is_fetched_only_when_a_tool_needs_it(world: World) -> None:
    world.submit(origin=ORIGIN)
    world.model.will(says("I need no files."))

    world.run()

    assert world.snapshots.opened == []


def test_progress_names_what_runs_and_then_what_completed(world: World) -> None:
    world.submit(origin=ORIGIN)
    seen: list[str | None] = []

    def look(request: ModelRequest, control: CallControl) -> ModelTurn:
        seen.append(world.task().current_activity)
        return says("Done.")

    world.tasks.before_commit = lambda name: seen.append(world.task().current_activity)
    world.model.will(calls(READ, LIST), look)
    world.run()

    assert seen == [
        None,  # claim
        None,  # the turn
        "Running: read_file src/cache.py",
        "Running: list_files",
        "Completed: list_files",
        "Completed: list_files",
    ]
    assert world.task().tool_call_count == 2


def test_a_task_without_a_repository_has_no_reading_tools_and_publishes_nothing(
    world: World,
) -> None:
    world.submit(origin=an_origin(intents=(("comment", 1),), delimiter=DELIMITER))
    world.model.will(says("42"))

    world.run()

    assert world.task().status is TaskStatus.COMPLETED
    assert world.model.requests[0].tools == ()
    assert world.tasks.rows == {}


def test_the_model_is_told_the_specialists_words_and_the_rule_about_data(world: World) -> None:
    world.submit(origin=ORIGIN)
    world.model.will(says("Done."))

    world.run()

    request = world.model.requests[0]
    assert request.system.startswith("You enrich issues.")
    assert f'id="{DELIMITER}"' in request.system
    assert "comment on the issue" in request.system
    assert request.messages[0] == {"role": "user", "content": [{"text": "Find it."}]}


# Intents --------------------------------------------------------------------------------------


def test_labels_are_proposed_once_and_within_what_the_origin_allows(world: World) -> None:
    world.submit(origin=replace(ORIGIN, allowed_labels=("bug",)))
    world.model.will(
        calls(
            ("propose_labels", {"labels": ["admin"]}),
            ("propose_labels", {"labels": ["bug"]}),
            ("propose_labels", {"labels": ["bug"]}),
        ),
        says("Done."),
    )

    world.run()

    results = [b["toolResult"] for b in world.model.requests[1].messages[-1]["content"]]
    assert [r["status"] for r in results] == ["error", "success", "error"]
    assert "allowed: bug" in results[0]["content"][0]["text"]
    rows = {row for _, row in world.tasks.rows}
    assert rows == {"github#0001#comment#1", "github#0001#labels#1"}
    assert world.tasks.rows[("t-1", "github#0001#labels#1")].payload == {"labels": ["bug"]}


def test_what_the_origin_does_not_allow_is_no_tool_and_no_row(world: World) -> None:
    world.submit(origin=replace(ORIGIN, intents=()))
    world.model.will(calls(("propose_labels", {"labels": ["bug"]})), says("Done."))

    world.run()

    assert world.task().status is TaskStatus.COMPLETED
    assert world.tasks.rows == {}


def test_an_unknown_tool_is_answered_and_not_fatal(world: World) -> None:
    world.submit(origin=ORIGIN)
    world.model.will(calls(("shell", {"command": "env"})), says("Then not."))

    world.run()

    result = world.model.requests[1].messages[-1]["content"][0]["toolResult"]
    assert result["status"] == "error"
    assert "read_file" in result["content"][0]["text"]
    assert world.task().status is TaskStatus.COMPLETED


def test_tool_input_that_is_no_json_object_is_answered_and_not_fatal(world: World) -> None:
    world.submit(origin=ORIGIN)
    world.model.will(calls(("read_file", {INVALID_INPUT: '{"path": "src'})), says("Sorry."))

    world.run()

    result = world.model.requests[1].messages[-1]["content"][0]["toolResult"]
    assert result["status"] == "error"
    assert "not a JSON object" in result["content"][0]["text"]
    assert world.task().status is TaskStatus.COMPLETED


# Ends that are failures -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        (says(""), ErrorCode.EMPTY_OUTPUT),
        (says("  \n"), ErrorCode.EMPTY_OUTPUT),
        (says("I will not.", stop=StopReason.REFUSAL), ErrorCode.AGENT_FAILED),
        (says("Half an ans", stop=StopReason.MAX_TOKENS), ErrorCode.AGENT_FAILED),
    ],
)
def test_what_is_no_final_answer_fails_with_a_code_and_publishes_nothing(
    world: World, turn: ModelTurn, expected: ErrorCode
) -> None:
    world.submit(origin=ORIGIN)
    world.model.will(turn)

    world.run()

    assert (world.task().status, code(world)) == (TaskStatus.FAILED, expected)
    assert world.tasks.rows == {}
    assert world.task().output_tokens == 5
    assert all(slot.task_id is None for slot in world.tasks.slots())


def test_a_specialist_that_is_gone_fails_the_task_and_names_the_known_ones(world: World) -> None:
    world.submit(origin=ORIGIN)
    world.specialists.specialists = [replace(ENRICHER, id="developer")]

    world.run()

    assert code(world) is ErrorCode.SPECIALIST_INVALID
    error = world.task().error
    assert error is not None
    assert "developer" in error.message


def test_a_refused_key_fails_at_once_without_another_attempt(world: World) -> None:
    world.submit(origin=ORIGIN)
    world.model.will(ModelAuthError("the key was refused"))

    world.run()

    assert (world.task().status, code(world)) == (TaskStatus.FAILED, ErrorCode.MODEL_AUTH)
    assert world.wake_ups.sent == []


def test_a_passing_failure_is_retried_with_backoff_until_the_attempts_are_spent(
    world: World,
) -> None:
    world.submit(origin=ORIGIN)
    waits: list[timedelta] = []
    for _ in range(3):
        world.model.will(ModelUnavailableError("502"))
        world.run()
        task = world.task()
        if task.run_after:
            waits.append(task.run_after - world.clock.now())
            world.clock.advance(waits[-1])

    assert waits == [0.75 * SECOND, 1.5 * SECOND]
    assert (world.task().status, code(world)) == (TaskStatus.FAILED, ErrorCode.MODEL_ERROR)
    assert world.task().attempts == 3
    assert [delay for _, delay in world.wake_ups.sent] == waits


def test_a_providers_429_waits_as_told_without_spending_an_attempt(world: World) -> None:
    world.submit(origin=ORIGIN)
    world.model.will(ModelThrottledError("slow down", retry_after=90 * SECOND))

    world.run()

    task = world.task()
    assert (task.status, task.attempts) == (TaskStatus.PENDING, 1)
    assert task.run_after == world.clock.now() + 90 * SECOND
    assert world.wake_ups.sent == [("t-1", 90 * SECOND)]
    world.clock.advance(90 * SECOND)
    world.model.will(says("Done."))
    world.run()
    assert (world.task().status, world.task().attempts) == (TaskStatus.COMPLETED, 1)


def test_a_defect_in_the_session_is_a_failed_attempt_and_not_a_hanging_task(world: World) -> None:
    world.submit(origin=ORIGIN)
    world.model.will(ZeroDivisionError("a bug"))

    world.run()

    task = world.task()
    assert (task.status, code(world)) == (TaskStatus.PENDING, ErrorCode.EXECUTION_ERROR)
    assert task.error is not None
    assert "a bug" not in task.error.message


# Budgets --------------------------------------------------------------------------------------


def test_no_call_is_made_beyond_the_turn_limit(world: World) -> None:
    world.submit(origin=replace(ORIGIN, limits=Limits(turns=2)))
    world.model.will(calls(READ), calls(READ))

    world.run()

    assert code(world) is ErrorCode.TURN_LIMIT
    assert len(world.model.requests) == 2


def test_no_call_is_made_that_could_break_the_dollar_budget(world: World) -> None:
    world.submit(origin=replace(ORIGIN, limits=Limits(cost_micros=12_000)))
    world.price_per_token = 1
    world.model.will(replace(calls(READ), usage=Usage(input=5_000, output=100)))

    world.run()

    assert code(world) is ErrorCode.BUDGET_EXCEEDED
    assert world.task().cost_micros == 5_100
    assert len(world.model.requests) == 1


def test_no_call_is_made_that_could_break_the_token_budget(world: World) -> None:
    world.submit(origin=replace(ORIGIN, limits=Limits(tokens=9_500)))
    world.model.will(replace(calls(READ), usage=Usage(input=1_000, output=10)))

    world.run()

    assert code(world) is ErrorCode.BUDGET_EXCEEDED
    assert len(world.model.requests) == 1


def test_costs_add_up_in_micro_dollars(world: World) -> None:
    world.submit(origin=replace(ORIGIN, limits=Limits(cost_micros=10_000_000)))
    world.price_per_token = 7
    world.model.will(calls(READ), says("Done.", usage=Usage(input=100, output=1)))

    world.run()

    assert world.task().cost_micros == 7 * 15 + 7 * 101
    assert world.task().reserved_micros == 0


# Cancel, time, hand-over ----------------------------------------------------------------------


def test_a_cancel_during_a_model_call_cuts_the_call_and_ends_cancelled(world: World) -> None:
    world.submit(origin=ORIGIN)

    def hangs(request: ModelRequest, control: CallControl) -> ModelTurn:
        world.tasks.request_cancel(world.task(), now=world.clock.now())
        world.clock.advance(5 * SECOND)
        assert control._aborted.wait(timeout=5), "the watch did not cut the call"
        raise CallAbortedError("cut")

    world.model.will(hangs)
    world.run()

    assert world.task().status is TaskStatus.CANCELLED
    assert kinds(world) == []
    assert all(slot.task_id is None for slot in world.tasks.slots())


def test_a_cancel_between_two_steps_stops_the_next_step(world: World) -> None:
    world.submit(origin=ORIGIN)

    def cancels(request: ModelRequest, control: CallControl) -> ModelTurn:
        world.tasks.request_cancel(world.task(), now=world.clock.now())
        return calls(READ)

    world.model.will(cancels)
    world.run()

    assert world.task().status is TaskStatus.CANCELLED
    assert kinds(world) == []


def test_a_cancel_that_is_accepted_before_the_final_write_wins(world: World) -> None:
    world.submit(origin=ORIGIN)

    def cancels(request: ModelRequest, control: CallControl) -> ModelTurn:
        world.tasks.request_cancel(world.task(), now=world.clock.now())
        return says("Done.")

    world.model.will(cancels)
    world.run()

    assert world.task().status is TaskStatus.CANCELLED
    assert world.tasks.rows == {}


def test_a_task_that_runs_too_long_ends_with_its_timeout(world: World) -> None:
    world.submit(origin=ORIGIN)

    def slow(request: ModelRequest, control: CallControl) -> ModelTurn:
        world.clock.advance(timedelta(milliseconds=world.task().timeout_ms))
        return calls(READ)

    world.model.will(slow)
    world.run()

    assert (world.task().status, code(world)) == (TaskStatus.FAILED, ErrorCode.TASK_TIMEOUT)
    error = world.task().error
    assert error is not None
    assert error.message == "Task timed out after 300000ms"


def test_a_session_is_handed_over_and_goes_on_with_each_step_once(world: World) -> None:
    world.submit(origin=ORIGIN)

    def slow(request: ModelRequest, control: CallControl) -> ModelTurn:
        world.clock.advance(61 * SECOND)
        return calls(LIST, first_id=2)

    world.model.will(calls(READ), slow)
    world.run(for_at_most=60 * SECOND)

    task = world.task()
    assert (task.status, task.hops, task.attempts) == (TaskStatus.PENDING, 1, 1)
    assert world.wake_ups.sent == [("t-1", timedelta(0))]
    world.model.will(says("Done."))
    world.run()

    task = world.task()
    assert (task.status, task.attempts, task.tool_call_count) == (TaskStatus.COMPLETED, 1, 2)
    assert kinds(world) == [
        EntryKind.TURN,
        EntryKind.TOOL,
        EntryKind.TURN,
        EntryKind.TOOL,
        EntryKind.OUTPUT,
    ]


def test_a_step_that_lasts_beyond_the_hand_over_keeps_its_lease(world: World) -> None:
    world.submit(origin=ORIGIN)

    def slow(request: ModelRequest, control: CallControl) -> ModelTurn:
        world.clock.advance(20 * SECOND)
        assert control._aborted.wait(timeout=5), "the watch did not cut the call"
        world.clock.advance(40 * SECOND)
        end = time.monotonic() + 5
        while not world.task().has_live_lease(world.clock.now()) and time.monotonic() < end:
            time.sleep(0.01)
        assert world.task().has_live_lease(world.clock.now()), "anybody could take the task over"
        return calls(READ)

    world.model.will(slow)
    world.run(for_at_most=20 * SECOND)

    task = world.task()
    assert (task.status, task.hops, task.attempts) == (TaskStatus.PENDING, 1, 1)
    assert kinds(world) == [EntryKind.TURN]


def test_a_defect_in_the_watch_cuts_the_call_and_is_a_failed_attempt(world: World) -> None:
    world.submit(origin=ORIGIN)

    def broken(task: Task, *, lease_until: object) -> bool:
        raise ValueError("a defect")

    def hangs(request: ModelRequest, control: CallControl) -> ModelTurn:
        world.clock.advance(HEARTBEAT_AFTER)
        assert control._aborted.wait(timeout=5), "nobody watches the call any more"
        raise CallAbortedError("cut")

    world.tasks.heartbeat = broken  # type: ignore[method-assign]
    world.model.will(hangs)
    world.run()

    assert (world.task().status, code(world)) == (TaskStatus.PENDING, ErrorCode.EXECUTION_ERROR)
    assert all(slot.task_id is None for slot in world.tasks.slots())


def test_a_lease_that_a_slow_claim_has_used_up_in_part_is_renewed_in_time(world: World) -> None:
    world.submit(origin=ORIGIN)
    claimed = world.claim("t-1")
    assert claimed is not None
    world.clock.advance(HEARTBEAT_AFTER + timedelta(seconds=2))

    def looks(request: ModelRequest, control: CallControl) -> ModelTurn:
        assert world.task().lease_until == world.clock.now() + LEASE
        return says("Done.")

    world.model.will(looks)
    hand_over_at = world.clock.now() + timedelta(minutes=14)
    run_session(claimed.task, claimed.origin, ports=world.executor(), hand_over_at=hand_over_at)

    assert world.task().status is TaskStatus.COMPLETED


def test_no_model_call_begins_on_a_lease_that_could_not_be_renewed(world: World) -> None:
    world.submit(origin=ORIGIN)
    claimed = world.claim("t-1")
    assert claimed is not None
    world.clock.advance(LEASE - timedelta(seconds=8))
    renew, failures = world.tasks.heartbeat, [UnavailableError("throttled")] * 3

    def at_last(task: Task, *, lease_until: datetime) -> bool:
        if failures:
            raise failures.pop()
        return renew(task, lease_until=lease_until)

    def looks(request: ModelRequest, control: CallControl) -> ModelTurn:
        left = world.task().lease_until
        assert left is not None
        assert left - world.clock.now() >= timedelta(seconds=10)
        return says("Done.")

    world.tasks.heartbeat = at_last  # type: ignore[method-assign]
    world.model.will(looks)
    hand_over_at = world.clock.now() + timedelta(minutes=14)
    run_session(claimed.task, claimed.origin, ports=world.executor(), hand_over_at=hand_over_at)

    assert (world.task().status, failures) == (TaskStatus.COMPLETED, [])


@pytest.mark.parametrize(("minutes", "status"), [(1, TaskStatus.PENDING), (14, TaskStatus.FAILED)])
def test_a_session_that_makes_no_step_in_a_whole_invocation_ends(
    world: World, minutes: int, status: TaskStatus
) -> None:
    world.submit(origin=ORIGIN)
    world.tasks.tasks["t-1"] = replace(world.task(), timeout_ms=1_800_000)

    def hangs(request: ModelRequest, control: CallControl) -> ModelTurn:
        world.clock.advance(timedelta(minutes=minutes))
        world.tasks.heartbeat(world.task(), lease_until=world.clock.now() + LEASE)
        assert control._aborted.wait(timeout=5), "the watch did not cut the call"
        raise CallAbortedError("cut")

    world.model.will(hangs)
    world.run(for_at_most=timedelta(minutes=minutes))

    assert world.task().status is status
    assert code(world) is (ErrorCode.NO_PROGRESS if status is TaskStatus.FAILED else None)


def test_a_session_that_is_handed_over_for_ever_ends(world: World) -> None:
    world.submit(origin=ORIGIN)
    world.tasks.tasks["t-1"] = replace(world.task(), timeout_ms=1_800_000)

    def hangs(request: ModelRequest, control: CallControl) -> ModelTurn:
        world.clock.advance(10 * SECOND)
        assert control._aborted.wait(timeout=5), "the watch did not cut the call"
        raise CallAbortedError("cut")

    while world.task().status is TaskStatus.PENDING:
        world.model.will(hangs)
        world.run(for_at_most=10 * SECOND)

    assert (world.task().status, code(world)) == (TaskStatus.FAILED, ErrorCode.NO_PROGRESS)
    assert world.task().hops == MAX_HOPS


# Crashes --------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process is gone: nothing below may catch it."""


def test_a_killed_session_goes_on_from_its_journal_and_repeats_no_finished_call(
    world: World,
) -> None:
    world.submit(origin=ORIGIN)

    def killed(request: ModelRequest, control: CallControl) -> ModelTurn:
        raise Killed

    world.model.will(calls(READ, LIST), killed)
    with pytest.raises(Killed):
        world.run()
    assert world.task().status is TaskStatus.RUNNING
    world.clock.advance(LEASE)

    world.model.will(says("Done."))
    claimed = world.claim("t-1", receives=2)
    assert claimed is not None
    run_session(
        claimed.task,
        claimed.origin,
        ports=world.executor(),
        hand_over_at=world.clock.now() + timedelta(minutes=5),
    )

    task = world.task()
    assert (task.status, task.attempts, task.tool_call_count) == (TaskStatus.COMPLETED, 2, 2)
    assert world.model.requests[-1].messages == world.model.requests[-2].messages


def test_a_zombie_that_wakes_up_writes_nothing(world: World) -> None:
    world.submit(origin=ORIGIN)

    def frozen(request: ModelRequest, control: CallControl) -> ModelTurn:
        world.clock.advance(LEASE)
        claimed = world.claim("t-1", receives=2)
        assert claimed is not None
        return says("I was away.")

    world.model.will(frozen)

    assert world.run() is None

    task = world.task()
    assert (task.status, task.fence) == (TaskStatus.RUNNING, 2)
    assert kinds(world) == []
    assert world.tasks.rows == {}


def test_a_step_whose_answer_was_lost_is_found_in_the_journal_by_the_next_executor(
    world: World,
) -> None:
    world.submit(origin=ORIGIN)
    original = world.tasks.step
    lost = iter([True])

    def step(*args: object, **kwargs: object) -> object:
        done = original(*args, **kwargs)  # type: ignore[arg-type]
        if next(lost, False):
            raise UnavailableError("no answer")
        return done

    world.tasks.step = step  # type: ignore[method-assign, assignment]
    world.model.will(calls(READ))
    assert world.run() is None
    assert world.task().status is TaskStatus.RUNNING
    assert [task_id for task_id, _ in world.wake_ups.sent] == ["t-1"]

    world.clock.advance(LEASE)
    world.model.will(says("Done."))
    world.run()

    assert world.task().status is TaskStatus.COMPLETED
    assert kinds(world) == [EntryKind.TURN, EntryKind.TOOL, EntryKind.OUTPUT]


def test_a_task_that_kills_its_executor_each_time_ends_and_delays_no_other(world: World) -> None:
    world.submit("t-1", origin=ORIGIN)
    add(world.tasks, "t-2", at=NOON + SECOND)

    def killed(request: ModelRequest, control: CallControl) -> ModelTurn:
        raise Killed

    for attempt in range(1, 4):
        world.model.will(killed)
        with pytest.raises(Killed):
            world.run("t-1")
        assert world.task("t-1").attempts == attempt
        if attempt == 1:
            # The other slot is free all the while: the second task runs at once.
            world.model.will(says("Done."))
            claimed = world.claim("t-2", message_id="m-2")
            assert claimed is not None
            assert claimed.task.id == "t-2"
            run_session(
                claimed.task,
                claimed.origin,
                ports=world.executor(),
                hand_over_at=world.clock.now() + timedelta(minutes=5),
            )
        world.clock.advance(LEASE)

    assert world.claim("t-1", receives=4) is None

    assert world.task("t-2").status is TaskStatus.COMPLETED
    assert (world.task("t-1").status, code(world)) == (TaskStatus.FAILED, ErrorCode.EXECUTOR_LOST)
    assert all(slot.task_id is None for slot in world.tasks.slots())


def test_a_session_of_twenty_five_minutes_goes_through_executors_of_three(world: World) -> None:
    world.submit(origin=replace(ORIGIN, limits=Limits(turns=30)))
    world.tasks.tasks["t-1"] = replace(world.task(), timeout_ms=1_800_000)
    minutes = 25

    def minute(number: int) -> Callable[[ModelRequest, CallControl], ModelTurn]:
        def turn(request: ModelRequest, control: CallControl) -> ModelTurn:
            world.clock.advance(timedelta(minutes=1))
            world.tasks.heartbeat(world.task(), lease_until=world.clock.now() + LEASE)
            return calls(READ, first_id=number)

        return turn

    world.model.will(*(minute(number) for number in range(1, minutes + 1)), says("Done."))
    invocations = 0
    while world.task().status is not TaskStatus.COMPLETED:
        world.run(for_at_most=timedelta(minutes=3))
        invocations += 1
        assert invocations < minutes

    task = world.task()
    assert (task.attempts, task.tool_call_count) == (1, minutes)
    assert task.hops == invocations - 1 >= minutes // 3 - 1
    assert kinds(world) == [EntryKind.TURN, EntryKind.TOOL] * minutes + [EntryKind.OUTPUT]
    assert world.clock.now() - NOON >= timedelta(minutes=minutes)
