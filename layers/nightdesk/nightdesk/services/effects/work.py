"""An intent that may be applied, with all that it may touch."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from nightdesk.domain.outbox import OutboxRow
from nightdesk.domain.task import Origin, Target

#: GitHub's clock and ours may differ; what we wrote must not fall before our search begins.
CLOCK_DIFFERENCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Work:
    """The target comes from Origins alone; `repo` is its present name."""

    row: OutboxRow
    origin: Origin
    target: Target
    repo: str

    @property
    def search_from(self) -> datetime:
        """Nothing that we wrote for this task is older."""
        return self.origin.created_at - CLOCK_DIFFERENCE
