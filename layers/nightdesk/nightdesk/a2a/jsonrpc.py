"""JSON-RPC 2.0 at /a2a/{agentId}: one request a body, answered also when it carries no id."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
from a2a.utils.errors import (
    InvalidParamsError,
    InvalidRequestError,
    MethodNotFoundError,
    UnsupportedOperationError,
)
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message as ProtoMessage

from nightdesk.a2a.gateway import HttpAnswer
from nightdesk.a2a.operations import Call, Operations


@dataclass(frozen=True, slots=True)
class RpcRequest:
    """A well-formed JSON-RPC request; `params` is not looked at yet."""

    id: str | int | None
    method: str
    params: Any


def rpc_id(body: Any) -> str | int | None:
    """The id to answer with, also when the rest of the request is wrong."""
    found = body.get("id") if isinstance(body, Mapping) else None
    return found if isinstance(found, str | int) and not isinstance(found, bool) else None


def rpc_request(body: Any) -> RpcRequest:
    """Read the envelope.

    Raises:
        InvalidRequestError: it is none of JSON-RPC 2.0, or a batch.
    """
    if isinstance(body, list):
        raise InvalidRequestError("Batch requests are not supported")
    if not isinstance(body, Mapping):
        raise InvalidRequestError("The request must be a JSON object")
    if body.get("jsonrpc") != "2.0":
        raise InvalidRequestError("jsonrpc must be 2.0")
    if body.get("id") is not None and rpc_id(body) is None:
        raise InvalidRequestError("id must be text, a whole number or null")
    method = body.get("method")
    if not isinstance(method, str) or not method:
        raise InvalidRequestError("method is required")
    return RpcRequest(rpc_id(body), method, body.get("params"))


def answer_rpc(request: RpcRequest, operations: Operations, call: Call) -> HttpAnswer:
    """Call the operation that the method names.

    Raises:
        MethodNotFoundError, InvalidParamsError: no such method; parameters of another shape.
    """
    shape, run = method_of(request.method)
    result = run(operations, parsed(request.params, shape()), call)
    return HttpAnswer(200, {"jsonrpc": "2.0", "id": request.id, "result": result})


def method_of(name: str) -> "_Method":
    """What a method takes and does.

    Raises:
        MethodNotFoundError: there is none of this name, such as the names of A2A 0.3.
    """
    found = _METHODS.get(name)
    if found is None:
        raise MethodNotFoundError
    return found


def parsed(params: Any, message: Any) -> Any:
    """The parameters as A2A's type. Unknown fields are left for later versions.

    Raises:
        InvalidParamsError: they are no object, or a field has another type.
    """
    if params is None:
        params = {}
    if not isinstance(params, dict):
        raise InvalidParamsError("params must be an object")
    for field in message.DESCRIPTOR.fields:
        # What is ignored as unknown would be a filter that lets everything pass.
        value = params.get(field.camelcase_name)
        if (
            field.enum_type
            and isinstance(value, str)
            and value not in field.enum_type.values_by_name
        ):
            raise InvalidParamsError(f"{field.camelcase_name} must be one of {_names(field)}")
    try:
        return ParseDict(params, message, ignore_unknown_fields=True)
    except _UNREADABLE as error:
        raise InvalidParamsError(f"The parameters are not valid: {str(error)[:200]}") from error


def _names(field: Any) -> str:
    return ", ".join(field.enum_type.values_by_name)


#: What ParseDict raises for values that protobuf cannot hold.
_UNREADABLE = (ParseError, ValueError, TypeError, AttributeError, OverflowError, RecursionError)


def _send(operations: Operations, request: SendMessageRequest, call: Call) -> Any:
    return as_dict(SendMessageResponse(task=operations.send_message(request, call)))


def as_dict(message: ProtoMessage) -> dict[str, Any]:
    shown: dict[str, Any] = MessageToDict(message)
    return shown


def tasks_dict(message: ProtoMessage, *, artifacts: bool) -> dict[str, Any]:
    """A list of tasks: its numbers and cursor also when they are empty, artifacts only if asked."""
    shown: dict[str, Any] = MessageToDict(message, always_print_fields_with_no_presence=True)
    for task in shown["tasks"]:
        if not artifacts:
            task.pop("artifacts", None)
    return shown


def _list(operations: Operations, request: ListTasksRequest, call: Call) -> Any:
    found = operations.list_tasks(request, call)
    return tasks_dict(found, artifacts=request.include_artifacts)


def _delete_push(
    operations: Operations, request: DeleteTaskPushNotificationConfigRequest, call: Call
) -> None:
    operations.delete_push_config(request, call)


def refuse_stream(operations: Operations, _: ProtoMessage, call: Call) -> Any:
    """No answer of API Gateway's HTTP API can stream; the front that can has its own server."""
    operations.specialist(call.agent_id)
    raise UnsupportedOperationError("This address does not stream; the agent card names what does")


_Method = tuple[type[ProtoMessage], Callable[[Operations, Any, Call], Any]]
_METHODS: Mapping[str, _Method] = {
    "SendMessage": (SendMessageRequest, _send),
    "SendStreamingMessage": (SendMessageRequest, refuse_stream),
    "GetTask": (GetTaskRequest, lambda o, r, c: as_dict(o.get_task(r, c))),
    "ListTasks": (ListTasksRequest, _list),
    "CancelTask": (CancelTaskRequest, lambda o, r, c: as_dict(o.cancel_task(r, c))),
    "SubscribeToTask": (SubscribeToTaskRequest, refuse_stream),
    "CreateTaskPushNotificationConfig": (
        TaskPushNotificationConfig,
        lambda o, r, c: as_dict(o.create_push_config(r, c)),
    ),
    "GetTaskPushNotificationConfig": (
        GetTaskPushNotificationConfigRequest,
        lambda o, r, c: as_dict(o.get_push_config(r, c)),
    ),
    "ListTaskPushNotificationConfigs": (
        ListTaskPushNotificationConfigsRequest,
        lambda o, r, c: as_dict(o.list_push_configs(r, c)),
    ),
    "DeleteTaskPushNotificationConfig": (DeleteTaskPushNotificationConfigRequest, _delete_push),
    "GetExtendedAgentCard": (
        GetExtendedAgentCardRequest,
        lambda o, r, c: as_dict(o.get_extended_agent_card(r, c)),
    ),
}
