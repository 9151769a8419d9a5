"""POSTs callbacks to receivers on the internet, and to nowhere else (`CallbackSender`).

The name is resolved here, each address is checked, and the connection goes to the checked address
itself, so that a name cannot lead elsewhere between the check and the dial. TLS is for the name:
its certificate is verified, and it is what the server is told (SNI). No redirect is followed, no
proxy and no `.netrc` of the environment is heeded (`http.client` knows none), and of the answer
nothing is read but its status and the wait that it asks for.
"""

import http.client
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import timedelta
from email.message import Message
from functools import cached_property
from threading import Thread, Timer
from urllib.parse import SplitResult, urlsplit

from nightdesk.domain.callbacks import CallbackAnswer, CallbackRequest, RefusedAddressError
from nightdesk.domain.errors import UnavailableError
from nightdesk.domain.public_address import Address, is_public

Resolve = Callable[[str, int], Sequence[str]]
"""Host and port to IP addresses as text. Raises OSError when there is none."""

#: Of one try, in seconds: the name, each dial, and everything from the first byte to the status.
RESOLVE_SECONDS = 5.0
CONNECT_SECONDS = 5.0
EXCHANGE_SECONDS = 10.0
#: Of all the addresses of a name, this many are dialled.
_DIALLED = 3
_RETRY_AFTER_DIGITS = 6


class HttpCallbacks:
    """`CallbackSender` over HTTPS.

    `local` also allows http and addresses of this machine and its networks: the local profile's.
    """

    def __init__(
        self,
        *,
        local: bool = False,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
        exchange_seconds: float = EXCHANGE_SECONDS,
    ) -> None:
        self._local = local
        self._resolve = resolve or _resolve
        self._given_tls = tls
        self._exchange_seconds = exchange_seconds

    def send(self, request: CallbackRequest) -> CallbackAnswer:
        parts = urlsplit(request.url)
        host = parts.hostname or ""
        if parts.scheme != "https" and not (self._local and parts.scheme == "http"):
            raise RefusedAddressError(f"{host}: callbacks go over https")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        with _told_as_unavailable(host):
            addresses = self._addresses(host, port)
            sock = _dial(addresses, port)
            with sock, _ended_after(self._exchange_seconds, sock):
                if parts.scheme == "https":
                    sock = self._tls.wrap_socket(sock, server_hostname=host)
                return _exchange(sock, parts, request)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return self._given_tls or ssl.create_default_context()

    def _addresses(self, host: str, port: int) -> list[Address]:
        """All of them are public, or none is dialled: a mixed answer is somebody's trick."""
        found = [ipaddress.ip_address(text) for text in _bounded(self._resolve, host, port)]
        if not found:
            raise OSError("no address")
        if not self._local and not all(map(is_public, found)):
            raise RefusedAddressError(f"{host} leads to an address that is not public")
        # Lambda reaches IPv4 everywhere, and IPv6 only in networks that have it.
        return sorted(dict.fromkeys(found), key=lambda address: address.version)[:_DIALLED]


class _Pinned(http.client.HTTPConnection):
    """Speaks HTTP over a socket that is connected already, and never opens another."""

    def __init__(self, host: str, sock: socket.socket) -> None:
        super().__init__(host)
        self.sock = sock
        self.auto_open = 0


def _exchange(sock: socket.socket, parts: SplitResult, request: CallbackRequest) -> CallbackAnswer:
    connection = _Pinned(parts.hostname or "", sock)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    # The host as the URL writes it; a default port is not named.
    headers = {"Host": parts.netloc, **request.headers, "Connection": "close"}
    try:
        connection.putrequest("POST", target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(request.body)))
        connection.endheaders(request.body)
        with connection.getresponse() as answer:
            return CallbackAnswer(answer.status, _asked_wait(answer.headers))
    finally:
        connection.close()


def _dial(addresses: Sequence[Address], port: int) -> socket.socket:
    """A connection to the first of these addresses that takes one."""
    failure: OSError | None = None
    for address in addresses:
        try:
            return socket.create_connection((str(address), port), timeout=CONNECT_SECONDS)
        except OSError as error:
            failure = error
    raise failure or OSError("no address")


def _resolve(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def _bounded(resolve: Resolve, host: str, port: int) -> Sequence[str]:
    """What `resolve` answers in time; the system's resolver has no bound of its own."""
    answer: Future[Sequence[str]] = Future()

    def look() -> None:
        try:
            answer.set_result(resolve(host, port))
        except (OSError, UnicodeError) as error:
            answer.set_exception(error)

    Thread(target=look, daemon=True).start()
    return answer.result(timeout=RESOLVE_SECONDS)


@contextmanager
def _ended_after(seconds: float, sock: socket.socket) -> Iterator[None]:
    """Cut the connection at that time: a receiver that sends byte by byte outlives each timeout."""
    same = sock.dup()
    timer = Timer(seconds, _cut, [same])
    timer.daemon = True
    sock.settimeout(seconds)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        same.close()


def _cut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it has ended by itself


@contextmanager
def _told_as_unavailable(host: str) -> Iterator[None]:
    """Name the kind of failure only: what a library says may hold the URL or a header."""
    try:
        yield
    except (OSError, UnicodeError, TimeoutError, http.client.HTTPException) as error:
        raise UnavailableError(f"{host}: {type(error).__name__}") from None


def _asked_wait(headers: Message) -> timedelta | None:
    """Retry-After in seconds; a date is not heeded."""
    text = (headers.get("Retry-After") or "").strip()
    if not text.isascii() or not text.isdigit() or len(text) > _RETRY_AFTER_DIGITS:
        return None
    return timedelta(seconds=int(text))
