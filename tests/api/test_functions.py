"""Invoking functions, against a server that speaks Lambda's wire on loopback."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.exceptions import ClientError

from nightdesk.adapters.functions import LambdaFunctions
from nightdesk.domain.errors import UnavailableError
from nightdesk.domain.functions import FunctionFailedError, FunctionStillRunningError

WITHIN = timedelta(seconds=0.2)


@dataclass
class Lambda:
    """Answers every invocation alike and remembers it."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    hangs: bool = False
    seen: list[tuple[str, bytes]] = field(default_factory=list)
    #: Lets a hanging answer go when the test is over.
    over: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lambda]:
    state = Lambda()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            state.seen.append((self.path, body))
            if state.hangs:
                state.over.wait(10)
                return
            self.send_response(state.status)
            for name, value in state.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(state.body)))
            self.end_headers()
            self.wfile.write(state.body)

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    yield state
    state.over.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def functions(served: Lambda) -> LambdaFunctions:
    return LambdaFunctions(answer_within=WITHIN)


def test_the_payload_goes_there_and_the_answer_comes_back(
    served: Lambda, functions: LambdaFunctions
) -> None:
    served.body = b'{"ok": true}'

    assert functions.invoke("poller", {"action": "check"}) == {"ok": True}
    ((path, payload),) = served.seen
    assert path.endswith("/functions/poller/invocations")
    assert json.loads(payload) == {"action": "check"}


def test_a_function_that_raised_has_failed_and_its_words_stay_in_its_log(
    served: Lambda, functions: LambdaFunctions
) -> None:
    served.headers = {"X-Amz-Function-Error": "Unhandled"}
    served.body = b'{"errorMessage": "secret"}'

    with pytest.raises(FunctionFailedError) as failed:
        functions.invoke("poller", {})

    assert "secret" not in str(failed.value)


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b"null"])
def test_an_answer_that_is_no_object_is_a_failure(
    served: Lambda, functions: LambdaFunctions, body: bytes
) -> None:
    served.body = body

    with pytest.raises(FunctionFailedError):
        functions.invoke("poller", {})


def test_a_function_that_takes_long_is_left_running_and_never_started_twice(
    served: Lambda, functions: LambdaFunctions
) -> None:
    served.hangs = True

    with pytest.raises(FunctionStillRunningError):
        functions.invoke("poller", {})

    assert len(served.seen) == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (429, "TooManyRequestsException"),
        (500, "ServiceException"),
        (502, "EC2ThrottledException"),
    ],
)
def test_a_full_or_failing_lambda_is_unavailable(
    served: Lambda, functions: LambdaFunctions, status: int, code: str
) -> None:
    served.status, served.headers = status, {"x-amzn-ErrorType": code}

    with pytest.raises(UnavailableError):
        functions.invoke("poller", {})

    assert len(served.seen) == 1


def test_missing_rights_are_a_defect_and_not_the_weather(
    served: Lambda, functions: LambdaFunctions
) -> None:
    served.status, served.headers = 403, {"x-amzn-ErrorType": "AccessDeniedException"}

    with pytest.raises(ClientError):
        functions.invoke("poller", {})


def test_a_lambda_that_cannot_be_reached_is_unavailable(
    served: Lambda, functions: LambdaFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")

    with pytest.raises(UnavailableError):
        functions.invoke("poller", {})

    assert served.seen == []
