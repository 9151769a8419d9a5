"""Tasks, origins and entries for the engine's tests."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from nightdesk.domain.ports import Slot, TaskStore
from nightdesk.domain.session import Entry, EntryKind
from nightdesk.domain.task import LEASE, Origin, Task
from tests.fakes.clock import NOON


def a_task(task_id: str = "t-1", *, at: datetime = NOON, **fields: Any) -> Task:
    base = Task(
        id=task_id,
        workspace_id="default",
        agent_id="issue-enricher",
        title="An example",
        created_at=at,
        updated_at=at,
        queued_at=at,
    )
    return replace(base, **fields)


def an_origin(task_id: str = "t-1", **fields: Any) -> Origin:
    return replace(Origin(task_id=task_id, prompt="Find it.", created_at=NOON), **fields)


def add(store: TaskStore, task_id: str = "t-1", **fields: Any) -> Task:
    task = a_task(task_id, **fields)
    assert store.create(task, an_origin(task_id))
    return task


def claim(
    store: TaskStore,
    task_id: str = "t-1",
    *,
    now: datetime = NOON,
    slot: int = 0,
    message_id: str = "m-1",
    lease: timedelta = LEASE,
) -> Task:
    """Claim the task as it is now, into the slot as it is now."""
    task = store.get(task_id)
    assert task is not None
    held: Slot = store.slots()[slot]
    return store.claim(
        task,
        held,
        message_id=message_id,
        now=now,
        lease_until=now + lease,
        reserved_micros=0,
    )


def an_entry(
    task_id: str = "t-1",
    seq: int = 1,
    *,
    run: int = 1,
    at: datetime = NOON,
    kind: EntryKind = EntryKind.NOTE,
    data: dict[str, Any] | None = None,
) -> Entry:
    return Entry(task_id, run, seq, kind, at, data or {"text": f"entry {seq}", "by": "test"})
