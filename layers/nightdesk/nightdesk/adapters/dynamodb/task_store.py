"""The engine's writes in DynamoDB (design, section 4): every state change is one conditional write,
and what belongs together is one transaction.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from nightdesk.adapters.dynamodb.conditions import (
    as_read,
    is_task_row,
    no_new_callback,
    no_new_dependant,
    no_new_message,
    not_cancelled,
    ours,
    permit_free,
    permit_held,
    still,
)
from nightdesk.adapters.dynamodb.tables import (
    BudgetItem,
    GithubItem,
    SessionLogItem,
    SlotItem,
    TaskItem,
    WorkspaceItem,
)
from nightdesk.adapters.dynamodb.task_items import (
    changes,
    entry_item,
    item_of,
    mail_item,
    origin_item,
    outbox_item,
    task_of,
)
from nightdesk.adapters.dynamodb.task_reads import (
    DEPENDANT,
    SETTINGS,
    TaskReads,
    group_id,
    slot_id,
)
from nightdesk.adapters.dynamodb.transactions import (
    ConditionFailed,
    patiently,
    transact,
)
from nightdesk.domain.engine import answered, claimed, released, settlement, stepped
from nightdesk.domain.errors import (
    BudgetSpentError,
    CancelRequestedError,
    ConditionFailedError,
    GroupBusyError,
    LeaseLostError,
    NotClaimableError,
    StaleTaskError,
)
from nightdesk.domain.notices import notices
from nightdesk.domain.outbox import OutboxRow
from nightdesk.domain.ports import (
    BudgetCharge,
    Mail,
    Progress,
    Release,
    Slot,
    WorkspaceSettings,
)
from nightdesk.domain.session import Entry
from nightdesk.domain.task import Hold, Origin, Priority, Task, TaskError, TaskStatus
from nightdesk.domain.tracking import rows_of_claim, rows_of_release, rows_of_step

#: A seen event stays known for longer than GitHub's feed can show it (30 days).
SEEN_FOR = timedelta(days=60)
#: A day's budget row is of no use once the day's tasks have ended.
BUDGET_KEPT_FOR = timedelta(days=40)

Fill = Callable[[TransactWrite], None]


class DynamoTaskStore(TaskReads):
    """`TaskStore` on DynamoDB."""

    def __init__(self, *, slot_count: int, retention: timedelta) -> None:
        super().__init__(slot_count=slot_count)
        self._retention = retention

    def create(
        self,
        task: Task,
        origin: Origin,
        *,
        seen_keys: Sequence[str] = (),
        awaits: Sequence[Task] = (),
    ) -> bool:
        def fill(transaction: TransactWrite) -> None:
            # The origin is put unconditionally: with the task gone (deleted by a person), what is
            # left of an older origin under the same id must not block the new one.
            item = item_of(task, retention=self._retention)
            transaction.save(item, condition=TaskItem.id.does_not_exist())
            transaction.save(origin_item(origin, retention=self._retention))
            for seen_key in seen_keys:
                expires = int((task.created_at + SEEN_FOR).timestamp())
                seen = GithubItem(f"seen#{seen_key}", "-", expires=expires)
                transaction.save(seen, condition=GithubItem.pk.does_not_exist())
            for awaited in awaits:
                self._await(transaction, awaited, task)

        try:
            transact(fill)
        except ConditionFailed as error:
            if awaits and self.get(task.id) is None:
                raise ConditionFailedError("a dependency has ended") from error
            return False
        return True

    # Claiming --------------------------------------------------------------------------------

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

        def fill(transaction: TransactWrite) -> None:
            self._update(transaction, task, new, as_read(task))
            permits = [slot_id(slot.number), *([group_id(task.group)] if task.group else [])]
            for permit in permits:
                transaction.update(
                    SlotItem(permit),
                    actions=_taken(new, message_id),
                    condition=permit_free(task),
                    return_values="ALL_OLD",
                )
            if charge is not None:
                self._charge(transaction, task, charge, now)
            self._put_rows(transaction, rows_of_claim(new))

        try:
            transact(fill)
        except ConditionFailed as error:
            raise _why_not_claimable(task, error.items) from error
        return new

    def hold(self, task: Task, reason: Hold, *, until: datetime) -> None:
        held = replace(task, held=reason, run_after=until)
        self._quietly(task, held, as_read(task))

    def make_runnable(self, task: Task, *, now: datetime) -> None:
        free = replace(task, run_after=None, held=None, queued_at=now)
        self._quietly(task, free, as_read(task) & still(TaskItem.run_after, task.run_after))

    # Of the holder ---------------------------------------------------------------------------

    def step(self, task: Task, entry: Entry, progress: Progress, *, lease_until: datetime) -> Task:
        new = stepped(task, entry, progress, lease_until=lease_until)
        mine = ours(task) & not_cancelled() & no_new_message(task)

        def fill(transaction: TransactWrite) -> None:
            self._update(transaction, task, new, mine)
            self._append(transaction, entry, task.fence)
            self._put_rows(transaction, rows_of_step(task, entry, progress))

        self._commit_ours(task, fill, yields_to_cancel=True)
        return new

    def heartbeat(self, task: Task, *, lease_until: datetime) -> bool:
        item = TaskItem(task.id)
        actions: list[Action] = [TaskItem.lease_until.set(lease_until)]
        try:
            patiently(lambda: item.update(actions=actions, condition=ours(task)))
        except ConditionFailed as error:
            raise LeaseLostError(task.id) from error
        return bool(item.cancel_requested)

    def release(self, task: Task, release: Release, *, now: datetime) -> Task:
        new = released(task, release, now=now)
        mine = ours(task) & no_new_message(task) & no_new_dependant(task) & no_new_callback(task)
        yields = release.status is not TaskStatus.CANCELLED
        if yields:
            mine &= not_cancelled()

        def fill(transaction: TransactWrite) -> None:
            self._leave(transaction, task, new, release, mine)
            self._put_rows(transaction, notices(new, known=True))

        self._commit_ours(task, fill, yields_to_cancel=yields)
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
        superseded_by: str | None = None,
    ) -> Task:
        release = Release(status=status, error=error, rows=rows, superseded_by=superseded_by)
        return self._end_as_read(task, release, now)

    def end_expired(self, task: Task, release: Release, *, now: datetime) -> Task:
        return self._end_as_read(task, release, now)

    def request_cancel(
        self, task: Task, *, now: datetime, superseded_by: str | None = None
    ) -> Task:
        running = (TaskItem.status == TaskStatus.RUNNING.value) & (TaskItem.run == task.run)
        actions: list[Action] = [
            TaskItem.cancel_requested.set(True),
            TaskItem.updated_at.set(now),
        ]
        if superseded_by is not None:
            actions.append(TaskItem.superseded_by.set(superseded_by))
        item = TaskItem(task.id)
        self._update_as_read(item, actions, running)
        return task_of(item)

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
        new = replace(
            task,
            title=task.title if title is None else title,
            agent_id=task.agent_id if agent_id is None else agent_id,
            priority=task.priority if priority is None else priority,
            updated_at=now,
        )

        def fill(transaction: TransactWrite) -> None:
            self._update(transaction, task, new, as_read(task))
            if origin is not None:
                transaction.save(origin_item(origin, retention=self._retention))

        self._commit_as_read(fill)
        return new

    def start_new_run(self, task: Task, *, now: datetime, awaits: bool = False) -> Task:
        new = task.new_run(now, awaits=awaits)
        actions = changes(task, new, retention=self._retention)
        self._update_as_read(TaskItem(task.id), actions, as_read(task))
        return new

    def delete(self, task: Task) -> None:
        # A tombstone, and not nothing: were the id free again, a new task under it (the same
        # Idempotency-Key) would find the old one's journal, and the old one's zombie the new task.
        expires = task.updated_at + 3 * self._retention
        tombstone = TaskItem(task.id, deleted=True, expires=int(expires.timestamp()))
        try:
            patiently(lambda: tombstone.save(condition=as_read(task)))
        except ConditionFailed as error:
            raise ConditionFailedError(task.id) from error

    def free_slot(self, slot: Slot) -> None:
        item = SlotItem(slot_id(slot.number))
        unchanged = (SlotItem.task_id == slot.task_id) & (SlotItem.fence == slot.fence)
        try:
            patiently(lambda: item.update(actions=_freed(), condition=unchanged))
        except ConditionFailed:
            return  # released or claimed anew meanwhile

    def free_group(self, group: str, holder: str) -> None:
        item = SlotItem(group_id(group))
        unchanged = SlotItem.task_id == holder
        try:
            patiently(lambda: item.update(actions=_freed(), condition=unchanged))
        except ConditionFailed:
            return  # released or claimed anew meanwhile

    def set_publication(self, task_id: str, publication: str) -> None:
        item = TaskItem(task_id)
        actions: list[Action] = [TaskItem.publication.set(publication)]
        try:
            patiently(lambda: item.update(actions=actions, condition=TaskItem.status.exists()))
        except ConditionFailed:
            return  # deleted by a person meanwhile; what was published stays published

    def want_callbacks(self, task_id: str) -> Task | None:
        item = TaskItem(task_id)
        actions: list[Action] = [TaskItem.has_callbacks.set(True)]
        try:
            patiently(lambda: item.update(actions=actions, condition=TaskItem.status.exists()))
        except ConditionFailed:
            return None  # deleted by a person meanwhile
        return task_of(item)

    # Messages, dependants, workspaces --------------------------------------------------------

    def send_mail(self, task: Task, *, kind: str, text: str, by: str, now: datetime) -> Task:
        new = answered(task, now=now)
        # A running task's lease and journal move all the time; only its run and its inbox count.
        unchanged = as_read(task)
        if task.status is TaskStatus.RUNNING:
            unchanged = (TaskItem.status == task.status.value) & no_new_message(task)
            unchanged &= still(TaskItem.run, task.run)

        def fill(transaction: TransactWrite) -> None:
            self._update(transaction, task, new, unchanged)
            mail = Mail(new.inbox, kind, text, by, now)
            transaction.save(
                mail_item(task, mail, retention=self._retention),
                condition=SessionLogItem.entry.does_not_exist(),
            )

        self._commit_as_read(fill)
        return new

    def dependants_settled(self, task: Task) -> None:
        self._quietly(task, replace(task, has_dependants=False), as_read(task))

    def set_workspace_settings(self, workspace_id: str, settings: WorkspaceSettings) -> None:
        item = WorkspaceItem(workspace_id, SETTINGS, document=asdict(settings))
        patiently(item.save)

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

    def _await(self, transaction: TransactWrite, awaited: Task, dependant: Task) -> None:
        """Mark the awaited task, so that whoever ends it looks after the dependant."""
        unfinished = TaskItem.status.is_in(
            TaskStatus.PENDING.value, TaskStatus.RUNNING.value, TaskStatus.WAITING.value
        )
        actions: list[Action] = [TaskItem.has_dependants.set(True)]
        transaction.update(TaskItem(awaited.id), actions=actions, condition=unfinished)
        transaction.save(
            SessionLogItem(
                awaited.id,
                f"{DEPENDANT}{dependant.id}",
                kind="dependant",
                at=dependant.created_at,
                document={},
                expires=int((dependant.created_at + 3 * self._retention).timestamp()),
            )
        )

    def _charge(
        self, transaction: TransactWrite, task: Task, charge: BudgetCharge, now: datetime
    ) -> None:
        """Count the claim in its workspace's day, if that allows it."""
        condition: Condition | None = None
        if charge.most_tasks is not None:
            room = charge.most_tasks - charge.tasks
            condition = BudgetItem.tasks.does_not_exist() | (BudgetItem.tasks <= room)
        if charge.most_micros is not None:
            room = charge.most_micros - charge.micros
            within = BudgetItem.micros.does_not_exist() | (BudgetItem.micros <= room)
            condition = within if condition is None else condition & within
        transaction.update(
            BudgetItem(_budget_id(task.workspace_id, charge.day)),
            actions=[
                BudgetItem.tasks.add(charge.tasks),
                BudgetItem.micros.add(charge.micros),
                BudgetItem.expires.set(int((now + BUDGET_KEPT_FOR).timestamp())),
            ],
            condition=condition,
            return_values="ALL_OLD",
        )

    def _leave(
        self,
        transaction: TransactWrite,
        old: Task,
        new: Task,
        release: Release,
        condition: Condition,
    ) -> None:
        """One transaction: the task, its slot and group, its last journal entry, the budget, and
        what is to be told.
        """
        self._update(transaction, old, new, condition)
        if old.slot is not None:
            permits = [slot_id(old.slot), *([group_id(old.group)] if old.group else [])]
            for permit in permits:
                held = permit_held(old)
                transaction.update(SlotItem(permit), actions=_freed(), condition=held)
        if old.charged_day is not None:
            budget = BudgetItem(_budget_id(old.workspace_id, old.charged_day))
            transaction.update(budget, actions=[BudgetItem.micros.add(settlement(old, release))])
        if release.entry is not None:
            self._append(transaction, release.entry, old.fence)
        self._put_rows(transaction, (*release.rows, *rows_of_release(old, new, release)))

    def _put_rows(self, transaction: TransactWrite, rows: Sequence[OutboxRow]) -> None:
        for row in rows:
            transaction.save(outbox_item(row, retention=self._retention))

    # Committing ------------------------------------------------------------------------------

    def _commit_ours(self, task: Task, fill: Fill, *, yields_to_cancel: bool) -> None:
        try:
            transact(fill)
        except ConditionFailed as error:
            raise _why_not_ours(task, error.items, yields_to_cancel=yields_to_cancel) from error

    def _commit_as_read(self, fill: Fill) -> None:
        try:
            transact(fill)
        except ConditionFailed as error:
            raise ConditionFailedError("it has changed since it was read") from error

    def _end_as_read(self, task: Task, release: Release, now: datetime) -> Task:
        new = released(task, release, now=now)

        def fill(transaction: TransactWrite) -> None:
            self._leave(transaction, task, new, release, as_read(task))
            self._put_rows(transaction, notices(new, known=False))

        self._commit_as_read(fill)
        return new

    def _update_as_read(self, item: TaskItem, actions: list[Action], condition: Condition) -> None:
        try:
            patiently(lambda: item.update(actions=actions, condition=condition))
        except ConditionFailed as error:
            raise ConditionFailedError("it has changed since it was read") from error

    def _quietly(self, old: Task, new: Task, condition: Condition) -> None:
        """Make the change, unless somebody else has changed the task meanwhile."""
        actions = changes(old, new, retention=self._retention)
        if not actions:
            return
        try:
            self._update_as_read(TaskItem(old.id), actions, condition)
        except ConditionFailedError:
            return


def _taken(task: Task, message_id: str) -> list[Action]:
    return [
        SlotItem.task_id.set(task.id),
        SlotItem.fence.set(task.fence),
        SlotItem.message_id.set(message_id),
    ]


def _freed() -> list[Action]:
    return [SlotItem.task_id.remove(), SlotItem.fence.remove(), SlotItem.message_id.remove()]


def _budget_id(workspace_id: str, day: str) -> str:
    return f"budget#{workspace_id}#{day}"


def _why_not_claimable(task: Task, failed: tuple[Mapping[str, Any], ...]) -> NotClaimableError:
    """What stood in the way of a claim, as far as the failed items tell."""
    ids = {str(raw["id"]["S"]): raw for raw in failed if "id" in raw}
    if any(name == task.id or name.startswith("slot#") for name in ids):
        return NotClaimableError(task.id, "the task or its slot has changed")
    for name, raw in ids.items():
        if name.startswith("group#"):
            return GroupBusyError(task.id, str(raw.get("taskId", {}).get("S", "")))
        if name.startswith("budget#"):
            return BudgetSpentError(task.id)
    return NotClaimableError(task.id, "the task or its slot has changed")


def _why_not_ours(
    task: Task, failed: tuple[Mapping[str, Any], ...], *, yields_to_cancel: bool
) -> CancelRequestedError | StaleTaskError | LeaseLostError:
    """Why a write of the holder was refused: only a lost lease is the end of its holding."""
    for raw in failed:
        if not is_task_row(raw, task):
            continue
        item = TaskItem.from_raw_data(dict(raw))
        assert isinstance(item, TaskItem)
        now = task_of(item)
        if now.status is not TaskStatus.RUNNING or now.fence != task.fence:
            break
        if now.cancel_requested and yields_to_cancel:
            return CancelRequestedError(task.id)
        news = (now.inbox, now.has_dependants, now.has_callbacks)
        if news != (task.inbox, task.has_dependants, task.has_callbacks):
            return StaleTaskError(inbox=news[0], has_dependants=news[1], has_callbacks=news[2])
    return LeaseLostError(task.id)
