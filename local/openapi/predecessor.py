"""The predecessor's task API in the OpenAPI document (functions/a2a answers it)."""

from typing import Any

from local.openapi.shared import (
    IDEMPOTENCY_KEY,
    json_content,
    parts_of,
    quota_headers,
    ref,
)
from nightdesk.a2a import predecessor_shapes as shapes
from nightdesk.a2a.predecessor import LIMIT_DEFAULT, LIMIT_MAX
from nightdesk.a2a.predecessor_input import MESSAGE_MAX
from nightdesk.domain.task import TIMEOUT_MS_MAX, TIMEOUT_MS_MIN

OLD_TYPES = (
    shapes.OldAccepted,
    shapes.OldTask,
    shapes.OldList,
    shapes.OldCancelled,
    shapes.OldResponse,
    shapes.OldError,
    shapes.OldMessageFailed,
    shapes.OldNewTask,
    shapes.OldMessage,
)
OLD_TAG = "Predecessor's task API"
TASKS = "/a2a/{agentId}/tasks"
TASK = "/a2a/{agentId}/tasks/{taskId}"
MESSAGES = "/a2a/{agentId}/messages"
_CODES = {
    400: "`VALIDATION_ERROR` (`details` names each field), `TASK_CANNOT_BE_CANCELED`.",
    401: "`MISSING_AUTH_HEADER`, `INVALID_AUTH_FORMAT`, `EMPTY_API_KEY`, `INVALID_API_KEY`.",
    403: "`FORBIDDEN`: the key's scope does not cover this. `AGENT_DISABLED`.",
    404: "`AGENT_NOT_FOUND`, `TASK_NOT_FOUND`.",
    413: "`VALIDATION_ERROR`: the body has more than 1 MiB.",
    422: "`IDEMPOTENCY_KEY_REUSED`: it came before with another request.",
    429: "`RATE_LIMIT_EXCEEDED`: `retryAfter` seconds, as in `Retry-After`.",
    500: "`TASK_CREATION_ERROR`, `TASK_STATUS_ERROR`, `TASK_CANCELLATION_ERROR`: our fault.",
    503: "`UNAVAILABLE`: a service does not answer; wait `Retry-After` seconds.",
}
_WORDS_OF_BODY = {"message": {"minLength": 1, "maxLength": MESSAGE_MAX, "pattern": r"\S"}}


def old_paths() -> dict[str, Any]:
    """Path to path item."""
    return {
        TASKS: {
            "parameters": parts_of(TASKS),
            "post": _operation(
                "create_old_task",
                "Take in a message; its task is worked on in the background",
                body="OldNewTask",
                answers={202: "OldAccepted"},
                errors=(400, 404, 413, 422),
            ),
            "get": _operation(
                "list_old_tasks",
                "List the agent's tasks",
                query=_list_query(),
                answers={200: "OldList"},
                errors=(400,),
            ),
        },
        TASK: {
            "parameters": parts_of(TASK),
            "get": _operation("show_old_task", "One task", answers={200: "OldTask"}, errors=(404,)),
            "delete": _operation(
                "cancel_old_task",
                "Stop a task",
                answers={200: "OldCancelled", 202: "OldCancelled"},
                errors=(400, 404),
            ),
        },
        MESSAGES: {
            "parameters": parts_of(MESSAGES),
            "post": _message(),
        },
    }


def _operation(
    name: str,
    summary: str,
    *,
    answers: dict[int, str],
    errors: tuple[int, ...],
    body: str = "",
    query: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    parameters = list(query or [])
    operation: dict[str, Any] = {
        "operationId": name,
        "summary": summary,
        "tags": [OLD_TAG],
    }
    if body:
        parameters.append(IDEMPOTENCY_KEY)
        operation["requestBody"] = {"required": True, "content": json_content(_body(body))}
    if parameters:
        operation["parameters"] = parameters
    operation["responses"] = {
        str(status): {
            "description": "As asked." if status < 202 else "Accepted; it goes on.",  # noqa: PLR2004
            "headers": quota_headers(),
            "content": json_content(ref("schemas", kind)),
        }
        for status, kind in answers.items()
    } | {str(status): _error(status) for status in sorted({401, 403, 429, 500, 503, *errors})}
    return operation


def _message() -> dict[str, Any]:
    operation = _operation(
        "message_old_agent",
        "Ask, and wait for the answer: 25 seconds, then 202 with where to look for it",
        body="OldMessage",
        query=[
            {
                "name": "stream",
                "in": "query",
                "required": False,
                "description": "Only where the agent's card says that it streams; 400 elsewhere.",
                "schema": {"type": "string"},
            }
        ],
        answers={200: "OldResponse", 202: "OldAccepted"},
        errors=(400, 404, 413, 422),
    )
    failed = operation["responses"]["500"]
    failed["description"] = (
        "`MESSAGE_PROCESSING_ERROR`: the agent ended without an answer (FAILED or CANCELLED), and "
        "the body is its task too; or it is our fault, and the body is `error` and `code`."
    )
    failed["content"] = json_content(
        {"anyOf": [ref("schemas", "OldMessageFailed"), ref("schemas", "OldError")]}
    )
    return operation


def _body(name: str) -> dict[str, Any]:
    """The body's type with the bounds of predecessor_input."""
    timeout = {"minimum": TIMEOUT_MS_MIN, "maximum": TIMEOUT_MS_MAX}
    return {
        "allOf": [
            ref("schemas", name),
            {"properties": {**_WORDS_OF_BODY, "timeout": timeout}},
        ]
    }


def _error(status: int) -> dict[str, Any]:
    return {"description": _CODES[status], "content": json_content(ref("schemas", "OldError"))}


def _list_query() -> list[dict[str, Any]]:
    def parameter(name: str, words: str, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "name": name,
            "in": "query",
            "required": False,
            "description": words,
            "schema": schema,
        }

    statuses = list(shapes.OldStatus.__args__)  # type: ignore[attr-defined]
    whole = {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT}
    return [
        parameter("status", "Only tasks with this status.", {"type": "string", "enum": statuses}),
        parameter("limit", "How many at most.", whole),
        parameter("cursor", "The `nextCursor` of an earlier answer.", {"type": "string"}),
    ]
