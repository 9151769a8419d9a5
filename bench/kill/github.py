"""A GitHub on loopback that counts: what the publisher asks for, and what has changed by it.

Only the calls that the publisher makes for comments and labels. Adding a label that is there
already changes nothing, as on GitHub; it is counted apart.
"""

import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, Self

REPOSITORY = "octo/bench"
REPOSITORY_ID = 501
_BOT = {"id": 99, "login": "nightdesk-bot", "type": "User"}
_PATH = re.compile(rf"/repos/{REPOSITORY}/issues/(?P<number>\d+)/(?P<kind>comments|labels)(\?.*)?")


@dataclass
class Effects:
    """What stands on GitHub, by issue number."""

    comments: defaultdict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    labels: defaultdict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))


class CountingGithub:
    """Serves from threads of this process until the block ends."""

    def __init__(self) -> None:
        self.effects = Effects()
        self._lock = Lock()
        self._server = _Server(self)

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, method: str, path: str, body: Any) -> tuple[HTTPStatus, Any]:
        with self._lock:
            if path == "/user":
                return HTTPStatus.OK, _BOT
            if path == f"/repos/{REPOSITORY}":
                return HTTPStatus.OK, {"id": REPOSITORY_ID, "full_name": REPOSITORY}
            found = _PATH.fullmatch(path)
            if found is None:
                return HTTPStatus.NOT_FOUND, {"message": "Not Found"}
            number = int(found["number"])
            if found["kind"] == "labels":
                return self._add_labels(number, body["labels"])
            if method == "POST":
                self.effects.comments[number].append(str(body["body"]))
                index = len(self.effects.comments[number])
                return HTTPStatus.CREATED, _comment(number, index, body["body"])
            texts = enumerate(self.effects.comments[number], start=1)
            return HTTPStatus.OK, [_comment(number, index, text) for index, text in texts]

    def _add_labels(self, number: int, labels: list[str]) -> tuple[HTTPStatus, Any]:
        self.effects.labels[number].update(labels)
        return HTTPStatus.OK, [{"name": name} for name in self.effects.labels[number]]


def _comment(number: int, index: int, text: str) -> dict[str, Any]:
    url = f"https://github.com/{REPOSITORY}/issues/{number}#issuecomment-{index}"
    now = datetime.now(UTC).isoformat()  # noqa: TID251 - GitHub's own clock
    return {"id": index, "user": _BOT, "body": text, "html_url": url, "created_at": now}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, github: CountingGithub) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.github = github

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A publisher that was killed hangs up; that is what this is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        self._answer(json.loads(self.rfile.read(size)))

    def _answer(self, body: Any) -> None:
        status, data = self.server.github.answer(self.command, self.path, body)
        encoded = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def log_message(self, *args: object) -> None:
        """Silence."""
