"""Who is called back: each receiver has credentials of its own, which only it may see."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self

from tests.canaries.forms import random_text

OF_TASK, OF_WORKSPACE = "/of-task", "/of-workspace"
#: By path: the token and the credentials that were agreed on for it.
AGREED = {
    path: (random_text(f"token {path}", 40), random_text(f"credentials {path}", 40))
    for path in (OF_TASK, OF_WORKSPACE)
}


@dataclass
class Receivers:
    """On loopback. `got` is all that came but for what was agreed on with that very receiver;
    `known` counts who was called with it. `refuses` makes so many answers repeat it in an error.
    """

    got: list[str] = field(default_factory=list)
    known: Counter[str] = field(default_factory=Counter)
    refuses: int = 0

    def __enter__(self) -> Self:
        receivers = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                receivers.heard(self.path, dict(self.headers.items()), body)
                is_refused = receivers.refuses > 0
                receivers.refuses -= is_refused
                content = str(AGREED.get(self.path, "")).encode() if is_refused else b""
                self.send_response(500 if is_refused else 204, content.decode() or None)
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

    def heard(self, path: str, headers: Mapping[str, str], body: str) -> None:
        token, credentials = AGREED.get(path, ("", ""))
        own = {"x-a2a-notification-token": token, "authorization": f"Bearer {credentials}"}
        strange = {n: v for n, v in headers.items() if own.get(n.lower()) != v}
        self.known[path] += len(headers) - len(strange) == len(own)
        self.got.append(f"{path} {strange} {body}")

    def callback(self, path: str) -> dict[str, Any]:
        """The configuration that asks for calls at this path."""
        token, credentials = AGREED[path]
        return {
            "url": f"http://127.0.0.1:{self._server.server_address[1]}{path}",
            "token": token,
            "authentication": {"scheme": "Bearer", "credentials": credentials},
        }
