"""HTTP+JSON below /a2a/{agentId}/v1: the same operations by path and method."""

import re
from collections.abc import Callable
from typing import Any

from a2a.types import (
    CancelTaskRequest,
    DeleteTaskPushNotificationConfigRequest,
    GetExtendedAgentCardRequest,
    GetTaskPushNotificationConfigRequest,
    GetTaskRequest,
    ListTaskPushNotificationConfigsRequest,
    ListTasksRequest,
    SendMessageRequest,
    SendMessageResponse,
    SubscribeToTaskRequest,
    TaskPushNotificationConfig,
)
from a2a.utils.errors import MethodNotFoundError

from nightdesk.a2a.errors import REST_MEDIA_TYPE
from nightdesk.a2a.gateway import HttpAnswer, HttpRequest, Query
from nightdesk.a2a.jsonrpc import as_dict, parsed, refuse_stream, tasks_dict
from nightdesk.a2a.operations import Call, Operations
from nightdesk.domain.errors import InvalidInputError

_TASK = "/tasks/(?P<id>[^/]+?)"
_CONFIGS = f"{_TASK}/pushNotificationConfigs"


class RestCall:
    """One request with the named parts of its path."""

    def __init__(
        self, request: HttpRequest, parts: dict[str, str], operations: Operations, call: Call
    ) -> None:
        self.request, self.parts = request, parts
        self.operations, self.call = operations, call

    def body(self, message: Any) -> Any:
        """The body as A2A's type; no body is an empty one."""
        return parsed(self.request.json(), message)

    def query(self, message: Any) -> Any:
        """The query parameters as A2A's type."""
        return parsed(_values(self.request.query, message), message)


def _values(query: Query, message: Any) -> dict[str, Any]:
    """The parameters that the type has, as ParseDict reads them; the last of a name counts."""
    fields = {field.camelcase_name: field for field in message.DESCRIPTOR.fields}
    values: dict[str, Any] = {}
    for name in query.keys():  # noqa: SIM118 - a Query is no mapping
        field, text = fields.get(name), query.get(name)
        if field is None or text in (None, ""):
            continue
        if field.type == field.TYPE_BOOL:
            if text not in ("true", "false"):
                raise InvalidInputError(name, f"{name} must be true or false")
            values[name] = text == "true"
        else:
            values[name] = text
    return values


def answer_rest(path: str, request: HttpRequest, operations: Operations, call: Call) -> HttpAnswer:
    """Call the operation that path (below /v1) and method name.

    Raises:
        MethodNotFoundError: there is none.
    """
    for method, pattern, run in _ROUTES:
        found = pattern.fullmatch(path)
        if found and method == request.method:
            body = run(RestCall(request, found.groupdict(), operations, call))
            return HttpAnswer(200, body, media_type=REST_MEDIA_TYPE)
    raise MethodNotFoundError("No such operation")


def takes_body(request: HttpRequest) -> bool:
    """Whether the request says what it is sending."""
    return request.method in ("POST", "PUT", "PATCH")


def _send(rest: RestCall) -> Any:
    message = rest.body(SendMessageRequest())
    return as_dict(SendMessageResponse(task=rest.operations.send_message(message, rest.call)))


def _get(rest: RestCall) -> Any:
    message = rest.query(GetTaskRequest())
    message.id = rest.parts["id"]
    return as_dict(rest.operations.get_task(message, rest.call))


def _list(rest: RestCall) -> Any:
    message = rest.query(ListTasksRequest())
    found = rest.operations.list_tasks(message, rest.call)
    return tasks_dict(found, artifacts=message.include_artifacts)


def _cancel(rest: RestCall) -> Any:
    message = CancelTaskRequest(id=rest.parts["id"])
    return as_dict(rest.operations.cancel_task(message, rest.call))


def _create_push(rest: RestCall) -> Any:
    message = rest.body(TaskPushNotificationConfig())
    message.task_id = rest.parts["id"]
    return as_dict(rest.operations.create_push_config(message, rest.call))


def _get_push(rest: RestCall) -> Any:
    message = GetTaskPushNotificationConfigRequest(
        task_id=rest.parts["id"], id=rest.parts["config"]
    )
    return as_dict(rest.operations.get_push_config(message, rest.call))


def _list_push(rest: RestCall) -> Any:
    message = rest.query(ListTaskPushNotificationConfigsRequest())
    message.task_id = rest.parts["id"]
    return as_dict(rest.operations.list_push_configs(message, rest.call))


def _delete_push(rest: RestCall) -> Any:
    message = DeleteTaskPushNotificationConfigRequest(
        task_id=rest.parts["id"], id=rest.parts["config"]
    )
    rest.operations.delete_push_config(message, rest.call)
    return {}


def _extended_card(rest: RestCall) -> Any:
    message = GetExtendedAgentCardRequest()
    return as_dict(rest.operations.get_extended_agent_card(message, rest.call))


def _stream(rest: RestCall) -> Any:
    return refuse_stream(rest.operations, SubscribeToTaskRequest(), rest.call)


_Run = Callable[[RestCall], Any]
#: In this order: an id may hold a colon, so the paths that end in a verb come first.
_ROUTES: tuple[tuple[str, re.Pattern[str], _Run], ...] = tuple(
    (method, re.compile(pattern), run)
    for method, pattern, run in (
        ("POST", "/message:send", _send),
        ("POST", "/message:stream", _stream),
        ("POST", f"{_TASK}:cancel", _cancel),
        ("POST", f"{_TASK}:subscribe", _stream),
        ("GET", f"{_TASK}:subscribe", _stream),
        ("GET", "/tasks", _list),
        ("GET", _TASK, _get),
        ("POST", _CONFIGS, _create_push),
        ("GET", _CONFIGS, _list_push),
        ("GET", f"{_CONFIGS}/(?P<config>[^/]+)", _get_push),
        ("DELETE", f"{_CONFIGS}/(?P<config>[^/]+)", _delete_push),
        ("GET", "/extendedAgentCard", _extended_card),
    )
)
