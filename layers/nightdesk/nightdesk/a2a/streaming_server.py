"""A2A with streams: the SDK's own server, mounted unchanged on our operations.

API Gateway's HTTP APIs cannot stream, so the a2a function says `streaming: false`. Here the same
operations, cards and the predecessor's API answer over a server that can; its card says so. It
runs under uvicorn: locally (local/a2a_stream.py), and on Lambda behind the Lambda Web Adapter
(functions/a2a_stream). It needs all of the SDK, so nothing else imports it.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, MutableMapping
from datetime import timedelta
from typing import Any, TypeVar

from a2a.server.context import ServerCallContext
from a2a.server.events.event_queue import Event
from a2a.server.request_handlers.request_handler import RequestHandler
from a2a.server.routes import create_jsonrpc_routes, create_rest_routes
from a2a.server.routes.common import ServerCallContextBuilder
from a2a.types import (
    AgentCard,
    CancelTaskRequest,
    DeleteTaskPushNotificationConfigRequest,
    GetExtendedAgentCardRequest,
    GetTaskPushNotificationConfigRequest,
    GetTaskRequest,
    ListTaskPushNotificationConfigsRequest,
    ListTaskPushNotificationConfigsResponse,
    ListTasksRequest,
    ListTasksResponse,
    Message,
    SendMessageRequest,
    SubscribeToTaskRequest,
    TaskPushNotificationConfig,
)
from a2a.types import Task as WireTask
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from nightdesk.a2a.app import A2aApp, A2aSettings
from nightdesk.a2a.errors import problem_of
from nightdesk.a2a.events import TaskEvents, place_in
from nightdesk.a2a.gateway import HttpRequest
from nightdesk.a2a.operations import Call, Operations
from nightdesk.domain.conversations import SentTask
from nightdesk.domain.errors import NightdeskError
from nightdesk.domain.task import Task, TaskStatus
from nightdesk.services.authenticate import authenticate
from nightdesk.services.wait_for_task import has_settled

#: How often a stream looks at its task.
PACE = timedelta(milliseconds=500)
#: A stream ends before Lambda would end it; the client subscribes again.
LONGEST_STREAM = timedelta(minutes=14)
LAST_EVENT = "last-event-id"

Result = TypeVar("Result")


class StreamingHandler(RequestHandler):
    """The SDK's seam to an agent, on our operations. Their calls block, so each has a thread."""

    def __init__(self, operations: Operations, *, pace: timedelta = PACE) -> None:
        self._operations = operations
        self._pace = pace

    async def on_get_task(self, params: GetTaskRequest, context: ServerCallContext) -> WireTask:
        return await _told(self._operations.get_task, params, _call(context))

    async def on_list_tasks(
        self, params: ListTasksRequest, context: ServerCallContext
    ) -> ListTasksResponse:
        return await _told(self._operations.list_tasks, params, _call(context))

    async def on_cancel_task(
        self, params: CancelTaskRequest, context: ServerCallContext
    ) -> WireTask:
        return await _told(self._operations.cancel_task, params, _call(context))

    async def on_message_send(
        self, params: SendMessageRequest, context: ServerCallContext
    ) -> WireTask | Message:
        return await _told(self._operations.send_message, params, _call(context))

    async def on_message_send_stream(
        self, params: SendMessageRequest, context: ServerCallContext
    ) -> AsyncGenerator[Event]:
        """The task, then its events until it has ended or asks back."""
        task, sent = await _told(self._operations.begin, params, _call(context))
        yield await _told(self._operations.shown, task, sent)
        async for event in self._follow(TaskEvents(task, sent, tasks=self._tasks), has_settled):
            yield event

    async def on_subscribe_to_task(
        self, params: SubscribeToTaskRequest, context: ServerCallContext
    ) -> AsyncGenerator[Event]:
        """The task, then its events until it has ended; from Last-Event-ID on, if that is given."""
        task = await _told(self._operations.subscription, params, _call(context))
        sent = await _told(self._operations.ports.conversations.get, task.id)
        place = context.state["headers"].get(LAST_EVENT)
        after = None if place is None else await _told(place_in, place)
        yield await _told(self._operations.shown, task, sent)
        events = TaskEvents(task, sent, tasks=self._tasks, after=after)
        async for event in self._follow(events, lambda task: task.status.is_terminal):
            yield event

    async def on_create_task_push_notification_config(
        self, params: TaskPushNotificationConfig, context: ServerCallContext
    ) -> TaskPushNotificationConfig:
        return await _told(self._operations.create_push_config, params, _call(context))

    async def on_get_task_push_notification_config(
        self, params: GetTaskPushNotificationConfigRequest, context: ServerCallContext
    ) -> TaskPushNotificationConfig:
        return await _told(self._operations.get_push_config, params, _call(context))

    async def on_list_task_push_notification_configs(
        self, params: ListTaskPushNotificationConfigsRequest, context: ServerCallContext
    ) -> ListTaskPushNotificationConfigsResponse:
        return await _told(self._operations.list_push_configs, params, _call(context))

    async def on_delete_task_push_notification_config(
        self, params: DeleteTaskPushNotificationConfigRequest, context: ServerCallContext
    ) -> None:
        await _told(self._operations.delete_push_config, params, _call(context))

    async def on_get_extended_agent_card(
        self, params: GetExtendedAgentCardRequest, context: ServerCallContext
    ) -> AgentCard:
        return await _told(self._operations.get_extended_agent_card, params, _call(context))

    @property
    def _tasks(self) -> Any:
        return self._operations.ports.api.tasks

    async def _follow(
        self, events: TaskEvents, is_over: Callable[[Task], bool]
    ) -> AsyncGenerator[Event]:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + LONGEST_STREAM.total_seconds()
        while loop.time() < ends_at:
            for event in await _told(events.new):
                yield event
            if is_over(events.task):
                return
            await asyncio.sleep(self._pace.total_seconds())

    async def old_stream(self, task: Task, sent: SentTask) -> AsyncGenerator[bytes]:
        """The predecessor's stream of a message: `data:` lines, the last one {"type": "done"}."""
        events = TaskEvents(task, sent, tasks=self._tasks)
        async for event in self._follow(events, has_settled):
            if event.DESCRIPTOR.name == "TaskStatusUpdateEvent":
                parts = event.status.message.parts  # type: ignore[union-attr]
                step = parts[0].text if parts else ""
                yield _line({"type": "status", "currentStep": step, "sessionId": sent.context_id})
        yield _line(await asyncio.to_thread(self._old_end, events.task, sent))
        yield _line({"type": "done"})

    def _old_end(self, task: Task, sent: SentTask) -> dict[str, Any]:
        shown = self._operations.shown(task, sent)
        if task.status is TaskStatus.COMPLETED:
            result = shown.artifacts[0].parts[0].text
            return {"type": "result", "result": result, "sessionId": sent.context_id}
        error = shown.status.message.parts[0].text if shown.status.message.parts else ""
        return {"type": "error", "error": error or task.status.value, "taskId": task.id}


def _line(value: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


async def _told(run: Callable[..., Result], *arguments: Any) -> Result:
    """Run it in a thread; our errors become A2A's."""
    try:
        return await asyncio.to_thread(run, *arguments)
    except NightdeskError as error:
        raise problem_of(error).error from error


def _call(context: ServerCallContext) -> Call:
    call = context.state["call"]
    assert isinstance(call, Call)
    return call


class _Contexts(ServerCallContextBuilder):
    """The SDK's context of a request: who calls, as `_Authenticated` found out."""

    def __init__(self, settings: A2aSettings) -> None:
        self._settings = settings

    def build(self, request: Request) -> ServerCallContext:
        headers = dict(request.headers)
        headers.setdefault("a2a-version", request.query_params.get("A2A-Version", ""))
        call = Call(
            key=request.scope["nightdesk.key"],
            agent_id=request.path_params["agent_id"],
            base_url=self._settings.base_url(request.headers.get("host", "")),
            idempotency_key=headers.get("idempotency-key"),
        )
        return ServerCallContext(state={"headers": headers, "call": call})


class _Authenticated:
    """Lets nobody through to the SDK's server without a key: a 401 belongs to HTTP."""

    def __init__(self, app: ASGIApp, *, operations: Operations) -> None:
        self._app, self._api = app, operations.ports.api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        header = Request(scope).headers.get("authorization")
        try:
            key = await asyncio.to_thread(
                authenticate, header, access=self._api.access, clock=self._api.clock
            )
        except NightdeskError as error:
            told = problem_of(error).as_rest()
            answer = Response(json.dumps(told.body), told.status, dict(told.headers))
            answer.headers["Content-Type"] = told.media_type
            await answer(scope, receive, send)
            return
        scope["nightdesk.key"] = key

        async def send_quota(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start" and key.quota is not None:
                MutableHeaders(scope=message).update(key.quota.headers)
            await send(message)

        await self._app(scope, receive, send_quota)


def streaming_app(
    operations: Operations, settings: A2aSettings, *, pace: timedelta = PACE
) -> Starlette:
    """The SDK's routes for every agent, and all other routes as the function answers them."""
    handler, contexts = StreamingHandler(operations, pace=pace), _Contexts(settings)
    rest = create_rest_routes(handler, contexts, path_prefix="/a2a/{agent_id}/v1")
    routes = [route for route in rest if isinstance(route, Route)]
    for url in ("/a2a/{agent_id}", "/a2a/{agent_id}/"):
        routes += create_jsonrpc_routes(handler, url, context_builder=contexts)
    guarded = [
        Route(
            route.path,
            _Authenticated(route.app, operations=operations),
            methods=list(route.methods or ()),
        )
        for route in routes
    ]
    function = A2aApp(operations, settings)

    async def stream_message(request: Request) -> Response:
        if request.query_params.get("stream") != "true" and "text/event-stream" not in (
            request.headers.get("accept") or ""
        ):
            return await answer(request)
        asked = HttpRequest(await _event_of(request))
        begun = await asyncio.to_thread(
            function.begin_message, request.path_params["agent_id"], asked
        )
        if isinstance(begun, dict):
            return _response(begun)
        return StreamingResponse(
            handler.old_stream(begun.task, begun.conversation), media_type="text/event-stream"
        )

    async def answer(request: Request) -> Response:
        return _response(await asyncio.to_thread(function, await _event_of(request)))

    return Starlette(
        routes=[
            *guarded,
            Route("/a2a/{agent_id}/messages", stream_message, methods=["POST"]),
            Route("/{path:path}", answer, methods=["GET", "HEAD", "POST", "PUT", "DELETE"]),
        ]
    )


async def _event_of(request: Request) -> dict[str, Any]:
    """The request as API Gateway would hand it over."""
    body = (await request.body()).decode("utf-8", "surrogateescape")
    return {
        "rawPath": request.url.path,
        "rawQueryString": request.url.query,
        "headers": dict(request.headers),
        "requestContext": {
            "http": {"method": request.method},
            "domainName": request.headers.get("host", ""),
        },
        "body": body,
        "isBase64Encoded": False,
    }


def _response(answer: dict[str, Any]) -> Response:
    return Response(answer["body"], answer["statusCode"], answer["headers"])
