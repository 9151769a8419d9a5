"""A publisher on fakes: one finished task about issue 12, and the rows that it left."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from nightdesk.domain.outbox import OutboxRow
from nightdesk.domain.task import Origin, Target, Task, TaskStatus
from nightdesk.services.outbox_rows import Outcome
from nightdesk.services.publish_intents import publish_row
from nightdesk.services.publisher_ports import PublisherPorts
from tests.fakes.clock import FakeClock
from tests.fakes.github import FakePublishing
from tests.fakes.kill import KillSwitch
from tests.fakes.outbox_store import FakeOutboxStore
from tests.fakes.task_store import FakeTaskStore
from tests.fakes.tracked_comments import FakeTrackedComments

TASK = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
COMMENT_ROW = "github#0001#comment#1"
LABELS_ROW = "github#0001#labels#1"


@dataclass
class PublisherWorld:
    """Everything that outlives a try; `ports` makes what one try works with."""

    clock: FakeClock = field(default_factory=FakeClock)
    tasks: FakeTaskStore = field(default_factory=FakeTaskStore)
    outbox: FakeOutboxStore = field(default_factory=FakeOutboxStore)
    tracked: FakeTrackedComments = field(default_factory=FakeTrackedComments)
    github: FakePublishing = field(init=False)

    def __post_init__(self) -> None:
        self.github = FakePublishing(self.clock.now)
        now = self.clock.now()
        self.tasks.tasks[TASK] = Task(
            id=TASK,
            workspace_id="default",
            agent_id="issue-enricher",
            title="An issue",
            created_at=now,
            updated_at=now,
            status=TaskStatus.COMPLETED,
        )
        self.tasks.origins[TASK] = Origin(
            task_id=TASK,
            prompt="…",
            created_at=now,
            intents=(("comment", 1), ("labels", 1)),
            target=Target(repo="octo-org/widgets", repo_id=501, number=12, kind="issue"),
        )

    def ports(self, switch: KillSwitch | None = None) -> PublisherPorts:
        guard = switch or KillSwitch()
        return PublisherPorts(
            outbox=guard.guard(self.outbox),
            tasks=guard.guard(self.tasks),
            github=guard.guard(self.github),
            tracked=guard.guard(self.tracked),
            clock=self.clock,
        )

    def intends(
        self, payload: Mapping[str, Any] | None = None, *, row: str = COMMENT_ROW
    ) -> OutboxRow:
        """The row that the task's last transaction wrote."""
        content = {"body": "Look at **src/cache.py**."} if payload is None else payload
        made = OutboxRow(task_id=TASK, row=row, payload=content, created_at=self.clock.now())
        self.outbox.put(made)
        return made

    def origin(self, **changes: Any) -> None:
        self.tasks.origins[TASK] = replace(self.tasks.origins[TASK], **changes)

    def publish(self, row: str = COMMENT_ROW, switch: KillSwitch | None = None) -> Outcome:
        return publish_row(TASK, row, self.ports(switch))

    def publish_until_quiet(self) -> None:
        """What the sweeper does: drive what is due, until nothing is left to do."""
        for _ in range(40):
            self.clock.advance(timedelta(hours=2))
            due = self.outbox.due(now=self.clock.now(), limit=10)
            for row in due:
                publish_row(row.task_id, row.row, self.ports())
            if not due:
                return

    def row(self, name: str = COMMENT_ROW) -> OutboxRow:
        found = self.outbox.get(TASK, name)
        assert found is not None
        return found

    def comments(self) -> list[str]:
        return self.github.bodies(12)
