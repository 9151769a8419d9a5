"""What the services need from the outside world. Each port has an adapter and a fake, and one
set of tests that both pass.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from nightdesk.domain.model import Usage
from nightdesk.domain.outbox import OutboxRow
from nightdesk.domain.session import Entry
from nightdesk.domain.specialist import SpecialistSet
from nightdesk.domain.task import (
    Hold,
    Origin,
    Priority,
    Target,
    Task,
    TaskError,
    TaskStatus,
)

if TYPE_CHECKING:  # for the cold start
    from nightdesk.domain.issue_text import IssueText
    from nightdesk.domain.workspace_files import Snapshot


class Clock(Protocol):
    """Time, so that tests can turn it."""

    def now(self) -> datetime:
        """The time, aware UTC."""
        ...

    def sleep(self, duration: timedelta) -> None: ...


@dataclass(frozen=True, slots=True)
class Slot:
    """One of the few permits to run. Free when `task_id` is None.

    It stores no clock: it changes only in the transaction that moves its task out of RUNNING, or
    claims it anew (design, section 4, rule 2).
    """

    number: int
    task_id: str | None = None
    fence: int = 0
    #: The wake-up whose executor claimed it, so that its redelivery finds its task.
    message_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceSettings:
    """What a workspace's owners have set; None = no bound. `*` is the whole deployment's row."""

    paused: bool = False
    tasks_per_day: int | None = None
    cost_micros_per_day: int | None = None
    #: Its owners want to be called back; where, only the notifier may read.
    calls_back: bool = False
    #: Which of its signing secrets is in use (0 = none was ever made), and since when, in seconds
    #: since 1970.
    secret_version: int = 0
    secret_since: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetCharge:
    """What a claim charges to its workspace's budget of the day (UTC, `2026-11-21`).

    `micros` is the most that the task may still cost; `tasks` is 1 for the first claim of a run.
    """

    day: str
    micros: int
    tasks: int
    most_micros: int | None = None
    most_tasks: int | None = None


@dataclass(frozen=True, slots=True)
class Mail:
    """A person's message to a session. `kind`: `text`, `approve` or `deny`; `number` from 1."""

    number: int
    kind: str
    text: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row of the runnable index: best first."""

    task_id: str
    workspace_id: str


@dataclass(frozen=True, slots=True)
class ClaimView:
    """One consistent read of all that a claim decides on. A missing id was deleted meanwhile."""

    tasks: dict[str, Task]
    origins: dict[str, Origin]
    slots: tuple[Slot, ...]
    #: By workspace id, for the workspaces asked for and `*`; absent = nothing is set.
    settings: Mapping[str, WorkspaceSettings] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a step changes on the hot item besides the journal. Counts are increments."""

    activity: str | None = None
    tool_calls: int = 0
    usage: Usage = field(default_factory=Usage)
    cost_micros: int = 0
    messages_read: int = 0
    #: Set aside for the next model call; replaces what was set aside before.
    reserved_micros: int = 0
    #: Set when the tracking comment is to be refreshed: how often each tool was used in this run.
    tools: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """How a task leaves RUNNING. Its slot goes free in the same transaction.

    `status` PENDING = go on later (`run_after` None: at once); `continuing` = no new attempt.
    """

    status: TaskStatus
    error: TaskError | None = None
    run_after: datetime | None = None
    continuing: bool = False
    hop: bool = False
    superseded_by: str | None = None
    progress: Progress = field(default_factory=Progress)
    entry: Entry | None = None
    rows: tuple[OutboxRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """A page of tasks, newest first; `cursor` is opaque, None at the end."""

    tasks: tuple[Task, ...]
    cursor: str | None


class TaskStore(Protocol):
    """Tasks, their origins, journals and slots. Every state change is a conditional write."""

    # Creating and reading --------------------------------------------------------------------

    def create(
        self,
        task: Task,
        origin: Origin,
        *,
        seen_keys: Sequence[str] = (),
        awaits: Sequence[Task] = (),
    ) -> bool:
        """Put a new PENDING task, its origin and (for events) the `seen` rows in one transaction.

        `awaits` are the unfinished tasks, as they were read, whose end the new one waits for; they
        are marked in the same transaction, so that none can end without looking after it.

        Returns False, and writes nothing, when the task's id or a seen key exists already.

        Raises:
            ConditionFailedError: one of `awaits` has ended, or is gone.
        """
        ...

    def get(self, task_id: str) -> Task | None:
        """Consistent read."""
        ...

    def get_origin(self, task_id: str) -> Origin | None: ...

    def list_page(
        self,
        workspace_id: str,
        *,
        status: TaskStatus | None,
        limit: int,
        cursor: str | None,
    ) -> Page:
        """Raises InvalidInputError(field="cursor") for a cursor that is not of this list."""
        ...

    def entries(self, task_id: str, run: int, *, after: int = 0) -> list[Entry]:
        """The journal of one run, in order, from the entry after `after` (consistent read)."""
        ...

    def entry(self, task_id: str, run: int, seq: int) -> Entry | None: ...

    # Claiming --------------------------------------------------------------------------------

    def runnable(self, *, limit: int) -> list[Candidate]:
        """The best few of the runnable index (eventually consistent)."""
        ...

    def view_for_claim(
        self, task_ids: Sequence[str], *, workspace_ids: Sequence[str] = ()
    ) -> ClaimView:
        """These tasks, their origins, all slots and these workspaces' settings, in one
        consistent read.
        """
        ...

    def slots(self) -> tuple[Slot, ...]: ...

    def claim(
        self,
        task: Task,
        slot: Slot,
        *,
        message_id: str,
        now: datetime,
        lease_until: datetime,
        reserved_micros: int,
        charge: BudgetCharge | None = None,
        calls_back: bool = False,
    ) -> Task:
        """Take the task, as it was read, into the slot, as it was read; raises the fence.

        The task is PENDING and the slot free, or the task is RUNNING with an expired lease and
        holds this slot. Its group's slot and the budget's charge are in the same transaction.
        `calls_back`: its workspace wants to be told of its end. Returns the task as it is now.

        Raises:
            GroupBusyError, BudgetSpentError: that stood in the way.
            NotClaimableError: the task or the slot has changed since it was read.
        """
        ...

    def hold(self, task: Task, reason: Hold, *, until: datetime) -> None:
        """Take a PENDING task out of the line; the sweeper looks at it when `until` has come.

        Harmless when somebody else has changed it meanwhile.
        """
        ...

    def group_holder(self, group: str) -> str | None:
        """The id of the group's running task (consistent read)."""
        ...

    def group_waiting(self, group: str, *, limit: int) -> list[Task]:
        """Tasks of the group that do not run, PENDING or WAITING, best rank first (the index may
        lag).
        """
        ...

    def step(self, task: Task, entry: Entry, progress: Progress, *, lease_until: datetime) -> Task:
        """Write the entry, the progress and the lease in one transaction.

        Raises:
            CancelRequestedError: a person has cancelled the task; nothing was written.
            StaleTaskError: a message has come that `task.inbox` does not count.
            LeaseLostError: the fence is not ours any more, or the task has ended.
        """
        ...

    def heartbeat(self, task: Task, *, lease_until: datetime) -> bool:
        """Renew the lease and nothing else; returns whether a cancel was requested.

        Raises:
            LeaseLostError: the fence is not ours any more, or the task has ended.
        """
        ...

    def release(self, task: Task, release: Release, *, now: datetime) -> Task:
        """Move the task out of RUNNING and free its slot, in one transaction, on our fence.

        A `status` other than CANCELLED also demands that no cancel was requested.

        Raises:
            CancelRequestedError, LeaseLostError: as `step`.
            StaleTaskError: a message has come, a task that depends on this one, or a callback.
        """
        ...

    # Messages and dependants -----------------------------------------------------------------

    def send_mail(self, task: Task, *, kind: str, text: str, by: str, now: datetime) -> Task:
        """Put a message for the session of a RUNNING or WAITING task, as it was read; one that
        waits goes PENDING.

        Raises:
            ConditionFailedError: it has changed since it was read.
        """
        ...

    def mail(self, task: Task) -> list[Mail]:
        """The messages of this run that the session has not taken in, in their order."""
        ...

    def dependants(self, task_id: str) -> list[str]:
        """Ids of the tasks that wait, or waited, for this one's end."""
        ...

    def dependants_settled(self, task: Task) -> None:
        """Note that an ended task's dependants were looked after; harmless when repeated."""
        ...

    # Workspaces ------------------------------------------------------------------------------

    def workspace_settings(self, workspace_id: str) -> WorkspaceSettings: ...

    def set_workspace_settings(self, workspace_id: str, settings: WorkspaceSettings) -> None: ...

    # Without a session -----------------------------------------------------------------------

    def end_unclaimed(
        self,
        task: Task,
        status: TaskStatus,
        error: TaskError | None,
        *,
        now: datetime,
        rows: tuple[OutboxRow, ...] = (),
        superseded_by: str | None = None,
    ) -> Task:
        """End a task that no session holds: PENDING, WAITING, or an orphan (RUNNING, no slot).

        Raises:
            ConditionFailedError: it has changed since it was read.
        """
        ...

    def end_expired(self, task: Task, release: Release, *, now: datetime) -> Task:
        """As `release`, for a task whose lease has run out and whose executor is gone: on the
        lease as it was read.

        Raises:
            ConditionFailedError: it has changed since it was read (its executor lives).
        """
        ...

    def request_cancel(
        self, task: Task, *, now: datetime, superseded_by: str | None = None
    ) -> Task:
        """Ask the session of a RUNNING task to stop.

        Raises:
            ConditionFailedError: it does not run any more.
        """
        ...

    def make_runnable(self, task: Task, *, now: datetime) -> None:
        """Write a delayed task that is due into the runnable index. Harmless when repeated."""
        ...

    def edit(
        self,
        task: Task,
        *,
        title: str | None,
        agent_id: str | None,
        priority: Priority | None,
        now: datetime,
        origin: Origin | None = None,
    ) -> Task:
        """Change a PENDING task that has not started yet; `origin` replaces its Origin.

        Raises:
            ConditionFailedError: it has started or ended meanwhile.
        """
        ...

    def start_new_run(self, task: Task, *, now: datetime, awaits: bool = False) -> Task:
        """A person's retry of a FAILED or CANCELLED task; `awaits`: held for its dependencies.

        Raises:
            ConditionFailedError: it has changed since it was read.
        """
        ...

    def delete(self, task: Task) -> None:
        """Remove a task that does not run. Its id stays taken for as long as its journal is kept.

        Raises:
            ConditionFailedError: it has started meanwhile.
        """
        ...

    def free_slot(self, slot: Slot) -> None:
        """Free a slot whose task is gone or runs no more, if it is still as it was read.

        Only a row removed or changed by hand can leave one behind.
        """
        ...

    def free_group(self, group: str, holder: str) -> None:
        """Free a group whose holder is gone or runs no more, if it is still that one's.

        Only a row removed or changed by hand can leave one behind.
        """
        ...

    def want_callbacks(self, task_id: str) -> Task | None:
        """Note that somebody wants to be called back, and get the task as it is then; None when it
        is gone. Whatever ends it later tells them; harmless when repeated.
        """
        ...

    def set_publication(self, task_id: str, publication: str) -> None:
        """Show where the result was published (a short text or URL)."""
        ...

    # Sweeping --------------------------------------------------------------------------------

    def running(self) -> list[Task]:
        """Every task whose status is RUNNING, also one that was put there by hand."""
        ...

    def due(self, *, now: datetime, limit: int) -> list[Task]:
        """Tasks whose time to be looked at has come: PENDING and WAITING ones, and ended ones
        whose dependants nobody has looked after yet.
        """
        ...

    def count_ahead(self, task: Task, *, most: int) -> int:
        """How many runnable tasks stand before this one in line, counted to `most`."""
        ...


class OutboxStore(Protocol):
    """What waits to be published or notified."""

    def put(self, row: OutboxRow) -> bool:
        """Add a row; False when there is one of its name already, which stays as it is."""
        ...

    def get(self, task_id: str, row: str) -> OutboxRow | None: ...

    def lease(self, row: OutboxRow, *, until: datetime) -> OutboxRow:
        """Take the row, as it was read, for one try; counts the try.

        Raises:
            ConditionFailedError: another consumer has it, or it is done.
        """
        ...

    def done(self, row: OutboxRow, *, result_url: str) -> None: ...

    def failed(
        self, row: OutboxRow, *, error: str, next_try: datetime | None, waits: bool = False
    ) -> None:
        """Record a try that failed; `next_try` None = DEAD. `waits`: we were asked to wait."""
        ...

    def due(self, *, now: datetime, limit: int) -> list[OutboxRow]:
        """PENDING rows that nobody holds although their time has come."""
        ...

    def of_task(self, task_id: str, prefix: str) -> list[OutboxRow]:
        """The task's rows whose names begin so, in the order of their names."""
        ...

    def dead(self, workspace_id: str, *, limit: int) -> list[OutboxRow]:
        """DEAD rows of the workspace, the newest first (the index may lag)."""
        ...

    def send_again(self, row: OutboxRow, *, now: datetime) -> OutboxRow:
        """Make a DEAD row PENDING and due, with all its tries before it again.

        Raises:
            ConditionFailedError: it is not DEAD any more.
        """
        ...


class WakeUps(Protocol):
    """The queue of wake-ups. A wake-up says "look", not "run this": the task id is a hint."""

    def send(self, task_id: str, *, delay: timedelta = timedelta(0)) -> None:
        """Delays over 15 minutes are cut to that (an SQS limit); the sweeper does the rest."""
        ...

    def kept_invisible(self, receipt_handle: str) -> AbstractContextManager[None]:
        """Set the message's visibility to 40 s at once, and again each 10 s until the end."""
        ...


class Snapshots(Protocol):
    """Gives a session the files of its task's repository."""

    def open(self, task_id: str, target: Target) -> "AbstractContextManager[Snapshot]":
        """Raises PermanentError(REPOSITORY_UNREACHABLE) or TransientError."""
        ...


class IssueReader(Protocol):
    """Reads the issue or pull request that a task is about."""

    def read(self, task_id: str, target: Target) -> "IssueText":
        """Raises PermanentError(REPOSITORY_UNREACHABLE) or TransientError."""
        ...


class Specialists(Protocol):
    def load(self) -> SpecialistSet:
        """All specialists; broken files are listed, not raised. Cached while warm."""
        ...


class Dice(Protocol):
    """Randomness, so that tests can load it."""

    def jitter(self) -> float:
        """A number in [0, 1)."""
        ...

    def token(self) -> str:
        """32 hexadecimal digits from a secure source."""
        ...


PriceOf = Callable[[str, Usage], int | None]
"""Model id and usage to millionths of a dollar; None = no price is known for this model."""

__all__ = [
    "BudgetCharge",
    "Candidate",
    "ClaimView",
    "Clock",
    "Dice",
    "IssueReader",
    "Mail",
    "OutboxStore",
    "Page",
    "PriceOf",
    "Progress",
    "Release",
    "Slot",
    "Snapshots",
    "Specialists",
    "TaskStore",
    "WakeUps",
    "WorkspaceSettings",
]
