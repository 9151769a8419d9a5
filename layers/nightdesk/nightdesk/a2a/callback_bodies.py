"""The bodies of callbacks: A2A's StreamResponse, the predecessor's, and our own."""

from typing import Any

import msgspec
from a2a.types import StreamResponse
from google.protobuf.json_format import MessageToDict

from nightdesk.a2a.predecessor import STATUS_WORDS
from nightdesk.a2a.wire import wire_task
from nightdesk.domain.callbacks import Body
from nightdesk.services.notify import Told
from nightdesk.services.show_question import Question
from nightdesk.services.show_task import TaskView
from nightdesk.services.task_fields import (
    TaskOutput,
    instant,
    output_fields,
    summary,
    trigger_fields,
    waiting_fields,
)

#: An item of DynamoDB holds 400 KB, and a body is kept in one; a longer result is asked for.
BYTES_MAX = 300_000


def a2a_body(told: Told) -> Body:
    """{"task": …} with its artifacts and without its history (A2A 1.0, 4.3.3)."""
    shown = wire_task(told.view, told.sent, question=_question(told.view))
    shown.ClearField("history")
    text = _json(MessageToDict(StreamResponse(task=shown)))
    if _is_too_long(text):
        shown.ClearField("artifacts")
        text = _json(MessageToDict(StreamResponse(task=shown)))
    return Body(text, "application/a2a+json")


def predecessor_body(told: Told) -> Body:
    """{taskId, status, output?, error?, timestamp}; without a stack, for there is none to tell."""
    task, output = told.view.task, output_fields(told.view.output)
    body: dict[str, Any] = {
        "taskId": task.id,
        "status": STATUS_WORDS[task.status],
        "timestamp": instant(told.at),
    }
    if task.error is not None:
        body["error"] = {"message": task.error.message, "code": task.error.code.value}
    return _with_output(body, output, body)


def json_body(told: Told) -> Body:
    """{type, timestamp, data}: the task in the REST API's fields, all but its prompt."""
    view = told.view
    data: dict[str, Any] = {
        **summary(view.task),
        "trigger": None if view.origin is None else trigger_fields(view.origin),
        "waitingFor": waiting_fields(view.waiting_for),
        "output": None,
    }
    event = f"task.{view.task.status.value.lower()}"
    body = {"type": event, "timestamp": instant(told.at), "data": data}
    return _with_output(body, output_fields(view.output), data)


def _with_output(body: dict[str, Any], output: TaskOutput | None, place: dict[str, Any]) -> Body:
    """The body with the output at its place in it, or a word that it is too long to be sent."""
    if output is not None:
        place["output"] = output
        if _is_too_long(_json(body)):
            place |= {"output": None, "outputOmitted": True}
    return Body(_json(body))


def _is_too_long(text: str) -> bool:
    return len(text.encode()) > BYTES_MAX


def _json(body: Any) -> str:
    return msgspec.json.encode(body).decode()


def _question(view: TaskView) -> Question | None:
    asked = view.waiting_for
    return None if asked is None else Question(str(asked["reason"]), str(asked["text"]))
