"""The outbox in DynamoDB: leases, outcomes and what is due (`OutboxStore`).

What a task's end causes is put by the task store, in the transaction that ends it. The lease of a
consumer and the time of the next try are one attribute, `due_at`: whoever finds it in the past may
try.
"""

from datetime import datetime, timedelta

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from nightdesk.adapters.dynamodb.tables import SHARDS, OutboxItem, shard_of
from nightdesk.adapters.dynamodb.task_items import outbox_item
from nightdesk.adapters.dynamodb.transactions import ConditionFailed, patiently, translated
from nightdesk.domain.errors import ConditionFailedError
from nightdesk.domain.outbox import OutboxRow, OutboxState

#: What is shown to people; the item has to stay small.
_ERROR_CHARACTERS = 300


class DynamoOutboxStore:
    """`OutboxStore` on DynamoDB."""

    def __init__(self, *, retention: timedelta = timedelta(days=90)) -> None:
        self._retention = retention

    def put(self, row: OutboxRow) -> bool:
        item = outbox_item(row, retention=self._retention)
        try:
            patiently(lambda: item.save(condition=OutboxItem.row.does_not_exist()))
        except ConditionFailed:
            return False
        return True

    def get(self, task_id: str, row: str) -> OutboxRow | None:
        with translated():
            try:
                return _row_of(OutboxItem.get(task_id, row, consistent_read=True))
            except OutboxItem.DoesNotExist:
                return None

    def lease(self, row: OutboxRow, *, until: datetime) -> OutboxRow:
        item = OutboxItem(row.task_id, row.row)
        actions: list[Action] = [OutboxItem.due_at.set(until), OutboxItem.tries.set(row.tries + 1)]
        _update(item, actions, _as_read(row))
        return _row_of(item)

    def done(self, row: OutboxRow, *, result_url: str) -> None:
        actions: list[Action] = [
            OutboxItem.state.set(OutboxState.DONE.value),
            OutboxItem.result_url.set(result_url),
            OutboxItem.last_error.remove(),
            *_out_of_due(),
        ]
        _update(OutboxItem(row.task_id, row.row), actions, _as_read(row))

    def failed(
        self, row: OutboxRow, *, error: str, next_try: datetime | None, waits: bool = False
    ) -> None:
        actions: list[Action] = [OutboxItem.last_error.set(error[:_ERROR_CHARACTERS])]
        if waits:
            actions.append(OutboxItem.waits.set(row.waits + 1))
        if next_try is None:
            actions += [OutboxItem.state.set(OutboxState.DEAD.value), *_out_of_due()]
            if row.workspace_id:
                actions.append(OutboxItem.dead_workspace_id.set(row.workspace_id))
        else:
            actions.append(OutboxItem.due_at.set(next_try))
        _update(OutboxItem(row.task_id, row.row), actions, _as_read(row))

    def due(self, *, now: datetime, limit: int) -> list[OutboxRow]:
        found_due: list[tuple[datetime, str, str]] = []
        with translated():
            for shard in range(SHARDS):
                found = OutboxItem.by_due.query(
                    str(shard), type(OutboxItem.by_due).due_at <= now, limit=limit, page_size=limit
                )
                found_due.extend((item.due_at, item.task_id, item.row) for item in found)
            keys = [(task_id, row) for _, task_id, row in sorted(found_due)[:limit]]
            items = list(OutboxItem.batch_get(keys, consistent_read=True))
        rows = sorted(
            map(_row_of, items), key=lambda row: (row.due_at or now, row.task_id, row.row)
        )
        # The index may lag behind what has been taken or finished meanwhile.
        return [row for row in rows if row.due_at is not None and row.due_at <= now]

    def of_task(self, task_id: str, prefix: str) -> list[OutboxRow]:
        with translated():
            found = OutboxItem.query(
                task_id, OutboxItem.row.startswith(prefix), consistent_read=True
            )
            return [_row_of(item) for item in found]

    def dead(self, workspace_id: str, *, limit: int) -> list[OutboxRow]:
        with translated():
            found = OutboxItem.by_dead.query(
                workspace_id, scan_index_forward=False, limit=limit, page_size=limit
            )
            keys = [(item.task_id, item.row) for item in found]
            rows = map(_row_of, OutboxItem.batch_get(keys, consistent_read=True))
            return sorted(
                (row for row in rows if row.state is OutboxState.DEAD),
                key=lambda row: (row.created_at, row.task_id, row.row),
                reverse=True,
            )

    def send_again(self, row: OutboxRow, *, now: datetime) -> OutboxRow:
        item = OutboxItem(row.task_id, row.row)
        actions: list[Action] = [
            OutboxItem.state.set(OutboxState.PENDING.value),
            OutboxItem.tries.set(0),
            OutboxItem.created_at.set(now),
            OutboxItem.due_shard.set(shard_of(row.task_id)),
            OutboxItem.due_at.set(now),
            OutboxItem.dead_workspace_id.remove(),
        ]
        _update(item, actions, OutboxItem.state == OutboxState.DEAD.value)
        return _row_of(item)


def _as_read(row: OutboxRow) -> Condition:
    """Nobody has taken or finished the row since it was read."""
    pending: Condition = OutboxItem.state == OutboxState.PENDING.value
    condition: Condition = pending & (OutboxItem.tries == row.tries)
    return condition


def _out_of_due() -> list[Action]:
    return [OutboxItem.due_shard.remove(), OutboxItem.due_at.remove()]


def _update(item: OutboxItem, actions: list[Action], condition: Condition) -> None:
    try:
        patiently(lambda: item.update(actions=actions, condition=condition))
    except ConditionFailed as error:
        raise ConditionFailedError(f"{item.task_id} {item.row}") from error


def _row_of(item: OutboxItem) -> OutboxRow:
    return OutboxRow(
        task_id=item.task_id,
        row=item.row,
        payload=item.document,
        created_at=item.created_at,
        state=OutboxState(item.state),
        tries=int(item.tries or 0),
        waits=int(item.waits or 0),
        due_at=item.due_at,
        result_url=item.result_url or "",
        last_error=item.last_error or "",
        workspace_id=item.workspace_id or "",
    )
