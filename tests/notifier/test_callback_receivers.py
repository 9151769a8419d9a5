"""The real sender against real receivers on loopback, and names that lead where they should not."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from nightdesk.adapters.callbacks import HttpCallbacks
from nightdesk.domain.callbacks import CallbackAnswer, CallbackRequest, RefusedAddressError
from nightdesk.domain.errors import UnavailableError
from tests.notifier.certificates import contexts_for

NAME = "hooks.example.com"


@dataclass
class Receiver:
    """A server on loopback. `status` and `headers` are what it answers."""

    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    port: int = 0


def serve(receiver: Receiver, tls: ssl.SSLContext | None = None) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.got.append((self.path, dict(self.headers), body))
            self.send_response(receiver.status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Quiet: a client that trusts nobody hangs up."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    receiver.port = server.server_port
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    server = serve(made)
    yield made
    server.shutdown()
    server.server_close()


def post(url: str) -> CallbackRequest:
    return CallbackRequest(url=url, headers={"Authorization": "Bearer s3cret"}, body=b'{"a": 1}')


def to_loopback(_host: str, _port: int) -> Sequence[str]:
    return ["127.0.0.1"]


def answering(*answers: Sequence[str]) -> Callable[[str, int], Sequence[str]]:
    """A name server that answers so, in turn."""
    waiting = list(answers)
    return lambda _host, _port: waiting.pop(0)


# What is sent ---------------------------------------------------------------------------------


def test_a_callback_is_posted_as_it_is(receiver: Receiver) -> None:
    url = f"http://{NAME}:{receiver.port}/done?run=1"
    answer = HttpCallbacks(local=True, resolve=to_loopback).send(post(url))

    assert answer == CallbackAnswer(204)
    ((path, headers, body),) = receiver.got
    assert (path, body) == ("/done?run=1", b'{"a": 1}')
    assert headers["Host"] == f"{NAME}:{receiver.port}"
    assert headers["Authorization"] == "Bearer s3cret"


def test_a_url_without_a_path_is_posted_to_the_root(receiver: Receiver) -> None:
    HttpCallbacks(local=True).send(post(f"http://127.0.0.1:{receiver.port}"))

    assert receiver.got[0][0] == "/"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_answered_and_not_followed(receiver: Receiver, status: int) -> None:
    receiver.status = status
    receiver.headers = {"Location": f"http://127.0.0.1:{receiver.port}/elsewhere"}
    answer = HttpCallbacks(local=True).send(post(f"http://127.0.0.1:{receiver.port}/"))

    assert answer.status == status
    assert [path for path, _, _ in receiver.got] == ["/"]


def test_no_proxy_of_the_environment_is_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    answer = HttpCallbacks(local=True).send(post(f"http://127.0.0.1:{receiver.port}/"))

    assert answer.status == 204


@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 7), ("0", 0), ("soon", None), ("-1", None), ("9" * 7, None)]
)
def test_a_wait_that_is_asked_for_is_read(
    receiver: Receiver, text: str, seconds: int | None
) -> None:
    receiver.status, receiver.headers = 429, {"Retry-After": text}
    answer = HttpCallbacks(local=True).send(post(f"http://127.0.0.1:{receiver.port}/"))

    wait = answer.retry_after
    assert (None if wait is None else wait.total_seconds()) == seconds


# Where it may go ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "::1", "::ffff:127.0.0.1"],
)
def test_a_name_that_leads_inside_is_not_dialled(receiver: Receiver, address: str) -> None:
    """A12: any address was, localhost and 169.254.169.254 too."""
    callbacks = HttpCallbacks(resolve=lambda _host, _port: [address])

    with pytest.raises(RefusedAddressError):
        callbacks.send(post(f"https://{NAME}:{receiver.port}/"))
    assert receiver.got == []


def test_a_name_that_leads_both_inside_and_outside_is_not_dialled(receiver: Receiver) -> None:
    callbacks = HttpCallbacks(resolve=lambda _host, _port: ["8.8.8.8", "127.0.0.1"])

    with pytest.raises(RefusedAddressError):
        callbacks.send(post(f"https://{NAME}:{receiver.port}/"))


def test_a_name_is_asked_for_once_and_the_answer_is_what_is_dialled(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: public when it is checked, private when it is dialled."""
    dialled: list[tuple[str, int]] = []

    def dial(address: tuple[str, int], timeout: float) -> socket.socket:
        dialled.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", dial)
    callbacks = HttpCallbacks(resolve=answering(["8.8.8.8"], ["127.0.0.1"]))

    with pytest.raises(UnavailableError):
        callbacks.send(post(f"https://{NAME}:{receiver.port}/"))
    with pytest.raises(RefusedAddressError):
        callbacks.send(post(f"https://{NAME}:{receiver.port}/"))
    assert dialled == [("8.8.8.8", receiver.port)]
    assert receiver.got == []


@pytest.mark.parametrize("scheme", ["http", "ftp", "file"])
def test_only_https_is_spoken_but_for_the_local_profile(receiver: Receiver, scheme: str) -> None:
    with pytest.raises(RefusedAddressError):
        HttpCallbacks(resolve=to_loopback).send(post(f"{scheme}://{NAME}:{receiver.port}/"))
    assert receiver.got == []


@pytest.mark.parametrize("spelling", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1"])
def test_other_spellings_of_an_address_are_resolved_and_refused(spelling: str) -> None:
    with pytest.raises((RefusedAddressError, UnavailableError)):
        HttpCallbacks().send(post(f"https://{spelling}:9/"))


# TLS ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "is_taken"), [(NAME, True), ("other.example.com", False)])
def test_the_certificate_must_be_the_names(tmp_path: Path, name: str, *, is_taken: bool) -> None:
    tls, trusting = contexts_for(name, tmp_path)
    asked: list[str | None] = []
    tls.sni_callback = lambda _socket, server_name, _context: asked.append(server_name)
    receiver = Receiver()
    server = serve(receiver, tls)
    callbacks = HttpCallbacks(local=True, resolve=to_loopback, tls=trusting)
    url = f"https://{NAME}:{receiver.port}/"
    try:
        if is_taken:
            assert callbacks.send(post(url)).status == 204
        else:
            with pytest.raises(UnavailableError, match="SSLCertVerificationError"):
                callbacks.send(post(url))
    finally:
        server.shutdown()
        server.server_close()
    assert asked == [NAME]
    assert bool(receiver.got) == is_taken


# Bounds ---------------------------------------------------------------------------------------


@contextmanager
def dripping(drip: bytes) -> Iterator[int]:
    """The port of a receiver that sends this again and again, and never ends its answer."""
    stopped = threading.Event()

    def answer(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            while not stopped.wait(0.02):
                try:
                    connection.sendall(drip)
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,), daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stopped.set()
            thread.join()


@pytest.mark.parametrize("drip", [b"", b"H"])
def test_a_receiver_that_drips_is_cut_off(drip: bytes) -> None:
    began = time.monotonic()
    with dripping(drip) as port, pytest.raises(UnavailableError):
        HttpCallbacks(local=True, exchange_seconds=0.2).send(post(f"http://127.0.0.1:{port}/"))
    assert time.monotonic() - began < 5


def test_a_status_counts_though_the_headers_after_it_never_end() -> None:
    began = time.monotonic()
    with dripping(b"HTTP/1.1 200 OK\r\nA: xxxx") as port:
        url = f"http://127.0.0.1:{port}/"
        assert HttpCallbacks(local=True, exchange_seconds=0.2).send(post(url)).status == 200
    assert time.monotonic() - began < 5


def test_a_long_answer_is_not_read(receiver: Receiver) -> None:
    receiver.headers = {"Content-Length": str(10**12)}
    answer = HttpCallbacks(local=True).send(post(f"http://127.0.0.1:{receiver.port}/"))

    assert answer.status == 204


def test_an_error_names_the_host_and_no_secret() -> None:
    def fail(_host: str, _port: int) -> Sequence[str]:
        raise OSError("https://hooks.example.com/secret-path Bearer s3cret")

    with pytest.raises(UnavailableError) as raised:
        HttpCallbacks(resolve=fail).send(post(f"https://{NAME}/secret-path"))
    assert str(raised.value) == f"{NAME}: OSError"
    assert raised.value.__cause__ is None


def test_the_next_address_is_dialled_when_one_refuses(receiver: Receiver) -> None:
    callbacks = HttpCallbacks(local=True, resolve=lambda _host, _port: ["127.0.0.2", "127.0.0.1"])
    listener = socket.create_server(("127.0.0.1", 0))
    listener.close()
    answer = callbacks.send(post(f"http://{NAME}:{receiver.port}/"))

    assert answer.status == 204
