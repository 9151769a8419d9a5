"""The API at the root of one port, as on AWS."""

import http.client
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from local.front_door import FrontDoor


class _Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        seen = {
            "method": self.command,
            "path": self.path,
            "authorization": self.headers.get("authorization"),
            "body": body,
        }
        content = json.dumps(seen).encode()
        self.send_response(418)
        self.send_header("X-Answer", "yes")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815


@pytest.fixture
def door() -> Iterator[FrontDoor]:
    behind = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    thread = threading.Thread(target=behind.serve_forever)
    thread.start()
    door = FrontDoor(0, target=f"http://127.0.0.1:{behind.server_port}/_aws/execute-api/abc")
    yield door
    door.close()
    behind.shutdown()
    behind.server_close()
    thread.join()


def test_requests_pass_with_query_body_and_headers(door: FrontDoor) -> None:
    answer = requests.post(
        f"{door.url}/api/x?a=1&b=%2F",
        data="hello",
        headers={"Authorization": "Bearer k"},
        timeout=5,
    )

    assert answer.json() == {
        "method": "POST",
        "path": "/_aws/execute-api/abc/api/x?a=1&b=%2F",
        "authorization": "Bearer k",
        "body": "hello",
    }
    assert (answer.status_code, answer.headers["X-Answer"]) == (418, "yes")


def test_nothing_but_the_api_is_reached(door: FrontDoor) -> None:
    assert requests.get(f"{door.url}/_ministack/reset", timeout=5).json()["path"] == (
        "/_aws/execute-api/abc/_ministack/reset"
    )
    for path in ("/../../../_ministack/reset", "/api/%2e%2e/%2e%2e/x", "http://other/x"):
        connection = http.client.HTTPConnection(door.url.removeprefix("http://"), timeout=5)
        connection.request("GET", path)
        assert connection.getresponse().status == 400
        connection.close()


def test_a_gone_cloud_is_503(door: FrontDoor) -> None:
    other = FrontDoor(0, target="http://127.0.0.1:9")

    assert requests.get(f"{other.url}/api/x", timeout=5).status_code == 503
    other.close()
