"""The predecessor's asynchronous task API: its routes, answers and error codes, kept for its users.

POST   /a2a/{agentId}/tasks         202 {taskId, status, checkUrl}
GET    /a2a/{agentId}/tasks         {tasks, total, nextCursor?}
GET    /a2a/{agentId}/tasks/{id}    the task
DELETE /a2a/{agentId}/tasks/{id}    {taskId, status, message}
POST   /a2a/{agentId}/messages      {response, sessionId, metadata}, or 202 as above
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import cast

from a2a.utils.errors import TaskNotCancelableError

from nightdesk.a2a.errors import RETRY_AFTER, AgentDisabledError, AgentNotFoundError
from nightdesk.a2a.gateway import BodyTooLargeError, HttpAnswer, HttpRequest, NotJsonError
from nightdesk.a2a.operations import BLOCKING_WAIT, Call, Operations
from nightdesk.a2a.predecessor_input import Given, ValidationError, given_message, given_task
from nightdesk.a2a.predecessor_shapes import (
    OldAccepted,
    OldCancelled,
    OldError,
    OldList,
    OldMessageFailed,
    OldResponse,
    OldStatus,
    OldSummary,
    OldTask,
)
from nightdesk.domain import errors
from nightdesk.domain.api_key import Operation
from nightdesk.domain.conversations import SentTask
from nightdesk.domain.rate_limit import RateLimitedError
from nightdesk.domain.task import Task, TaskStatus
from nightdesk.services.list_sent_tasks import SentFilter, list_sent_tasks
from nightdesk.services.send_task import Ask, Sent, send_task
from nightdesk.services.show_task import view_of
from nightdesk.services.submit_task import IdempotencyKeyReusedError
from nightdesk.services.wait_for_task import wait_for_task

LIMIT_DEFAULT, LIMIT_MAX = 50, 100
#: Its words for our states. It knows no waiting: what waits is at work, and says for what.
STATUS_WORDS: Mapping[TaskStatus, OldStatus] = {
    TaskStatus.PENDING: "pending",
    TaskStatus.RUNNING: "running",
    TaskStatus.WAITING: "running",
    TaskStatus.COMPLETED: "completed",
    TaskStatus.FAILED: "failed",
    TaskStatus.CANCELLED: "canceled",
}
_STATUSES = {
    "pending": (frozenset({TaskStatus.PENDING}), False),
    "running": (frozenset({TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.WAITING}), True),
    "completed": (frozenset({TaskStatus.COMPLETED}), None),
    "failed": (frozenset({TaskStatus.FAILED}), None),
    "canceled": (frozenset({TaskStatus.CANCELLED}), None),
}
_MICROS = 1_000_000
_TASK = re.compile(r"/tasks/([^/]+)")


class NoSuchRouteError(errors.NightdeskError):
    """The predecessor had no such route either."""


class MethodNotAllowedError(errors.NightdeskError):
    """The route exists, but not with this method."""


@dataclass(frozen=True, slots=True)
class Predecessor:
    """Answers its routes with our services."""

    operations: Operations
    blocking_wait: timedelta = BLOCKING_WAIT

    def answer(self, path: str, request: HttpRequest, call: Call) -> HttpAnswer:
        """`path` is what follows /a2a/{agentId}.

        Raises:
            NoSuchRouteError, MethodNotAllowedError, NightdeskError: see `failure`.
        """
        found = _TASK.fullmatch(path)
        match request.method, path:
            case "POST", "/tasks":
                return self._create(request, call)
            case "GET", "/tasks":
                return self._list(request, call)
            case "POST", "/messages":
                return self._message(request, call)
            case "GET", _ if found:
                return self._show(found[1], call)
            case "DELETE", _ if found:
                return self._cancel(found[1], call)
        if found or path in ("/tasks", "/messages"):
            raise MethodNotAllowedError(f"{request.method} is not allowed here")
        raise NoSuchRouteError("No such route")

    def _create(self, request: HttpRequest, call: Call) -> HttpAnswer:
        call.key.demand(Operation.WRITE)
        self.operations.specialist(call.agent_id)
        sent = self._send(given_task(request.json()), request, call)
        return _accepted(sent.task, call)

    def _message(self, request: HttpRequest, call: Call) -> HttpAnswer:
        if request.query.get("stream") == "true":
            raise ValidationError(("stream", "This address does not stream"))
        api = self.operations.ports.api
        begun = api.clock.now()
        sent = self.begin_message(request, call)
        task = wait_for_task(
            sent.task, until=begun + self.blocking_wait, tasks=api.tasks, clock=api.clock
        )
        match task.status:
            case TaskStatus.COMPLETED:
                return self._response(task, sent.conversation, api.clock.now() - begun)
            case TaskStatus.FAILED | TaskStatus.CANCELLED:
                failed: OldMessageFailed = {
                    "error": "Failed to process message",
                    "code": "MESSAGE_PROCESSING_ERROR",
                    **_shown(task),
                }
                return HttpAnswer(HTTPStatus.INTERNAL_SERVER_ERROR.value, failed)
            case _:
                return _accepted(task, call)

    def begin_message(self, request: HttpRequest, call: Call) -> Sent:
        """Take a message in, for whoever waits for its task or streams it."""
        call.key.demand(Operation.WRITE)
        self.operations.specialist(call.agent_id)
        return self._send(given_message(request.json()), request, call)

    def _response(self, task: Task, sent: SentTask, took: timedelta) -> HttpAnswer:
        output = view_of(task, self.operations.ports.api.tasks).output
        body: OldResponse = {
            "response": output["result"] if output else "No response generated",
            "sessionId": sent.context_id,
            "metadata": {
                "processingTimeMs": int(took.total_seconds() * 1000),
                "tokensUsed": task.input_tokens + task.output_tokens,
            },
        }
        return HttpAnswer(HTTPStatus.OK.value, body)

    def _send(self, given: Given, request: HttpRequest, call: Call) -> Sent:
        ports = self.operations.ports
        now, token = ports.api.clock.now(), ports.api.dice.token()
        ask = Ask(
            agent_id=call.agent_id,
            text=given.message,
            message={"messageId": token, "role": "ROLE_USER", "parts": [{"text": given.message}]},
            data=given.data,
            context_id=given.session_id,
            timeout_ms=given.timeout_ms,
            push=given.push_config(new_id=token, now=now),
        )
        key = request.idempotency_key
        try:
            return send_task(ask, key=call.key, idempotency_key=key, ports=ports)
        except errors.InvalidInputError as error:
            raise ValidationError((_FIELDS.get(error.field, error.field), str(error))) from error

    def _show(self, task_id: str, call: Call) -> HttpAnswer:
        call.key.demand(Operation.READ)
        task = self.operations.visible(task_id, call)
        output = view_of(task, self.operations.ports.api.tasks).output
        body = cast("OldTask", _shown(task))
        if output is not None:
            body["output"] = {
                "result": output["result"],
                "artifacts": output.get("artifacts", []),
            }
        return HttpAnswer(HTTPStatus.OK.value, body)

    def _cancel(self, task_id: str, call: Call) -> HttpAnswer:
        call.key.demand(Operation.WRITE)
        self.operations.visible(task_id, call)
        task = self.operations.stop(task_id, call.key)
        is_over = task.status is TaskStatus.CANCELLED
        body: OldCancelled = {
            "taskId": task.id,
            "status": STATUS_WORDS[task.status],
            "message": "Task canceled successfully" if is_over else "The task is being stopped",
        }
        return HttpAnswer(200 if is_over else 202, body)

    def _list(self, request: HttpRequest, call: Call) -> HttpAnswer:
        query = request.query
        status = query.get("status")
        if status is not None and status not in _STATUSES:
            raise ValidationError(("status", f"status must be one of {', '.join(_STATUSES)}"))
        statuses, begun = _STATUSES[status] if status else (None, None)
        try:
            page = list_sent_tasks(
                call.agent_id,
                SentFilter(statuses=statuses, begun=begun),
                limit=_limit(query.get("limit")),
                cursor=query.get("cursor") or None,
                key=call.key,
                ports=self.operations.ports,
            )
        except errors.InvalidInputError as error:
            raise ValidationError(("cursor", str(error))) from error
        body: OldList = {
            "tasks": [_shown(listed.task) for listed in page.tasks],
            "total": page.total,
        }
        if page.cursor is not None:
            body["nextCursor"] = page.cursor
        return HttpAnswer(HTTPStatus.OK.value, body)


#: Our names for fields that its bodies name otherwise.
_FIELDS = {
    "url": "pushNotificationConfig.url",
    "token": "pushNotificationConfig.token",
    "scheme": "pushNotificationConfig.authentication.schemes",
    "credentials": "pushNotificationConfig.authentication.credentials",
    "contextId": "sessionId",
}


def _limit(text: str | None) -> int:
    if text is None:
        return LIMIT_DEFAULT
    if re.fullmatch(r"[0-9]{1,3}", text, re.ASCII) and 1 <= int(text) <= LIMIT_MAX:
        return int(text)
    raise ValidationError(("limit", f"limit must be a whole number from 1 to {LIMIT_MAX}"))


def _accepted(task: Task, call: Call) -> HttpAnswer:
    body: OldAccepted = {
        "taskId": task.id,
        "status": STATUS_WORDS[task.status],
        "checkUrl": f"/a2a/{call.agent_id}/tasks/{task.id}",
    }
    return HttpAnswer(HTTPStatus.ACCEPTED.value, body)


def _shown(task: Task) -> OldSummary:
    """The task without its output. There is no `percentComplete`: nobody could know it."""
    body: OldSummary = {
        "taskId": task.id,
        "status": STATUS_WORDS[task.status],
        "createdAt": _instant(task.created_at),
        "updatedAt": _instant(task.updated_at),
        "usage": {
            "inputTokens": task.input_tokens,
            "outputTokens": task.output_tokens,
            "costUsd": task.cost_micros / _MICROS,
        },
    }
    if task.started_at is not None:
        body["startedAt"] = _instant(task.started_at)
    if task.completed_at is not None:
        body["completedAt"] = _instant(task.completed_at)
    if task.error is not None:
        body["errorDetails"] = {"message": task.error.message, "code": task.error.code}
    if task.status in (TaskStatus.RUNNING, TaskStatus.WAITING):
        body["progress"] = {"currentStep": _step(task), "toolCallCount": task.tool_call_count}
    return body


def _step(task: Task) -> str:
    if task.cancel_requested:
        return "Stopping, as asked"
    if task.status is TaskStatus.WAITING:
        return "Waiting for an answer"
    return task.current_activity or "Started"


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# Errors ----------------------------------------------------------------------------------------

_ANSWERS: tuple[tuple[type[Exception], HTTPStatus, str], ...] = (
    (ValidationError, HTTPStatus.BAD_REQUEST, "VALIDATION_ERROR"),
    (NotJsonError, HTTPStatus.BAD_REQUEST, "VALIDATION_ERROR"),
    (errors.InvalidInputError, HTTPStatus.BAD_REQUEST, "VALIDATION_ERROR"),
    (BodyTooLargeError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "VALIDATION_ERROR"),
    (errors.TaskNotFoundError, HTTPStatus.NOT_FOUND, "TASK_NOT_FOUND"),
    (AgentNotFoundError, HTTPStatus.NOT_FOUND, "AGENT_NOT_FOUND"),
    (AgentDisabledError, HTTPStatus.FORBIDDEN, "AGENT_DISABLED"),
    (TaskNotCancelableError, HTTPStatus.BAD_REQUEST, "TASK_CANNOT_BE_CANCELED"),
    (errors.ForbiddenError, HTTPStatus.FORBIDDEN, "FORBIDDEN"),
    (IdempotencyKeyReusedError, HTTPStatus.UNPROCESSABLE_ENTITY, "IDEMPOTENCY_KEY_REUSED"),
    (NoSuchRouteError, HTTPStatus.NOT_FOUND, "NOT_FOUND"),
    (MethodNotAllowedError, HTTPStatus.METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED"),
    (errors.TransientError, HTTPStatus.SERVICE_UNAVAILABLE, "UNAVAILABLE"),
)


def failure(error: Exception, request: HttpRequest) -> HttpAnswer | None:
    """The error in the predecessor's shape {error, code, details?}; None for a defect of ours."""
    if isinstance(error, errors.NotAuthenticatedError):
        return _not_authenticated(error, request.header("Authorization"))
    if isinstance(error, RateLimitedError):
        return _rate_limited(error)
    for kind, status, code in _ANSWERS:
        if isinstance(error, kind):
            body: OldError = {"error": str(error), "code": code}
            if code == "UNAVAILABLE":
                body["error"] = "A service that is needed does not answer; try again"
            if isinstance(error, ValidationError):
                body["details"] = [{"field": f, "message": m} for f, m in error.details]
            elif isinstance(error, errors.InvalidInputError):
                body["details"] = [{"field": error.field, "message": str(error)}]
            headers = {"Retry-After": str(RETRY_AFTER)} if code == "UNAVAILABLE" else {}
            return HttpAnswer(status.value, body, headers)
    return None


def defect(request: HttpRequest) -> HttpAnswer:
    """What a defect of ours is called on this route; what it is, only the log says."""
    codes: Mapping[str, str] = {
        "POST": "TASK_CREATION_ERROR",
        "GET": "TASK_STATUS_ERROR",
        "DELETE": "TASK_CANCELLATION_ERROR",
    }
    code = codes.get(request.method, "TASK_STATUS_ERROR")
    if request.path.endswith("/messages"):
        code = "MESSAGE_PROCESSING_ERROR"
    return HttpAnswer(500, {"error": "Something went wrong here", "code": code})


def _rate_limited(error: RateLimitedError) -> HttpAnswer:
    body: OldError = {
        "error": str(error),
        "code": "RATE_LIMIT_EXCEEDED",
        "retryAfter": error.quota.seconds_left,
    }
    return HttpAnswer(HTTPStatus.TOO_MANY_REQUESTS.value, body, error.headers)


def _not_authenticated(error: Exception, header: str | None) -> HttpAnswer:
    scheme, _, key = (header or "").partition(" ")
    if not header:
        code = "MISSING_AUTH_HEADER"
    elif scheme.lower() != "bearer":
        code = "INVALID_AUTH_FORMAT"
    elif not key.strip():
        code = "EMPTY_API_KEY"
    else:
        code = "INVALID_API_KEY"
    body = {"error": str(error), "code": code}
    return HttpAnswer(401, body, {"WWW-Authenticate": "Bearer"})
