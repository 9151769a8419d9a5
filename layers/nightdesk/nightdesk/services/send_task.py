"""Make a task of what another agent sent, with its context, its callback and its place in lists.

The task itself is made by `submit_task`, as any other. It is woken only once its conversation is
stored, so that nothing of it can end before its callback is known. Should we die in between, the
sweeper wakes it within a minute; the caller had no answer then and asks again.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from nightdesk.domain.api_key import ApiKey
from nightdesk.domain.conversation_prompt import (
    EARLIER_MAX,
    Data,
    EarlierTask,
    conversation_prompt,
)
from nightdesk.domain.conversations import FirstRequest, SentTask
from nightdesk.domain.errors import InvalidInputError, TaskNotFoundError
from nightdesk.domain.ports import WakeUps
from nightdesk.domain.push_configs import PushConfig, checked
from nightdesk.domain.task import Task, TriggerSource
from nightdesk.services.conversation_ports import ConversationPorts
from nightdesk.services.manage_push_configs import tell_if_late
from nightdesk.services.show_task import show_task
from nightdesk.services.submit_task import (
    IdempotencyKeyReusedError,
    NewTask,
    check_prompt,
    submit_task,
    wake,
)

CONTEXT_ID_MAX = 100
REFERENCES_MAX = 10
#: A title is the beginning of what was asked, never of what was quoted around it.
TITLE_CHARACTERS = 80
#: A message must fit into one item (DynamoDB: 400 KB) with what is stored around it.
MESSAGE_BYTES_MAX = 300_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What another agent asks for. `message` is what its task's history will show."""

    agent_id: str
    text: str
    message: Mapping[str, Any]
    data: tuple[Data, ...] = ()
    #: None = a new conversation.
    context_id: str | None = None
    #: Ids of tasks to quote besides those of the context.
    references: tuple[str, ...] = ()
    timeout_ms: int | None = None
    #: Its task id is set here.
    push: PushConfig | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    task: Task
    conversation: SentTask


@dataclass(frozen=True, slots=True)
class _HeldWakeUps:
    """The queue, but for the wake-up of a new task: that is sent later (see the module)."""

    queue: WakeUps

    def send(self, task_id: str, *, delay: timedelta = timedelta(0)) -> None:
        """Send nothing yet."""

    def kept_invisible(self, receipt_handle: str) -> AbstractContextManager[None]:
        return self.queue.kept_invisible(receipt_handle)


def send_task(
    ask: Ask, *, key: ApiKey, idempotency_key: str | None, ports: ConversationPorts
) -> Sent:
    """Create the task, or find the one that this Idempotency-Key made.

    Raises:
        InvalidInputError, ForbiddenError, IdempotencyKeyReusedError: see `submit_task`.
    """
    check_prompt(ask.text)
    _check(ask)
    key.demand_agent(ask.agent_id)
    push = ask.push and checked(ask.push, allow_http=ports.allow_http)
    request = _request(ask, key=key, idempotency_key=idempotency_key, ports=ports)
    new = NewTask(
        prompt=request.prompt,
        agent_id=ask.agent_id,
        workspace_id=key.workspace_id,
        title=ask.text[:TITLE_CHARACTERS],
        trigger_source=TriggerSource.A2A,
        triggered_by="a2a",
        timeout_ms=ask.timeout_ms,
        context_id=request.context_id,
        has_callbacks=push is not None,
    )
    quiet = replace(ports.api, wake_ups=_HeldWakeUps(ports.api.wake_ups))
    submitted = submit_task(new, key=key, idempotency_key=idempotency_key, ports=quiet)
    task = submitted.task
    sent = SentTask(
        task_id=task.id,
        workspace_id=task.workspace_id,
        agent_id=task.agent_id,
        context_id=request.context_id,
        created_at=task.created_at,
        messages=(ask.message,),
    )
    kept = None if submitted.created else ports.conversations.get(task.id)
    if kept is None:
        config = None if push is None else replace(push, task_id=task.id)
        ports.conversations.add(sent, config)
        if config is not None and not submitted.created:
            # An earlier request made the task and died here; it may have ended since.
            tell_if_late(config, ports)
    wake(task, ports.api)
    return Sent(task, kept or sent)


def check_context_id(context_id: str) -> None:
    """Raise InvalidInputError unless it is 1 to 100 printable characters."""
    if not 1 <= len(context_id) <= CONTEXT_ID_MAX or not context_id.isprintable():
        allowed = f"1 to {CONTEXT_ID_MAX} printable characters"
        raise InvalidInputError("contextId", f"contextId must be {allowed}")


def _check(ask: Ask) -> None:
    if ask.context_id is not None:
        check_context_id(ask.context_id)
    if len(ask.references) > REFERENCES_MAX:
        raise InvalidInputError(
            "referenceTaskIds", f"referenceTaskIds must name at most {REFERENCES_MAX} tasks"
        )
    if len(json.dumps(ask.message, ensure_ascii=False).encode()) > MESSAGE_BYTES_MAX:
        raise InvalidInputError(
            "message", f"the message must have at most {MESSAGE_BYTES_MAX} bytes as JSON"
        )


def _request(
    ask: Ask, *, key: ApiKey, idempotency_key: str | None, ports: ConversationPorts
) -> FirstRequest:
    """What the task is made of; for an Idempotency-Key seen before, what it was made of then."""
    dice, clock = ports.api.dice, ports.api.clock
    request = FirstRequest(
        request_hash=_hash(ask),
        prompt=conversation_prompt(
            ask.text,
            data=ask.data,
            earlier=_earlier(ask, key=key, ports=ports),
            delimiter=dice.token(),
        ),
        context_id=ask.context_id or dice.token(),
    )
    if idempotency_key is None:
        return request
    first = ports.conversations.first_request(key.id, idempotency_key, request, at=clock.now())
    if first.request_hash != request.request_hash:
        raise IdempotencyKeyReusedError("This Idempotency-Key was used for another request")
    return first


def _hash(ask: Ask) -> str:
    """What was asked for. The messageId does not count: each client of a key makes its own."""
    asked = {
        "agentId": ask.agent_id,
        "text": ask.text,
        "data": [[item.label, item.text] for item in ask.data],
        "contextId": ask.context_id,
        "references": list(ask.references),
        "timeoutMs": ask.timeout_ms,
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _earlier(ask: Ask, *, key: ApiKey, ports: ConversationPorts) -> list[EarlierTask]:
    """The newest tasks of the context and the tasks that the message refers to, oldest first."""
    ids: Sequence[str] = []
    if ask.context_id is not None:
        rows = ports.conversations.of_context(key.workspace_id, ask.agent_id, ask.context_id)
        ids = [row.task_id for row in reversed(rows[:EARLIER_MAX])]
    found = []
    for task_id in dict.fromkeys((*ask.references, *ids)):
        try:
            view = show_task(task_id, key=key, tasks=ports.api.tasks)
        except TaskNotFoundError:
            continue  # gone, or not the caller's: a reference is a hint, and tells nothing
        sent = ports.conversations.get(task_id)
        asked = text_of(sent.messages[0]) if sent and sent.messages else None
        if asked is None:
            asked = view.origin.prompt if view.origin else ""
        result = str(view.output["result"]) if view.output else ""
        found.append(EarlierTask(asked, view.task.status.value, result))
    return found


def text_of(message: Mapping[str, Any]) -> str:
    """The text parts of a message, one below the other."""
    return "\n\n".join(str(p["text"]) for p in message.get("parts", ()) if "text" in p)
