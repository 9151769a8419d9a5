"""Stands around the simulator in tests: each request that reaches it, and each answer that it
gives, is held against GitHub's OpenAPI document, whoever sent it and with whatever library.

A new call of our client is therefore checked as soon as one test makes it. What does not conform
is kept, and fails the test at its end: the code under test cannot swallow it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.github_openapi.validator import assert_request_conforms, assert_response_conforms

#: Sent by who checks by itself (the tests' own client, which also sends what GitHub forbids).
CHECKED_BY_SENDER = "X-Nightdesk-Tests-Checked"
#: Paths of GitHub's API; all others (archives, pages, controls) are none of the document's.
API_PATHS = re.compile(r"/(repos|repositories|users|user|app|installation|orgs|rate_limit)(/|$)")
#: Kinds of faults after which the answer is the fault's, not the simulator's.
FALSE_ANSWERS = frozenset({"status", "stale_not_modified", "drop_before", "drop_after"})


@dataclass
class ConformanceGate:
    """An ASGI application around another one. `violations` are sentences."""

    app: ASGIApp
    violations: list[str] = field(default_factory=list)
    checked: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it through, and look at what passes."""
        headers = {k.decode().lower(): v.decode("latin-1") for k, v in scope.get("headers", ())}
        is_api = scope["type"] == "http" and API_PATHS.match(scope["path"])
        if not is_api or CHECKED_BY_SENDER.lower() in headers:
            await self.app(scope, receive, send)
            return
        passing = _Passing(self, scope, headers)
        await self.app(scope, passing.reading(receive), passing.writing(send))

    def take_violations(self) -> list[str]:
        """What has been found since the last time."""
        found, self.violations = self.violations, []
        return found


@dataclass
class _Passing:
    """One request and its answer. Each is checked before its last bytes go on, so that whoever has
    the answer finds the violations too.
    """

    gate: ConformanceGate
    scope: Scope
    asked: dict[str, str]
    request: bytes = b""
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    answer: bytes = b""

    def reading(self, receive: Receive) -> Receive:
        async def read() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                self.request += message.get("body", b"")
                if not message.get("more_body"):
                    self._check(self._check_request)
            return message

        return read

    def writing(self, send: Send) -> Send:
        async def write(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
                self.headers = {
                    key.decode().lower(): value.decode("latin-1")
                    for key, value in message.get("headers", ())
                }
            self.answer += message.get("body", b"")
            if message["type"] == "http.response.body" and not message.get("more_body"):
                self._check(self._check_answer)
            await send(message)

        return write

    def _check(self, check: Callable[[str, str], None]) -> None:
        method, path = self.scope["method"], (self.scope.get("raw_path") or b"").decode()
        path = path.split("?")[0] or self.scope["path"]
        try:
            check(method, path)
        except AssertionError as error:
            self.gate.violations.append(f"{method} {path}: {error}")

    def _check_request(self, method: str, path: str) -> None:
        self.gate.checked += 1
        query = dict(parse_qsl(self.scope["query_string"].decode(), keep_blank_values=True))
        assert_request_conforms(method, path, query, self.asked, self.request or None)

    def _check_answer(self, method: str, path: str) -> None:
        entry = self.scope.get("nightdesk.entry")
        if getattr(entry, "fault", None) not in FALSE_ANSWERS:
            assert_response_conforms(method, path, self.status, self.headers, self.answer)
