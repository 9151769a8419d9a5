"""What was decided on each GitHub event, so that people can ask why nothing happened, and how
many tasks an issue has had lately. Each port has an adapter and a fake that pass the same tests.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

#: The result of an outcome that is no refusal; all others are values of `Skip`.
TASK = "task"
#: What the API shows at most, newest first.
SHOWN = 100
#: Tasks are counted by the hour of the clock.
COUNTED_FOR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """For one specialist ("" = for none in particular): `task`, or the reason against it.

    `detail` says more to people: which key of which file, which permission.
    """

    result: str
    specialist: str = ""
    task_id: str = ""
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        shown = {
            "outcome": self.result,
            "specialist": self.specialist,
            "taskId": self.task_id,
            "detail": self.detail,
        }
        return {name: value for name, value in shown.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What came of one event. `source` is webhook or polling."""

    repo: str
    number: int
    at: datetime
    event: str
    key: str
    actor: str
    source: str
    outcomes: tuple[Outcome, ...]


class DecisionLog(Protocol):
    """Decisions, kept as long as tasks are."""

    def record(self, decisions: Sequence[Decision]) -> None:
        """Store them, in as few requests as possible."""
        ...

    def of(self, repo: str, number: int) -> Sequence[Decision]:
        """The latest on one issue or pull request, newest first, at most SHOWN."""
        ...


class TaskCounts(Protocol):
    """How many tasks an issue has had in this hour."""

    def admit(self, repo_id: int, number: int, task_id: str, *, now: datetime, most: int) -> bool:
        """Whether this task is one of the first `most`; asked again, the answer is the same."""
        ...
