"""Keep the events of one repository and show them as late and as disordered as GitHub does.

Since October 2025 the feed carries trimmed payloads; they are built in `event_payloads`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from local.github_simulator.records import User

LONGEST_FEED = 300
OLDEST_EVENT = timedelta(days=30)
#: Event ids of late 2025 are of this size; GitHub's number space was changed before.
FIRST_ID = 4_712_145_307


@dataclass(kw_only=True)
class Event:
    """One event. It is in the feed from `visible_at` on; None holds it back until released."""

    id: int
    type: str
    actor: User
    payload: dict[str, Any]
    created_at: datetime
    visible_at: datetime | None
    rank: int


@dataclass(kw_only=True)
class Irregularity:
    """What to do to the next events of a feed.

    `hold` keeps them back until released, `drop` for ever, `ids="backwards"` gives each an id
    below all earlier ones. `count` is how many events it still applies to.
    """

    count: int = 1
    delay: timedelta = timedelta(0)
    hold: bool = False
    drop: bool = False
    ids: Literal["forwards", "backwards"] = "forwards"


@dataclass
class EventFeed:
    """The events of one repository."""

    events: list[Event] = field(default_factory=list)
    irregularities: list[Irregularity] = field(default_factory=list)

    def add(
        self, kind: str, *, actor: User, payload: dict[str, Any], now: datetime
    ) -> Event | None:
        """Record what happened; None when an irregularity swallows it."""
        rule = self._next_rule()
        if rule.drop:
            return None
        event = Event(
            id=self._next_id(rule.ids),
            type=kind,
            actor=actor,
            payload=payload,
            created_at=now,
            visible_at=None if rule.hold else now + rule.delay,
            rank=len(self.events),
        )
        self.events.append(event)
        return event

    def _next_rule(self) -> Irregularity:
        while self.irregularities:
            rule = self.irregularities[0]
            if rule.count > 0:
                rule.count -= 1
                return rule
            self.irregularities.pop(0)
        return Irregularity()

    def _next_id(self, direction: str) -> int:
        ids = [event.id for event in self.events]
        if not ids:
            return FIRST_ID
        # Steps above 1, as on GitHub, where all repositories share the numbers.
        return min(ids) - 21 if direction == "backwards" else max(ids) + 26

    def visible(self, now: datetime) -> list[Event]:
        """List what the API shows: by creation, newest first, of 30 days and 300 at most.

        An event that becomes visible late appears below newer ones that were there before it.
        """
        shown = [
            event
            for event in self.events
            if event.visible_at is not None
            and event.visible_at <= now
            and event.created_at > now - OLDEST_EVENT
        ]
        shown.sort(key=lambda event: (event.created_at, event.rank), reverse=True)
        return shown[:LONGEST_FEED]

    def release(self, now: datetime, ids: frozenset[int] | None = None) -> int:
        """Show what is held back or late, all of it or these ids; return how many."""
        hidden = [
            event
            for event in self.events
            if (event.visible_at is None or event.visible_at > now)
            and (ids is None or event.id in ids)
        ]
        for event in hidden:
            event.visible_at = now
        return len(hidden)

    def reorder(self, ids: list[int]) -> None:
        """Give the listed events, newest first, each other's places among equal timestamps."""
        chosen = {event.id: event for event in self.events}
        ranks = sorted((chosen[event_id].rank for event_id in ids), reverse=True)
        for event_id, rank in zip(ids, ranks, strict=True):
            chosen[event_id].rank = rank
