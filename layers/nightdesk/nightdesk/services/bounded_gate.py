"""Read for one delivery within a short time, whatever GitHub does: nobody waits for what hangs."""

import logging
from collections.abc import Callable
from concurrent.futures import Executor
from concurrent.futures import TimeoutError as NotDoneError
from datetime import datetime, timedelta
from typing import TypeVar

from nightdesk.domain.errors import UnavailableError
from nightdesk.domain.gate_ports import ChangedPaths, GateReader, Permission
from nightdesk.domain.github_ports import Account, Repository
from nightdesk.domain.ports import Clock
from nightdesk.domain.repository_rules import RepositoryRules

logger = logging.getLogger(__name__)

Value = TypeVar("Value")


class BoundedGateReader:
    """`GateReader` whose answers come within `limit` of its making, all together.

    A read goes on in a thread when we no longer wait for it: timeouts of sockets cover neither
    the look-up of a name nor an answer that comes in drops. It changes nothing on GitHub, and its
    answer serves the next delivery.
    """

    def __init__(
        self, reader: GateReader, executor: Executor, *, clock: Clock, limit: timedelta
    ) -> None:
        self._reader = reader
        self._executor = executor
        self._clock = clock
        self._limit = limit
        self._until: datetime = clock.now() + limit

    def permission(self, repo: str, actor: Account) -> Permission:
        return self._within(lambda: self._reader.permission(repo, actor))

    def changed_paths(self, repo: str, number: int) -> ChangedPaths:
        return self._within(lambda: self._reader.changed_paths(repo, number))

    def rules(self, repo: Repository) -> RepositoryRules:
        return self._within(lambda: self._reader.rules(repo))

    def _within(self, read: Callable[[], Value]) -> Value:
        left = (self._until - self._clock.now()).total_seconds()
        message = f"GitHub has not answered within {self._limit.total_seconds():g} s"
        if left <= 0:
            raise UnavailableError(message)
        future = self._executor.submit(read)
        try:
            return future.result(timeout=left)
        except NotDoneError:
            future.cancel()  # if it has not begun, it need not
            raise UnavailableError(message) from None
