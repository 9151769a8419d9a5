"""Runs that a clock starts: what is planned, and the task that each due time makes."""

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from nightdesk.domain.intents.names import ISSUE
from nightdesk.domain.schedule import next_due
from nightdesk.domain.specialist import ScheduleTrigger, Specialist, SpecialistSet
from nightdesk.domain.task import Target

#: The kind of target that is a repository as a whole: it can be read,
#: and only a new issue be proposed to it.
REPOSITORY = "repository"

# Ids of tasks are made in this name space; changing it would run what is due once more.
_TASKS = uuid.UUID("0b1a4d8e-52c1-5f0e-8a52-6c1de2f9b3d4")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One entry under `on.schedule` of a specialist's file, for one workspace.

    `id` is made of times, zone and repository: with another of these it is another schedule, with
    another prompt the same.
    """

    id: str
    workspace_id: str
    specialist: Specialist
    trigger: ScheduleTrigger

    @property
    def key(self) -> str:
        """Its name among those of all workspaces, whose ids hold no `#`."""
        return f"{self.workspace_id}#{self.id}"

    @property
    def target(self) -> Target | None:
        if not self.trigger.repo:
            return None
        return Target(repo=self.trigger.repo, repo_id=0, number=0, kind=REPOSITORY)

    @property
    def intents(self) -> tuple[tuple[str, int], ...]:
        """What its tasks may propose: new issues alone, for there is none to write to."""
        allowed = self.specialist.intents if self.trigger.repo else ()
        return tuple((name, most) for name, most in allowed if name == ISSUE)

    def task_id(self, due: datetime) -> str:
        """The id of the one task of this due time, whoever finds it, and how often."""
        return str(uuid.uuid5(_TASKS, f"{self.key}/{due.isoformat()}"))

    def next_due(self, after: datetime) -> datetime:
        return next_due(self.trigger.cron, self.trigger.timezone, after)


def schedules_of(specialists: SpecialistSet, workspace_id: str) -> list[Schedule]:
    """All that the files of usable specialists plan."""
    return [
        Schedule(
            id=f"{specialist.id}.{_digest(trigger)}",
            workspace_id=workspace_id,
            specialist=specialist,
            trigger=trigger,
        )
        for specialist in sorted(specialists.by_id.values(), key=lambda item: item.id)
        for trigger in specialist.schedules
    ]


def schedule_title(schedule: Schedule) -> str:
    return f"[Scheduled] {schedule.specialist.name}"


def schedule_prompt(schedule: Schedule, due: datetime) -> str:
    """What the session is told: the file's words, with the predecessors' variables filled in."""
    trigger = schedule.trigger
    words = trigger.prompt or "Do your job."
    variables = {
        "{timestamp}": due.isoformat(),
        "{cronExpr}": trigger.cron,
        "{scheduleName}": schedule.specialist.name,
    }
    for variable, value in variables.items():
        words = words.replace(variable, value)
    lines = [f"This is your run of {due.isoformat()}, which a schedule has started."]
    if trigger.repo:
        lines.append(f"Repository: {trigger.repo}")
    return "\n".join([*lines, "", words])


def _digest(trigger: ScheduleTrigger) -> str:
    named = f"{trigger.cron}\n{trigger.timezone}\n{trigger.repo.lower()}"
    return hashlib.sha256(named.encode()).hexdigest()[:12]


class DueTimes(Protocol):
    """When each schedule is due next, by its key. Writes are conditional: sweeps may overlap."""

    def all(self) -> Mapping[str, datetime]:
        """Consistent read."""
        ...

    def begin(self, key: str, due: datetime) -> None:
        """Remember a new schedule.

        Raises:
            ConditionFailedError: it is known already.
        """
        ...

    def move(self, key: str, *, seen: datetime, due: datetime) -> None:
        """Its time has been dealt with; this is the next one.

        Raises:
            ConditionFailedError: another sweep has moved it on from `seen`, or forgotten it.
        """
        ...

    def forget(self, key: str, *, seen: datetime) -> None:
        """No file plans it any more.

        Raises:
            ConditionFailedError: as `move`.
        """
        ...
