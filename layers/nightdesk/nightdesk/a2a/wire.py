"""Between our tasks and A2A's: states, messages, artifacts, callbacks. A2A's words live here."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from a2a.types import (
    Artifact,
    AuthenticationInfo,
    Message,
    Part,
    Role,
    SendMessageRequest,
    TaskPushNotificationConfig,
)
from a2a.types import Task as WireTask
from a2a.types import TaskState as State
from a2a.types import TaskStatus as WireStatus
from a2a.utils.errors import ContentTypeNotSupportedError
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from nightdesk.a2a.card import INPUT_MODES, OUTPUT_MODES
from nightdesk.domain.conversation_prompt import Data
from nightdesk.domain.conversations import SentTask
from nightdesk.domain.errors import InvalidInputError
from nightdesk.domain.push_configs import PushConfig
from nightdesk.domain.task import Task, TaskStatus
from nightdesk.services.list_sent_tasks import changed_at
from nightdesk.services.message_task import MessageAction
from nightdesk.services.show_question import APPROVAL, Question
from nightdesk.services.show_task import TaskView

#: What is asked when a message holds data only.
DATA_ONLY = "Do your job for the data below."

_MICROS = 1_000_000
#: Beyond this a float is no whole number any more.
_EXACT = 2**53


def state_of(task: Task) -> State:
    """PENDING is SUBMITTED until the first start; a hand-over or a retry is still WORKING."""
    match task.status:
        case TaskStatus.PENDING:
            started = task.attempts > 0
            return State.TASK_STATE_WORKING if started else State.TASK_STATE_SUBMITTED
        case TaskStatus.RUNNING:
            return State.TASK_STATE_WORKING
        case TaskStatus.WAITING:
            return State.TASK_STATE_INPUT_REQUIRED
        case TaskStatus.COMPLETED:
            return State.TASK_STATE_COMPLETED
        case TaskStatus.FAILED:
            return State.TASK_STATE_FAILED
        case TaskStatus.CANCELLED:
            return State.TASK_STATE_CANCELED


#: Which of our states may be shown as a state of A2A's; none: nothing of ours ever is.
STATUSES: Mapping[State, frozenset[TaskStatus]] = {
    State.TASK_STATE_SUBMITTED: frozenset({TaskStatus.PENDING}),
    State.TASK_STATE_WORKING: frozenset({TaskStatus.PENDING, TaskStatus.RUNNING}),
    State.TASK_STATE_INPUT_REQUIRED: frozenset({TaskStatus.WAITING}),
    State.TASK_STATE_COMPLETED: frozenset({TaskStatus.COMPLETED}),
    State.TASK_STATE_FAILED: frozenset({TaskStatus.FAILED}),
    State.TASK_STATE_CANCELED: frozenset({TaskStatus.CANCELLED}),
    State.TASK_STATE_REJECTED: frozenset(),
    State.TASK_STATE_AUTH_REQUIRED: frozenset(),
}


def wire_task(
    view: TaskView, sent: SentTask | None, *, question: Question | None = None
) -> WireTask:
    """The task with its whole history; a task that came another way is its own context.

    `question` is what a waiting task asks.
    """
    task = view.task
    context_id = context_of(task, sent)
    shown = WireTask(
        id=task.id,
        context_id=context_id,
        status=wire_status(task, context_id, question=question),
        history=_history(view, sent, context_id),
        metadata=_metadata(task),
    )
    if view.output is not None:
        shown.artifacts.extend(artifacts_of(view.output))
    return shown


def context_of(task: Task, sent: SentTask | None) -> str:
    return task.id if sent is None else sent.context_id


def wire_status(task: Task, context_id: str, *, question: Question | None = None) -> WireStatus:
    """The state, when it began, and what there is to say about it."""
    status = WireStatus(state=state_of(task), timestamp=timestamp(changed_at(task)))
    text = _status_text(task, question)
    if text:
        number = f"{task.run}-{task.last_entry}"
        status.message.CopyFrom(
            Message(
                message_id=f"{task.id}-{task.status.value.lower()}-{number}",
                context_id=context_id,
                task_id=task.id,
                role=Role.ROLE_AGENT,
                parts=[Part(text=text, media_type="text/plain")],
            )
        )
    return status


def timestamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _status_text(task: Task, question: Question | None) -> str:
    match task.status:
        case TaskStatus.FAILED if task.error is not None:
            return f"{task.error.code.value}: {task.error.message}"
        case TaskStatus.RUNNING if task.cancel_requested:
            return "Stopping, as asked"
        case TaskStatus.RUNNING:
            return task.current_activity or ""
        case TaskStatus.WAITING:
            return _asked(question) or task.current_activity or "Waiting for an answer"
        case _:
            return ""


def _asked(question: Question | None) -> str:
    if question is None:
        return ""
    if question.reason != APPROVAL:
        return question.text
    return (
        f"May it go on? {question.text}\n"
        'Answer with a data part: {"decision": "approve"} or {"decision": "deny"}.'
    )


def _metadata(task: Task) -> Struct:
    """Progress that is real, and what the task has used."""
    metadata = Struct()
    values: dict[str, Any] = {
        "attempts": task.attempts,
        "toolCallCount": task.tool_call_count,
        "inputTokens": task.input_tokens,
        "outputTokens": task.output_tokens,
        "costUsd": task.cost_micros / _MICROS,
    }
    if task.current_activity:
        values["currentActivity"] = task.current_activity
    if task.error is not None:
        values["errorCode"] = task.error.code.value
    metadata.update({"nightdesk": values})
    return metadata


def _history(view: TaskView, sent: SentTask | None, context_id: str) -> list[Message]:
    if sent is not None:
        return [_stored_message(kept, view.task.id, context_id) for kept in sent.messages]
    if view.origin is None:
        return []
    return [
        Message(
            message_id=f"{view.task.id}-prompt",
            context_id=context_id,
            task_id=view.task.id,
            role=Role.ROLE_USER,
            parts=[Part(text=view.origin.prompt)],
        )
    ]


def _stored_message(kept: Mapping[str, Any], task_id: str, context_id: str) -> Message:
    message = ParseDict(dict(kept), Message(), ignore_unknown_fields=True)
    message.task_id, message.context_id = task_id, context_id
    return message


def artifacts_of(output: Mapping[str, Any]) -> list[Artifact]:
    """The answer itself, then whatever else the session made."""
    answer = Part(text=str(output["result"]), media_type="text/markdown")
    found = [Artifact(artifact_id="result", name="result", parts=[answer])]
    for number, extra in enumerate(output.get("artifacts") or (), start=1):
        part = Part(filename=str(extra.get("name") or f"artifact-{number}"))
        if extra.get("url"):
            part.url = str(extra["url"])
        else:
            part.text = str(extra.get("data") or "")
        found.append(Artifact(artifact_id=f"artifact-{number}", name=part.filename, parts=[part]))
    return found


# Messages that come in -------------------------------------------------------------------------


def text_and_data(message: Message) -> tuple[str, tuple[Data, ...]]:
    """What the message says, and the data that came with it.

    Raises:
        InvalidInputError: it is not a user's, or says nothing.
        ContentTypeNotSupportedError: a part is a file, or of a type that no specialist reads.
    """
    if message.role != Role.ROLE_USER:
        raise InvalidInputError("message.role", "message.role must be ROLE_USER")
    texts, data = [], []
    for part in message.parts:
        kind = part.WhichOneof("content")
        media_type = part.media_type.partition(";")[0].strip().lower()
        if kind == "text" and _reads(media_type or "text/plain"):
            texts.append(part.text)
        elif kind == "data" and _reads(media_type or "application/json"):
            data.append(Data("data", _json(part)))
        elif kind is None:
            raise InvalidInputError("message.parts", "a part must hold text or data")
        else:
            allowed = f"text and data of {', '.join(INPUT_MODES)}"
            raise ContentTypeNotSupportedError(f"This agent reads {allowed}")
    text = "\n\n".join(texts)
    if not text.strip():
        if not data:
            raise InvalidInputError("message.parts", "the message must hold some text or data")
        text = DATA_ONLY
    return text, tuple(data)


def decision_in(data: Sequence[Data]) -> MessageAction:
    """The decision on what a waiting task asked: a data part {"decision": "approve" | "deny"}."""
    for item in data:
        found = msgspec.json.decode(item.text)
        if isinstance(found, dict) and found.get("decision") in ("approve", "deny"):
            return MessageAction(found["decision"])
    return MessageAction.TEXT


def _reads(media_type: str) -> bool:
    return media_type in INPUT_MODES


def _json(part: Part) -> str:
    return msgspec.json.format(msgspec.json.encode(_whole(MessageToDict(part.data))).decode())


def _whole(value: Any) -> Any:
    """The value as it was sent: protobuf knows no whole numbers and reads 1 as 1.0."""
    match value:
        case float() if value.is_integer() and abs(value) < _EXACT:
            return int(value)
        case dict():
            return {name: _whole(item) for name, item in value.items()}
        case list():
            return [_whole(item) for item in value]
        case _:
            return value


def check_output_modes(accepted: Sequence[str]) -> None:
    """Raise ContentTypeNotSupportedError when nothing that we answer is accepted."""
    modes = [mode.partition(";")[0].strip().lower() for mode in accepted]
    if modes and not any(_accepts(mode, ours) for mode in modes for ours in OUTPUT_MODES):
        raise ContentTypeNotSupportedError(f"This agent answers {', '.join(OUTPUT_MODES)}")


def _accepts(mode: str, ours: str) -> bool:
    return mode in (ours, "*/*", "*", f"{ours.partition('/')[0]}/*", "text")


def kept_message(request: SendMessageRequest) -> Mapping[str, Any]:
    """The message as history will show it."""
    kept: Mapping[str, Any] = MessageToDict(request.message)
    return kept


# Callbacks -------------------------------------------------------------------------------------


def push_config(wire: TaskPushNotificationConfig, *, new_id: str, now: datetime) -> PushConfig:
    """The callback as we keep it; unchecked."""
    return PushConfig(
        task_id=wire.task_id,
        id=wire.id or new_id,
        url=wire.url,
        created_at=now,
        token=wire.token,
        scheme=wire.authentication.scheme,
        credentials=wire.authentication.credentials,
    )


def wire_push_config(config: PushConfig) -> TaskPushNotificationConfig:
    """The callback as it is shown: never with its token or credentials."""
    shown = TaskPushNotificationConfig(id=config.id, task_id=config.task_id, url=config.url)
    if config.scheme:
        shown.authentication.CopyFrom(AuthenticationInfo(scheme=config.scheme))
    return shown
