import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from nightdesk.adapters.github.client import MAX_ANSWER_BYTES, GithubClient, Timeouts
from nightdesk.domain.errors import (
    NightdeskError,
    PermanentError,
    TryLaterError,
    UnavailableError,
)
from nightdesk.domain.github_ports import (
    GithubCredentialsError,
    GithubNotFoundError,
    GithubRefusedError,
)
from tests.fakes.clock import NOON, FakeClock
from tests.github.conftest import Recorder, disturb
from tests.github_simulator.conftest import REPO, Github

TOKEN = "ghp_canaryCANARYcanaryCANARYcanary"


# Against the simulator ------------------------------------------------------------------------


def test_a_request_says_who_asks_and_which_version_it_speaks(
    api: GithubClient, recorder: Recorder, token: str
) -> None:
    answer = api.get(REPO, token=token)

    headers = recorder.sent[-1].headers
    assert answer.data["full_name"] == "octo-org/widgets"
    assert headers["Authorization"] == f"Bearer {token}"
    assert headers["Accept"] == "application/vnd.github+json"
    assert headers["X-GitHub-Api-Version"] == "2022-11-28"
    assert headers["User-Agent"] == "nightdesk"


def test_without_a_token_none_is_sent_whatever_lies_in_a_netrc(
    api: GithubClient, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))

    api.get(REPO, token="")

    assert "Authorization" not in recorder.sent[-1].headers


def test_a_renamed_repository_is_followed_for_reading(
    api: GithubClient, github: Github, token: str
) -> None:
    github.control("POST", f"{REPO}/rename", {"name": "gadgets"})

    answer = api.get(REPO, token=token)

    assert (answer.moved, answer.data["full_name"]) == (True, "octo-org/gadgets")
    with pytest.raises(GithubNotFoundError, match="moved"):
        api.get(REPO, token=token, follow=False)


def test_a_write_to_a_renamed_repository_is_not_followed(
    api: GithubClient, github: Github, token: str
) -> None:
    number = github.open_issue()
    github.control("POST", f"{REPO}/rename", {"name": "gadgets"})

    with pytest.raises(GithubNotFoundError, match="moved"):
        api.post(f"{REPO}/issues/{number}/comments", token=token, body={"body": "x"})
    assert api.get(f"/repos/octo-org/gadgets/issues/{number}/comments", token=token).data == []


RESET_IN_TEN_MINUTES = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1772367000"}
RESET_LONG_AGO = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}
SECONDARY = {"message": "Slow down", "documentation_url": "https://docs.github.com/x/rate-limits"}


@dataclass(frozen=True)
class Case:
    """An answer of GitHub's, and what it means: an error and, for limits, seconds to wait."""

    status: int
    error: type[NightdeskError]
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = field(default_factory=dict)
    wait: int = 0


CASES = [
    Case(401, GithubCredentialsError, body={"message": "Bad credentials"}),
    Case(403, PermanentError, body={"message": "Resource not accessible"}),
    Case(403, TryLaterError, {"Retry-After": "30"}, wait=30),
    Case(429, TryLaterError, {"Retry-After": "7"}, wait=7),
    Case(429, TryLaterError, wait=60),
    Case(403, TryLaterError, RESET_IN_TEN_MINUTES, wait=600),
    Case(403, TryLaterError, RESET_LONG_AGO, wait=1),
    Case(403, TryLaterError, body=SECONDARY, wait=60),
    Case(403, TryLaterError, {"Retry-After": "Sat, 21 Nov 2026 12:00:00 GMT"}, wait=60),
    Case(403, TryLaterError, {"Retry-After": "999999"}, wait=7_200),
    Case(404, GithubNotFoundError, body={"message": "Not Found"}),
    Case(410, GithubNotFoundError, body={"message": "This issue was deleted"}),
    Case(422, GithubRefusedError, body={"message": "Validation Failed"}),
    Case(400, PermanentError),
    Case(500, UnavailableError),
    Case(502, UnavailableError, body="<h1>Bad gateway</h1>"),
    Case(504, UnavailableError),
    Case(200, UnavailableError, body="cut {"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.status} {case.wait}")
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_answer_says_what_to_do_next(
    api: GithubClient, github: Github, token: str, method: str, case: Case
) -> None:
    path = f"{REPO}/issues/{github.open_issue()}/comments"
    fault = {"status": case.status, "headers": case.headers, "body": case.body}
    disturb(github, kind="status", method=method, **fault)
    body = {"body": "x"}
    reads = method == "GET"

    with pytest.raises(NightdeskError) as raised:
        api.get(path, token=token) if reads else api.post(path, token=token, body=body)

    assert type(raised.value) is case.error
    if isinstance(raised.value, TryLaterError):
        assert raised.value.retry_after == timedelta(seconds=case.wait)
    assert f"GitHub: {method} {path}" in str(raised.value)


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "delay"])
def test_a_cut_or_slow_connection_is_unavailable(
    api: GithubClient, github: Github, token: str, kind: str
) -> None:
    disturb(github, kind=kind, seconds=1.2)
    with pytest.raises(UnavailableError):
        api.get(REPO, token=token)


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
def test_a_write_is_never_repeated_by_itself(
    api: GithubClient, github: Github, recorder: Recorder, token: str, kind: str
) -> None:
    path = f"{REPO}/issues/{github.open_issue()}/comments"
    disturb(github, kind=kind, method="POST")

    with pytest.raises(UnavailableError):
        api.post(path, token=token, body={"body": "x"})
    assert len(recorder.of("POST")) == 1


# Against servers that GitHub would not be -----------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    """Answers as the test says; remembers what it was asked."""

    protocol_version = "HTTP/1.1"
    answers: list[tuple[int, dict[str, str], bytes]]
    asked: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Authorization")))
        status, headers, body = self.answers.pop(0)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        pass


@contextmanager
def server(*answers: tuple[int, dict[str, str], bytes]) -> Iterator[tuple[str, type[Handler]]]:
    kind = type("Made", (Handler,), {"answers": list(answers), "asked": []})
    running = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_port}", kind
    finally:
        running.shutdown()
        thread.join()
        running.server_close()


def client(url: str, clock: FakeClock | None = None) -> GithubClient:
    return GithubClient(
        api_url=url, clock=clock or FakeClock(NOON), timeouts=Timeouts(connect=1.0, read=0.3)
    )


def test_a_read_is_not_followed_to_another_host() -> None:
    with (
        server((200, {}, b"{}")) as (elsewhere, other),
        server((301, {"Location": f"{elsewhere}/x"}, b"")) as (url, _),
        pytest.raises(PermanentError, match="another host"),
    ):
        client(url).get("/x", token=TOKEN)
    assert other.asked == []


def test_a_circle_of_redirects_ends() -> None:
    circle = [(302, {"Location": "/x"}, b"")] * 9
    with server(*circle) as (url, kind):
        with pytest.raises(PermanentError, match="too often"):
            client(url).get("/x", token=TOKEN)
        assert len(kind.asked) == 4


def test_a_download_goes_elsewhere_without_the_token() -> None:
    with (
        server((200, {}, b"abc")) as (elsewhere, other),
        server((302, {"Location": f"{elsewhere}/elsewhere"}, b"")) as (url, own),
        client(url).download("/tarball", token=TOKEN, max_bytes=10) as chunks,
    ):
        assert b"".join(chunks) == b"abc"
    assert own.asked == [("/tarball", f"Bearer {TOKEN}")]
    assert other.asked == [("/elsewhere", None)]


def test_a_download_on_the_same_host_keeps_the_token() -> None:
    answers = [(302, {"Location": "/elsewhere"}, b""), (200, {}, b"abc")]
    with (
        server(*answers) as (url, kind),
        client(url).download("/tarball", token=TOKEN, max_bytes=10) as chunks,
    ):
        assert b"".join(chunks) == b"abc"
    assert [authorization for _, authorization in kind.asked] == [f"Bearer {TOKEN}"] * 2


def test_a_download_is_bounded() -> None:
    with (
        server((200, {}, b"x" * 300_000)) as (url, _),
        client(url).download("/tarball", token="", max_bytes=200_000) as chunks,
        pytest.raises(PermanentError, match=r"larger than 0\.2 MB"),
    ):
        list(chunks)


def test_a_download_that_is_cut_says_so() -> None:
    with (
        server((200, {"Content-Length": "1000", "Connection": "close"}, b"x" * 10)) as (url, _),
        client(url).download("/tarball", token="", max_bytes=2_000) as chunks,
        pytest.raises(UnavailableError),
    ):
        list(chunks)


def test_a_download_that_drips_for_ever_ends() -> None:
    clock = FakeClock(NOON)
    with (
        server((200, {}, b"x" * 300_000)) as (url, _),
        client(url, clock).download("/tarball", token="", max_bytes=10**6) as chunks,
    ):
        next(chunks)
        clock.advance(timedelta(minutes=5, seconds=1))
        with pytest.raises(UnavailableError, match="too long"):
            next(chunks)


def test_an_answer_is_bounded() -> None:
    answer = b'"' + b"x" * MAX_ANSWER_BYTES + b'"'
    with (
        server((200, {}, answer)) as (url, _),
        pytest.raises(PermanentError, match="larger than"),
    ):
        client(url).get("/x", token="")


@pytest.mark.parametrize("status", [200, 401, 403, 404, 422, 500])
def test_no_error_holds_the_token(status: int) -> None:
    body = json.dumps({"message": f"your token {TOKEN} is wrong"}).encode()
    with (
        server((status, {}, body if status != 200 else TOKEN.encode())) as (url, _),
        pytest.raises(NightdeskError) as raised,
    ):
        client(url).get("/x", token=TOKEN)
    error: BaseException | None = raised.value
    while error is not None:
        assert TOKEN not in f"{error} {error!r} {error.args}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_an_unreachable_server_is_unavailable_and_its_error_is_short() -> None:
    with server() as (url, _):
        pass
    with pytest.raises(UnavailableError) as raised:
        client(url).get("/x", token=TOKEN)
    assert str(raised.value) == "GitHub: GET /x: ConnectionError"


def test_a_path_is_never_an_address() -> None:
    with pytest.raises(ValueError, match="slash"):
        client("http://127.0.0.1:1").get("https://evil.example", token=TOKEN)
