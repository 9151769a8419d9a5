"""Write to GitHub what tasks have put into the outbox, each effect exactly once.

A stream record, or the sweeper, only says "look at this row". The row is leased, tried once, and
the outcome or the time of the next try is stored. What is written is looked for by its hidden
marker first, so that a lost answer or a kill between any two calls doubles nothing; what comes
after the writing (the task's publication, the row's end) may be repeated.
"""

from dataclasses import dataclass
from datetime import timedelta

from nightdesk.domain.errors import TransientError
from nightdesk.domain.github_ports import GithubCredentialsError
from nightdesk.domain.outbox import OutboxRow
from nightdesk.domain.tracking import is_status_row
from nightdesk.services.effects.apply_intent import apply_intent
from nightdesk.services.outbox_rows import Outcome, RowPorts, try_row, wait_in_steps
from nightdesk.services.publisher_ports import PublisherPorts

_REASON_CHARACTERS = 200


def publish_row(task_id: str, row_name: str, ports: PublisherPorts) -> Outcome:
    """Try the row once, if it is due.

    Raises:
        UnavailableError: the store did not answer; the row is tried again when its lease ends.
    """
    rows = RowPorts(outbox=ports.outbox, clock=ports.clock)
    return try_row(task_id, row_name, _Publisher(ports), rows)


@dataclass(frozen=True, slots=True)
class _Publisher:
    """What the rows of GitHub mean (`Consumer`)."""

    ports: PublisherPorts
    name: str = "Publisher"

    def apply(self, row: OutboxRow) -> str:
        try:
            return apply_intent(row, self.ports)
        except GithubCredentialsError as error:  # somebody will mend the token
            raise TransientError(str(error)) from error

    def applied(self, row: OutboxRow, url: str) -> None:
        if url.startswith(("https://", "http://")):
            self.ports.tasks.set_publication(row.task_id, url)
        elif url:
            self._say(row, url)

    def given_up(self, row: OutboxRow, reason: str) -> None:
        if is_status_row(row.row):
            return  # it was about how it goes; the result speaks for itself
        self._say(row, f"failed: {reason}"[: len("failed: ") + _REASON_CHARACTERS])

    def _say(self, row: OutboxRow, words: str) -> None:
        """Say why there is nothing to see, unless there is: labels must not hide a comment."""
        task = self.ports.tasks.get(row.task_id)
        if task is not None and not task.publication:
            self.ports.tasks.set_publication(row.task_id, words)

    def wait_after(self, tries: int) -> timedelta | None:
        return wait_in_steps(tries)
