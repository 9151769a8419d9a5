"""A process that runs only when a test says so, from one pause to the next.

Each strand is a thread, but one at a time has the baton: whoever calls `resume` waits until the
strand pauses or ends. So a test decides every interleaving, and the same decisions always give the
same run.
"""

from collections.abc import Callable
from contextvars import ContextVar
from threading import Semaphore, Thread, current_thread

#: A strand that computes for so long (real seconds) hangs.
_HANGS_AFTER_SECONDS = 30.0


_current: ContextVar["Strand | None"] = ContextVar("strand", default=None)


class Killed(BaseException):
    """The process is gone: nothing of ours may catch this."""


class Strand:
    """Runs `work` in steps. `at` says where it has paused; `error` what it ended with."""

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self.name = name
        self.at = "start"
        self.ended = False
        self.was_killed = False
        self.error: Exception | None = None
        self._work = work
        self._go = Semaphore(0)
        self._stopped = Semaphore(0)
        self._thread: Thread | None = None
        self._given: object = None

    def __repr__(self) -> str:
        return f"<{self.name} at {self.at}>"

    @staticmethod
    def current() -> "Strand | None":
        """The strand that runs now; None outside of all."""
        return _current.get()

    def resume(self, given: object = None) -> None:
        """Let it run to its next pause or to its end; `given` is what its pause returns."""
        assert not self.ended, f"{self} has ended"
        self._given = given
        if self._thread is None:
            self._thread = Thread(target=self._run, name=self.name, daemon=True)
            self._thread.start()
        else:
            self._go.release()
        assert self._stopped.acquire(timeout=_HANGS_AFTER_SECONDS), f"{self} hangs"
        if self.ended:
            self._thread.join()

    def die(self) -> None:
        """Kill the strand from within."""
        self.was_killed = True
        raise Killed(self.at)

    def kill(self) -> None:
        """End it where it is. Its `finally` blocks run, but no call of theirs gets through."""
        self.was_killed = True
        if self._thread is None:
            self.ended = True
        elif not self.ended:
            self.resume()

    def pause(self, at: str) -> object:
        """Give the baton back, and wait for `resume`; does nothing when called from elsewhere
        (the heartbeat of a strand that is paused).
        """
        if current_thread() is not self._thread:
            return None
        if not self.was_killed:
            self.at = at
            self._stopped.release()
            self._go.acquire()
        if self.was_killed:
            raise Killed(at)
        return self._given

    def _run(self) -> None:
        _current.set(self)
        try:
            self._work()
        except Killed:
            pass
        except Exception as error:  # noqa: BLE001 - the test decides what it means
            self.error = error
        finally:
            self.at = "end"
            self.ended = True
            self._stopped.release()
