"""Create a task that a caller asked for: authenticate, one transaction, one wake-up."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from nightdesk.domain.api_key import ApiKey
from nightdesk.domain.errors import InvalidInputError, NightdeskError, TransientError
from nightdesk.domain.specialist import Specialist
from nightdesk.domain.task import (
    MAX_ATTEMPTS_DEFAULT,
    MAX_ATTEMPTS_MAX,
    MAX_ATTEMPTS_MIN,
    PROMPT_MAX,
    RUN_AFTER_MAX,
    TIMEOUT_MS_MAX,
    TIMEOUT_MS_MIN,
    TITLE_MAX,
    Origin,
    Priority,
    Task,
    Trigger,
    TriggerSource,
)
from nightdesk.services.api_ports import ApiPorts
from nightdesk.services.task_access import keeps_changing, known_specialist

#: A title made from the prompt; the predecessor's length.
TITLE_FROM_PROMPT = 80
TRIGGERED_BY_MAX = 100
IDEMPOTENCY_KEY_MAX = 255
#: Clocks differ: a `runAfter` this far in the past means now.
CLOCK_SKEW = timedelta(minutes=1)
#: SQS delays a message for 15 minutes at most; the sweeper wakes what is due later.
LONGEST_WAKE_UP = timedelta(minutes=15)


class IdempotencyKeyReusedError(NightdeskError):
    """The Idempotency-Key came before, with another request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """What a caller asks for. None = the default."""

    prompt: str
    agent_id: str
    workspace_id: str
    title: str | None = None
    trigger_source: TriggerSource = TriggerSource.MANUAL
    triggered_by: str | None = None
    priority: Priority = Priority.NORMAL
    max_attempts: int = MAX_ATTEMPTS_DEFAULT
    timeout_ms: int | None = None
    run_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    """The task. `created`: now, rather than by an earlier request with the same Idempotency-Key.

    `woken`: a wake-up was sent, or none is needed; if not, the sweeper sends one within a minute.
    """

    task: Task
    origin: Origin
    created: bool
    woken: bool


def submit_task(
    new: NewTask,
    *,
    key: ApiKey,
    idempotency_key: str | None,
    ports: ApiPorts,
) -> Submitted:
    """Create the task and wake an executor.

    The same Idempotency-Key with the same request gives the same task; keys are remembered per
    API key, for as long as the task exists.

    Raises:
        InvalidInputError: a field is missing or out of bounds, or the specialist is unknown.
        ForbiddenError: the key's scope does not cover the workspace or the specialist.
        IdempotencyKeyReusedError: the Idempotency-Key came before, with another request.
    """
    check_prompt(new.prompt)
    _check_bounds(new)
    key.demand_workspace(new.workspace_id)
    key.demand_agent(new.agent_id)
    task_id = _task_id(key, idempotency_key) if idempotency_key else ports.dice.token()
    now = ports.clock.now()
    if new.run_after is not None and new.run_after < now - CLOCK_SKEW:
        # It may be a repetition that comes late.
        if idempotency_key and (earlier := _earlier(new, task_id, ports)):
            return earlier
        raise InvalidInputError("runAfter", "runAfter must not be in the past")
    if new.run_after is not None and new.run_after > now + RUN_AFTER_MAX:
        raise InvalidInputError(
            "runAfter", f"runAfter must be within {RUN_AFTER_MAX.days} days from now"
        )
    specialist = known_specialist(new.agent_id, ports.specialists.load())
    task = _task(new, task_id, specialist, now)
    origin = _origin(new, task_id, specialist, now, delimiter=ports.dice.token())
    if not ports.tasks.create(task, origin):
        earlier = _earlier(new, task_id, ports)
        if earlier is None:
            raise keeps_changing()  # it was deleted between our two requests
        return earlier
    return Submitted(task, origin, created=True, woken=wake(task, ports))


def wake(task: Task, ports: ApiPorts) -> bool:
    """Send the wake-up of a PENDING task; False when the queue did not take it.

    That is not the caller's problem: the task is stored, and the sweeper finds it.
    """
    delay = (
        max(timedelta(0), task.run_after - ports.clock.now()) if task.run_after else timedelta(0)
    )
    if delay > LONGEST_WAKE_UP:
        return True
    try:
        ports.wake_ups.send(task.id, delay=delay)
    except TransientError:
        return False
    return True


def check_prompt(prompt: str) -> None:
    """Raise InvalidInputError unless the prompt says something, within bounds."""
    if not prompt.strip():
        raise InvalidInputError("prompt", "prompt is required")
    _check_length("prompt", prompt, PROMPT_MAX)


def one_line(title: str) -> str:
    """A title on one line, without control characters.

    Raises:
        InvalidInputError: it is too long.
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in title).split())
    _check_length("title", line, TITLE_MAX)
    return line


def _check_bounds(new: NewTask) -> None:
    for field, value in (("agentId", new.agent_id), ("workspaceId", new.workspace_id)):
        if not value.strip():
            raise InvalidInputError(field, f"{field} is required")
    if new.triggered_by is not None:
        _check_length("triggeredBy", new.triggered_by, TRIGGERED_BY_MAX)
    _check_range("maxAttempts", new.max_attempts, MAX_ATTEMPTS_MIN, MAX_ATTEMPTS_MAX)
    if new.timeout_ms is not None:
        _check_range("timeoutMs", new.timeout_ms, TIMEOUT_MS_MIN, TIMEOUT_MS_MAX)


def _check_length(field: str, value: str, longest: int) -> None:
    if len(value) > longest:
        raise InvalidInputError(
            field, f"{field} must have at most {longest} characters; got {len(value)}"
        )


def _check_range(field: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise InvalidInputError(field, f"{field} must be from {least} to {most}; got {value}")


def _task_id(key: ApiKey, idempotency_key: str) -> str:
    """The same id for the same key of the same caller, so that creation is one conditional put."""
    return hashlib.sha256(f"{key.id}\n{idempotency_key}".encode()).hexdigest()[:32]


def _request_hash(new: NewTask) -> str:
    """SHA-256 of what was asked for; spelling of the JSON and order of its fields do not count."""
    asked = {
        "prompt": new.prompt,
        "agentId": new.agent_id,
        "workspaceId": new.workspace_id,
        "title": new.title,
        "triggerSource": new.trigger_source.value,
        "triggeredBy": new.triggered_by,
        "priority": new.priority.value,
        "maxAttempts": new.max_attempts,
        "timeoutMs": new.timeout_ms,
        "runAfter": None if new.run_after is None else new.run_after.timestamp(),
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _earlier(new: NewTask, task_id: str, ports: ApiPorts) -> Submitted | None:
    """What an earlier request with the same Idempotency-Key made; None when it made nothing."""
    task, origin = ports.tasks.get(task_id), ports.tasks.get_origin(task_id)
    if task is None or origin is None:
        return None
    if origin.request_hash != _request_hash(new):
        raise IdempotencyKeyReusedError("This Idempotency-Key was used for another request")
    # The earlier request may have died before it sent the wake-up; one more does no harm.
    return Submitted(task, origin, created=False, woken=wake(task, ports))


def _task(new: NewTask, task_id: str, specialist: Specialist, now: datetime) -> Task:
    title = one_line(new.title or "") or one_line(new.prompt[:TITLE_FROM_PROMPT])
    return Task(
        id=task_id,
        workspace_id=new.workspace_id,
        agent_id=new.agent_id,
        title=title or "(no title)",
        created_at=now,
        updated_at=now,
        priority=new.priority,
        trigger_source=new.trigger_source,
        triggered_by=one_line(new.triggered_by or "") or "user",
        max_attempts=new.max_attempts,
        timeout_ms=new.timeout_ms or specialist.timeout_ms,
        run_after=new.run_after if new.run_after and new.run_after > now else None,
    )


def _origin(
    new: NewTask, task_id: str, specialist: Specialist, now: datetime, *, delimiter: str
) -> Origin:
    """Without a target there is nowhere to publish to, so no intents either."""
    return Origin(
        task_id=task_id,
        prompt=new.prompt,
        created_at=now,
        limits=specialist.limits,
        trigger=Trigger(event="api", key=f"api:{task_id}"),
        delimiter=delimiter,
        request_hash=_request_hash(new),
    )
