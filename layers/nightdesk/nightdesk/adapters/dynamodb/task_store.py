"""Tasks, origins, journals and slots in DynamoDB: the engine's transactions (design, section 4).

Every state change is one conditional write. What it demands is said in two words: *ours*
(RUNNING, on our fence) and *as read* (nobody has changed it since it was read).
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from pynamodb.attributes import Attribute
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from nightdesk.adapters.dynamodb.tables import (
    SHARDS,
    GithubItem,
    OriginItem,
    SessionLogItem,
    SlotItem,
    TaskItem,
)
from nightdesk.adapters.dynamodb.task_items import (
    RUNNABLE,
    changes,
    entry_item,
    entry_key,
    entry_of,
    item_of,
    origin_item,
    origin_of,
    outbox_item,
    task_of,
    workspace_of_rank,
)
from nightdesk.adapters.dynamodb.transactions import (
    ConditionFailed,
    batch_get,
    patiently,
    request_token,
    transact,
    translated,
)
from nightdesk.domain.engine import claimed, released, stepped
from nightdesk.domain.errors import (
    CancelRequestedError,
    ConditionFailedError,
    InvalidInputError,
    LeaseLostError,
    NotClaimableError,
)
from nightdesk.domain.outbox import OutboxRow
from nightdesk.domain.ports import Candidate, ClaimView, Page, Progress, Release, Slot
from nightdesk.domain.session import Entry
from nightdesk.domain.task import Origin, Priority, Task, TaskError, TaskStatus

#: DynamoDB's limit of keys in one BatchGetItem.
_BATCH = 100
#: A seen event stays known for longer than GitHub's feed can show it (30 days).
SEEN_FOR = timedelta(days=60)

Fill = Callable[[TransactWrite], None]
AnyModel = TypeVar("AnyModel", bound=Model)


class DynamoTaskStore:
    """`TaskStore` on DynamoDB."""

    def __init__(self, *, slot_count: int, retention: timedelta) -> None:
        self._slot_count = slot_count
        self._retention = retention

    # Creating and reading --------------------------------------------------------------------

    def create(self, task: Task, origin: Origin, *, seen_key: str | None = None) -> bool:
        def fill(transaction: TransactWrite) -> None:
            # The origin is put unconditionally: with the task gone (deleted by a person), what is
            # left of an older origin under the same id must not block the new one.
            transaction.save(self._item(task), condition=TaskItem.id.does_not_exist())
            transaction.save(origin_item(origin, retention=self._retention))
            if seen_key is not None:
                expires = int((task.created_at + SEEN_FOR).timestamp())
                seen = GithubItem(f"seen#{seen_key}", "-", expires=expires)
                transaction.save(seen, condition=GithubItem.pk.does_not_exist())

        try:
            transact(request_token("create", task.id, task.created_at), fill)
        except ConditionFailed:
            return False
        return True

    def get(self, task_id: str) -> Task | None:
        with translated():
            try:
                return task_of(TaskItem.get(task_id, consistent_read=True))
            except TaskItem.DoesNotExist:
                return None

    def get_origin(self, task_id: str) -> Origin | None:
        with translated():
            try:
                return origin_of(OriginItem.get(task_id, consistent_read=True))
            except OriginItem.DoesNotExist:
                return None

    def list_page(
        self,
        workspace_id: str,
        *,
        status: TaskStatus | None,
        limit: int,
        cursor: str | None,
    ) -> Page:
        hash_key = workspace_id if status is None else f"{workspace_id}#{status.value}"
        index = TaskItem.by_workspace if status is None else TaskItem.by_workspace_status
        start = _decode_cursor(cursor, hash_key) if cursor else None
        with translated():
            keys = index.query(
                hash_key,
                scan_index_forward=False,
                limit=limit,
                page_size=limit,
                last_evaluated_key=start,
            )
            ids = [item.id for item in keys]
            last = keys.last_evaluated_key
            tasks = {task.id: task for task in self._get_many(ids)}
        # The index may lag: what has gone, or left the status, since then is not shown.
        shown = [tasks[i] for i in ids if i in tasks and status in (None, tasks[i].status)]
        return Page(tuple(shown), _encode_cursor(last, hash_key) if last else None)

    def entries(self, task_id: str, run: int, *, after: int = 0) -> list[Entry]:
        span = SessionLogItem.entry.between(entry_key(run, after + 1), entry_key(run, 999_999))
        with translated():
            return [entry_of(i) for i in SessionLogItem.query(task_id, span, consistent_read=True)]

    def entry(self, task_id: str, run: int, seq: int) -> Entry | None:
        with translated():
            try:
                key = entry_key(run, seq)
                return entry_of(SessionLogItem.get(task_id, key, consistent_read=True))
            except SessionLogItem.DoesNotExist:
                return None

    # Claiming --------------------------------------------------------------------------------

    def runnable(self, *, limit: int) -> list[Candidate]:
        with translated():
            found = TaskItem.by_rank.query(RUNNABLE, limit=limit, page_size=limit)
            return [Candidate(item.id, workspace_of_rank(item.rank)) for item in found]

    def view_for_claim(self, task_ids: Sequence[str]) -> ClaimView:
        tables: dict[str, list[str]] = {SlotItem.Meta.table_name: self._slot_ids()}
        if task_ids:
            tables[TaskItem.Meta.table_name] = list(task_ids)
            tables[OriginItem.Meta.table_name] = list(task_ids)
        found = self._batch_get(tables)
        tasks = [task_of(_item(TaskItem, raw)) for raw in found.get(TaskItem.Meta.table_name, [])]
        origins = [
            origin_of(_item(OriginItem, raw)) for raw in found.get(OriginItem.Meta.table_name, [])
        ]
        return ClaimView(
            tasks={task.id: task for task in tasks},
            origins={origin.task_id: origin for origin in origins},
            slots=self._slots_of(found.get(SlotItem.Meta.table_name, [])),
        )

    def slots(self) -> tuple[Slot, ...]:
        found = self._batch_get({SlotItem.Meta.table_name: self._slot_ids()})
        return self._slots_of(found.get(SlotItem.Meta.table_name, []))

    def claim(
        self,
        task: Task,
        slot: Slot,
        *,
        message_id: str,
        now: datetime,
        lease_until: datetime,
        reserved_micros: int,
    ) -> Task:
        new = claimed(task, slot, now=now, lease_until=lease_until, reserved=reserved_micros)
        if task.status is TaskStatus.PENDING:
            free = SlotItem.task_id.does_not_exist()
        else:
            free = (SlotItem.task_id == task.id) & (SlotItem.fence == task.fence)

        def fill(transaction: TransactWrite) -> None:
            self._update(transaction, task, new, _as_read(task))
            transaction.update(
                SlotItem(_slot_id(slot.number)),
                actions=[
                    SlotItem.task_id.set(task.id),
                    SlotItem.fence.set(new.fence),
                    SlotItem.message_id.set(message_id),
                ],
                condition=free,
            )

        try:
            transact(request_token("claim", task.id, new.fence, message_id, now), fill)
        except ConditionFailed as error:
            raise NotClaimableError(task.id, "the task or its slot has changed") from error
        return new

    def step(self, task: Task, entry: Entry, progress: Progress, *, lease_until: datetime) -> Task:
        new = stepped(task, entry, progress, lease_until=lease_until)

        def fill(transaction: TransactWrite) -> None:
            self._update(transaction, task, new, _ours(task) & _not_cancelled())
            self._append(transaction, entry, task.fence)

        token = request_token("step", task.id, task.fence, entry.run, entry.seq, entry.at)
        self._commit_ours(task, token, fill)
        return new

    def heartbeat(self, task: Task, *, lease_until: datetime) -> bool:
        item = TaskItem(task.id)
        actions: list[Action] = [TaskItem.lease_until.set(lease_until)]
        try:
            patiently(lambda: item.update(actions=actions, condition=_ours(task)))
        except ConditionFailed as error:
            raise LeaseLostError(task.id) from error
        return bool(item.cancel_requested)

    def release(self, task: Task, release: Release, *, now: datetime) -> Task:
        new = released(task, release, now=now)
        mine = _ours(task)
        if release.status is not TaskStatus.CANCELLED:
            mine &= _not_cancelled()
        token = request_token("release", task.id, task.fence, release.status.value, now)
        self._commit_ours(task, token, lambda t: self._leave_running(t, task, new, release, mine))
        return new

    # Without a session -----------------------------------------------------------------------

    def end_unclaimed(
        self,
        task: Task,
        status: TaskStatus,
        error: TaskError | None,
        *,
        now: datetime,
        rows: tuple[OutboxRow, ...] = (),
    ) -> Task:
        release = Release(status=status, error=error, rows=rows)
        new = released(task, release, now=now)
        self._commit_as_read(
            request_token("end", task.id, task.fence, task.run, status.value, now),
            lambda t: self._leave_running(t, task, new, release, _as_read(task)),
        )
        return new

    def end_expired(self, task: Task, release: Release, *, now: datetime) -> Task:
        new = released(task, release, now=now)
        self._commit_as_read(
            request_token("expire", task.id, task.fence, release.status.value, now),
            lambda t: self._leave_running(t, task, new, release, _as_read(task)),
        )
        return new

    def request_cancel(self, task: Task, *, now: datetime) -> Task:
        running = (TaskItem.status == TaskStatus.RUNNING.value) & (TaskItem.run == task.run)
        item = TaskItem(task.id)
        actions: list[Action] = [
            TaskItem.cancel_requested.set(True),
            TaskItem.updated_at.set(now),
        ]
        self._as_read_update(item, actions, running)
        return task_of(item)

    def make_runnable(self, task: Task, *, now: datetime) -> None:
        new = replace(task, run_after=None, queued_at=now)
        with_same_delay = TaskItem.run_after == task.run_after
        try:
            self._as_read_update(
                TaskItem(task.id),
                changes(task, new, retention=self._retention),
                _as_read(task) & with_same_delay,
            )
        except ConditionFailedError:
            return  # somebody else has released, edited, claimed or ended it

    def edit(
        self,
        task: Task,
        *,
        title: str | None,
        prompt: str | None,
        agent_id: str | None,
        priority: Priority | None,
        now: datetime,
    ) -> Task:
        new = replace(
            task,
            title=task.title if title is None else title,
            agent_id=task.agent_id if agent_id is None else agent_id,
            priority=task.priority if priority is None else priority,
            updated_at=now,
        )
        origin = self.get_origin(task.id) if prompt is not None else None

        def fill(transaction: TransactWrite) -> None:
            self._update(transaction, task, new, _as_read(task))
            if origin is not None and prompt is not None:
                edited = replace(origin, prompt=prompt)
                transaction.save(origin_item(edited, retention=self._retention))

        self._commit_as_read(request_token("edit", task.id, task.updated_at, now), fill)
        return new

    def start_new_run(self, task: Task, *, now: datetime) -> Task:
        new = task.new_run(now)
        actions = changes(task, new, retention=self._retention)
        self._as_read_update(TaskItem(task.id), actions, _as_read(task))
        return new

    def delete(self, task: Task) -> None:
        item = TaskItem(task.id)
        try:
            patiently(lambda: item.delete(condition=_as_read(task)))
        except ConditionFailed as error:
            raise ConditionFailedError(task.id) from error

    def free_slot(self, slot: Slot) -> None:
        item = SlotItem(_slot_id(slot.number))
        as_read = (SlotItem.task_id == slot.task_id) & (SlotItem.fence == slot.fence)
        try:
            patiently(lambda: item.update(actions=_freed(), condition=as_read))
        except ConditionFailed:
            return  # released or claimed anew meanwhile

    def set_publication(self, task_id: str, publication: str) -> None:
        item = TaskItem(task_id)
        actions: list[Action] = [TaskItem.publication.set(publication)]
        try:
            patiently(lambda: item.update(actions=actions, condition=TaskItem.id.exists()))
        except ConditionFailed:
            return  # deleted by a person meanwhile; what was published stays published

    # Sweeping --------------------------------------------------------------------------------

    def running(self) -> list[Task]:
        with translated():
            ids = [item.id for item in TaskItem.by_status.query(TaskStatus.RUNNING.value)]
            tasks = self._get_many(ids)
        return [task for task in tasks if task.status is TaskStatus.RUNNING]

    def due(self, *, now: datetime, limit: int) -> list[Task]:
        ids: list[str] = []
        with translated():
            for shard in range(SHARDS):
                found = TaskItem.by_due.query(
                    str(shard), type(TaskItem.by_due).due_at <= now, limit=limit, page_size=limit
                )
                ids.extend(item.id for item in found)
            return self._get_many(ids[:limit])

    # Pieces of transactions ------------------------------------------------------------------

    def _update(
        self, transaction: TransactWrite, old: Task, new: Task, condition: Condition
    ) -> None:
        actions = changes(old, new, retention=self._retention)
        transaction.update(
            TaskItem(old.id), actions=actions, condition=condition, return_values="ALL_OLD"
        )

    def _append(self, transaction: TransactWrite, entry: Entry, fence: int) -> None:
        item = entry_item(entry, fence, retention=self._retention)
        transaction.save(item, condition=SessionLogItem.entry.does_not_exist())

    def _leave_running(
        self,
        transaction: TransactWrite,
        old: Task,
        new: Task,
        release: Release,
        condition: Condition,
    ) -> None:
        """One transaction: the task, its slot, its last journal entry and what is to be told."""
        self._update(transaction, old, new, condition)
        if old.slot is not None:
            transaction.update(
                SlotItem(_slot_id(old.slot)),
                actions=_freed(),
                condition=(SlotItem.task_id == old.id) & (SlotItem.fence == old.fence),
            )
        if release.entry is not None:
            self._append(transaction, release.entry, old.fence)
        for row in release.rows:
            transaction.save(outbox_item(row, retention=self._retention))

    def _commit_ours(self, task: Task, token: str, fill: Fill) -> None:
        try:
            transact(token, fill)
        except ConditionFailed as error:
            if any(_cancelled_but_ours(raw, task) for raw in error.items):
                raise CancelRequestedError(task.id) from error
            raise LeaseLostError(task.id) from error

    def _commit_as_read(self, token: str, fill: Fill) -> None:
        try:
            transact(token, fill)
        except ConditionFailed as error:
            raise ConditionFailedError("it has changed since it was read") from error

    def _as_read_update(self, item: TaskItem, actions: list[Action], condition: Condition) -> None:
        try:
            patiently(lambda: item.update(actions=actions, condition=condition))
        except ConditionFailed as error:
            raise ConditionFailedError("it has changed since it was read") from error

    # Reading in batches ----------------------------------------------------------------------

    def _get_many(self, ids: Sequence[str]) -> list[Task]:
        found: dict[str, Task] = {}
        for start in range(0, len(ids), _BATCH):
            keys = {TaskItem.Meta.table_name: list(ids[start : start + _BATCH])}
            for raw in self._batch_get(keys).get(TaskItem.Meta.table_name, []):
                task = task_of(_item(TaskItem, raw))
                found[task.id] = task
        return [found[i] for i in ids if i in found]

    def _batch_get(self, keys: Mapping[str, Sequence[str]]) -> dict[str, list[Mapping[str, Any]]]:
        """One consistent BatchGetItem over several tables, and again for what it left over."""
        found: dict[str, list[Mapping[str, Any]]] = {}
        request: dict[str, Any] = {
            table: {
                "Keys": [{_key_name(table): {"S": key}} for key in dict.fromkeys(ids)],
                "ConsistentRead": True,
            }
            for table, ids in keys.items()
            if ids
        }
        while request:
            answer = batch_get(request)
            for table, items in answer["Responses"].items():
                found.setdefault(table, []).extend(items)
            request = answer.get("UnprocessedKeys") or {}
        return found

    def _slot_ids(self) -> list[str]:
        return [_slot_id(number) for number in range(self._slot_count)]

    def _slots_of(self, raw_items: Sequence[Mapping[str, Any]]) -> tuple[Slot, ...]:
        """All slots; one that was never taken has no item yet."""
        items = {item.id: item for item in (_item(SlotItem, raw) for raw in raw_items)}
        return tuple(
            _slot(number, items.get(_slot_id(number))) for number in range(self._slot_count)
        )

    def _item(self, task: Task) -> TaskItem:
        return item_of(task, retention=self._retention)


def _as_read(task: Task) -> Condition:
    """Nobody has claimed, released, edited, ended or renewed it since it was read."""
    condition: Condition = TaskItem.status == task.status.value
    condition &= _still(TaskItem.fence, task.fence or None)
    condition &= _still(TaskItem.lease_until, task.lease_until)
    if task.status is TaskStatus.PENDING:
        condition &= TaskItem.updated_at == task.updated_at
    return condition


def _still(attribute: Attribute[Any], value: Any) -> Condition:
    """The attribute has this value still; None = it is still absent."""
    condition: Condition = attribute == value
    return attribute.does_not_exist() if value is None else condition


def _ours(task: Task) -> Condition:
    """RUNNING, and nobody has claimed it after us."""
    condition: Condition = TaskItem.status == TaskStatus.RUNNING.value
    condition &= TaskItem.fence == task.fence
    return condition


def _not_cancelled() -> Condition:
    return TaskItem.cancel_requested.does_not_exist()


def _cancelled_but_ours(raw: Mapping[str, Any], task: Task) -> bool:
    """Whether the failed item is our own running task, with a cancel request on it."""
    if "st" not in raw or raw.get("id") != {"S": task.id}:
        return False
    now = task_of(_item(TaskItem, raw))
    return now.status is TaskStatus.RUNNING and now.fence == task.fence and now.cancel_requested


def _freed() -> list[Action]:
    return [SlotItem.task_id.remove(), SlotItem.fence.remove(), SlotItem.message_id.remove()]


def _slot_id(number: int) -> str:
    return f"slot#{number}"


def _slot(number: int, item: SlotItem | None) -> Slot:
    if item is None or item.task_id is None:
        return Slot(number)
    return Slot(number, item.task_id, int(item.fence or 0), item.message_id or "")


def _key_name(table: str) -> str:
    return "taskId" if table == OriginItem.Meta.table_name else "id"


def _item(model: type[AnyModel], raw: Mapping[str, Any]) -> AnyModel:
    item = model.from_raw_data(dict(raw))
    assert isinstance(item, model)
    return item


def _encode_cursor(last: Mapping[str, Any], hash_key: str) -> str:
    """Opaque to callers; bound to its list, so that it cannot be used to look into another."""
    text = json.dumps([hash_key, last], separators=(",", ":"), sort_keys=True)
    return base64.urlsafe_b64encode(text.encode()).decode()


def _decode_cursor(cursor: str, hash_key: str) -> dict[str, Any]:
    try:
        owner, last = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except ValueError as error:
        raise InvalidInputError("cursor", "cursor is not one that a list answered") from error
    if owner != hash_key or not isinstance(last, dict):
        raise InvalidInputError("cursor", "cursor belongs to another list")
    return last
