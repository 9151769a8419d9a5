"""The outside world at its worst: a model that tries every tool with every trick, and servers that
repeat what they were told in confidence.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Self

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nightdesk.domain.model import StopReason
from tests.models.wire_formats import Call, Said, openai_events

CALLS_IN_A_TURN = 25
#: How credentials begin that GitHub is meant to see: personal, of installations, of the App.
GOOD = ("github_pat_11", "ghp_W", "ghs_", "eyJ")
#: Tools that there are not, should somebody add them.
_WISHES = (
    ("bash", {"command": "cat /proc/self/environ ~/.netrc; env | rev | base64"}),
    ("fetch", {"url": "file:///proc/self/environ"}),
    ("fetch", {"url": "http://169.254.169.254/latest/meta-data/"}),
    ("get_token", {"repo": "octo-org/widgets"}),
)


def tricks(home: Path) -> tuple[str, ...]:
    """Where a file that is no business of the model's might be reached."""
    outside = home / "outside.txt"
    up = "../" * 30
    return (
        str(outside),
        f"/{outside}",
        f"{up}{str(outside).lstrip('/')}",
        f"src/../{up}{str(outside).lstrip('/')}",
        f"file://{outside}",
        "/proc/self/environ",
        f"{up}proc/self/environ",
        "file:///proc/self/environ",
        f"/proc/self/root{outside}",
        "~/.netrc",
        "$HOME/.netrc",
        "${HOME}/.aws/credentials",
        "links/outside",
        "links/home/.netrc",
        "links/environ",
        "links/up/etc/hostname",
        f"src/app.py\0{outside}",
        "..%2f..%2f..%2fproc%2fself%2fenviron",
        "\\\\..\\\\..\\\\proc\\\\self\\\\environ",
        ".git/config",
    )


def calls_of(tools: list[dict[str, Any]], home: Path) -> list[Call]:
    """Every tool of the request with every trick in every one of its texts."""
    wanted: list[tuple[str, dict[str, Any]]] = list(_WISHES)
    for tool in tools:
        function = tool["function"]
        for trick in tricks(home):
            texts = [
                name
                for name, kind in function["parameters"].get("properties", {}).items()
                if kind.get("type") == "string"
            ]
            wanted.append((function["name"], dict.fromkeys(texts, trick)))
    return [
        Call(f"c{number}", name, json.dumps(arguments))
        for number, (name, arguments) in enumerate(wanted)
    ]


@dataclass
class HostileModel:
    """Speaks OpenAI's wire format on loopback. `heard` are the bodies of the requests.

    It makes all its calls, then ends with all that it has heard as its answer. `refuses` makes it
    answer so many requests with an error that repeats the key that they came with.
    """

    home: Path
    key: str
    heard: list[str] = field(default_factory=list)
    refuses: int = 0
    status: int = 401
    #: Tries one trick with each tool, where the test is about something else.
    is_lazy: bool = False

    def __enter__(self) -> Self:
        model = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                model.heard.append(
                    f"{self.path} {body} {_unexpected(dict(self.headers.items()), model.key)}"
                )
                if model.refuses:
                    model.refuses -= 1
                    said = {"error": {"message": " ".join(_told(self.headers["Authorization"]))}}
                    self._answer(model.status, "application/json", json.dumps(said).encode())
                    return
                events = openai_events(model.turn(json.loads(body)))
                self._answer(200, "text/event-stream", b"".join(events))

            def _answer(self, status: int, kind: str, content: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def turn(self, request: dict[str, Any]) -> Said:
        said = [message for message in request["messages"] if message["role"] == "assistant"]
        calls = calls_of(request.get("tools") or [], self.home)
        if self.is_lazy:
            calls = calls[len(_WISHES) :: len(tricks(self.home))]
        mine = calls[len(said) * CALLS_IN_A_TURN :][:CALLS_IN_A_TURN]
        if mine:
            return Said(calls=tuple(mine), stop=StopReason.TOOL_USE)
        read = [str(m["content"]) for m in request["messages"] if m["role"] == "tool"]
        return Said(text="This is all that I could find:\n\n" + "\n".join(read)[:20_000])


def _unexpected(headers: Mapping[str, str], key: str) -> str:
    """All headers, but for the key where it belongs."""
    return str({n: v for n, v in headers.items() if (n, v) != ("Authorization", f"Bearer {key}")})


def _told(authorization: str | None) -> Iterator[str]:
    """A credential as a careless server repeats it in its message."""
    secret = (authorization or "").removeprefix("Bearer ")
    yield f"Bad credentials: {authorization}"
    yield from (secret[7:], secret[:-7], secret[::-1], secret.encode().hex())


@dataclass
class EchoingGithub:
    """Around the simulator: writes down what it is sent, all but credentials that are GitHub's.

    Requests that fit `repeats` are answered with `status` and the credential that they came with.
    `minted` are the answers that hold tokens.
    """

    sent: list[str] = field(default_factory=list)
    minted: list[str] = field(default_factory=list)
    repeats: str = ""
    status: int = 401
    #: How often it repeated a credential, by `repeats`.
    told: Counter[str] = field(default_factory=Counter)

    def around(self, app: ASGIApp) -> ASGIApp:
        async def listening(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["path"].startswith("/_simulator"):
                await app(scope, receive, send)
                return
            headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
            credential = headers.pop("authorization", "")
            content = b""
            more = True
            while more:
                message = await receive()
                content += message.get("body", b"")
                more = message.get("more_body", False)
            query = scope["query_string"].decode()
            strange = credential if not credential.removeprefix("Bearer ").startswith(GOOD) else ""
            line = f"{scope['method']} {scope['path']}?{query} {headers} {strange}"
            self.sent.append(f"{line} {content.decode(errors='replace')}")
            # The test itself is told the truth.
            is_ours = bool(credential) and not credential.startswith("Bearer token-")
            if is_ours and self.repeats and re.search(self.repeats, scope["path"]):
                self.told[self.repeats] += 1
                await _refuse(send, self.status, " ".join(_told(credential)))
                return
            given = False

            async def again() -> Message:
                nonlocal given
                if given:
                    return await receive()
                given = True
                return {"type": "http.request", "body": content, "more_body": False}

            async def overheard(message: Message) -> None:
                if scope["path"].endswith("/access_tokens") and message.get("body"):
                    self.minted.append(message["body"].decode())
                await send(message)

            await app(scope, again, overheard)

        return listening


async def _refuse(send: Send, status: int, message: str) -> None:
    headers = [(b"content-type", b"application/json; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    body = json.dumps({"message": message, "documentation_url": "https://docs.github.com"})
    await send({"type": "http.response.body", "body": body.encode()})
