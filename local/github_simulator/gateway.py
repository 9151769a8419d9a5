"""Stand before the application: log every API request, and make go wrong what tests ordered."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from local.github_simulator.faults import Fault, next_fault
from local.github_simulator.request_log import LoggedRequest
from local.github_simulator.state import GithubState

#: Paths that are no part of GitHub's API: never logged, never disturbed.
OWN_PATHS = re.compile(
    r"/_simulator(/|$)|/_avatars/|/[^/]+/[^/]+/(issues|pull)/\d+$|/$|/favicon.ico$"
)
API_PATHS = re.compile(r"/(repos|repositories|users|app|installation)/")
LONGEST_LOGGED_BODY = 256 * 1024
#: Closes a client's connection without an answer, by its address.
Hangup = Callable[[tuple[str, int]], None]


class Gateway:
    """The outermost ASGI application."""

    def __init__(self, app: ASGIApp, state: GithubState, hang_up: Hangup) -> None:
        self._app = app
        self._state = state
        self._hang_up = hang_up

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or disturb it."""
        is_api = scope["type"] == "http" and (
            API_PATHS.match(scope["path"]) or not OWN_PATHS.match(scope["path"])
        )
        if not is_api:
            await self._app(scope, receive, send)
            return
        content, receive = await _buffered(receive)
        entry, fault = self._begin(scope, content)
        scope["nightdesk.entry"] = entry
        if self._state.settings.latency_seconds:
            await asyncio.sleep(self._state.settings.latency_seconds)
        if fault is None:
            await self._app(scope, receive, _noting(entry, send))
        else:
            await self._disturb(fault, entry, scope, receive, send)

    def _begin(self, scope: Scope, content: bytes) -> tuple[LoggedRequest, Fault | None]:
        headers = {key.decode().lower(): value.decode("latin-1") for key, value in scope["headers"]}
        state = self._state
        with state.lock:
            entry = state.requests.begin(
                method=scope["method"],
                path=scope["path"],
                query=scope["query_string"].decode("latin-1"),
                at=state.now(),
                user_agent=headers.get("user-agent"),
            )
            entry.body = content[:LONGEST_LOGGED_BODY].decode(errors="replace")
            fault = next_fault(
                state.faults,
                scope["method"],
                scope["path"],
                conditional="if-none-match" in headers,
            )
            if fault is not None:
                entry.fault = fault.kind
        return entry, fault

    async def _disturb(
        self, fault: Fault, entry: LoggedRequest, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
            await self._app(scope, receive, _noting(entry, send))
            return
        entry.took_effect = fault.kind == "drop_after" or fault.after
        if entry.took_effect:
            await self._app(scope, receive, _discard)
        if fault.kind in {"drop_before", "drop_after"}:
            self._hang_up(scope["client"])
            while (await receive())["type"] != "http.disconnect":
                continue
            return
        interval = str(self._state.settings.poll_interval_seconds)
        await _false_answer(fault, scope, interval)(scope, receive, _noting(entry, send))


def _false_answer(fault: Fault, scope: Scope, poll_interval: str) -> Response:
    if fault.kind == "stale_not_modified":
        sent = dict(scope["headers"]).get(b"if-none-match", b"").decode("latin-1")
        headers = {"ETag": sent, "X-Poll-Interval": poll_interval, **fault.headers}
        return Response(status_code=304, headers=headers)
    body = fault.body if isinstance(fault.body, str) else json.dumps(fault.body or {})
    media_type = "text/html" if isinstance(fault.body, str) else "application/json; charset=utf-8"
    return Response(body, status_code=fault.status, headers=fault.headers, media_type=media_type)


async def _buffered(receive: Receive) -> tuple[bytes, Receive]:
    """Read the whole body, and give a `receive` that delivers it again, then what follows."""
    content, more = b"", True
    while more:
        message = await receive()
        content += message.get("body", b"")
        more = message["type"] == "http.request" and message.get("more_body", False)
    pending: list[dict[str, Any]] = [{"type": "http.request", "body": content, "more_body": False}]

    async def replayed() -> Message:
        return pending.pop() if pending else await receive()

    return content, replayed


def _noting(entry: LoggedRequest, send: Send) -> Send:
    """Write the status into the log as the answer starts."""

    async def noting(message: Message) -> None:
        if message["type"] == "http.response.start":
            entry.status = message["status"]
        await send(message)

    return noting


async def _discard(message: Message) -> None:
    del message
