"""Reading tasks, origins, journals, slots and the line of runnable tasks from DynamoDB."""

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from pynamodb.models import Model

from nightdesk.adapters.dynamodb.tables import (
    SHARDS,
    OriginItem,
    SessionLogItem,
    SlotItem,
    TaskItem,
    WorkspaceItem,
    instant,
)
from nightdesk.adapters.dynamodb.task_items import (
    RUNNABLE,
    entry_key,
    entry_of,
    mail_key,
    mail_of,
    origin_of,
    settings_of,
    task_of,
    workspace_of_rank,
)
from nightdesk.adapters.dynamodb.transactions import batch_get, translated
from nightdesk.domain.errors import InvalidInputError
from nightdesk.domain.ports import Candidate, ClaimView, Mail, Page, Slot, WorkspaceSettings
from nightdesk.domain.session import Entry
from nightdesk.domain.task import Origin, Task, TaskStatus

#: DynamoDB's limit of keys in one BatchGetItem.
_BATCH = 100
SETTINGS = "settings"
#: The row of settings that hold for the whole deployment.
EVERYBODY = "*"

AnyModel = TypeVar("AnyModel", bound=Model)
Raw = Mapping[str, Any]


class TaskReads:
    """The reading half of `TaskStore`. Reads of single items are consistent; indexes may lag."""

    def __init__(self, *, slot_count: int) -> None:
        self._slot_count = slot_count

    def get(self, task_id: str) -> Task | None:
        with translated():
            try:
                item = TaskItem.get(task_id, consistent_read=True)
            except TaskItem.DoesNotExist:
                return None
        return None if item.deleted else task_of(item)

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
        hash_name = "ws" if status is None else "wsst"
        start = _decode_cursor(cursor, hash_key, hash_name) if cursor else None
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

    def runnable(self, *, limit: int) -> list[Candidate]:
        with translated():
            found = TaskItem.by_rank.query(RUNNABLE, limit=limit, page_size=limit)
            return [Candidate(item.id, workspace_of_rank(item.rank)) for item in found]

    def count_ahead(self, task: Task, *, most: int) -> int:
        before = type(TaskItem.by_rank).rank < instant(task.rank)
        with translated():
            # Keys only: what a COUNT costs, and PynamoDB's `count` heeds no limit.
            return sum(1 for _ in TaskItem.by_rank.query(RUNNABLE, before, limit=most))

    def view_for_claim(
        self, task_ids: Sequence[str], *, workspace_ids: Sequence[str] = ()
    ) -> ClaimView:
        settings_keys = [(workspace, SETTINGS) for workspace in (*workspace_ids, EVERYBODY)]
        found = _batch_get(
            {
                SlotItem: [(slot_id(number),) for number in range(self._slot_count)],
                TaskItem: [(task_id,) for task_id in task_ids],
                OriginItem: [(task_id,) for task_id in task_ids],
                WorkspaceItem: settings_keys if WorkspaceItem.Meta.table_name else [],
            }
        )
        tasks = [task_of(item) for item in found.of(TaskItem) if not item.deleted]
        origins = [origin_of(item) for item in found.of(OriginItem)]
        return ClaimView(
            tasks={task.id: task for task in tasks},
            origins={origin.task_id: origin for origin in origins},
            slots=self._all_slots(found.of(SlotItem)),
            settings={item.workspace_id: settings_of(item) for item in found.of(WorkspaceItem)},
        )

    def slots(self) -> tuple[Slot, ...]:
        keys = [(slot_id(number),) for number in range(self._slot_count)]
        return self._all_slots(_batch_get({SlotItem: keys}).of(SlotItem))

    def group_holder(self, group: str) -> str | None:
        with translated():
            try:
                holder = SlotItem.get(group_id(group), consistent_read=True).task_id
            except SlotItem.DoesNotExist:
                return None
        return holder or None

    def group_waiting(self, group: str, *, limit: int) -> list[Task]:
        with translated():
            found = TaskItem.by_group.query(group, limit=limit, page_size=limit)
            tasks = self._get_many([item.id for item in found])
        return [task for task in tasks if task.status in (TaskStatus.PENDING, TaskStatus.WAITING)]

    def mail(self, task: Task) -> list[Mail]:
        span = SessionLogItem.entry.between(
            mail_key(task.run, task.inbox_read + 1), mail_key(task.run, 999_999)
        )
        with translated():
            return [mail_of(i) for i in SessionLogItem.query(task.id, span, consistent_read=True)]

    def dependants(self, task_id: str) -> list[str]:
        prefix = SessionLogItem.entry.startswith(DEPENDANT)
        with translated():
            found = SessionLogItem.query(task_id, prefix, consistent_read=True)
            return [item.entry.removeprefix(DEPENDANT) for item in found]

    def workspace_settings(self, workspace_id: str) -> WorkspaceSettings:
        with translated():
            try:
                return settings_of(WorkspaceItem.get(workspace_id, SETTINGS, consistent_read=True))
            except WorkspaceItem.DoesNotExist:
                return WorkspaceSettings()

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

    def _get_many(self, ids: Sequence[str]) -> list[Task]:
        found: dict[str, Task] = {}
        for start in range(0, len(ids), _BATCH):
            keys = [(task_id,) for task_id in ids[start : start + _BATCH]]
            for item in _batch_get({TaskItem: keys}).of(TaskItem):
                if not item.deleted:
                    found[item.id] = task_of(item)
        return [found[i] for i in ids if i in found]

    def _all_slots(self, items: Sequence[SlotItem]) -> tuple[Slot, ...]:
        """All slots; one that was never taken has no item yet."""
        by_id = {item.id: item for item in items}
        return tuple(
            _slot(number, by_id.get(slot_id(number))) for number in range(self._slot_count)
        )


DEPENDANT = "dependant#"


def slot_id(number: int) -> str:
    return f"slot#{number}"


def group_id(group: str) -> str:
    return f"group#{group}"


def _slot(number: int, item: SlotItem | None) -> Slot:
    if item is None or item.task_id is None:
        return Slot(number)
    return Slot(number, item.task_id, int(item.fence or 0), item.message_id or "")


# BatchGetItem ---------------------------------------------------------------------------------


class _Found:
    """Raw items by table, as their models."""

    def __init__(self) -> None:
        self._raw: dict[str, list[Raw]] = {}

    def add(self, responses: Mapping[str, list[Raw]]) -> None:
        for table, items in responses.items():
            self._raw.setdefault(table, []).extend(items)

    def of(self, model: type[AnyModel]) -> list[AnyModel]:
        items = [model.from_raw_data(dict(raw)) for raw in self._raw.get(_table(model), [])]
        assert all(isinstance(item, model) for item in items)
        return items


def _batch_get(keys: Mapping[type[Model], Sequence[tuple[str, ...]]]) -> _Found:
    """One consistent BatchGetItem over several tables, and again for what it left over."""
    found = _Found()
    request: dict[str, Any] = {
        _table(model): {
            "Keys": [_key(model, values) for values in dict.fromkeys(wanted)],
            "ConsistentRead": True,
        }
        for model, wanted in keys.items()
        if wanted
    }
    while request:
        answer = batch_get(request)
        found.add(answer["Responses"])
        request = answer.get("UnprocessedKeys") or {}
    return found


def _table(model: type[Model]) -> str:
    name: str = model.Meta.table_name
    return name


def _key(model: type[Model], values: tuple[str, ...]) -> dict[str, dict[str, str]]:
    attributes = model.get_attributes().values()
    names = [a.attr_name for a in attributes if a.is_hash_key or a.is_range_key]
    hash_first = sorted(names, key=lambda name: name != _hash_name(model))
    return {name: {"S": value} for name, value in zip(hash_first, values, strict=True)}


def _hash_name(model: type[Model]) -> str:
    return next(a.attr_name for a in model.get_attributes().values() if a.is_hash_key)


# Cursors --------------------------------------------------------------------------------------


def _encode_cursor(last: Mapping[str, Any], hash_key: str) -> str:
    """Opaque to callers; bound to its list, so that it cannot be used to look into another."""
    place = [hash_key, last["cr"]["S"], last["id"]["S"]]
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def _decode_cursor(cursor: str, hash_key: str, hash_name: str) -> dict[str, Any]:
    """The key to go on from, built anew from its three texts: a forged cursor can name a place in
    its own list, and nothing else.
    """
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except ValueError as error:
        raise InvalidInputError("cursor", "cursor is not one that a list answered") from error
    if not (isinstance(place, list) and len(place) == 3 and all(map(_is_key, place))):  # noqa: PLR2004
        raise InvalidInputError("cursor", "cursor is not one that a list answered")
    owner, created_at, task_id = place
    if owner != hash_key:
        raise InvalidInputError("cursor", "cursor belongs to another list")
    return {"id": {"S": task_id}, hash_name: {"S": owner}, "cr": {"S": created_at}}


def _is_key(value: object) -> bool:
    return isinstance(value, str) and value != ""
