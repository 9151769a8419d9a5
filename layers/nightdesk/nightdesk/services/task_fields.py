"""A task's fields as every JSON of ours shows them, in the names that its users know.

Times are ISO 8601 in UTC with milliseconds and Z.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypedDict

from nightdesk.domain.concurrency import group_shown
from nightdesk.domain.errors import ErrorCode
from nightdesk.domain.task import Hold, Origin, Priority, Task, TaskStatus, TriggerSource

_MICROS = 1_000_000


class TaskFailure(TypedDict):
    """Why a task ended FAILED."""

    code: ErrorCode
    message: str


class TaskTrigger(TypedDict):
    """The event that the task came of."""

    event: str
    key: str
    actor: str | None
    repo: str | None
    number: int | None
    url: str | None


class TaskQuestion(TypedDict):
    """What a WAITING task waits for."""

    reason: str
    text: str


class TaskOutput(TypedDict):
    """The final answer of a COMPLETED task."""

    result: str
    artifacts: list[Any]


class TaskSummary(TypedDict):
    """A task as lists show it: without its prompt, trigger and output."""

    id: str
    title: str
    agentId: str
    workspaceId: str
    status: TaskStatus
    cancelRequested: bool
    priority: Priority
    triggerSource: TriggerSource
    triggeredBy: str
    attempts: int
    maxAttempts: int
    timeoutMs: int
    runAfter: str | None
    held: Hold | None
    concurrencyGroup: str | None
    supersededBy: str | None
    contextId: str | None
    waitingSince: str | None
    resultSessionId: str | None
    error: TaskFailure | None
    errorMessage: str | None
    createdAt: str
    updatedAt: str
    startedAt: str | None
    completedAt: str | None
    lastActivity: str | None
    currentActivity: str | None
    toolCallCount: int
    inputTokens: int
    outputTokens: int
    cacheReadTokens: int
    costUsd: float
    publication: str | None


class WholeTask(TaskSummary):
    """A single task. `queuePosition` is a number, or "1,000+"."""

    queuePosition: int | str | None
    estimatedStartAt: str | None
    dependsOn: list[str]
    waitingFor: TaskQuestion | None
    prompt: str | None
    trigger: TaskTrigger | None
    output: TaskOutput | None


def instant(value: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and Z."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def instant_or_none(value: datetime | None) -> str | None:
    return None if value is None else instant(value)


def summary(task: Task) -> TaskSummary:
    """A task as lists show it: everything but prompt, output and trigger."""
    return {
        "id": task.id,
        "title": task.title,
        "agentId": task.agent_id,
        "workspaceId": task.workspace_id,
        "status": task.status,
        "cancelRequested": task.cancel_requested,
        "priority": task.priority,
        "triggerSource": task.trigger_source,
        "triggeredBy": task.triggered_by,
        "attempts": task.attempts,
        "maxAttempts": task.max_attempts,
        "timeoutMs": task.timeout_ms,
        "runAfter": instant_or_none(task.run_after),
        "held": task.held,
        "concurrencyGroup": None if task.group is None else group_shown(task.group),
        "supersededBy": task.superseded_by,
        "contextId": task.context_id,
        "waitingSince": instant_or_none(task.waiting_since),
        "resultSessionId": task.result_session_id,
        "error": None
        if task.error is None
        else {"code": task.error.code, "message": task.error.message},
        "errorMessage": None if task.error is None else task.error.message,
        "createdAt": instant(task.created_at),
        "updatedAt": instant(task.updated_at),
        "startedAt": instant_or_none(task.started_at),
        "completedAt": instant_or_none(task.completed_at),
        "lastActivity": instant_or_none(task.last_activity),
        "currentActivity": task.current_activity,
        "toolCallCount": task.tool_call_count,
        "inputTokens": task.input_tokens,
        "outputTokens": task.output_tokens,
        "cacheReadTokens": task.cache_read_tokens,
        "costUsd": task.cost_micros / _MICROS,
        "publication": task.publication,
    }


def trigger_fields(origin: Origin) -> TaskTrigger | None:
    trigger, target = origin.trigger, origin.target
    if trigger is None:
        return None
    return {
        "event": trigger.event,
        "key": trigger.key,
        "actor": trigger.actor or None,
        "repo": None if target is None else target.repo,
        "number": None if target is None else target.number,
        "url": None if target is None else target.url,
    }


def output_fields(output: Mapping[str, Any] | None) -> TaskOutput | None:
    """The final answer, from the `data` of its journal entry."""
    if output is None:
        return None
    return {"result": output["result"], "artifacts": output.get("artifacts", [])}


def waiting_fields(waiting_for: Mapping[str, Any] | None) -> TaskQuestion | None:
    """What a waiting task asks, from the `data` of its journal entry."""
    if waiting_for is None:
        return None
    return {"reason": waiting_for["reason"], "text": waiting_for["text"]}
