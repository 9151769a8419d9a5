"""A poller on fakes: one repository, one specialist that wants new issues."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from nightdesk.domain.github_ports import Account, FeedEvent
from nightdesk.domain.specialist import EventTrigger, Specialist
from nightdesk.domain.trigger import parse_default_triggers
from nightdesk.services.poll_repositories import poll_repositories, poll_status
from nightdesk.services.polling.limits import SharedLimits
from nightdesk.services.polling.ports import PollerPorts, PollerSettings
from tests.fakes.clock import FakeClock, FakeDice
from tests.fakes.decisions import FakeDecisions, FakeTaskCounts
from tests.fakes.deferred_events import FakeDeferredEvents
from tests.fakes.gate_reader import FakeGateReader
from tests.fakes.github import AUTHOR, FakeEventSource, issue_event, issue_facts
from tests.fakes.github_state import FakePollStates
from tests.fakes.kill import KillSwitch
from tests.fakes.specialists import FakeSpecialists, specialist
from tests.fakes.task_store import FakeTaskStore
from tests.fakes.wake_ups import FakeWakeUps

ON_OPENED = '[{"event": "issues", "actions": ["opened"], "specialist": "enricher"}]'


@dataclass
class PollerWorld:
    """Everything that outlives a poll; `ports` makes what one poll works with."""

    source: FakeEventSource = field(default_factory=FakeEventSource)
    clock: FakeClock = field(default_factory=FakeClock)
    dice: FakeDice = field(default_factory=FakeDice)
    tasks: FakeTaskStore = field(default_factory=FakeTaskStore)
    states: FakePollStates = field(default_factory=FakePollStates)
    counts: FakeTaskCounts = field(default_factory=FakeTaskCounts)
    decisions: FakeDecisions = field(default_factory=FakeDecisions)
    deferred: FakeDeferredEvents = field(default_factory=FakeDeferredEvents)
    gate_reader: FakeGateReader = field(default_factory=FakeGateReader)
    wake_ups: FakeWakeUps = field(default_factory=FakeWakeUps)
    specialists: FakeSpecialists = field(default_factory=lambda: FakeSpecialists("enricher"))
    settings: PollerSettings = field(
        default_factory=lambda: PollerSettings(
            repos="octo-org/widgets",
            interval=timedelta(minutes=5),
            workspace_id="default",
            default_triggers=parse_default_triggers(ON_OPENED),
            at_once=1,
        )
    )

    def ports(self, switch: KillSwitch | None = None) -> PollerPorts:
        guard = switch or KillSwitch()
        return PollerPorts(
            tasks=guard.guard(self.tasks),
            states=guard.guard(self.states),
            source=guard.guard(self.source),
            limits=SharedLimits(self.clock),
            wake_ups=guard.guard(self.wake_ups),
            counts=guard.guard(self.counts),
            decisions=guard.guard(self.decisions),
            deferred=guard.guard(self.deferred),
            gate_reader=guard.guard(self.gate_reader),
            specialists=self.specialists,
            clock=self.clock,
            dice=self.dice,
            settings=self.settings,
        )

    def poll(self, switch: KillSwitch | None = None, **bounds: datetime) -> dict[str, Any]:
        deadline = bounds.get("deadline", self.clock.now() + timedelta(minutes=4))
        return poll_repositories(self.ports(switch), deadline=deadline)

    def poll_one(self, switch: KillSwitch | None = None) -> dict[str, Any]:
        """The result of the only repository."""
        result: dict[str, Any] = self.poll(switch)["results"][0]
        return result

    def status(self) -> dict[str, Any]:
        return poll_status(self.ports())

    def watch(self) -> None:
        """The first poll, of an empty feed, a moment ago."""
        self.poll()
        self.clock.advance(timedelta(minutes=5))

    def happens(
        self, number: int, *, event_id: str = "", action: str = "opened", actor: Account = AUTHOR
    ) -> FeedEvent:
        """Somebody opens (…) an issue now, and GitHub shows it at once."""
        self.source.issues.setdefault(number, issue_facts(number))
        event = issue_event(
            event_id or f"e{number}", number, self.clock.now(), action=action, actor=actor
        )
        self.source.events.append(event)
        return event

    def wants(self, name: str, trigger: EventTrigger, **changes: Any) -> Specialist:
        """A specialist with a trigger of its own."""
        added = replace(specialist(name), triggers=(trigger,), **changes)
        self.specialists.add(added)
        return added

    def agents(self) -> list[str]:
        return sorted(task.agent_id for task in self.tasks.tasks.values())
