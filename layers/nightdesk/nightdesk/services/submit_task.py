"""Create a task that a caller asked for: authenticate, one transaction, one wake-up."""

import hashlib
import json
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from nightdesk.domain.api_key import ApiKey
from nightdesk.domain.concurrency import callers_group, group_of, supersedes_older
from nightdesk.domain.errors import (
    ConditionFailedError,
    InvalidInputError,
    NightdeskError,
    TransientError,
)
from nightdesk.domain.specialist import OnConflict, Specialist
from nightdesk.domain.task import (
    GROUP_MAX,
    HOLD_FOR,
    MAX_ATTEMPTS_DEFAULT,
    MAX_ATTEMPTS_MAX,
    MAX_ATTEMPTS_MIN,
    PROMPT_MAX,
    RUN_AFTER_MAX,
    TIMEOUT_MS_MAX,
    TIMEOUT_MS_MIN,
    TITLE_MAX,
    Hold,
    OnDependencyFailure,
    Origin,
    Priority,
    Task,
    TaskStatus,
    Trigger,
    TriggerSource,
)
from nightdesk.services.api_ports import ApiPorts
from nightdesk.services.concurrency_groups import supersede_older
from nightdesk.services.settle_dependants import look_after
from nightdesk.services.task_access import TRIES, keeps_changing, known_specialist
from nightdesk.services.task_dependencies import (
    Dependencies,
    check_dependencies,
    read_dependencies,
)

logger = logging.getLogger(__name__)

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
    depends_on: tuple[str, ...] | None = None
    on_dependency_failure: OnDependencyFailure | None = None
    quotes_outputs: bool | None = None
    context_id: str | None = None
    #: The caller's own name for it; None = what the specialist's file says.
    concurrency_group: str | None = None
    on_conflict: OnConflict | None = None
    #: Somebody wants to be called back; where, is kept before the task is woken.
    has_callbacks: bool = False


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

    A task whose dependency has failed already is created all the same, and ends at once: so it can
    be seen, and a retry can begin it.

    Raises:
        InvalidInputError: a field is missing or out of bounds, or the specialist or a dependency
            is unknown.
        ForbiddenError: the key's scope does not cover the workspace or the specialist.
        IdempotencyKeyReusedError: the Idempotency-Key came before, with another request.
    """
    check_prompt(new.prompt)
    _check_bounds(new)
    key.demand_workspace(new.workspace_id)
    key.demand_agent(new.agent_id)
    task_id = _task_id(key, idempotency_key) if idempotency_key else ports.dice.token()
    check_dependencies(new.depends_on or (), task_id=task_id)
    specialist = known_specialist(new.agent_id, ports.specialists.load())
    try:
        _check_start(new, ports.clock.now())
        return _create(new, task_id, specialist, key=key, ports=ports)
    except InvalidInputError:
        # It may be a repetition that comes late: its time has passed, its dependencies are gone.
        if idempotency_key and (earlier := _earlier(new, task_id, ports)):
            return earlier
        raise


def _create(
    new: NewTask, task_id: str, specialist: Specialist, *, key: ApiKey, ports: ApiPorts
) -> Submitted:
    policy = new.on_dependency_failure or OnDependencyFailure.FAIL
    for _ in range(TRIES):
        dependencies = read_dependencies(new.depends_on or (), policy, key=key, tasks=ports.tasks)
        now = ports.clock.now()
        task = _task(new, task_id, specialist, dependencies, now, key=key)
        origin = _origin(new, task_id, specialist, now, delimiter=ports.dice.token())
        try:
            created = ports.tasks.create(task, origin, awaits=dependencies.awaits)
        except ConditionFailedError:
            continue  # a dependency has ended meanwhile; read them again
        if created:
            task = _settled(task, dependencies, ports)
            return Submitted(task, origin, created=True, woken=_start(task, ports))
        earlier = _earlier(new, task_id, ports)
        if earlier is None:
            break  # it was deleted between our two requests
        return earlier
    raise keeps_changing()


def _settled(task: Task, dependencies: Dependencies, ports: ApiPorts) -> Task:
    """The new task; ended, if a dependency had failed before. The sweeper does what fails here."""
    if not dependencies.failed:
        return task
    try:
        look_after(task.id, tasks=ports.tasks, wake_ups=ports.wake_ups, clock=ports.clock)
    except TransientError as error:
        logger.warning("task %s: its dependencies are not settled yet: %s", task.id, error)
        return task
    return ports.tasks.get(task.id) or task


def _start(task: Task, ports: ApiPorts) -> bool:
    """End the older tasks of its group, if it does that, and wake an executor."""
    if task.status is TaskStatus.PENDING:
        try:
            supersede_older(task, tasks=ports.tasks, clock=ports.clock)
        except TransientError as error:
            # It is done again when the task finds its group busy.
            logger.warning("task %s: older ones not ended: %s", task.id, error)
    return wake(task, ports)


def wake(task: Task, ports: ApiPorts) -> bool:
    """Send the wake-up of a PENDING task; False when the queue did not take it.

    That is not the caller's problem: the task is stored, and the sweeper finds it.
    """
    if task.status is not TaskStatus.PENDING or task.held is Hold.DEPENDENCIES:
        return True  # whatever ends the last of its dependencies wakes it
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
    _check_group(new)
    if new.depends_on and new.run_after is not None:
        raise InvalidInputError("runAfter", "runAfter cannot be combined with dependsOn")
    if new.depends_on is None and new.on_dependency_failure is not None:
        raise InvalidInputError("onDependencyFailure", "onDependencyFailure needs dependsOn")
    if new.depends_on is None and new.quotes_outputs is not None:
        raise InvalidInputError("quoteOutputs", "quoteOutputs needs dependsOn")


def _check_group(new: NewTask) -> None:
    name = new.concurrency_group
    if name is None:
        if new.on_conflict is not None:
            raise InvalidInputError("onConflict", "onConflict needs concurrencyGroup")
        return
    if not 1 <= len(name) <= GROUP_MAX or not name.isprintable() or not name.strip():
        allowed = f"1 to {GROUP_MAX} printable characters"
        raise InvalidInputError("concurrencyGroup", f"concurrencyGroup must be {allowed}")


def _check_start(new: NewTask, now: datetime) -> None:
    if new.run_after is None:
        return
    if new.run_after < now - CLOCK_SKEW:
        raise InvalidInputError("runAfter", "runAfter must not be in the past")
    if new.run_after > now + RUN_AFTER_MAX:
        raise InvalidInputError(
            "runAfter", f"runAfter must be within {RUN_AFTER_MAX.days} days from now"
        )


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
    asked: dict[str, Any] = {
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
    # Left out where they say nothing: the hashes of such requests are older than these fields.
    asked |= {name: value for name, value in _newer_fields(new).items() if value}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _newer_fields(new: NewTask) -> dict[str, Any]:
    return {
        "dependsOn": new.depends_on,
        "onDependencyFailure": None
        if new.on_dependency_failure is OnDependencyFailure.FAIL
        else new.on_dependency_failure,
        "quoteOutputs": new.quotes_outputs,
        "concurrencyGroup": new.concurrency_group,
        "onConflict": None if new.on_conflict is OnConflict.QUEUE else new.on_conflict,
    }


def _earlier(new: NewTask, task_id: str, ports: ApiPorts) -> Submitted | None:
    """What an earlier request with the same Idempotency-Key made; None when it made nothing."""
    task, origin = ports.tasks.get(task_id), ports.tasks.get_origin(task_id)
    if task is None or origin is None:
        return None
    if origin.request_hash != _request_hash(new):
        raise IdempotencyKeyReusedError("This Idempotency-Key was used for another request")
    # The earlier request may have died before it sent the wake-up; one more does no harm.
    return Submitted(task, origin, created=False, woken=_start(task, ports))


def _task(
    new: NewTask,
    task_id: str,
    specialist: Specialist,
    dependencies: Dependencies,
    now: datetime,
    *,
    key: ApiKey,
) -> Task:
    title = one_line(new.title or "") or one_line(new.prompt[:TITLE_FROM_PROMPT])
    held, run_after = _held(new, dependencies, now)
    group = _group(new, specialist, key)
    supersedes = (
        supersedes_older(specialist)
        if new.concurrency_group is None
        else new.on_conflict is OnConflict.SUPERSEDE
    )
    return Task(
        id=task_id,
        workspace_id=new.workspace_id,
        agent_id=new.agent_id,
        title=title or "(no title)",
        created_at=now,
        updated_at=now,
        queued_at=now,
        priority=new.priority,
        trigger_source=new.trigger_source,
        triggered_by=one_line(new.triggered_by or "") or "user",
        max_attempts=new.max_attempts,
        timeout_ms=new.timeout_ms or specialist.timeout_ms,
        run_after=run_after,
        held=held,
        group=group,
        supersedes=group is not None and supersedes,
        context_id=new.context_id,
        has_callbacks=new.has_callbacks,
    )


def _held(
    new: NewTask, dependencies: Dependencies, now: datetime
) -> tuple[Hold | None, datetime | None]:
    """Why the task is not in line yet, and when the sweeper looks at it."""
    if dependencies.hold_back:
        return Hold.DEPENDENCIES, now if dependencies.failed else now + HOLD_FOR
    if new.run_after is not None and new.run_after > now:
        return Hold.DELAY, new.run_after
    return None, None


def _group(new: NewTask, specialist: Specialist, key: ApiKey) -> str | None:
    """What the caller names; else the file's, which without a target can only be the specialist."""
    if new.concurrency_group is not None:
        return callers_group(new.workspace_id, new.concurrency_group, agents=key.agents)
    return group_of(specialist, new.workspace_id, None)


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
        approvals=specialist.approvals,
        depends_on=new.depends_on or (),
        on_dependency_failure=new.on_dependency_failure or OnDependencyFailure.FAIL,
        quotes_outputs=bool(new.quotes_outputs),
        delimiter=delimiter,
        request_hash=_request_hash(new),
    )
