"""A task: its states, its fields, and the bounds of what callers may ask for.

Field names are the predecessors' (reference, predecessors 1.1) in snake case. A `Task` is the
*hot item*: what changes while a session runs. What never changes after creation is an `Origin`.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from nightdesk.domain.errors import ErrorCode


class TaskStatus(StrEnum):
    """The states of a task; `TRANSITIONS` holds the only ways between them."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    WAITING = "WAITING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def is_terminal(self) -> bool:
        return self in TERMINAL


TERMINAL = frozenset({TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED})

#: A person's retry (FAILED or CANCELLED to PENDING) begins a new run and is not in this table.
TRANSITIONS: dict[TaskStatus, frozenset[TaskStatus]] = {
    TaskStatus.PENDING: frozenset(
        {TaskStatus.RUNNING, TaskStatus.FAILED, TaskStatus.CANCELLED},
    ),
    TaskStatus.RUNNING: frozenset(
        {
            TaskStatus.COMPLETED,
            TaskStatus.FAILED,
            TaskStatus.CANCELLED,
            TaskStatus.WAITING,
            TaskStatus.PENDING,
        },
    ),
    TaskStatus.WAITING: frozenset(
        {TaskStatus.PENDING, TaskStatus.FAILED, TaskStatus.CANCELLED},
    ),
    TaskStatus.COMPLETED: frozenset(),
    TaskStatus.FAILED: frozenset(),
    TaskStatus.CANCELLED: frozenset(),
}


class Priority(StrEnum):
    """How long a task may be overtaken by newer ones."""

    HIGH = "HIGH"
    NORMAL = "NORMAL"
    LOW = "LOW"


#: What a priority adds to the creation time in the runnable index: priority and ageing are one
#: sort key, so nothing starves (design, section 4, rule 1).
AGEING = {
    Priority.HIGH: timedelta(0),
    Priority.NORMAL: timedelta(minutes=15),
    Priority.LOW: timedelta(minutes=60),
}


class TriggerSource(StrEnum):
    """What kind of event made the task."""

    MANUAL = "manual"
    SCHEDULE = "schedule"
    WEBHOOK = "webhook"
    POLLING = "polling"
    WORKFLOW = "workflow"
    FLEET = "fleet"
    A2A = "a2a"


class Hold(StrEnum):
    """Why a PENDING task is absent from the line until its `run_after`."""

    DELAY = "delay"
    GROUP = "group"
    DEPENDENCIES = "dependencies"
    BUDGET = "budget"
    PAUSED = "paused"


class OnDependencyFailure(StrEnum):
    """What becomes of a task when one that it depends on does not complete."""

    FAIL = "fail"
    SKIP = "skip"
    RUN_ANYWAY = "run-anyway"


# Bounds of what callers may ask for; the API names them in its errors.
TITLE_MAX = 120
PROMPT_MAX = 100_000
#: In bytes, as they are stored: the hot item stays under 1 KB in every script.
ACTIVITY_MAX = 120
ERROR_MESSAGE_MAX = 300
ID_MAX = 100
MAX_ATTEMPTS_MIN, MAX_ATTEMPTS_MAX, MAX_ATTEMPTS_DEFAULT = 1, 10, 3
TIMEOUT_MS_MIN, TIMEOUT_MS_MAX, TIMEOUT_MS_DEFAULT = 1_000, 1_800_000, 300_000
RUN_AFTER_MAX = timedelta(days=90)
DEPENDENCIES_MAX = 20
MESSAGE_MAX = 10_000
GROUP_MAX = 100

# The clocks of the engine (design, section 4, rule 4).
LEASE = timedelta(seconds=30)
HEARTBEAT_AFTER = timedelta(seconds=4)
VISIBILITY = timedelta(seconds=40)
VISIBILITY_RENEWAL = timedelta(seconds=10)
#: RUNNING with neither session nor lease for this long is an orphan (predecessors 1.6, path d).
ORPHAN_AFTER = timedelta(minutes=5)
QUEUE_TIMEOUT = timedelta(hours=24)
#: How long a task waits for a person.
WAIT_TIMEOUT = timedelta(days=7)
#: How long a task that something else holds back is left alone before the sweeper looks again.
HOLD_FOR = timedelta(minutes=5)
#: What a task without a limit of its own counts for in its workspace's budget of the day.
DEFAULT_COST_CAP_MICROS = 1_000_000

ORPHAN_MESSAGE = "Orphaned task: dispatch failed without creating a session"


@dataclass(frozen=True, slots=True)
class TaskError:
    """Why a task failed; `message` is for people and holds no secret."""

    code: ErrorCode
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The hot item. Times are aware UTC; `cost_micros` is in millionths of a US dollar."""

    id: str
    workspace_id: str
    agent_id: str
    title: str
    created_at: datetime
    updated_at: datetime
    status: TaskStatus = TaskStatus.PENDING
    priority: Priority = Priority.NORMAL
    trigger_source: TriggerSource = TriggerSource.MANUAL
    triggered_by: str = "user"
    #: Attempts begun in this run; the first is 1. A hand-over is not an attempt.
    attempts: int = 0
    max_attempts: int = MAX_ATTEMPTS_DEFAULT
    timeout_ms: int = TIMEOUT_MS_DEFAULT
    #: Not before this time. While it is set, the task is absent from the runnable index; whoever
    #: finds that its time has come removes it.
    run_after: datetime | None = None
    held: Hold | None = None
    #: When it last became PENDING; the queue timeout counts from here.
    queued_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    result_session_id: str | None = None
    error: TaskError | None = None
    last_activity: datetime | None = None
    current_activity: str | None = None
    tool_call_count: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cost_micros: int = 0
    #: What the next model call may cost at most, set aside before it is made.
    reserved_micros: int = 0
    publication: str | None = None
    #: At most one task of a group runs at a time; the name includes the workspace.
    group: str | None = None
    #: A newer task of the group ends the older ones instead of waiting for them.
    supersedes: bool = False
    superseded_by: str | None = None
    context_id: str | None = None
    waiting_since: datetime | None = None

    # Of the engine; not shown to callers.
    #: Counts retries by people; the journal's keys begin with it.
    run: int = 1
    #: Raised by each claim; only its holder may write.
    fence: int = 0
    lease_until: datetime | None = None
    slot: int | None = None
    #: Sequence number of the newest journal entry of this run; 0 = none.
    last_entry: int = 0
    cancel_requested: bool = False
    #: The next claim goes on with the attempt that a hand-over or a provider's 429 interrupted.
    continuing: bool = False
    #: Hand-overs in this run.
    hops: int = 0
    #: Time that this run has spent waiting for people; not counted against the timeout.
    waited_ms: int = 0
    #: Messages that people have sent to this run, and how many the session has taken in.
    inbox: int = 0
    inbox_read: int = 0
    #: Another task depends on this one; whoever ends it must look after that.
    has_dependants: bool = False
    #: A comment shows where it stands; whoever changes its state tells the publisher.
    tracked: bool = False
    #: Somebody wants to be called back when it ends or waits; whoever changes that tells them.
    has_callbacks: bool = False
    #: What the claim charged to the workspace's budget of which day; settled by the release.
    charged_micros: int = 0
    charged_day: str | None = None
    #: `cost_micros` when the claim charged it.
    cost_at_claim: int = 0

    @property
    def rank(self) -> datetime:
        """Where the task stands in the line of runnable tasks; the smallest is next."""
        return self.created_at + AGEING[self.priority]

    @property
    def deadline(self) -> datetime | None:
        """When the task has run for too long, counted from the first start of this run."""
        if self.started_at is None:
            return None
        return self.started_at + timedelta(milliseconds=self.timeout_ms + self.waited_ms)

    def is_due(self, now: datetime) -> bool:
        """Whether `run_after` allows a start."""
        return self.run_after is None or self.run_after <= now

    def has_live_lease(self, now: datetime) -> bool:
        return self.lease_until is not None and self.lease_until > now

    def new_run(self, now: datetime, *, awaits: bool = False) -> "Task":
        """The same task after a person's retry: attempts, counters, error, session start again.

        `awaits`: something that it depends on has not ended yet.
        """
        return replace(
            self,
            status=TaskStatus.PENDING,
            run=self.run + 1,
            attempts=0,
            updated_at=now,
            run_after=now + HOLD_FOR if awaits else None,
            queued_at=now,
            started_at=None,
            completed_at=None,
            result_session_id=None,
            error=None,
            last_activity=None,
            current_activity=None,
            tool_call_count=0,
            input_tokens=0,
            output_tokens=0,
            cache_read_tokens=0,
            cost_micros=0,
            reserved_micros=0,
            publication=None,
            held=Hold.DEPENDENCIES if awaits else None,
            superseded_by=None,
            waiting_since=None,
            waited_ms=0,
            inbox=0,
            inbox_read=0,
            charged_micros=0,
            charged_day=None,
            cost_at_claim=0,
            last_entry=0,
            cancel_requested=False,
            continuing=False,
            hops=0,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one task may use; None = no bound of that kind."""

    turns: int = 30
    tokens: int | None = None
    cost_micros: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a task's results may go, fixed at creation: one issue or pull request.

    `repo` is owner/name, `repo_id` GitHub's number for it; `number` is the issue's or pull
    request's; `head_sha` is what a review was made of ("" for an issue).
    """

    repo: str
    repo_id: int
    number: int
    kind: str
    url: str = ""
    head_sha: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """What made the task: {repo, number, url, actor, event, key} in the API's words."""

    event: str
    key: str
    actor: str = ""
    actor_association: str = "NONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What is written once, when the task is created. Executors may only read it."""

    task_id: str
    prompt: str
    created_at: datetime
    limits: Limits = Limits()
    #: Intent name to how many of it the specialist may propose; empty = it may publish nothing.
    intents: tuple[tuple[str, int], ...] = ()
    #: Labels that the `labels` intent may add; empty = any that the repository has already.
    allowed_labels: tuple[str, ...] = ()
    #: Patterns of the files that a pull request may change; empty = any that is not protected.
    allowed_paths: tuple[str, ...] = ()
    target: Target | None = None
    trigger: Trigger | None = None
    #: Tools and intents that a person must approve before they take effect.
    approvals: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    on_dependency_failure: OnDependencyFailure = OnDependencyFailure.FAIL
    #: Whether the outputs of `depends_on` are quoted in the prompt, as data.
    quotes_outputs: bool = False
    #: Random; marks where untrusted text begins and ends in this task's prompts.
    delimiter: str = ""
    #: SHA-256 of the request that made it, to tell a repeated Idempotency-Key from a clash.
    request_hash: str = ""

    #: Whether a comment shows where the task stands: "" = none does, `task` = one of its own,
    #: `sticky` = the one that earlier tasks of this specialist had on the same issue.
    tracking: str = ""
    #: Whether a commit status of the target's head shows it too.
    shows_status: bool = False

    def allows(self, intent: str) -> int:
        return dict(self.intents).get(intent, 0)
