"""Turn one GitHub event into tasks: one for each specialist that it starts.

The poller and the webhook share this. It may be repeated at any time: the ids of the tasks are
derived from the event, so that a second import creates nothing.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from nightdesk.domain.actor_gate import ActorGate
from nightdesk.domain.command import Command, commands_in
from nightdesk.domain.concurrency import group_of, supersedes_older
from nightdesk.domain.decisions import TASK, Decision, Outcome, TaskCounts
from nightdesk.domain.errors import TransientError, UnavailableError
from nightdesk.domain.event_prompt import task_prompt, task_title
from nightdesk.domain.gate_ports import GateReader
from nightdesk.domain.github_ports import GithubNotFoundError, IssueFacts
from nightdesk.domain.intents.names import COMMENT
from nightdesk.domain.ports import Clock, Dice, TaskStore, WakeUps
from nightdesk.domain.specialist import EventTrigger, Specialist, SpecialistSet
from nightdesk.domain.task import Origin, Target, Task, Trigger, TriggerSource
from nightdesk.domain.trigger import (
    DefaultTrigger,
    GithubEvent,
    Refusal,
    Skip,
    filter_refusal,
    names_event,
    seen_keys_of,
    state_refusal,
    task_id_of,
    triggers_of,
)
from nightdesk.services.concurrency_groups import supersede_older
from nightdesk.services.event_gate import EventGate

logger = logging.getLogger(__name__)


TASKS_PER_HOUR = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRules:
    """What an event may start in this deployment."""

    workspace_id: str
    specialists: SpecialistSet
    default_triggers: tuple[DefaultTrigger, ...]
    gate: ActorGate
    source: TriggerSource
    #: Our account's login: `@handle specialist` at the beginning of a line is a command.
    handle: str = ""
    #: An issue or pull request gets no more in an hour: a loop ends here, whoever makes it.
    tasks_per_hour: int = TASKS_PER_HOUR
    #: Whether comments show where tasks stand; a specialist's file may switch its own off.
    progress_comments: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportPorts:
    tasks: TaskStore
    wake_ups: WakeUps
    clock: Clock
    dice: Dice
    counts: TaskCounts
    gate_reader: GateReader


@dataclass(frozen=True, slots=True)
class Imported:
    """The tasks that were created; `skip` says why there are none."""

    task_ids: tuple[str, ...]
    skip: Skip | None = None
    outcomes: tuple[Outcome, ...] = ()
    detail: str = ""


def decision_of(
    event: GithubEvent, imported: Imported, rules: ImportRules, ports: ImportPorts
) -> Decision:
    """What is recorded of the event, for people."""
    result = imported.skip.value if imported.skip else TASK
    reason = Outcome(result=result, detail=imported.detail)
    return Decision(
        repo=event.repo.full_name,
        number=event.number,
        at=ports.clock.now(),
        event=event.name,
        key=event.key,
        actor=event.actor.login,
        source=rules.source.value,
        outcomes=imported.outcomes or (reason,),
    )


def import_event(
    event: GithubEvent,
    facts_of: Callable[[], IssueFacts],
    rules: ImportRules,
    ports: ImportPorts,
) -> Imported:
    """Create the event's tasks and wake the executors.

    `facts_of` tells what the issue is now, and is asked only if something may start. The poller
    reads the issue anew, because the feed's copy may be old or trimmed; the webhook has it in
    the payload that GitHub has just signed.

    Raises:
        TryLaterError, UnavailableError, PermanentError: GitHub or the store did not answer;
            nothing is lost when the import is repeated.
    """
    starters = [*_commanded(event, rules), *_triggered(event, rules)]
    if not starters:
        commands = _commands(event, rules)
        return Imported((), Skip.UNKNOWN_SPECIALIST if commands else Skip.NO_TRIGGER)
    try:
        facts = facts_of()
    except GithubNotFoundError:
        return Imported((), Skip.GONE)
    if refusal := state_refusal(event, facts):
        return Imported((), refusal)
    return _start(event, facts, starters, rules, ports)


@dataclass(frozen=True, slots=True)
class _Starter:
    """What may start a specialist: a trigger, or a command (no trigger) with its words."""

    specialist: Specialist
    trigger: EventTrigger | None = None
    words: str = ""


def _triggered(event: GithubEvent, rules: ImportRules) -> list[_Starter]:
    return [
        _Starter(specialist, trigger)
        for specialist, trigger in triggers_of(rules.specialists, rules.default_triggers)
        if names_event(trigger, event)
    ]


def _commands(event: GithubEvent, rules: ImportRules) -> tuple[Command, ...]:
    """Only of new comments: whoever edits one is not its author."""
    is_new = event.name == "issue_comment.created"
    return commands_in(event.text, handle=rules.handle) if is_new else ()


def _commanded(event: GithubEvent, rules: ImportRules) -> list[_Starter]:
    by_id = rules.specialists.by_id
    return [
        _Starter(by_id[command.specialist], words=command.words)
        for command in _commands(event, rules)
        if command.specialist in by_id
    ]


def _start(
    event: GithubEvent,
    facts: IssueFacts,
    starters: list[_Starter],
    rules: ImportRules,
    ports: ImportPorts,
) -> Imported:
    created: dict[str, None] = {}
    refusals: list[Refusal] = []
    outcomes: list[Outcome] = []
    gate = EventGate(event, facts, ports.gate_reader)
    for starter in starters:
        task_id = task_id_of(rules.workspace_id, event, starter.specialist.id)
        if task_id in created:
            continue
        refusal = _start_one(event, facts, starter, rules, ports, gate=gate)
        if refusal is None:
            created.setdefault(task_id)
        else:
            refusals.append(refusal)
        outcomes.append(_outcome(starter, refusal, task_id))
    if created:
        return Imported(tuple(created), outcomes=tuple(outcomes))
    reasons = [refusal.reason for refusal in refusals]
    exists = Skip.ALREADY_STARTED in reasons
    return Imported((), Skip.ALREADY_STARTED if exists else reasons[0], tuple(outcomes))


def _outcome(starter: _Starter, refusal: Refusal | None, task_id: str) -> Outcome:
    has_task = refusal is None or refusal.reason is Skip.ALREADY_STARTED
    return Outcome(
        specialist=starter.specialist.id,
        result=refusal.reason.value if refusal else TASK,
        task_id=task_id if has_task else "",
        detail=refusal.detail if refusal else "",
    )


def _start_one(
    event: GithubEvent,
    facts: IssueFacts,
    starter: _Starter,
    rules: ImportRules,
    ports: ImportPorts,
    *,
    gate: EventGate,
) -> Refusal | None:
    """Create the task of one specialist, or say why not: what costs no request is asked first.

    Until the task is created nothing is changed: an event that is left out ends no older task.
    """
    reason = filter_refusal(starter.trigger, event, facts) if starter.trigger else None
    if reason := reason or rules.gate.refusal(event, facts):
        return Refusal(reason)
    if refusal := gate.refusal(starter.specialist, starter.trigger):
        return refusal
    narrowed = replace(starter, specialist=gate.narrowed(starter.specialist))
    return _create_if_admitted(event, facts, narrowed, rules, ports)


def _create_if_admitted(
    event: GithubEvent,
    facts: IssueFacts,
    starter: _Starter,
    rules: ImportRules,
    ports: ImportPorts,
) -> Refusal | None:
    """Count the task, then put it; a task that is counted and cut off keeps its place."""
    admitted = ports.counts.admit(
        event.repo.id,
        event.number,
        task_id_of(rules.workspace_id, event, starter.specialist.id),
        now=ports.clock.now(),
        most=rules.tasks_per_hour,
    )
    if not admitted:
        return Refusal(Skip.TOO_MANY, f"at most {rules.tasks_per_hour} in an hour")
    if _create(event, facts, starter, rules, ports):
        return None
    return Refusal(Skip.ALREADY_STARTED)


def _create(
    event: GithubEvent,
    facts: IssueFacts,
    starter: _Starter,
    rules: ImportRules,
    ports: ImportPorts,
) -> bool:
    """Put the task; False when it exists, or existed, already."""
    specialist = starter.specialist
    target = _target(event, facts)
    task = _task(event, facts, specialist, target, rules=rules, ports=ports)
    origin = _origin(event, facts, starter, target, task=task, ports=ports)
    tracking = _tracking(starter, rules)
    shows_status = bool(rules.progress_comments and specialist.status and target.head_sha)
    origin = replace(origin, tracking=tracking, shows_status=shows_status)
    task = replace(task, tracked=bool(tracking) or shows_status)
    seen_keys = seen_keys_of(rules.workspace_id, event, specialist.id)
    if not ports.tasks.create(task, origin, seen_keys=seen_keys):
        return False
    logger.info("[GitHubPolling] task %s: %s for %s", task.id, event.key, specialist.id)
    try:
        ports.wake_ups.send(task.id)
    except UnavailableError as error:  # the sweeper will find the task
        logger.warning("[GitHubPolling] task %s: no wake-up sent: %s", task.id, error)
    _supersede(task, ports)
    return True


def _supersede(task: Task, ports: ImportPorts) -> None:
    """What is left undone here is done when the task finds its group busy."""
    try:
        supersede_older(task, tasks=ports.tasks, clock=ports.clock)
    except TransientError as error:
        logger.warning("[GitHubPolling] task %s: older ones not ended: %s", task.id, error)


def _tracking(starter: _Starter, rules: ImportRules) -> str:
    """Whether a comment shows where the task stands (`Origin.tracking`).

    A specialist that may not comment does not do so on the way either.
    """
    specialist = starter.specialist
    may_comment = dict(specialist.intents).get(COMMENT, 0) > 0
    if not (rules.progress_comments and specialist.progress and may_comment):
        return ""
    sticky = specialist.sticky
    if sticky is None:  # who asks expects an answer below the question, and not far above it
        sticky = starter.trigger is not None
    return "sticky" if sticky else "task"


def _target(event: GithubEvent, facts: IssueFacts) -> Target:
    return Target(
        repo=event.repo.full_name,
        repo_id=event.repo.id,
        number=event.number,
        kind=event.kind,
        url=facts.url,
        head_sha=event.head_sha,
    )


def _task(
    event: GithubEvent,
    facts: IssueFacts,
    specialist: Specialist,
    target: Target,
    *,
    rules: ImportRules,
    ports: ImportPorts,
) -> Task:
    now = ports.clock.now()
    group = group_of(specialist, rules.workspace_id, target)
    return Task(
        id=task_id_of(rules.workspace_id, event, specialist.id),
        workspace_id=rules.workspace_id,
        agent_id=specialist.id,
        title=task_title(event, facts),
        created_at=now,
        updated_at=now,
        queued_at=now,
        trigger_source=rules.source,
        triggered_by=f"github:{event.event}",
        timeout_ms=specialist.timeout_ms,
        group=group,
        supersedes=group is not None and supersedes_older(specialist),
    )


def _origin(
    event: GithubEvent,
    facts: IssueFacts,
    starter: _Starter,
    target: Target,
    *,
    task: Task,
    ports: ImportPorts,
) -> Origin:
    is_author = event.actor.id == facts.author.id and not event.text
    association = event.actor_association or (facts.author_association if is_author else "NONE")
    delimiter, specialist = ports.dice.token(), starter.specialist
    return Origin(
        task_id=task.id,
        prompt=task_prompt(event, facts, delimiter=delimiter, request=starter.words),
        delimiter=delimiter,
        created_at=task.created_at,
        limits=replace(specialist.limits),
        intents=specialist.intents,
        allowed_labels=specialist.allowed_labels,
        allowed_paths=specialist.allowed_paths,
        approvals=specialist.approvals,
        target=target,
        trigger=Trigger(
            event=event.name,
            key=event.key,
            actor=event.actor.login,
            actor_association=association or "NONE",
        ),
    )
