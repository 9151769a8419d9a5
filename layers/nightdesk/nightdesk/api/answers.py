"""The answers of the API as types: what `rendering` makes, and what the OpenAPI document shows.

A field is always there unless it is `NotRequired`; what is not known is null. Times are ISO 8601 in
UTC with milliseconds and Z.
"""

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict

from nightdesk.domain.api_key import Operation
from nightdesk.domain.event_log import EventKind
from nightdesk.domain.model import ModelTier
from nightdesk.domain.push_configs import PushFormat
from nightdesk.domain.specialist import Audience, ConcurrencyGroup, OnConflict, Role
from nightdesk.domain.task import TaskStatus
from nightdesk.services.manage_callbacks import DeliveredEvent, DeliveryState
from nightdesk.services.task_fields import TaskSummary, WholeTask


class TaskList(TypedDict):
    """A page; without `nextCursor` it is the last one."""

    tasks: list[TaskSummary]
    nextCursor: NotRequired[str]


class TaskAnswer(TypedDict):
    """One task."""

    task: WholeTask


class Done(TypedDict):
    """The task is gone."""

    success: Literal[True]


class BulkDeleted(TypedDict):
    """What one call of deleteByStatus did. With `more`, send it again."""

    success: Literal[True]
    deleted: int
    message: str
    more: bool
    nextCursor: NotRequired[str]


class BulkRetried(TypedDict):
    """What one call of retryByStatus did. With `more`, send it again."""

    success: Literal[True]
    retried: int
    more: bool
    nextCursor: NotRequired[str]


class TaskEvent(TypedDict):
    """One line of a task's event log."""

    number: int
    kind: EventKind
    time: str
    text: str
    tool: str | None
    isError: bool


class EventList(TypedDict):
    """Events of the task's current run. With `more`, ask again with the last number as `after`."""

    run: int
    status: TaskStatus
    events: list[TaskEvent]
    more: bool


class CallbackScheme(TypedDict):
    """The credentials are never shown."""

    scheme: str


class CallbackView(TypedDict):
    """Where the workspace is called back; neither token nor credentials are ever shown."""

    url: str
    format: PushFormat
    hasToken: bool
    authentication: CallbackScheme | None
    createdAt: str


class Workspace(TypedDict):
    """What the workspace's owners have set; null = no bound."""

    id: str
    paused: bool
    tasksPerDay: int | None
    costUsdPerDay: float | None
    callback: CallbackView | None


class WorkspaceAnswer(TypedDict):
    """One workspace."""

    workspace: Workspace


class CallbackSecret(TypedDict):
    """The secret that callbacks are signed with: shown this once."""

    secret: str


class DeliveryView(TypedDict):
    """A callback on its way, or what became of it. `to` is `workspace`, or a configuration's id."""

    id: str
    taskId: str
    event: DeliveredEvent
    to: str
    state: DeliveryState
    tries: int
    lastError: str | None
    createdAt: str
    nextTryAt: str | None


class DeliveryList(TypedDict):
    """Callbacks."""

    callbacks: list[DeliveryView]


class DeliveryAnswer(TypedDict):
    """One callback."""

    callback: DeliveryView


class SpecialistLimits(TypedDict):
    """The bounds of one task; null = none."""

    turns: int
    timeoutMs: int
    tokens: int | None
    costUsd: float | None


class SpecialistTrigger(TypedDict):
    """An event that starts the specialist."""

    event: str
    actions: list[str]
    labels: list[str]


class SpecialistConcurrency(TypedDict):
    """Which of its tasks exclude each other."""

    group: ConcurrencyGroup
    onConflict: OnConflict


class SpecialistSchedule(TypedDict):
    """When a schedule starts it; `nextRunAt` is null while it is switched off."""

    cron: str
    timezone: str
    repo: str | None
    nextRunAt: str | None


class SpecialistView(TypedDict):
    """A specialist as its file describes it."""

    id: str
    name: str
    description: str
    role: Role
    modelTier: ModelTier
    tools: list[str]
    intents: Mapping[str, int]
    approval: list[str]
    labels: list[str]
    limits: SpecialistLimits
    triggers: list[SpecialistTrigger]
    schedules: list[SpecialistSchedule]
    allow: Audience
    concurrency: SpecialistConcurrency | None
    enabled: bool
    notices: list[str]


class BrokenFile(TypedDict):
    """A file that could not be used."""

    file: str
    reason: str


class SpecialistList(TypedDict):
    """All specialists by id, and the files that could not be used."""

    specialists: list[SpecialistView]
    broken: list[BrokenFile]


class KeyView(TypedDict):
    """An API key without its secret. `agents` empty = every specialist."""

    id: str
    workspaceId: str
    agents: list[str]
    operations: list[Operation]
    description: str
    requestsPerMinute: int
    uses: int
    createdAt: str
    lastUsedAt: str | None
    rotatedAt: str | None
    previousSecretUntil: str | None
    revokedAt: str | None


class KeyList(TypedDict):
    """The keys that the caller manages, oldest first, revoked ones too."""

    keys: list[KeyView]


class KeyAnswer(TypedDict):
    """One key."""

    key: KeyView


class NewKeyAnswer(TypedDict):
    """One key, and `apiKey`, what its user sends. It is shown here, and never again."""

    key: KeyView
    apiKey: str


class Processed(TypedDict):
    """What the sweep did, by number."""

    ok: Literal[True]
    dispatched: Literal[True]
    swept: Mapping[str, Any]


class Redriven(TypedDict):
    """How many wake-ups were sent again."""

    redriven: int


class PollSummary(TypedDict):
    """Of all repositories: found = processed + skipped."""

    reposChecked: int
    totalEventsFound: int
    totalEventsProcessed: int
    totalEventsSkipped: int


class PollReport(TypedDict):
    """What the last polls found, repository by repository."""

    ok: bool
    checkedAt: str
    summary: PollSummary
    results: list[Mapping[str, Any]]


class PollStarted(TypedDict):
    """The poll takes longer than a request may: it goes on, and nothing is known of it yet.

    `outcome` is where GET shows what it did: `isRunning`, then each repository's `lastCheckedAt`.
    """

    ok: Literal[True]
    state: Literal["started"]
    checkedAt: str
    summary: PollSummary
    results: list[Mapping[str, Any]]
    outcome: str


class PollStatus(TypedDict):
    """What polling is configured to do and did last, without asking GitHub."""

    ok: Literal[True]
    enabled: bool
    isRunning: bool
    intervalSeconds: int
    lastCheckedAt: str | None
    lastEventIds: Mapping[str, str | None]
    repositories: list[Mapping[str, Any]]
    malformed: list[str]
    deferredEvents: int


class DecisionView(TypedDict):
    """What came of one event for one specialist: a task, or the reason against it."""

    at: NotRequired[str]
    event: str
    actor: NotRequired[str]
    source: NotRequired[str]
    outcome: str
    specialist: NotRequired[str]
    taskId: NotRequired[str]


class DecisionList(TypedDict):
    """The latest decisions on one issue or pull request, newest first."""

    repo: str
    number: int
    decisions: list[DecisionView]


class Health(TypedDict):
    """That the function runs; it asks no table."""

    status: Literal["ok"]
    version: str
    timestamp: str


class Document(TypedDict):
    """An OpenAPI document."""

    openapi: str
    info: Mapping[str, Any]
    servers: list[Mapping[str, Any]]
    security: list[Mapping[str, Any]]
    tags: list[Mapping[str, Any]]
    paths: Mapping[str, Any]
    components: Mapping[str, Any]


class ErrorDetails(TypedDict):
    """`field` names what was refused; the log has `requestId`."""

    code: str
    message: str
    field: NotRequired[str]
    requestId: str | None


class ErrorBody(TypedDict):
    """Every error of the API."""

    error: ErrorDetails
