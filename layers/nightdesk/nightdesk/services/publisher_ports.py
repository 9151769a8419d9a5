"""What the publisher needs."""

from dataclasses import dataclass

from nightdesk.domain.ports import Clock, OutboxStore, TaskStore
from nightdesk.domain.publishing_ports import Publishing
from nightdesk.domain.tracked_comment import TrackedComments


@dataclass(frozen=True, slots=True, kw_only=True)
class PublisherPorts:
    outbox: OutboxStore
    tasks: TaskStore
    github: Publishing
    tracked: TrackedComments
    clock: Clock
