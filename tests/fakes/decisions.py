"""`DecisionLog` and `TaskCounts` in memory. They pass the same tests as the DynamoDB adapters."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from nightdesk.domain.decisions import SHOWN, Decision


class FakeDecisions:
    """Counts its requests, because they cost money."""

    def __init__(self) -> None:
        self.rows: list[Decision] = []
        self.requests = 0

    def record(self, decisions: Sequence[Decision]) -> None:
        self.rows += decisions
        self.requests += 1

    def of(self, repo: str, number: int) -> Sequence[Decision]:
        wanted = (repo.lower(), number)
        found = [row for row in self.rows if (row.repo.lower(), row.number) == wanted]
        return sorted(found, key=lambda row: row.at, reverse=True)[:SHOWN]


class FakeTaskCounts:
    def __init__(self) -> None:
        self.ids: defaultdict[tuple[int, int, str], set[str]] = defaultdict(set)

    def admit(self, repo_id: int, number: int, task_id: str, *, now: datetime, most: int) -> bool:
        ids = self.ids[repo_id, number, now.isoformat()[:13]]
        if task_id not in ids and len(ids) >= most:
            return False
        ids.add(task_id)
        return True
