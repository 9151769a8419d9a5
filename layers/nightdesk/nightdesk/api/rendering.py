"""Tasks and specialists as JSON, in the field names that the predecessors' users know."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from nightdesk.domain.api_key import ApiKey
from nightdesk.domain.event_log import Event
from nightdesk.domain.ports import WorkspaceSettings
from nightdesk.domain.push_configs import OF_WORKSPACE, PushConfig
from nightdesk.domain.schedule import next_due
from nightdesk.domain.specialist import Specialist, SpecialistSet
from nightdesk.services.manage_callbacks import Delivery, event_of, state_of
from nightdesk.services.place_in_line import COUNTED_TO, Place
from nightdesk.services.show_task import TaskView
from nightdesk.services.task_fields import (
    WholeTask,
    instant,
    instant_or_none,
    output_fields,
    summary,
    trigger_fields,
    waiting_fields,
)

if TYPE_CHECKING:  # for the cold start
    from nightdesk.api.answers import (
        CallbackView,
        DeliveryView,
        KeyView,
        PollStarted,
        SpecialistList,
        SpecialistView,
        TaskEvent,
        Workspace,
    )

_MICROS = 1_000_000


def to_json(value: Mapping[str, Any]) -> str:
    """The body of an answer."""
    return msgspec.json.encode(value).decode()


def whole_task(view: TaskView, place: Place | None = None) -> WholeTask:
    """A task with its prompt, its trigger, what it waits for and, once completed, its output."""
    origin = view.origin
    position, starts_at = _in_line(place)
    return {
        **summary(view.task),
        "queuePosition": position,
        "estimatedStartAt": starts_at,
        "dependsOn": [] if origin is None else list(origin.depends_on),
        "waitingFor": waiting_fields(view.waiting_for),
        "prompt": None if origin is None else origin.prompt,
        "trigger": None if origin is None else trigger_fields(origin),
        "output": output_fields(view.output),
    }


def _in_line(place: Place | None) -> tuple[int | str | None, str | None]:
    """The place, and when the task starts by estimate."""
    if place is None:
        return None, None
    beyond = f"{COUNTED_TO:,}+"
    position = beyond if place.position is None else place.position
    return position, instant_or_none(place.estimated_start)


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


def workspace(
    workspace_id: str, settings: WorkspaceSettings, config: PushConfig | None
) -> "Workspace":
    """What a workspace's owners have set; null = no bound."""
    cost = settings.cost_micros_per_day
    return {
        "id": workspace_id,
        "paused": settings.paused,
        "tasksPerDay": settings.tasks_per_day,
        "costUsdPerDay": None if cost is None else cost / _MICROS,
        "callback": None if config is None else _callback(config),
    }


def _callback(config: PushConfig) -> "CallbackView":
    return {
        "url": config.url,
        "format": config.format,
        "hasToken": bool(config.token),
        "authentication": {"scheme": config.scheme} if config.scheme else None,
        "createdAt": instant(config.created_at),
    }


def delivery(shown: Delivery) -> "DeliveryView":
    """A callback on its way, or what became of it."""
    row = shown.row
    return {
        "id": shown.id,
        "taskId": row.task_id,
        "event": event_of(row.row),
        "to": "workspace" if shown.config_id == OF_WORKSPACE else shown.config_id,
        "state": state_of(row),
        "tries": row.tries,
        "lastError": row.last_error or None,
        "createdAt": instant(row.created_at),
        "nextTryAt": instant_or_none(row.due_at),
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
        "lastUsedAt": instant_or_none(key.last_used_at),
        "rotatedAt": instant_or_none(key.rotated_at),
        "previousSecretUntil": instant_or_none(key.previous_until),
        "revokedAt": instant_or_none(key.revoked_at),
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
