"""What a campaign has left behind, held against what it should have: pure.

The journal and GitHub are the witnesses, read after everything has come to rest; the processes'
own records are used for times only.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from typing import Any

from nightdesk.domain.errors import ErrorCode
from nightdesk.domain.session import EntryKind
from nightdesk.domain.task import Task, TaskStatus

_STEPS = frozenset({EntryKind.TURN, EntryKind.TOOL, EntryKind.OUTPUT})


@dataclass(frozen=True, slots=True)
class JournalLine:
    """A journal entry as it is stored, with the fence that wrote it."""

    seq: int
    kind: str
    fence: int
    at: datetime
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kill:
    """A SIGKILL of an executor that held a task. `at` is in epoch seconds."""

    at: float
    task_id: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFacts:
    """One task at the end: its row, its journal, and what stands on GitHub for it."""

    task: Task
    journal: Sequence[JournalLine]
    comments: int
    labels: Mapping[str, int]


@dataclass(kw_only=True)
class Verdict:
    """Sums over all tasks. The effects of a task that did not complete must be none."""

    tasks: int = 0
    completed: int = 0
    executor_lost: int = 0
    otherwise_ended: list[str] = field(default_factory=list)
    not_ended: list[str] = field(default_factory=list)
    effects_expected: int = 0
    effects_repeated: int = 0
    effects_lost: int = 0
    effects_of_failed_tasks: int = 0
    #: POSTs of a label that was there already: GitHub's state does not change.
    harmless_requests_repeated: int = 0
    steps_expected: int = 0
    steps_repeated: int = 0
    steps_lost: int = 0
    journals_broken: list[str] = field(default_factory=list)
    attempts_above_cap: int = 0

    @property
    def holds(self) -> bool:
        """Nothing repeated, nothing lost, nothing hanging. EXECUTOR_LOST after all attempts is an
        honest end, and counted apart.
        """
        return not (
            self.otherwise_ended
            or self.not_ended
            or self.effects_repeated
            or self.effects_lost
            or self.effects_of_failed_tasks
            or self.steps_repeated
            or self.steps_lost
            or self.journals_broken
            or self.attempts_above_cap
        )


def judge(facts: Iterable[TaskFacts], expected_labels: Sequence[str]) -> Verdict:
    verdict = Verdict()
    for fact in facts:
        _judge(fact, expected_labels, verdict)
    return verdict


def _judge(fact: TaskFacts, expected_labels: Sequence[str], verdict: Verdict) -> None:
    task = fact.task
    verdict.tasks += 1
    verdict.attempts_above_cap += task.attempts > task.max_attempts
    if (problem := _gap_or_zombie(fact.journal)) is not None:
        verdict.journals_broken.append(f"{task.id}: {problem}")
    steps = Counter(_names_of(fact.journal))
    verdict.steps_repeated += sum(count - 1 for count in steps.values())
    if not task.status.is_terminal:
        verdict.not_ended.append(task.id)
        return
    effects = fact.comments + len(fact.labels)
    if task.status is TaskStatus.COMPLETED:
        _judge_completed(fact, expected_labels, steps, verdict)
        return
    verdict.effects_of_failed_tasks += effects
    if task.error is not None and task.error.code is ErrorCode.EXECUTOR_LOST:
        verdict.executor_lost += 1
    else:
        why = f"{task.error.code}: {task.error.message}" if task.error else "no error"
        verdict.otherwise_ended.append(f"{task.id}: {task.status} {why}")


def _judge_completed(
    fact: TaskFacts, expected_labels: Sequence[str], steps: Counter[str], verdict: Verdict
) -> None:
    verdict.completed += 1
    verdict.effects_expected += len(expected_labels) + 1
    verdict.effects_repeated += max(0, fact.comments - 1)
    verdict.effects_lost += fact.comments == 0
    verdict.effects_lost += sum(1 for label in expected_labels if label not in fact.labels)
    verdict.effects_repeated += sum(1 for label in fact.labels if label not in expected_labels)
    verdict.harmless_requests_repeated += sum(count - 1 for count in fact.labels.values())
    wanted = _wanted_steps(len(expected_labels))
    verdict.steps_expected += len(wanted)
    verdict.steps_lost += sum(1 for step in wanted if step not in steps)
    verdict.steps_repeated += sum(1 for step in steps if step not in wanted)
    if _names_of(fact.journal) != wanted and not verdict.journals_broken:
        verdict.journals_broken.append(f"{fact.task.id}: not in the order of its steps")


def _wanted_steps(count: int) -> list[str]:
    """The journal of an undisturbed task, in order."""
    numbers = range(1, count + 1)
    return [*(f"{kind} call-{n}" for n in numbers for kind in ("turn", "tool")), "output"]


def _names_of(journal: Sequence[JournalLine]) -> list[str]:
    """The steps; that an attempt failed, and why, is an entry too, and none of them."""
    return [_name_of(line) for line in journal if line.kind in _STEPS]


def _name_of(line: JournalLine) -> str:
    """What the entry is the record of, so that a repetition has the same name."""
    match line.kind:
        case EntryKind.TURN:
            uses = [b["toolUse"]["toolUseId"] for b in line.data["message"]["content"]]
            return f"turn {' '.join(uses)}"
        case EntryKind.TOOL:
            return f"tool {line.data['toolUseId']}"
        case _:
            return line.kind


def _gap_or_zombie(journal: Sequence[JournalLine]) -> str | None:
    """Numbers without a gap, and fences that never go back: no zombie has written."""
    if [line.seq for line in journal] != list(range(1, len(journal) + 1)):
        return f"numbers {[line.seq for line in journal]}"
    fences = [line.fence for line in journal]
    return None if fences == sorted(fences) else f"fences {fences}"


# Recovery -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sign:
    """Something that shows a task alive under a fence: a claim, a journal entry, or its end."""

    at: float
    task_id: str
    fence: int


@dataclass(frozen=True, slots=True)
class Recovery:
    """Seconds from each kill to the task's next sign of life; `never` had none."""

    seconds: tuple[float, ...]
    never: tuple[Kill, ...]


def recoveries(kills: Iterable[Kill], signs: Iterable[Sign]) -> Recovery:
    """A sign counts for a kill when a later fence gave it, whatever its clock says."""
    by_task: dict[str, list[Sign]] = {}
    for sign in signs:
        by_task.setdefault(sign.task_id, []).append(sign)
    seconds, never = [], []
    for kill in kills:
        later = [s.at for s in by_task.get(kill.task_id, ()) if s.fence > kill.fence]
        if later:
            seconds.append(max(0.0, min(later) - kill.at))
        else:
            never.append(kill)
    return Recovery(tuple(sorted(seconds)), tuple(never))


def percentile(ordered: Sequence[float], share: float) -> float:
    """Nearest rank: the smallest value that this share of all values does not exceed."""
    if not ordered:
        raise ValueError("no values")
    return ordered[max(1, ceil(share * len(ordered))) - 1]
