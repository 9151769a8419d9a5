"""Deal with the events of one repository's feed that are new: tasks first, then the memory."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from nightdesk.domain.decisions import Decision
from nightdesk.domain.errors import ConditionFailedError, NightdeskError, TryLaterError
from nightdesk.domain.github_ports import FeedEvent, Repository, SeenEvents
from nightdesk.domain.trigger import Skip, event_of_feed
from nightdesk.services.explain_event import record_decisions
from nightdesk.services.import_events import ImportRules, decision_of, import_event
from nightdesk.services.polling.ports import PollerPorts
from nightdesk.services.polling.results import RepositoryResult

logger = logging.getLogger(__name__)

#: What GitHub's feed holds; when all of them are new, some were never shown.
FEED_EVENTS = 300
#: The feed's events, and memory for those that come back.
REMEMBERED_EVENTS = 1_000
#: After so many failures in a row the rest of a repository's events wait for the next poll.
_FAILURES_IN_A_ROW = 3


@dataclass(slots=True)
class NewEvents:
    """Imports for one repository until a time; `error` and `limited` say what stopped it."""

    repo: Repository
    result: RepositoryResult
    rules: ImportRules
    ports: PollerPorts
    until: datetime
    error: str = ""
    limited: TryLaterError | None = None
    _decisions: list[Decision] = field(default_factory=list)

    def take_in(self, events: Sequence[FeedEvent]) -> bool:
        """Deal with what is new; whether all of it is done, so that the ETag may be kept."""
        seen = self.ports.states.seen(self.repo.id)
        if seen is None:
            done = self._begin_watching(events)
            seen = SeenEvents(watched_since=max((e.created_at for e in events), default=None))
            complete = True
        else:
            known = set(seen.ids)
            new = [event for event in events if event.id not in known]
            self.result.has_gap = len(new) == len(events) >= FEED_EVENTS
            done = self._import(new, seen.watched_since)
            record_decisions(self._decisions, self.ports.decisions)
            complete = len(done) == len(new)
            if not done:
                return complete
        if events:
            self.result.last_event_id = events[0].id
        return self._remember(events, done, seen) and complete

    def _remember(self, events: Sequence[FeedEvent], done: set[str], seen: SeenEvents) -> bool:
        ids = _remembered(events, done, seen)
        try:
            self.ports.states.mark_seen(self.repo.id, replace(seen, ids=ids))
        except ConditionFailedError:
            logger.info("[GitHubPolling] %s: another poll was faster", self.result.repo)
            return False
        return True

    def _begin_watching(self, events: Sequence[FeedEvent]) -> set[str]:
        """The first poll starts nothing: what happened before it is old."""
        if events:
            self.result.skipped[Skip.FIRST_POLL] += len(events)
        return {event.id for event in events}

    def _import(self, new: Sequence[FeedEvent], watched_since: datetime | None) -> set[str]:
        """Import oldest first; answers the ids of those that are dealt with."""
        done: set[str] = set()
        failures = 0
        ordered = sorted(new, key=lambda event: (event.created_at, event.id))
        for index, event in enumerate(ordered):
            left = len(ordered) - index
            if failures >= _FAILURES_IN_A_ROW or self.ports.clock.now() >= self.until:
                self.result.skipped[Skip.DEFERRED] += left
                break
            try:
                self._count(self._import_one(event, watched_since))
            except TryLaterError as error:
                self.limited = error
                self.result.skipped[Skip.RATE_LIMITED] += left
                break
            except NightdeskError as error:
                failures += 1
                self.result.skipped[Skip.DEFERRED] += 1
                self.error = f"event {event.id}: {error}"
                continue
            failures = 0
            done.add(event.id)
        return done

    def _import_one(self, item: FeedEvent, watched_since: datetime | None) -> Skip | None:
        if item.repo_id not in {0, self.repo.id}:
            return Skip.OTHER_REPOSITORY
        if watched_since and item.created_at < watched_since:
            return Skip.BEFORE_WATCHING
        event = event_of_feed(item, self.repo)
        if event is None:
            return Skip.UNSUPPORTED
        facts_of = partial(self.ports.source.issue, self.repo.full_name, event.number)
        imported = import_event(event, facts_of, self.rules, self.ports)
        self._decisions.append(decision_of(event, imported, self.rules, self.ports))
        return imported.skip

    def _count(self, skip: Skip | None) -> None:
        if skip is None:
            self.result.processed += 1
        else:
            self.result.skipped[skip] += 1


def _remembered(events: Sequence[FeedEvent], done: set[str], seen: SeenEvents) -> tuple[str, ...]:
    """What the feed shows now comes first, so that only what it has dropped is ever forgotten."""
    known = done.union(seen.ids)
    shown = dict.fromkeys(event.id for event in events if event.id in known)
    rest = (event_id for event_id in seen.ids if event_id not in shown)
    return (*shown, *rest)[:REMEMBERED_EVENTS]
