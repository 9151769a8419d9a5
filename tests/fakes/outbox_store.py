"""`OutboxStore` in memory. It passes the same tests as the DynamoDB store."""

from collections.abc import MutableMapping
from dataclasses import replace
from datetime import datetime

from nightdesk.domain.errors import ConditionFailedError
from nightdesk.domain.outbox import OutboxRow, OutboxState


class FakeOutboxStore:
    """Works on the rows that a `FakeTaskStore` wrote, or on its own."""

    def __init__(self, rows: MutableMapping[tuple[str, str], OutboxRow] | None = None) -> None:
        self.rows = {} if rows is None else rows

    def put(self, row: OutboxRow) -> bool:
        """As the task store's transactions do: a row without a time is due from its creation."""
        if (row.task_id, row.row) in self.rows:
            return False
        self.rows[row.task_id, row.row] = replace(row, due_at=row.due_at or row.created_at)
        return True

    def get(self, task_id: str, row: str) -> OutboxRow | None:
        return self.rows.get((task_id, row))

    def lease(self, row: OutboxRow, *, until: datetime) -> OutboxRow:
        leased = replace(self._as_read(row), due_at=until, tries=row.tries + 1)
        return self._store(leased)

    def done(self, row: OutboxRow, *, result_url: str) -> None:
        self._store(
            replace(
                self._as_read(row),
                state=OutboxState.DONE,
                result_url=result_url,
                last_error="",
                due_at=None,
            )
        )

    def failed(
        self, row: OutboxRow, *, error: str, next_try: datetime | None, waits: bool = False
    ) -> None:
        state = OutboxState.DEAD if next_try is None else OutboxState.PENDING
        found = self._as_read(row)
        found = replace(found, state=state, last_error=error[:300], due_at=next_try)
        self._store(replace(found, waits=row.waits + waits))

    def due(self, *, now: datetime, limit: int) -> list[OutboxRow]:
        found = [row for row in self.rows.values() if row.due_at is not None and row.due_at <= now]
        return sorted(found, key=lambda row: (row.due_at or now, row.task_id, row.row))[:limit]

    def of_task(self, task_id: str, prefix: str) -> list[OutboxRow]:
        found = [row for row in list(self.rows.values()) if row.task_id == task_id]
        return sorted((r for r in found if r.row.startswith(prefix)), key=lambda row: row.row)

    def dead(self, workspace_id: str, *, limit: int) -> list[OutboxRow]:
        found = [
            row
            for row in list(self.rows.values())
            if row.state is OutboxState.DEAD and row.workspace_id == workspace_id != ""
        ]
        found.sort(key=lambda row: (row.created_at, row.task_id, row.row), reverse=True)
        return found[:limit]

    def send_again(self, row: OutboxRow, *, now: datetime) -> OutboxRow:
        found = self.rows.get((row.task_id, row.row))
        if found is None or found.state is not OutboxState.DEAD:
            raise ConditionFailedError(f"{row.task_id} {row.row}")
        pending = replace(found, state=OutboxState.PENDING, tries=0, created_at=now, due_at=now)
        return self._store(pending)

    def _as_read(self, row: OutboxRow) -> OutboxRow:
        found = self.rows.get((row.task_id, row.row))
        if found is None or found.state is not OutboxState.PENDING or found.tries != row.tries:
            raise ConditionFailedError(f"{row.task_id} {row.row}")
        return found

    def _store(self, row: OutboxRow) -> OutboxRow:
        self.rows[row.task_id, row.row] = row
        return row
