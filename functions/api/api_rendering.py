"""Tasks and specialists as JSON, in the field names that the predecessors' users know."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from nightdesk.domain.concurrency import group_shown
from nightdesk.domain.event_log import Event
from nightdesk.domain.ports import WorkspaceSettings
from nightdesk.domain.specialist import Specialist, SpecialistSet
from nightdesk.domain.task import Origin, Task
from nightdesk.services.place_in_line import COUNTED_TO, Place
from nightdesk.services.show_task import TaskView

_MICROS = 1_000_000


def to_json(value: Mapping[str, Any]) -> str:
    """The body of an answer."""
    return msgspec.json.encode(value).decode()


def instant(value: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and Z."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _instant_or_none(value: datetime | None) -> str | None:
    return None if value is None else instant(value)


def summary(task: Task) -> dict[str, Any]:
    """A task as lists show it: everything but prompt, output and trigger."""
    return {
        "id": task.id,
        "title": task.title,
        "agentId": task.agent_id,
        "workspaceId": task.workspace_id,
        "status": task.status.value,
        "cancelRequested": task.cancel_requested,
        "priority": task.priority.value,
        "triggerSource": task.trigger_source.value,
        "triggeredBy": task.triggered_by,
        "attempts": task.attempts,
        "maxAttempts": task.max_attempts,
        "timeoutMs": task.timeout_ms,
        "runAfter": _instant_or_none(task.run_after),
        "held": None if task.held is None else task.held.value,
        "concurrencyGroup": None if task.group is None else group_shown(task.group),
        "supersededBy": task.superseded_by,
        "contextId": task.context_id,
        "waitingSince": _instant_or_none(task.waiting_since),
        "resultSessionId": task.result_session_id,
        "error": None
        if task.error is None
        else {"code": task.error.code.value, "message": task.error.message},
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


def whole_task(view: TaskView, place: Place | None = None) -> dict[str, Any]:
    """A task with its prompt, its trigger, what it waits for and, once completed, its output."""
    origin, output = view.origin, view.output
    return {
        **summary(view.task),
        **_in_line(place),
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


def _in_line(place: Place | None) -> dict[str, Any]:
    if place is None:
        return {"queuePosition": None, "estimatedStartAt": None}
    beyond = f"{COUNTED_TO:,}+"
    return {
        "queuePosition": beyond if place.position is None else place.position,
        "estimatedStartAt": _instant_or_none(place.estimated_start),
    }


def _trigger(origin: Origin) -> dict[str, Any] | None:
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


def event(shown: Event) -> dict[str, Any]:
    """One line of a task's event log."""
    return {
        "number": shown.number,
        "kind": shown.kind.value,
        "time": instant(shown.at),
        "text": shown.text,
        "tool": shown.tool,
        "isError": shown.is_error,
    }


def workspace(workspace_id: str, settings: WorkspaceSettings) -> dict[str, Any]:
    """What a workspace's owners have set; null = no bound."""
    cost = settings.cost_micros_per_day
    return {
        "id": workspace_id,
        "paused": settings.paused,
        "tasksPerDay": settings.tasks_per_day,
        "costUsdPerDay": None if cost is None else cost / _MICROS,
    }


def specialist_list(specialists: SpecialistSet) -> dict[str, Any]:
    """All specialists by id, and the files that could not be used."""
    usable = [_specialist(specialists.by_id[i], enabled=True) for i in specialists.ids]
    disabled = [_specialist(specialist, enabled=False) for specialist in specialists.disabled]
    return {
        "specialists": sorted(usable + disabled, key=lambda shown: str(shown["id"])),
        "broken": [{"file": b.file, "reason": b.reason} for b in specialists.broken],
    }


def _specialist(specialist: Specialist, *, enabled: bool) -> dict[str, Any]:
    limits, cost = specialist.limits, specialist.limits.cost_micros
    return {
        "id": specialist.id,
        "name": specialist.name,
        "description": specialist.description,
        "role": specialist.role.value,
        "modelTier": specialist.tier.value,
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
        "concurrency": None
        if specialist.concurrency is None
        else {
            "group": specialist.concurrency.group.value,
            "onConflict": specialist.concurrency.on_conflict.value,
        },
        "enabled": enabled,
        "notices": list(specialist.notices),
    }
