"""`TaskStore` in memory. It passes the same tests as the DynamoDB store (test_task_store.py).

One lock stands for DynamoDB's transactions: a method checks all its conditions and then applies
all its changes, or none.
"""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from threading import RLock

from nightdesk.domain.engine import (
    answered,
    claimed,
    due_at,
    is_in_line,
    released,
    settlement,
    stepped,
)
from nightdesk.domain.errors import (
    BudgetSpentError,
    CancelRequestedError,
    ConditionFailedError,
    GroupBusyError,
    InvalidInputError,
    LeaseLostError,
    NotClaimableError,
    StaleTaskError,
)
from nightdesk.domain.notices import notices
from nightdesk.domain.outbox import OutboxRow
from nightdesk.domain.ports import (
    BudgetCharge,
    Candidate,
    ClaimView,
    Mail,
    Page,
    Progress,
    Release,
    Slot,
    WorkspaceSettings,
)
from nightdesk.domain.session import Entry
from nightdesk.domain.task import (
    Hold,
    Origin,
    Priority,
    Task,
    TaskError,
    TaskStatus,
)
from nightdesk.domain.tracking import rows_of_claim, rows_of_release, rows_of_step


class FakeTaskStore:
    """`TaskStore`; `rows` holds the outbox rows that its transactions wrote."""

    def __init__(self, *, slot_count: int = 2) -> None:
        self._lock = RLock()
        self.tasks: dict[str, Task] = {}
        self.origins: dict[str, Origin] = {}
        self.journal: dict[tuple[str, int, int], Entry] = {}
        self.seen: set[str] = set()
        self.rows: dict[tuple[str, str], OutboxRow] = {}
        self.slot_rows = {number: Slot(number) for number in range(slot_count)}
        #: Group to its running task and fence.
        self.groups: dict[str, tuple[str, int]] = {}
        #: (workspace, day) to tasks and micro-dollars used.
        self.budgets: dict[tuple[str, str], tuple[int, int]] = {}
        self.deleted: set[str] = set()
        self.settings: dict[str, WorkspaceSettings] = {}
        self.mail_rows: dict[tuple[str, int, int], Mail] = {}
        self.waiting_for: dict[str, list[str]] = {}
        #: Called after a transaction has been checked and before it is applied; tests cut here.
        self.before_commit: Callable[[str], None] = lambda _name: None

    # Creating and reading --------------------------------------------------------------------

    def create(
        self,
        task: Task,
        origin: Origin,
        *,
        seen_keys: Sequence[str] = (),
        awaits: Sequence[Task] = (),
    ) -> bool:
        with self._lock:
            known = task.id in self.tasks or task.id in self.deleted
            if known or self.seen & set(seen_keys):
                return False
            current = [self.tasks.get(awaited.id) for awaited in awaits]
            if any(a is None or a.status.is_terminal for a in current):
                raise ConditionFailedError("a dependency has ended")
            self.before_commit("create")
            for awaited in awaits:
                self.tasks[awaited.id] = replace(self.tasks[awaited.id], has_dependants=True)
                self.waiting_for.setdefault(awaited.id, []).append(task.id)
            self.tasks[task.id] = task
            self.origins[task.id] = origin
            self.seen.update(seen_keys)
            return True

    def get(self, task_id: str) -> Task | None:
        return self.tasks.get(task_id)

    def get_origin(self, task_id: str) -> Origin | None:
        return self.origins.get(task_id)

    def list_page(
        self, workspace_id: str, *, status: TaskStatus | None, limit: int, cursor: str | None
    ) -> Page:
        shown = sorted(
            (
                task
                for task in self.tasks.values()
                if task.workspace_id == workspace_id and status in (None, task.status)
            ),
            key=lambda task: (task.created_at, task.id),
            reverse=True,
        )
        owner = f"{workspace_id}#{status}"
        start = _decode(cursor, owner) if cursor else 0
        page = shown[start : start + limit]
        more = start + limit < len(shown)
        return Page(tuple(page), _encode(owner, start + limit) if more else None)

    def entries(self, task_id: str, run: int, *, after: int = 0) -> list[Entry]:
        with self._lock:
            return [
                entry
                for key, entry in sorted(self.journal.items())
                if key[:2] == (task_id, run) and entry.seq > after
            ]

    def entry(self, task_id: str, run: int, seq: int) -> Entry | None:
        return self.journal.get((task_id, run, seq))

    # Claiming --------------------------------------------------------------------------------

    def runnable(self, *, limit: int) -> list[Candidate]:
        with self._lock:
            waiting = [task for task in self.tasks.values() if is_in_line(task)]
        waiting.sort(key=lambda task: (task.rank, task.workspace_id, task.id))
        return [Candidate(task.id, task.workspace_id) for task in waiting[:limit]]

    def count_ahead(self, task: Task, *, most: int) -> int:
        with self._lock:
            ahead = [t for t in self.tasks.values() if is_in_line(t) and t.rank < task.rank]
        return min(most, len(ahead))

    def group_holder(self, group: str) -> str | None:
        holder = self.groups.get(group)
        return holder[0] if holder else None

    def group_waiting(self, group: str, *, limit: int) -> list[Task]:
        with self._lock:
            pending = [
                t
                for t in self.tasks.values()
                if t.group == group and t.status in (TaskStatus.PENDING, TaskStatus.WAITING)
            ]
        return sorted(pending, key=lambda t: t.rank)[:limit]

    def view_for_claim(
        self, task_ids: Sequence[str], *, workspace_ids: Sequence[str] = ()
    ) -> ClaimView:
        assert all(task_ids), "DynamoDB refuses an empty key"
        with self._lock:
            return ClaimView(
                tasks={i: self.tasks[i] for i in task_ids if i in self.tasks},
                origins={i: self.origins[i] for i in task_ids if i in self.origins},
                slots=self.slots(),
                settings={w: s for w, s in self.settings.items() if w in {*workspace_ids, "*"}},
            )

    def slots(self) -> tuple[Slot, ...]:
        return tuple(self.slot_rows.values())

    def claim(
        self,
        task: Task,
        slot: Slot,
        *,
        message_id: str,
        now: datetime,
        lease_until: datetime,
        reserved_micros: int,
        charge: BudgetCharge | None = None,
        calls_back: bool = False,
    ) -> Task:
        new = claimed(
            task,
            slot,
            now=now,
            lease_until=lease_until,
            reserved=reserved_micros,
            charge=charge,
            calls_back=calls_back,
        )
        with self._lock:
            held = self.slot_rows[slot.number]
            if task.status is TaskStatus.PENDING:
                slot_ok = held.task_id is None
            else:
                slot_ok = (held.task_id, held.fence) == (task.id, task.fence)
            if not (slot_ok and self._as_read(task)):
                raise NotClaimableError(task.id, "the task or its slot has changed")
            holder = self.groups.get(task.group) if task.group else None
            if holder is not None and holder != (task.id, task.fence):
                raise GroupBusyError(task.id, holder[0])
            if charge is not None:
                self._demand_budget(task, charge)
            self.before_commit("claim")
            if charge is not None:
                tasks, micros = self.budgets.get((task.workspace_id, charge.day), (0, 0))
                used = (tasks + charge.tasks, micros + charge.micros)
                self.budgets[(task.workspace_id, charge.day)] = used
            if task.group:
                self.groups[task.group] = (task.id, new.fence)
            self._apply(task, new)
            self.slot_rows[slot.number] = Slot(slot.number, task.id, new.fence, message_id)
            self._put_rows(rows_of_claim(new))
            return new

    def step(self, task: Task, entry: Entry, progress: Progress, *, lease_until: datetime) -> Task:
        with self._lock:
            self._check_ours(task, cancellable=True)
            self._check_news(task, leaving=False)
            if self._is_written(entry):
                raise LeaseLostError(task.id)
            self.before_commit("step")
            new = stepped(task, entry, progress, lease_until=lease_until)
            self._apply(task, new)
            self._append(entry)
            self._put_rows(rows_of_step(task, entry, progress))
            return new

    def heartbeat(self, task: Task, *, lease_until: datetime) -> bool:
        with self._lock:
            self._check_ours(task, cancellable=False)
            self.tasks[task.id] = replace(self.tasks[task.id], lease_until=lease_until)
            return self.tasks[task.id].cancel_requested

    def release(self, task: Task, release: Release, *, now: datetime) -> Task:
        with self._lock:
            self._check_ours(task, cancellable=release.status is not TaskStatus.CANCELLED)
            self._check_news(task, leaving=True)
            written = release.entry is not None and self._is_written(release.entry)
            if written or not self._holds_its_permits(task):
                raise LeaseLostError(task.id)
            self.before_commit("release")
            return self._leave_running(task, release, now, known=True)

    # Without a session -----------------------------------------------------------------------

    def end_unclaimed(
        self,
        task: Task,
        status: TaskStatus,
        error: TaskError | None,
        *,
        now: datetime,
        rows: tuple[OutboxRow, ...] = (),
        superseded_by: str | None = None,
    ) -> Task:
        release = Release(status=status, error=error, rows=rows, superseded_by=superseded_by)
        return self._leave_as_read(task, release, now)

    def end_expired(self, task: Task, release: Release, *, now: datetime) -> Task:
        return self._leave_as_read(task, release, now)

    def request_cancel(
        self, task: Task, *, now: datetime, superseded_by: str | None = None
    ) -> Task:
        with self._lock:
            current = self.tasks.get(task.id)
            if not current or current.status is not TaskStatus.RUNNING or current.run != task.run:
                raise ConditionFailedError(task.id)
            by = superseded_by or current.superseded_by
            asked = replace(current, cancel_requested=True, updated_at=now, superseded_by=by)
            self.tasks[task.id] = asked
            return asked

    def hold(self, task: Task, reason: Hold, *, until: datetime) -> None:
        with self._lock:
            if self._as_read(task):
                self._apply(task, replace(task, held=reason, run_after=until))

    def make_runnable(self, task: Task, *, now: datetime) -> None:
        with self._lock:
            if self._as_read(task) and self.tasks[task.id].run_after == task.run_after:
                self._apply(task, replace(task, run_after=None, held=None, queued_at=now))

    def edit(
        self,
        task: Task,
        *,
        title: str | None,
        agent_id: str | None,
        priority: Priority | None,
        now: datetime,
        origin: Origin | None = None,
    ) -> Task:
        with self._lock:
            self._demand_as_read(task)
            new = replace(
                task,
                title=task.title if title is None else title,
                agent_id=task.agent_id if agent_id is None else agent_id,
                priority=task.priority if priority is None else priority,
                updated_at=now,
            )
            self._apply(task, new)
            if origin is not None:
                self.origins[task.id] = origin
            return new

    def start_new_run(self, task: Task, *, now: datetime, awaits: bool = False) -> Task:
        with self._lock:
            self._demand_as_read(task)
            new = task.new_run(now, awaits=awaits)
            self._apply(task, new)
            return new

    def delete(self, task: Task) -> None:
        with self._lock:
            self._demand_as_read(task)
            del self.tasks[task.id]
            self.deleted.add(task.id)

    def free_slot(self, slot: Slot) -> None:
        with self._lock:
            held = self.slot_rows[slot.number]
            if (held.task_id, held.fence) == (slot.task_id, slot.fence):
                self.slot_rows[slot.number] = Slot(slot.number)

    def free_group(self, group: str, holder: str) -> None:
        with self._lock:
            if self.groups.get(group, ("", 0))[0] == holder:
                del self.groups[group]

    def want_callbacks(self, task_id: str) -> Task | None:
        with self._lock:
            if task_id not in self.tasks:
                return None
            self.tasks[task_id] = replace(self.tasks[task_id], has_callbacks=True)
            return self.tasks[task_id]

    def set_publication(self, task_id: str, publication: str) -> None:
        with self._lock:
            if task_id in self.tasks:
                self.tasks[task_id] = replace(self.tasks[task_id], publication=publication)

    # Messages, dependants, workspaces --------------------------------------------------------

    def send_mail(self, task: Task, *, kind: str, text: str, by: str, now: datetime) -> Task:
        with self._lock:
            current = self.tasks.get(task.id)
            if task.status is TaskStatus.RUNNING:
                unchanged = current is not None and (
                    (current.status, current.run, current.inbox)
                    == (task.status, task.run, task.inbox)
                )
            else:
                unchanged = self._as_read(task)
            if not unchanged:
                raise ConditionFailedError("it has changed since it was read")
            new = answered(task, now=now)
            self._apply(task, new)
            self.mail_rows[(task.id, task.run, new.inbox)] = Mail(new.inbox, kind, text, by, now)
            return new

    def mail(self, task: Task) -> list[Mail]:
        with self._lock:
            return [
                mail
                for key, mail in sorted(self.mail_rows.items())
                if key[:2] == (task.id, task.run) and mail.number > task.inbox_read
            ]

    def dependants(self, task_id: str) -> list[str]:
        return list(self.waiting_for.get(task_id, []))

    def dependants_settled(self, task: Task) -> None:
        with self._lock:
            if self._as_read(task):
                self._apply(task, replace(task, has_dependants=False))

    def workspace_settings(self, workspace_id: str) -> WorkspaceSettings:
        return self.settings.get(workspace_id, WorkspaceSettings())

    def set_workspace_settings(self, workspace_id: str, settings: WorkspaceSettings) -> None:
        self.settings[workspace_id] = settings

    # Sweeping --------------------------------------------------------------------------------

    def running(self) -> list[Task]:
        with self._lock:
            return [t for t in self.tasks.values() if t.status is TaskStatus.RUNNING]

    def due(self, *, now: datetime, limit: int) -> list[Task]:
        with self._lock:
            times = [(due_at(task), task) for task in self.tasks.values()]
        return [task for at, task in times if at is not None and at <= now][:limit]

    # The conditions --------------------------------------------------------------------------

    def _as_read(self, task: Task) -> bool:
        current = self.tasks.get(task.id)
        if current is None:
            return False
        same = [
            (
                t.status,
                t.run,
                t.cancel_requested,
                t.fence,
                t.lease_until,
                t.inbox,
                t.has_dependants,
                t.has_callbacks,
            )
            for t in (current, task)
        ]
        return same[0] == same[1] and (
            task.status is not TaskStatus.PENDING or current.updated_at == task.updated_at
        )

    def _demand_as_read(self, task: Task) -> None:
        if not self._as_read(task):
            raise ConditionFailedError("it has changed since it was read")

    def _check_ours(self, task: Task, *, cancellable: bool) -> None:
        current = self.tasks.get(task.id)
        if (
            current is None
            or current.status is not TaskStatus.RUNNING
            or current.fence != task.fence
        ):
            raise LeaseLostError(task.id)
        if cancellable and current.cancel_requested:
            raise CancelRequestedError(task.id)

    def _check_news(self, task: Task, *, leaving: bool) -> None:
        current = self.tasks[task.id]
        news = leaving and (
            (current.has_dependants, current.has_callbacks)
            != (task.has_dependants, task.has_callbacks)
        )
        if news or current.inbox != task.inbox:
            raise StaleTaskError(
                inbox=current.inbox,
                has_dependants=current.has_dependants,
                has_callbacks=current.has_callbacks,
            )

    def _demand_budget(self, task: Task, charge: BudgetCharge) -> None:
        tasks, micros = self.budgets.get((task.workspace_id, charge.day), (0, 0))
        too_many = charge.most_tasks is not None and tasks + charge.tasks > charge.most_tasks
        too_dear = charge.most_micros is not None and micros + charge.micros > charge.most_micros
        if (task.workspace_id, charge.day) in self.budgets and (too_many or too_dear):
            raise BudgetSpentError(task.id)

    def _holds_its_permits(self, task: Task) -> bool:
        """Its slot and its group; only a row changed by hand can take them away."""
        if task.slot is None:
            return True
        held = self.slot_rows[task.slot]
        mine = (task.id, task.fence)
        return (held.task_id, held.fence) == mine and (
            task.group is None or self.groups.get(task.group) == mine
        )

    def _is_written(self, entry: Entry) -> bool:
        return (entry.task_id, entry.run, entry.seq) in self.journal

    # The changes -----------------------------------------------------------------------------

    def _apply(self, old: Task, new: Task) -> None:
        """Write what differs, as DynamoDB would: fields that others own keep their value."""
        current = self.tasks[old.id]
        differing = {
            name: getattr(new, name)
            for name in Task.__dataclass_fields__
            if getattr(new, name) != getattr(old, name)
        }
        self.tasks[old.id] = replace(current, **differing)

    def _append(self, entry: Entry) -> None:
        self.journal[(entry.task_id, entry.run, entry.seq)] = entry

    def _leave_as_read(self, task: Task, release: Release, now: datetime) -> Task:
        with self._lock:
            self._demand_as_read(task)
            if not self._holds_its_permits(task):
                raise ConditionFailedError("its slot is not its own")
            self.before_commit("end")
            return self._leave_running(task, release, now, known=False)

    def _leave_running(self, task: Task, release: Release, now: datetime, *, known: bool) -> Task:
        new = released(task, release, now=now)
        self._apply(task, new)
        if task.slot is not None:
            self.slot_rows[task.slot] = Slot(task.slot)
            if task.group:
                assert self.groups.get(task.group) == (task.id, task.fence), "a group lost its task"
                del self.groups[task.group]
        if task.charged_day is not None:
            tasks, micros = self.budgets[(task.workspace_id, task.charged_day)]
            settled = (tasks, micros + settlement(task, release))
            self.budgets[(task.workspace_id, task.charged_day)] = settled
        if release.entry is not None:
            self._append(release.entry)
        self._put_rows((*release.rows, *rows_of_release(task, new, release)))
        self._put_rows(notices(new, known=known))
        return new

    def _put_rows(self, rows: Sequence[OutboxRow]) -> None:
        for row in rows:
            self.rows[(row.task_id, row.row)] = replace(row, due_at=row.due_at or row.created_at)


def _encode(owner: str, start: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([owner, start]).encode()).decode()


def _decode(cursor: str, owner: str) -> int:
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except ValueError as error:
        raise InvalidInputError("cursor", "cursor is not one that a list answered") from error
    match place:
        case [str() as found, int() as start] if found == owner:
            return start
    raise InvalidInputError("cursor", "cursor belongs to another list")
