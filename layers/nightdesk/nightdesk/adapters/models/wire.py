"""Own the HTTP connections to a provider: kept alive between calls, and cut from any thread.

TLS is always verified, redirects are never followed (they would carry the key elsewhere), nothing
is retried, and no credentials are taken from a netrc file. Proxies of the environment are used,
except for this machine itself.
"""

import weakref
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from ipaddress import ip_address
from socket import SHUT_RDWR, socket
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from nightdesk.domain.model import ModelUnavailableError
from nightdesk.domain.ports import Clock

_CONNECT_SECONDS = 10.0
_READ_BYTES = 65_536
#: More than any model can say in one turn; a provider that sends more is broken.
_LONGEST_ANSWER_BYTES = 32 * 1024 * 1024
#: An idle connection may have been dropped by a NAT while the function was frozen, and the first
#: request on it would then fail. Providers and NATs keep them longer than this.
_LONGEST_IDLE = timedelta(seconds=50)
_MOST_IDLE = 4


class _LiveSocket:
    """A handle on the socket that a wire has open, wherever urllib3 and TLS have put it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._open: socket | None = None
        self._is_cut = False

    def watch(self, opened: socket) -> None:
        # A duplicate, because wrapping a socket in TLS takes its file descriptor away: shutting
        # the duplicate down ends the connection whatever the original has become.
        duplicate = opened.dup()
        with self._lock:
            self._close()  # one connection at a time: an earlier one is dead
            self._open = duplicate
            if self._is_cut:
                self._shut_down()

    def cut(self) -> None:
        with self._lock:
            self._is_cut = True
            self._shut_down()

    def close(self) -> None:
        with self._lock:
            self._close()

    def _shut_down(self) -> None:
        if self._open is not None:
            with suppress(OSError):  # it was closed already
                self._open.shutdown(SHUT_RDWR)
            self._close()

    def _close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


class _WatchedAdapter(HTTPAdapter):
    """Shows each new connection's socket to `live`."""

    def __init__(self, live: _LiveSocket) -> None:
        self._socket = live
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _watched_pools(self._socket)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = _watched_pools(self._socket)
        return manager


def _watched_pools(live: _LiveSocket) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        def _new_conn(self) -> socket:
            opened = super()._new_conn()
            live.watch(opened)
            return opened

    class Tls(HTTPSConnection):
        def _new_conn(self) -> socket:
            opened = super()._new_conn()
            live.watch(opened)
            return opened

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = Tls

    return {"http": PlainPool, "https": TlsPool}


class Wire:
    """One connection to a provider, for one call at a time."""

    def __init__(self, idle_since: datetime) -> None:
        self.idle_since = idle_since
        self._socket = _LiveSocket()
        weakref.finalize(self, self._socket.close)  # urllib3 does the same for its own
        self._session = requests.Session()
        self._session.mount("https://", _WatchedAdapter(self._socket))
        self._session.mount("http://", _WatchedAdapter(self._socket))

    def send(
        self, request: requests.PreparedRequest, *, read_timeout: timedelta
    ) -> requests.Response:
        """Send the request as it is and return once the response's headers are here.

        Raises:
            ModelUnavailableError: no connection, or none that lasted until the headers.
        """
        url = request.url or ""
        # Proxies and CA bundles of the environment; verification stays on.
        settings = self._session.merge_environment_settings(url, {}, True, None, None)
        if is_this_machine(url):
            settings["proxies"] = {}
        try:
            return self._session.send(
                request,
                timeout=(_CONNECT_SECONDS, read_timeout.total_seconds()),
                allow_redirects=False,
                **settings,
            )
        except requests.RequestException as error:
            raise _no_answer(error) from error

    def cut(self) -> None:
        """End the connection, whatever it is doing. The wire is of no use afterwards."""
        self._socket.cut()

    def close(self) -> None:
        self._session.close()
        self._socket.close()


class WirePool:
    """The wires of one adapter that wait for their next call."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._idle: list[Wire] = []

    def take(self) -> Wire:
        """A wire of one's own: the one used last if it is still fresh, else a new one."""
        now = self._clock.now()
        with self._lock:
            stale = [wire for wire in self._idle if now - wire.idle_since > _LONGEST_IDLE]
            self._idle = [wire for wire in self._idle if wire not in stale]
            wire = self._idle.pop() if self._idle else None
        for old in stale:
            old.close()
        return wire or Wire(now)

    def give_back(self, wire: Wire, *, reusable: bool) -> None:
        wire.idle_since = self._clock.now()
        with self._lock:
            if reusable and len(self._idle) < _MOST_IDLE:
                self._idle.append(wire)
                return
        wire.close()


def body_chunks(response: requests.Response) -> Iterator[bytes]:
    """The body as it arrives, undelayed: whatever one read brings.

    Raises:
        ModelUnavailableError: the connection broke, or the body has no end.
    """
    received = 0
    while True:
        try:
            chunk = response.raw.read1(_READ_BYTES, decode_content=True)
        except (HTTPError, OSError) as error:
            raise _no_answer(error) from error
        if not chunk:
            return
        received += len(chunk)
        if received > _LONGEST_ANSWER_BYTES:
            raise ModelUnavailableError("the provider's answer is longer than any turn can be")
        yield chunk


def is_this_machine(url: str) -> bool:
    """Whether the URL points to the loopback interface."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return False


def checked_base_url(base_url: str) -> str:
    """The URL without its last slash.

    Raises:
        ValueError: it would send the key or a prompt in clear text over a network, or carries
            credentials of its own, which would end up in messages.
    """
    parts = urlsplit(base_url)
    if parts.username or parts.password:
        raise ValueError("a model's base URL must not contain credentials")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_this_machine(base_url)):
        raise ValueError("a model's base URL must be https (http only on this machine)")
    return base_url.rstrip("/")


def _no_answer(error: Exception) -> ModelUnavailableError:
    # The class only: the text of these errors can hold the URL, and says little more.
    return ModelUnavailableError(f"no answer from the provider ({type(error).__name__})")
