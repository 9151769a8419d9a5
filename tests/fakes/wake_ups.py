"""`WakeUps` in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta


class FakeWakeUps:
    """Remembers what was sent: (task id, delay), in order."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, timedelta]] = []
        self.hidden: list[str] = []

    def send(self, task_id: str, *, delay: timedelta = timedelta(0)) -> None:
        self.sent.append((task_id, delay))

    @contextmanager
    def kept_invisible(self, receipt_handle: str) -> Iterator[None]:
        self.hidden.append(receipt_handle)
        yield
