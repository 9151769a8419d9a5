"""Receive in one thread what another waits for, so that no read outlives the caller's patience.

A read can hang in DNS, in the handshake, before the response's headers or between two chunks, and
nothing that Python offers cuts all of these from outside. So the call runs in a daemon thread of
its own; the caller waits for its chunks with deadlines and simply leaves when it must. Cutting the
connection is then a courtesy: it ends the thread, and the provider stops producing tokens.
"""

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Generic, TypeVar

from nightdesk.domain.model import CallControl, ModelUnavailableError

_T = TypeVar("_T")

#: How long a complete answer may take to end the connection properly, so that it can be used again.
_GRACE_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class _Chunk(Generic[_T]):
    value: _T


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


class _Aborted:
    """Wakes the caller; what it means is read from the control."""


class LiveCall(Generic[_T]):
    """One call to a provider: iterate to receive its chunks.

    `source` runs in the call's own thread and yields the chunks; `cut` ends its connection from
    any thread and may be called at any time, but never after the call has ended by itself.

    Raises, while it is iterated:
        CallAbortedError: `control.abort()` was called.
        ModelUnavailableError: a chunk took longer than `stall_timeout`, or all of them longer than
            `total_timeout`.
        And whatever `source` raises.
    """

    def __init__(
        self, source: Callable[[], Iterator[_T]], *, control: CallControl, cut: Callable[[], None]
    ) -> None:
        self._source = source
        self._control = control
        self._cut = cut
        self._inbox: SimpleQueue[_Chunk[_T] | _End | _Aborted] = SimpleQueue()
        self._lock = Lock()
        self._over = False
        self._complete = False
        #: Whether the source came to its own end, so that its connection can be used again.
        self.ended_well = False

    def expect_end(self) -> None:
        """The answer is complete: wait only a moment longer for the connection to end well."""
        self._complete = True

    def __iter__(self) -> Generator[_T, None, None]:
        self._control.check()
        self._control.on_abort(self._abort)
        Thread(target=self._receive, name="model-call", daemon=True).start()
        try:
            yield from self._chunks()
        finally:
            self._leave()

    def _receive(self) -> None:
        error: BaseException | None = None
        try:
            for value in self._source():
                self._inbox.put(_Chunk(value))
        except BaseException as raised:  # noqa: BLE001  it is raised again, in the caller's thread
            error = raised
        self._inbox.put(_End(error))

    def _chunks(self) -> Iterator[_T]:
        started = time.monotonic()
        while True:
            try:
                item = self._inbox.get(timeout=self._patience(started))
            except Empty:
                if self._complete:
                    return
                raise self._too_slow(started) from None
            self._control.check()
            match item:
                case _Chunk(value):
                    self._control.on_chunk()
                    yield value
                case _End(error):
                    if error is not None and not self._complete:
                        raise error
                    self.ended_well = error is None
                    return
                case _Aborted():  # `check` has raised already
                    continue

    def _patience(self, started: float) -> float:
        if self._complete:
            return _GRACE_SECONDS
        left = started + self._control.total_timeout.total_seconds() - time.monotonic()
        return max(0.0, min(left, self._control.stall_timeout.total_seconds()))

    def _too_slow(self, started: float) -> ModelUnavailableError:
        total = self._control.total_timeout.total_seconds()
        if time.monotonic() - started >= total:
            return ModelUnavailableError(f"the model call took longer than {total:g} s")
        stall = self._control.stall_timeout.total_seconds()
        return ModelUnavailableError(f"the provider was silent for {stall:g} s")

    def _abort(self) -> None:
        self._inbox.put(_Aborted())
        self._cut_if_live()

    def _leave(self) -> None:
        if not self.ended_well:
            self._cut_if_live()
        with self._lock:
            self._over = True

    def _cut_if_live(self) -> None:
        # The control may outlive the call, and the connection may serve another one by then.
        with self._lock:
            if not self._over:
                self._cut()
