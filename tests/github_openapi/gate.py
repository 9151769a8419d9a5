"""Stands around the simulator in tests: each request that reaches it, and each answer that it
gives, is held against GitHub's OpenAPI document, whoever sent it and with whatever library.

A new call of our client is therefore checked as soon as one test makes it. What does not conform
is kept, and fails the test at its end: the code under test cannot swallow it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
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
    """An ASGI application around another one. It only writes down what passes, so that nobody waits
    for the checks; `take_violations` makes them.
    """

    app: ASGIApp
    checked: int = 0
    _passed: list[_Passing] = field(default_factory=list)
    #: What has been found good before; most tests send much the same.
    _good: set[int] = field(default_factory=set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it through, and look at what passes."""
        headers = {k.decode().lower(): v.decode("latin-1") for k, v in scope.get("headers", ())}
        is_api = scope["type"] == "http" and API_PATHS.match(scope["path"])
        if not is_api or CHECKED_BY_SENDER.lower() in headers:
            await self.app(scope, receive, send)
            return
        passing = _Passing(scope, headers)
        self._passed.append(passing)
        await self.app(scope, passing.reading(receive), passing.writing(send))

    def take_violations(self) -> list[str]:
        """Check what has passed since the last time: sentences, one for each violation."""
        passed, self._passed = self._passed, []
        self.checked += len(passed)
        return [violation for passing in passed for violation in self._violations(passing)]

    def forget(self) -> None:
        """Leave unchecked what has passed."""
        self._passed = []

    def _violations(self, passing: _Passing) -> Iterator[str]:
        for check in (passing.check_request, passing.check_answer):
            seen = hash((check.__name__, passing.content()))
            if seen in self._good:
                continue
            try:
                check()
                self._good.add(seen)
            except AssertionError as error:
                yield f"{passing.method} {passing.path}: {error}"


@dataclass
class _Passing:
    """One request and its answer, complete before its last bytes go on to who asked."""

    scope: Scope
    asked: dict[str, str]
    request: bytes = b""
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    answer: bytes = b""
    is_answered: bool = False

    @property
    def method(self) -> str:
        return str(self.scope["method"])

    @property
    def path(self) -> str:
        raw = (self.scope.get("raw_path") or b"").decode().split("?")[0]
        return raw or str(self.scope["path"])

    def content(self) -> tuple[object, ...]:
        """All that the checks look at."""
        names = ("user-agent", "accept", "x-github-api-version", "content-type")
        asked = tuple(self.asked.get(name) for name in names)
        answered = tuple(sorted(self.headers.items())) if self.status >= 300 else ()
        query = self.scope["query_string"]
        sent = (self.method, self.path, query, asked, self.request)
        return (*sent, self.status, answered, self.headers.get("content-type"), self.answer)

    def reading(self, receive: Receive) -> Receive:
        async def read() -> Message:
            message = await receive()
            self.request += message.get("body", b"")
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
                self.is_answered = True
            await send(message)

        return write

    def check_request(self) -> None:
        query = dict(parse_qsl(self.scope["query_string"].decode(), keep_blank_values=True))
        assert_request_conforms(self.method, self.path, query, self.asked, self.request or None)

    def check_answer(self) -> None:
        entry = self.scope.get("nightdesk.entry")
        if self.is_answered and getattr(entry, "fault", None) not in FALSE_ANSWERS:
            assert_response_conforms(self.method, self.path, self.status, self.headers, self.answer)
