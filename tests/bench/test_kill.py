"""The judge of the kill campaigns sees what it is there to see: a blind one is always content."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bench.kill.audit import (
    JournalLine,
    Kill,
    Sign,
    TaskFacts,
    Verdict,
    judge,
    percentile,
    recoveries,
)
from bench.kill.github import REPOSITORY, REPOSITORY_ID, CountingGithub
from bench.kill.records import Recorder, Records
from bench.kill.scripted_model import ScriptedModel, label_of
from bench.kill.stage import ROOT
from nightdesk.adapters.github.client import GithubClient
from nightdesk.adapters.github.credentials.personal import PersonalWriteToken
from nightdesk.adapters.github.publishing import GithubPublishing
from nightdesk.domain.errors import ErrorCode
from nightdesk.domain.model import CallControl, Message, ModelRequest, ModelTier
from nightdesk.domain.task import Task, TaskError, TaskStatus
from tests.fakes.clock import FakeClock

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
LABELS = [label_of(1), label_of(2)]
DONE = Task(
    id="t-1",
    workspace_id="team",
    agent_id="issue-enricher",
    title="A task",
    created_at=NOON,
    updated_at=NOON,
    status=TaskStatus.COMPLETED,
    attempts=1,
)


def line(seq: int, kind: str, *, call: str = "", fence: int = 1) -> JournalLine:
    data: dict[str, Any] = {"toolUseId": call}
    if kind == "turn":
        data = {"message": {"content": [{"toolUse": {"toolUseId": call}}]}}
    return JournalLine(seq, kind, fence, NOON, data)


JOURNAL = (
    line(1, "turn", call="call-1"),
    line(2, "tool", call="call-1"),
    line(3, "turn", call="call-2"),
    line(4, "tool", call="call-2", fence=2),
    line(5, "output", fence=2),
)
GOOD = TaskFacts(task=DONE, journal=JOURNAL, comments=1, labels=dict.fromkeys(LABELS, 1))


def verdict_of(facts: TaskFacts = GOOD, **changes: Any) -> Verdict:
    return judge([replace(facts, **changes)], LABELS)


def test_a_task_with_each_step_and_effect_once_passes() -> None:
    verdict = verdict_of()

    assert verdict.holds
    assert (verdict.completed, verdict.effects_expected, verdict.steps_expected) == (1, 3, 5)


def test_a_second_comment_is_an_effect_repeated() -> None:
    verdict = verdict_of(comments=2)

    assert verdict.effects_repeated == 1
    assert not verdict.holds


@pytest.mark.parametrize(
    "changes", [{"comments": 0}, {"labels": {LABELS[0]: 1}}], ids=["comment", "label"]
)
def test_an_effect_that_is_missing_is_lost(changes: dict[str, Any]) -> None:
    verdict = verdict_of(**changes)

    assert verdict.effects_lost == 1
    assert not verdict.holds


def test_a_label_that_no_step_proposed_is_an_effect_too_many() -> None:
    assert verdict_of(labels={**GOOD.labels, "step-999": 1}).effects_repeated == 1


def test_adding_a_label_again_is_counted_but_changes_nothing() -> None:
    verdict = verdict_of(labels={LABELS[0]: 3, LABELS[1]: 1})

    assert verdict.holds
    assert verdict.harmless_requests_repeated == 2


def test_a_step_journalled_twice_is_repeated() -> None:
    twice = [*JOURNAL[:2], line(3, "tool", call="call-1"), *JOURNAL[2:]]
    renumbered = [replace(entry, seq=seq) for seq, entry in enumerate(twice, start=1)]

    verdict = verdict_of(journal=renumbered)

    assert verdict.steps_repeated == 1
    assert not verdict.holds


def test_a_failed_attempt_in_the_journal_is_no_step() -> None:
    failure = line(3, "failure")
    journal = [*JOURNAL[:2], failure, replace(failure, seq=4), *JOURNAL[2:]]
    renumbered = [replace(entry, seq=seq) for seq, entry in enumerate(journal, start=1)]

    assert verdict_of(journal=renumbered).holds


def test_a_step_that_is_not_journalled_is_lost_and_leaves_a_gap() -> None:
    verdict = verdict_of(journal=[*JOURNAL[:1], *JOURNAL[2:]])

    assert (verdict.steps_lost, len(verdict.journals_broken)) == (1, 1)
    assert not verdict.holds


def test_a_lower_fence_after_a_higher_one_is_a_zombie() -> None:
    zombie = [*JOURNAL[:4], line(5, "output", fence=1)]

    assert verdict_of(journal=zombie).journals_broken == ["t-1: fences [1, 1, 1, 2, 1]"]


def test_steps_out_of_order_are_a_broken_journal() -> None:
    swapped = [replace(JOURNAL[2], seq=1), *JOURNAL[1:2], replace(JOURNAL[0], seq=3), *JOURNAL[3:]]

    assert not verdict_of(journal=swapped).holds


def test_a_task_that_hangs_is_told_by_name() -> None:
    hanging = replace(DONE, status=TaskStatus.RUNNING)

    verdict = verdict_of(task=hanging)

    assert verdict.not_ended == ["t-1"]
    assert not verdict.holds


def test_executor_lost_is_counted_apart_and_must_leave_no_effect() -> None:
    lost = replace(
        DONE, status=TaskStatus.FAILED, error=TaskError(ErrorCode.EXECUTOR_LOST, "attempt 10")
    )

    verdict = verdict_of(task=lost, comments=0, labels={}, journal=JOURNAL[:3])

    assert verdict.holds
    assert (verdict.executor_lost, verdict.completed) == (1, 0)
    assert verdict_of(task=lost).effects_of_failed_tasks == 3
    assert not verdict_of(task=lost).holds


def test_any_other_failure_does_not_pass() -> None:
    failed = replace(
        DONE, status=TaskStatus.FAILED, error=TaskError(ErrorCode.TASK_TIMEOUT, "too long")
    )

    verdict = verdict_of(task=failed, comments=0, labels={}, journal=())

    assert verdict.otherwise_ended == ["t-1: FAILED TASK_TIMEOUT: too long"]
    assert not verdict.holds


def test_an_attempt_above_the_cap_does_not_pass() -> None:
    assert not verdict_of(task=replace(DONE, attempts=4, max_attempts=3)).holds


# Recovery -------------------------------------------------------------------------------------


def test_recovery_counts_to_the_first_sign_under_a_later_fence() -> None:
    kills = [Kill(at=100.0, task_id="t-1", fence=3)]
    signs = [
        Sign(100.5, "t-1", 3),  # the dead executor's own last line, read late
        Sign(101.0, "t-2", 9),
        Sign(131.0, "t-1", 4),
        Sign(130.0, "t-1", 4),
        Sign(140.0, "t-1", 5),
    ]

    found = recoveries(kills, signs)

    assert (found.seconds, found.never) == ((30.0,), ())


def test_a_kill_without_a_later_sign_is_never_recovered_from() -> None:
    kill = Kill(at=100.0, task_id="t-1", fence=3)

    assert recoveries([kill], [Sign(101.0, "t-1", 3)]).never == (kill,)


@pytest.mark.parametrize(
    ("share", "value"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)], ids=str
)
def test_percentiles_are_values_that_were_seen(share: float, value: int) -> None:
    assert percentile(list(range(1, 101)), share) == value


# What the campaign is made of -------------------------------------------------------------------


def request_after(answered: int) -> ModelRequest:
    messages: list[Message] = [{"role": "user", "content": [{"text": "Do it."}]}]
    for _ in range(answered):
        messages.append({"role": "assistant", "content": []})
        messages.append({"role": "user", "content": []})
    return ModelRequest("", tuple(messages), (), ModelTier.SMART, 100)


def test_the_scripted_model_reads_its_place_from_the_conversation() -> None:
    called: list[int] = []
    model = ScriptedModel(steps=2, think_seconds=0, on_call=called.append)

    turns = [model.converse(request_after(answered), CallControl()) for answered in (1, 0, 1, 2)]

    asked: Sequence[list[str]] = [
        [use["input"]["labels"][0] for use in turn.tool_uses] for turn in turns
    ]
    assert asked == [[LABELS[1]], [LABELS[0]], [LABELS[1]], []]
    assert called == [2, 1, 2, 3]
    assert turns[3].text == "All 2 steps are done."


def test_the_counting_github_counts_what_the_real_adapter_writes() -> None:
    with CountingGithub() as github:
        client = GithubClient(api_url=github.url, clock=FakeClock())
        publishing = GithubPublishing(client, PersonalWriteToken(client, read=lambda: "bench"))
        publishing.comment(REPOSITORY, 7, "Hello")
        for _ in range(2):
            publishing.add_labels(REPOSITORY, 7, ["step-001"])

        seen = publishing.comments_since(REPOSITORY, 7, NOON)

        assert publishing.repository(REPOSITORY).id == REPOSITORY_ID
        assert [comment.body for comment in seen] == ["Hello"]
        assert seen[0].author_id == publishing.own_account().id
        assert github.effects.comments == {7: ["Hello"]}
        assert github.effects.labels[7] == {"step-001": 2}


def test_half_a_line_is_read_when_its_other_half_has_come(tmp_path: Path) -> None:
    records = Records(tmp_path / "records.jsonl")
    assert list(records.refresh()) == []
    Recorder(records.path).note("claimed", task="t-1", fence=1)
    with records.path.open("a") as file:
        file.write('{"what": "le')
        file.flush()
        assert [event["what"] for event in records.refresh()] == ["claimed"]
        file.write('ft"}\n')
    assert [event["what"] for event in records.refresh()] == ["left"]
    assert len(records.events) == 2


def test_the_short_lease_reaches_the_services_and_keeps_the_order_of_the_clocks() -> None:
    code = """
import json
from bench.kill import short_lease
from nightdesk.services import held_task, claim_task
from nightdesk.adapters import sqs
print(json.dumps([held_task.HEARTBEAT_AFTER.total_seconds(), claim_task.LEASE.total_seconds(),
    held_task.LEASE.total_seconds(), sqs.VISIBILITY.total_seconds(),
    sqs.VISIBILITY_RENEWAL.total_seconds()]))
"""
    paths = f"{ROOT}:{ROOT / 'layers' / 'nightdesk'}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        env={"PYTHONPATH": paths},
        cwd=ROOT,
    )

    heartbeat, claim_lease, lease, visibility, renewal = json.loads(done.stdout)

    assert claim_lease == lease
    assert heartbeat < lease < visibility
    assert renewal < visibility
    assert timedelta(seconds=visibility) % timedelta(seconds=1) == timedelta(0)  # SQS's unit
