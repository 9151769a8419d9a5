"""Serves a function's handler on loopback: makes the events of API Gateway out of real requests."""

import base64
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.api.caller import event_of

Handler = Callable[[Mapping[str, Any]], Mapping[str, Any]]
#: API Gateway hands these over as text, everything else in base64.
_TEXT = ("application/json", "text/")


@contextmanager
def served(handler: Handler) -> Iterator[str]:
    """The address under which the handler answers."""
    kind = type("Gateway", (_Gateway,), {"handler": staticmethod(handler)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    server.daemon_threads = True
    thread = threading.Thread(target=lambda: server.serve_forever(0.01), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Gateway(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    handler: Handler

    def _forward(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        is_text = headers.get("content-type", "").startswith(_TEXT)
        event = event_of(self.command, parts.path, headers=headers)
        event["rawQueryString"] = parts.query
        event["requestContext"]["domainName"] = self.headers["host"]
        if body:
            event["body"] = body.decode() if is_text else base64.b64encode(body).decode()
            event["isBase64Encoded"] = not is_text
        answer = self.handler(event)
        content = answer["body"].encode()
        self.send_response(answer["statusCode"])
        for name, value in answer["headers"].items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's
        pass

    do_GET = do_POST = do_PUT = do_DELETE = _forward  # noqa: N815
