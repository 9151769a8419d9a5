"""Run the simulator on loopback, in the foreground or in a thread of a test."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from local.github_simulator.application import create_application
from local.github_simulator.state import Clock, GithubState, system_clock

HOST = "127.0.0.1"
LONGEST_START_SECONDS = 10.0
LONGEST_STOP_SECONDS = 5
#: Puts something around the application that sees each request and answer first and last.
Around = Callable[[ASGIApp], ASGIApp]


def _nothing(app: ASGIApp) -> ASGIApp:
    return app


class SimulatorServer:
    """One simulator on one port of 127.0.0.1; `state` is open to whoever runs in this process."""

    def __init__(
        self, *, port: int = 0, clock: Clock = system_clock, around: Around = _nothing
    ) -> None:
        """Take the port (0: any free one) at once, so that addresses are known before it runs.

        Raises:
            OSError: the port is taken.
        """
        # Named as TCP, or asyncio leaves Nagle's algorithm on: 40 ms for each answer.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((HOST, port))
        # It accepts from now on; what arrives before the server runs waits in the backlog.
        self._socket.listen()
        self.url = f"http://{HOST}:{self._socket.getsockname()[1]}"
        self.state = GithubState(base_url=self.url, clock=clock)
        self._transports: dict[tuple[str, int], asyncio.BaseTransport] = {}
        config = uvicorn.Config(
            around(create_application(self.state, self._hang_up)),
            http=self._protocol(),
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=LONGEST_STOP_SECONDS,
        )
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None

    def _protocol(self) -> type[asyncio.Protocol]:
        transports = self._transports

        class RememberedConnection(H11Protocol):
            """Lets a fault find the connection of a request by the client's address."""

            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                transports[transport.get_extra_info("peername")] = transport
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                transports.pop(self.transport.get_extra_info("peername"), None)
                super().connection_lost(exc)

        return RememberedConnection

    def _hang_up(self, client: tuple[str, int]) -> None:
        transport = self._transports.get(client)
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()

    def run(self) -> None:
        """Answer requests until the process is told to stop."""
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self.state.close()

    def start(self) -> None:
        """Answer requests in a thread."""
        self._thread = threading.Thread(target=self.run, name="github-simulator", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and wait for the thread; idle connections are cut."""
        self._server.force_exit = True
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(LONGEST_START_SECONDS)
        self._socket.close()


@contextmanager
def running_simulator(
    *, port: int = 0, clock: Clock = system_clock, around: Around = _nothing
) -> Iterator[SimulatorServer]:
    """Run a simulator for the length of a `with` block."""
    server = SimulatorServer(port=port, clock=clock, around=around)
    server.start()
    try:
        yield server
    finally:
        server.stop()
