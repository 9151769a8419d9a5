"""A task that this executor holds: its lease is kept alive, and its session told when to stop.

One lock serialises steps and heartbeats, so that a task has one writer. A watching thread renews
the lease when nothing else was written for a while, and finds out why the session must stop: a
cancel, a lost lease, the task's own timeout, or the end of this invocation. It then cuts the
model call that is under way.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Event, RLock, Thread
from typing import Any

from nightdesk.domain.errors import (
    CancelRequestedError,
    ErrorCode,
    HandOverError,
    LeaseLostError,
    NewMessagesError,
    NightdeskError,
    PermanentError,
    StaleTaskError,
    TransientError,
    UnavailableError,
)
from nightdesk.domain.model import CallControl
from nightdesk.domain.ports import Clock, Progress, Release, TaskStore
from nightdesk.domain.recovery import is_past_deadline, timeout_error
from nightdesk.domain.session import Entry, EntryKind
from nightdesk.domain.task import HEARTBEAT_AFTER, LEASE, Task, TaskStatus

logger = logging.getLogger(__name__)

#: How often the watching thread looks, in seconds: well under the five within which a cancel acts.
_LOOK_EVERY_SECONDS = 0.2
#: No model call begins with less lease than this (design, section 4, rule 6).
_LEASE_NEEDED_FOR_A_CALL = LEASE / 3
#: A heartbeat that failed is repeated after this, until the lease is fresh or has run out.
_BETWEEN_HEARTBEATS = timedelta(seconds=1)


class HeldTask:
    """`task` is the newest state that we know. Every write goes through here."""

    def __init__(
        self, task: Task, *, tasks: TaskStore, clock: Clock, hand_over_at: datetime
    ) -> None:
        self.task = task
        self.steps_here = 0
        self.held_since = clock.now()
        self._tasks = tasks
        self._clock = clock
        self._hand_over_at = hand_over_at
        # The lease counts from before the claim was written, which may have taken seconds.
        self._last_write = task.lease_until - LEASE if task.lease_until else clock.now()
        self._lock = RLock()
        self._stop: NightdeskError | None = None
        self._call: CallControl | None = None

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Keep the lease and watch for reasons to stop, until the block ends."""
        ended = Event()
        watch = Thread(target=self._watch_until, args=(ended,), daemon=True)
        watch.start()
        try:
            yield
        finally:
            ended.set()
            watch.join()

    # What the session does -------------------------------------------------------------------

    def check(self) -> None:
        """Raise the reason to stop, if there is one."""
        self.look()
        if self._stop is not None:
            raise self._stop

    @contextmanager
    def model_call(self) -> Iterator[CallControl]:
        """Allow one model call, under a fresh enough lease; it is cut when we must stop."""
        with self._lock:
            while self._stop is None and self._lease_left_too_short():
                self._heartbeat()
                if self._lease_left_too_short():
                    self._clock.sleep(_BETWEEN_HEARTBEATS)
            if self._stop is not None:
                raise self._stop
            self._call = CallControl()
        try:
            yield self._call
        finally:
            with self._lock:
                self._call = None

    def stop_reason(self) -> NightdeskError | None:
        return self._stop

    def step(self, kind: EntryKind, data: dict[str, Any], progress: Progress) -> Entry:
        """Journal one step, also one that was finished after a reason to stop came up: its work is
        done and paid for, and the write's condition refuses what must not be written.

        Raises:
            CancelRequestedError, LeaseLostError: nothing was written.
            UnavailableError: it is unknown whether it was written; the session must stop, and
                whoever goes on with it finds out from the journal.
        """
        with self._lock:
            entry = self._next_entry(kind, data)
            until = entry.at + LEASE
            self.task = self._fresh(
                lambda task: self._tasks.step(task, entry, progress, lease_until=until)
            )
            self._last_write = entry.at
            self.steps_here += 1
            return entry

    def end_entry(self, kind: EntryKind, data: dict[str, Any]) -> Entry:
        """The journal's next entry, to be written by `release`."""
        return self._next_entry(kind, data)

    def release(self, release: Release) -> Task:
        """Move the task out of RUNNING.

        Raises:
            NewMessagesError: it would complete or wait although a person has said something.
            CancelRequestedError, LeaseLostError: nothing was written.
        """

        def write(task: Task) -> Task:
            heeds = release.status in (TaskStatus.COMPLETED, TaskStatus.WAITING)
            if heeds and task.inbox > task.inbox_read:
                raise NewMessagesError(task.id)
            return self._tasks.release(task, release, now=self._clock.now())

        with self._lock:
            self.task = self._fresh(write)
            return self.task

    def _fresh(self, write: Callable[[Task], Task]) -> Task:
        """Write; when others have changed their fields of the task, take those over and again."""
        while True:
            try:
                return write(self.task)
            except StaleTaskError as stale:
                self.task = replace(
                    self.task,
                    inbox=stale.inbox,
                    has_dependants=stale.has_dependants,
                    has_callbacks=stale.has_callbacks,
                )

    def _next_entry(self, kind: EntryKind, data: dict[str, Any]) -> Entry:
        seq = self.task.last_entry + 1
        return Entry(self.task.id, self.task.run, seq, kind, self._clock.now(), data)

    # What the watch does ---------------------------------------------------------------------

    def look(self) -> None:
        """Renew the lease if that is due, and note a reason to stop. Cuts the call if so.

        Until a session that is to be handed over has left, its task stays ours: were the lease to
        run out during its last step, that would be an attempt. After any other reason to stop the
        lease is left to run out, so that a step that does not heed it cannot keep the slot.
        """
        with self._lock:
            now = self._clock.now()
            if self._stop is None:
                self._find_reason_to_stop(now)
            renews = self._stop is None or isinstance(self._stop, HandOverError)
            if renews and now - self._last_write >= HEARTBEAT_AFTER:
                self._heartbeat()

    def _find_reason_to_stop(self, now: datetime) -> None:
        if is_past_deadline(self.task, now):
            error = timeout_error(self.task)
            self._must_stop(PermanentError(error.message, ErrorCode.TASK_TIMEOUT))
        elif now >= self._hand_over_at:
            self._must_stop(HandOverError("this invocation's time is nearly over"))

    def _watch_until(self, ended: Event) -> None:
        while not ended.wait(_LOOK_EVERY_SECONDS):
            try:
                self.look()
            except Exception as error:
                # The last boundary of this thread. Without it nobody would renew the lease, and a
                # call that hangs would be cut by nobody.
                logger.exception("[BGWorker] watch of %s broke", self.task.id)
                with self._lock:
                    broke = f"{type(error).__name__} in the session's watch"
                    self._must_stop(TransientError(broke))
                return

    def _heartbeat(self) -> None:
        now = self._clock.now()
        until = now + LEASE
        try:
            cancelled = self._tasks.heartbeat(self.task, lease_until=until)
        except LeaseLostError as error:
            self._must_stop(error)
            return
        except UnavailableError as error:
            logger.warning("[BGWorker] heartbeat of %s failed: %s", self.task.id, error)
            self._stop_if_lease_ran_out(now)
            return
        self._last_write = now
        self.task = replace(self.task, lease_until=until)
        if cancelled:
            self._must_stop(CancelRequestedError(self.task.id))

    def _lease_left_too_short(self) -> bool:
        until = self.task.lease_until
        return until is None or until - self._clock.now() < _LEASE_NEEDED_FOR_A_CALL

    def _stop_if_lease_ran_out(self, now: datetime) -> None:
        if not self.task.has_live_lease(now):
            self._must_stop(LeaseLostError(self.task.id))

    def _must_stop(self, reason: NightdeskError) -> None:
        self._stop = reason
        if self._call is not None:
            self._call.abort()
