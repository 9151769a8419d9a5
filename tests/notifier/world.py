"""A notifier on fakes: one task of workspace `team`, whoever wants to hear of it, and receivers."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from nightdesk.a2a.callback_bodies import a2a_body, json_body, predecessor_body
from nightdesk.domain.errors import ErrorCode
from nightdesk.domain.notices import NOTIFY, is_delivery
from nightdesk.domain.outbox import OutboxRow
from nightdesk.domain.ports import Progress, Release, WorkspaceSettings
from nightdesk.domain.push_configs import OF_WORKSPACE, PushConfig, PushFormat, workspace_owner
from nightdesk.domain.session import Entry, EntryKind
from nightdesk.domain.task import LEASE, Origin, Task, TaskError, TaskStatus
from nightdesk.services.notify import NotifierPorts, notify_row
from nightdesk.services.outbox_rows import Outcome
from tests.fakes.callbacks import FakeCallbackKey, FakeReceivers
from tests.fakes.clock import NOON, FakeClock, FakeDice
from tests.fakes.conversations import FakeConversations, FakePushConfigs
from tests.fakes.outbox_store import FakeOutboxStore
from tests.fakes.task_store import FakeTaskStore

TASK = "t-1"
TEAM = "team"
HOST = "hooks.example.com"
ANSWER = {"result": "Look at `src/cache.py`.", "artifacts": [{"name": "a", "data": "b"}]}
TIMEOUT = TaskError(ErrorCode.TASK_TIMEOUT, "Task timed out after 1000ms")


def config(config_id: str = "c-1", **fields: object) -> PushConfig:
    made = PushConfig(task_id=TASK, id=config_id, url=f"https://{HOST}/done", created_at=NOON)
    return replace(made, **fields)  # type: ignore[arg-type]


@dataclass
class NotifierWorld:
    """Everything that outlives a try."""

    clock: FakeClock = field(default_factory=FakeClock)
    tasks: FakeTaskStore = field(default_factory=FakeTaskStore)
    receivers: FakeReceivers = field(default_factory=FakeReceivers)
    key: FakeCallbackKey = field(default_factory=FakeCallbackKey)
    dice: FakeDice = field(default_factory=FakeDice)

    def __post_init__(self) -> None:
        self.outbox = FakeOutboxStore(self.tasks.rows)
        self.configs = FakePushConfigs()
        self.conversations = FakeConversations(self.tasks, self.configs)
        task = Task(
            id=TASK,
            workspace_id=TEAM,
            agent_id="developer",
            title="Where is the cache?",
            created_at=NOON,
            updated_at=NOON,
            has_callbacks=True,
        )
        self.tasks.create(task, Origin(task_id=TASK, prompt="The prompt.", created_at=NOON))

    @property
    def ports(self) -> NotifierPorts:
        return NotifierPorts(
            outbox=self.outbox,
            tasks=self.tasks,
            conversations=self.conversations,
            push_configs=self.configs,
            sender=self.receivers,
            key=self.key,
            writers={
                PushFormat.A2A: a2a_body,
                PushFormat.PLAIN: predecessor_body,
                PushFormat.JSON: json_body,
            },
            clock=self.clock,
            dice=self.dice,
        )

    # What happens ----------------------------------------------------------------------------

    def wants(self, wanted: PushConfig | None = None) -> PushConfig:
        made = wanted or config()
        self.configs.put(made)
        return made

    def workspace_wants(self, **fields: object) -> PushConfig:
        owner = workspace_owner(TEAM)
        made = config(OF_WORKSPACE, task_id=owner, format=PushFormat.JSON, **fields)
        self.tasks.settings[TEAM] = WorkspaceSettings(calls_back=True)
        return self.wants(made)

    def has_secret(self, version: int = 1, *, since: int | None = None) -> None:
        at = int(self.clock.now().timestamp()) if since is None else since
        self.tasks.settings[TEAM] = WorkspaceSettings(secret_version=version, secret_since=at)

    def claims(self) -> Task:
        task = self.tasks.tasks[TASK]
        slot = self.tasks.slots()[0]
        now = self.clock.now()
        return self.tasks.claim(
            task, slot, message_id="m", now=now, lease_until=now + LEASE, reserved_micros=0
        )

    def ends(self, status: TaskStatus = TaskStatus.COMPLETED) -> Task:
        """The session ends, with what ends go with."""
        held = self.claims()
        entry, error = None, None
        if status is TaskStatus.COMPLETED:
            entry = self._entry(held, EntryKind.OUTPUT, ANSWER)
        if status is TaskStatus.WAITING:
            asked = {"reason": "question", "text": "Which cache?"}
            entry = self._entry(held, EntryKind.WAIT, asked)
        if status is TaskStatus.FAILED:
            error = TIMEOUT
        release = Release(status=status, error=error, entry=entry, progress=Progress())
        return self.tasks.release(held, release, now=self.clock.now())

    def _entry(self, held: Task, kind: EntryKind, data: Mapping[str, Any]) -> Entry:
        return Entry(TASK, held.run, held.last_entry + 1, kind, self.clock.now(), data)

    # What the notifier does ------------------------------------------------------------------

    def notice(self) -> OutboxRow:
        (found,) = [r for r in self.outbox.of_task(TASK, NOTIFY) if not is_delivery(r.row)]
        return found

    def deliveries(self) -> list[OutboxRow]:
        return [r for r in self.outbox.of_task(TASK, NOTIFY) if is_delivery(r.row)]

    def tell(self) -> list[Outcome]:
        """What the stream's records cause: the notices first, then the deliveries."""
        for row in self.outbox.of_task(TASK, NOTIFY):
            if not is_delivery(row.row):
                notify_row(TASK, row.row, self.ports)
        return [notify_row(TASK, row.row, self.ports) for row in self.deliveries()]

    def tell_until_quiet(self) -> None:
        """What the sweeper does: drive what is due, until nothing is left to do."""
        for _ in range(40):
            self.clock.advance(timedelta(hours=8))
            due = self.outbox.due(now=self.clock.now(), limit=20)
            for row in due:
                notify_row(row.task_id, row.row, self.ports)
            if not due:
                return
