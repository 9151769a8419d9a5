"""A provider on loopback, on raw sockets so that each byte, chunk and silence is the test's choice.

Every connection has its own thread; every request takes the next answer of the script.
"""

import json
import socket
import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from queue import Empty, SimpleQueue
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class SeenRequest:
    """A request as it came over the wire. `connection` counts the connections from 0."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Exchange:
    """One request's connection, for the answer to write to."""

    sock: socket.socket
    server: "ProviderServer"
    keep_open: bool = True

    def head(self, status: int, headers: dict[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} {_reason(status)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.sock.sendall("\r\n".join([*lines, "", ""]).encode())

    def chunk(self, data: bytes) -> None:
        if data:
            self.sock.sendall(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self) -> None:
        self.sock.sendall(b"0\r\n\r\n")

    def wait_until_the_client_hangs_up(self) -> None:
        self.keep_open = False
        self.sock.settimeout(5)
        with suppress(OSError):
            while self.sock.recv(1024):
                pass
        self.server.hung_up.set()


Answer = Callable[[Exchange], None]


@dataclass
class ProviderServer:
    """Use it as a context manager. `tls` is a server context, or None for http."""

    tls: ssl.SSLContext | None = None
    requests: list[SeenRequest] = field(default_factory=list)
    #: Set when a request has been read whole.
    asked: Event = field(default_factory=Event)
    #: Set when a client hung up on an answer that waited for that.
    hung_up: Event = field(default_factory=Event)
    errors: list[Exception] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._answers: SimpleQueue[Answer] = SimpleQueue()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._threads: list[Thread] = []

    @property
    def url(self) -> str:
        scheme = "https" if self.tls else "http"
        return f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"

    def script(self, *answers: Answer) -> None:
        for answer in answers:
            self._answers.put(answer)

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Shutting a listening socket down wakes its accept; closing alone does not.
        for sock in [self._listener, *self._sockets]:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(5)
        if error is None and self.errors:
            raise self.errors[0]

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        number = 0
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets.append(sock)
            self._start(self._serve, sock, number)
            number += 1

    def _serve(self, sock: socket.socket, number: int) -> None:
        try:
            if self.tls:
                sock = self.tls.wrap_socket(sock, server_side=True)
                self._sockets.append(sock)
            reader = sock.makefile("rb")
            with sock, reader:
                while request := _read_request(reader, number):
                    self.requests.append(request)
                    self.asked.set()
                    exchange = Exchange(sock, self)
                    try:
                        answer = self._answers.get_nowait()
                    except Empty:
                        self.errors.append(AssertionError("an unexpected request came"))
                        return
                    answer(exchange)
                    if not exchange.keep_open:
                        return
        except OSError:
            return  # the client hung up, as clients do


def replies(
    chunks: Iterable[bytes],
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    content_type: str = "text/event-stream",
) -> Answer:
    """The whole answer, one HTTP chunk for each of `chunks`."""

    def answer(exchange: Exchange) -> None:
        _stream(exchange, chunks, status, {"Content-Type": content_type, **(headers or {})})
        exchange.end()

    return answer


def hangs_before_the_headers(exchange: Exchange) -> None:
    exchange.wait_until_the_client_hangs_up()


def hangs_after(chunks: Iterable[bytes], *, content_type: str) -> Answer:
    def answer(exchange: Exchange) -> None:
        _stream(exchange, chunks, 200, {"Content-Type": content_type})
        exchange.wait_until_the_client_hangs_up()

    return answer


def breaks_after(chunks: Iterable[bytes], *, content_type: str) -> Answer:
    """Closes the connection in the middle of the body."""

    def answer(exchange: Exchange) -> None:
        _stream(exchange, chunks, 200, {"Content-Type": content_type})
        exchange.keep_open = False

    return answer


def drips(data: bytes, *, every_seconds: float, content_type: str) -> Answer:
    """One byte at a time."""

    def answer(exchange: Exchange) -> None:
        exchange.keep_open = False
        _stream(exchange, [], 200, {"Content-Type": content_type})
        for position in range(len(data)):
            exchange.chunk(data[position : position + 1])
            if exchange.server.hung_up.wait(every_seconds):
                return

    return answer


def _stream(
    exchange: Exchange, chunks: Iterable[bytes], status: int, headers: dict[str, str]
) -> None:
    exchange.head(status, {**headers, "Transfer-Encoding": "chunked"})
    for data in chunks:
        exchange.chunk(data)


def _read_request(reader: Any, number: int) -> SeenRequest | None:
    first = reader.readline().decode()
    if not first:
        return None
    method, path, _ = first.split(" ", 2)
    headers = {}
    while (line := reader.readline().decode().strip()) != "":
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = reader.read(int(headers.get("content-length", "0")))
    return SeenRequest(method, path, headers, body, number)


def _reason(status: int) -> str:
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "Overloaded"
