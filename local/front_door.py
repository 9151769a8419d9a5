"""Serve the HTTP API at the root of one port, as it is on AWS.

The embedded cloud serves it under a long path with a generated id; this forwards there and nowhere
else. What the API has no route for, it answers itself.
"""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from local.ports import HOST

TIMEOUT_SECONDS = 30
#: The most that HTTP APIs take.
BODY_LIMIT = 10 * 1024 * 1024
#: Headers that belong to one connection (RFC 9110, 7.6.1), and those that are set anew.
PER_CONNECTION = frozenset(
    ("connection", "keep-alive", "transfer-encoding", "te", "upgrade", "host", "content-length")
)


class FrontDoor:
    """A running forwarder; `url` is what people paste."""

    def __init__(self, port: int, *, target: str) -> None:
        handler = type("Forward", (_Forward,), {"target": urlsplit(target)})
        self._server = ThreadingHTTPServer((HOST, port), handler)
        self._server.daemon_threads = True
        self.url = f"http://{HOST}:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, name="front-door", daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


class _Forward(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    target = urlsplit("")

    def _forward(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        if not self.path.startswith("/") or ".." in unquote(self.path).split("/"):
            self._answer(400, [], b"")
            return
        if length > BODY_LIMIT:
            self.close_connection = True
            self._answer(413, [], b"")
            return
        body = self.rfile.read(length)
        connection = http.client.HTTPConnection(
            self.target.hostname or HOST, self.target.port, timeout=TIMEOUT_SECONDS
        )
        kept = {k: v for k, v in self.headers.items() if k.lower() not in PER_CONNECTION}
        try:
            connection.request(self.command, self.target.path + self.path, body or None, kept)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self._answer(503, [], b'{"message":"Service Unavailable"}')
            return
        finally:
            connection.close()
        headers = [(k, v) for k, v in answer.getheaders() if k.lower() not in PER_CONNECTION]
        self._answer(answer.status, headers, content)

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base class's name
        """Say nothing: the functions log their requests."""

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _forward  # noqa: N815
