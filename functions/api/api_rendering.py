"""Tasks and specialists as JSON, in the field names that the predecessors' users know."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from nightdesk.domain.api_key import ApiKey
from nightdesk.domain.concurrency import group_shown
from nightdesk.domain.event_log import Event
from nightdesk.domain.ports import WorkspaceSettings
from nightdesk.domain.schedule import next_due
from nightdesk.domain.specialist import Specialist, SpecialistSet
from nightdesk.domain.task import Origin, Task
from nightdesk.services.place_in_line import COUNTED_TO, Place
from nightdesk.services.show_task import TaskView

if TYPE_CHECKING:  # for the cold start
    from api_answers import (
        KeyView,
        PollStarted,
        SpecialistList,
        SpecialistView,
        TaskEvent,
        TaskSummary,
        TaskTrigger,
        WholeTask,
        Workspace,
    )

_MICROS = 1_000_000


def to_json(value: Mapping[str, Any]) -> str:
    """The body of an answer."""
    return msgspec.json.encode(value).decode()


def instant(value: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and Z."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _instant_or_none(value: datetime | None) -> str | None:
    return None if value is None else instant(value)


def summary(task: Task) -> "TaskSummary":
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
        "runAfter": _instant_or_none(task.run_after),
        "held": task.held,
        "concurrencyGroup": None if task.group is None else group_shown(task.group),
        "supersededBy": task.superseded_by,
        "contextId": task.context_id,
        "waitingSince": _instant_or_none(task.waiting_since),
        "resultSessionId": task.result_session_id,
        "error": None
        if task.error is None
        else {"code": task.error.code, "message": task.error.message},
        "errorMessage": None if task.error is None else task.error.message,
        "createdAt": instant(task.created_at),
        "updatedAt": instant(task.updated_at),
        "startedAt": _instant_or_none(task.started_at),
        "completedAt": _instant_or_none(task.completed_at),
        "lastActivity": _instant_or_none(task.last_activity),
        "currentActivity": task.current_activity,
        "toolCallCount": task.tool_call_count,
        "inputTokens": task.input_tokens,
        "outputTokens": task.output_tokens,
        "cacheReadTokens": task.cache_read_tokens,
        "costUsd": task.cost_micros / _MICROS,
        "publication": task.publication,
    }


def whole_task(view: TaskView, place: Place | None = None) -> "WholeTask":
    """A task with its prompt, its trigger, what it waits for and, once completed, its output."""
    origin, output = view.origin, view.output
    position, starts_at = _in_line(place)
    return {
        **summary(view.task),
        "queuePosition": position,
        "estimatedStartAt": starts_at,
        "dependsOn": [] if origin is None else list(origin.depends_on),
        "waitingFor": None
        if view.waiting_for is None
        else {"reason": view.waiting_for["reason"], "text": view.waiting_for["text"]},
        "prompt": None if origin is None else origin.prompt,
        "trigger": None if origin is None else _trigger(origin),
        "output": None
        if output is None
        else {"result": output["result"], "artifacts": output.get("artifacts", [])},
    }


def _in_line(place: Place | None) -> tuple[int | str | None, str | None]:
    """The place, and when the task starts by estimate."""
    if place is None:
        return None, None
    beyond = f"{COUNTED_TO:,}+"
    position = beyond if place.position is None else place.position
    return position, _instant_or_none(place.estimated_start)


def _trigger(origin: Origin) -> "TaskTrigger | None":
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


def event(shown: Event) -> "TaskEvent":
    """One line of a task's event log."""
    return {
        "number": shown.number,
        "kind": shown.kind,
        "time": instant(shown.at),
        "text": shown.text,
        "tool": shown.tool,
        "isError": shown.is_error,
    }


def workspace(workspace_id: str, settings: WorkspaceSettings) -> "Workspace":
    """What a workspace's owners have set; null = no bound."""
    cost = settings.cost_micros_per_day
    return {
        "id": workspace_id,
        "paused": settings.paused,
        "tasksPerDay": settings.tasks_per_day,
        "costUsdPerDay": None if cost is None else cost / _MICROS,
    }


def api_key(key: ApiKey) -> "KeyView":
    """An API key without its secret."""
    return {
        "id": key.id,
        "workspaceId": key.workspace_id,
        "agents": list(key.agents),
        "operations": list(key.operations),
        "description": key.description,
        "requestsPerMinute": key.requests_per_minute,
        "uses": key.uses,
        "createdAt": instant(key.created_at),
        "lastUsedAt": _instant_or_none(key.last_used_at),
        "rotatedAt": _instant_or_none(key.rotated_at),
        "previousSecretUntil": _instant_or_none(key.previous_until),
        "revokedAt": _instant_or_none(key.revoked_at),
    }


def specialist_list(specialists: SpecialistSet, now: datetime) -> "SpecialistList":
    """All specialists by id, and the files that could not be used."""
    usable = [_specialist(specialists.by_id[i], now) for i in specialists.ids]
    disabled = [_specialist(specialist, None) for specialist in specialists.disabled]
    return {
        "specialists": sorted(usable + disabled, key=lambda shown: shown["id"]),
        "broken": [{"file": b.file, "reason": b.reason} for b in specialists.broken],
    }


def _specialist(specialist: Specialist, now: datetime | None) -> "SpecialistView":
    """`now` is None for one that is switched off."""
    limits, cost = specialist.limits, specialist.limits.cost_micros
    return {
        "id": specialist.id,
        "name": specialist.name,
        "description": specialist.description,
        "role": specialist.role,
        "modelTier": specialist.tier,
        "tools": list(specialist.tools),
        "intents": dict(specialist.intents),
        "approval": list(specialist.approvals),
        "labels": list(specialist.allowed_labels),
        "limits": {
            "turns": limits.turns,
            "timeoutMs": specialist.timeout_ms,
            "tokens": limits.tokens,
            "costUsd": None if cost is None else cost / _MICROS,
        },
        "triggers": [
            {"event": t.event, "actions": list(t.actions), "labels": list(t.labels)}
            for t in specialist.triggers
        ],
        "schedules": [
            {
                "cron": s.cron,
                "timezone": s.timezone,
                "repo": s.repo or None,
                "nextRunAt": instant(next_due(s.cron, s.timezone, now)) if now else None,
            }
            for s in specialist.schedules
        ],
        "allow": specialist.audience,
        "concurrency": None
        if specialist.concurrency is None
        else {
            "group": specialist.concurrency.group,
            "onConflict": specialist.concurrency.on_conflict,
        },
        "enabled": now is not None,
        "notices": list(specialist.notices),
    }


def poll_started(now: datetime) -> "PollStarted":
    """With a poll's fields, as of its beginning."""
    return {
        "ok": True,
        "state": "started",
        "checkedAt": instant(now),
        "summary": {
            "reposChecked": 0,
            "totalEventsFound": 0,
            "totalEventsProcessed": 0,
            "totalEventsSkipped": 0,
        },
        "results": [],
        "outcome": "/api/polling/check",
    }
