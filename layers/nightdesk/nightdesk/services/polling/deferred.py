"""Try the deferred events again: each is moved to its next try first, and removed at the end.

So two pollers do not try the same event at once, an event that breaks the poller does not break
the next one too, and one whose poller was killed comes again. Importing is harmless to repeat.
"""

import logging
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from nightdesk.domain.deferred_events import GIVEN_UP_AFTER, DeferredEvent, wait_before
from nightdesk.domain.errors import ConditionFailedError, NightdeskError, TryLaterError
from nightdesk.domain.github_ports import GithubNotFoundError, Repository
from nightdesk.domain.task import TriggerSource
from nightdesk.domain.trigger import Skip
from nightdesk.services.explain_event import record_decisions
from nightdesk.services.import_events import Imported, ImportRules, decision_of, import_event
from nightdesk.services.polling.ports import PollerPorts

logger = logging.getLogger(__name__)

#: Tried in one invocation.
MOST = 100
#: The repositories want to be polled too.
TIME = timedelta(seconds=20)
#: GitHub seems to be away altogether: the rest waits for the next invocation.
_FAILURES_IN_A_ROW = 3


@dataclass(slots=True)
class Drained:
    """What became of the events that were tried."""

    processed: int = 0
    skipped: Counter[Skip] = field(default_factory=Counter)
    waiting: int = 0

    def __bool__(self) -> bool:
        return bool(self.processed or self.skipped or self.waiting)

    def to_json(self) -> dict[str, Any]:
        return {
            "eventsProcessed": self.processed,
            "eventsSkipped": self.skipped.total(),
            "skipped": {reason.value: count for reason, count in sorted(self.skipped.items())},
            "eventsWaiting": self.waiting,
        }


def drain_deferred(ports: PollerPorts, rules: ImportRules, *, deadline: datetime) -> Drained:
    """Import what is due, who waits longest first; what fails waits longer. Raises nothing."""
    until = min(deadline, ports.clock.now() + TIME)
    drain = _Drain(ports, replace(rules, source=TriggerSource.WEBHOOK))
    try:
        for deferred in ports.deferred.due(now=ports.clock.now(), most=MOST):
            if ports.clock.now() >= until or drain.failures >= _FAILURES_IN_A_ROW:
                break
            drain.take(deferred)
    except NightdeskError as error:  # the rows are all there; the next invocation goes on
        logger.warning("[GitHubDeferred] not all were tried: %s", error)
    if drain.done:
        logger.info("[GitHubDeferred] %s", drain.done.to_json())
    return drain.done


@dataclass(slots=True)
class _Drain:
    ports: PollerPorts
    rules: ImportRules
    done: Drained = field(default_factory=Drained)
    failures: int = 0
    _repositories: dict[str, Repository] = field(default_factory=dict)

    def take(self, deferred: DeferredEvent) -> None:
        """Raises NightdeskError when the store does not answer."""
        next_try = self.ports.clock.now() + wait_before(deferred.tries)
        try:
            moved = self.ports.deferred.move(deferred, next_try=next_try)
        except ConditionFailedError:
            return  # another poller has it
        try:
            imported = self._import(moved)
        except NightdeskError as error:
            self._fail(moved, error)
            return
        self.failures = 0
        self._end(moved, imported)

    def _import(self, deferred: DeferredEvent) -> Imported:
        """The event as it happened, of the issue as it is now."""
        known = deferred.event.repo
        try:
            found = self._repository(known.full_name)
        except GithubNotFoundError as error:
            return Imported((), Skip.GONE, detail=str(error))
        if found.id != known.id:
            return Imported((), Skip.OTHER_REPOSITORY)
        event = replace(deferred.event, repo=found)
        facts_of = partial(self.ports.source.issue, found.full_name, event.number)
        return import_event(event, facts_of, self.rules, self.ports)

    def _repository(self, name: str) -> Repository:
        """Under its present name; asked once."""
        if name not in self._repositories:
            self._repositories[name] = self.ports.source.repository(name)
        return self._repositories[name]

    def _fail(self, deferred: DeferredEvent, error: NightdeskError) -> None:
        self.failures += 1
        now = self.ports.clock.now()
        if now - deferred.deferred_at >= GIVEN_UP_AFTER:
            self._end(deferred, Imported((), Skip.GIVEN_UP, detail=str(error)))
            return
        self.done.waiting += 1
        logger.info("[GitHubDeferred] %s waits: %s", deferred.event.key, error)
        wanted = now + error.retry_after if isinstance(error, TryLaterError) else now
        if wanted <= deferred.next_try:
            return
        try:
            self.ports.deferred.move(deferred, next_try=wanted)
        except ConditionFailedError:
            return

    def _end(self, deferred: DeferredEvent, imported: Imported) -> None:
        """Say what came of it, then forget it."""
        decision = decision_of(deferred.event, imported, self.rules, self.ports)
        if imported.skip is Skip.GIVEN_UP:
            # This row is all that tells of the event: it goes only when people can read why.
            self.ports.decisions.record([decision])
        else:
            record_decisions([decision], self.ports.decisions)
        self.ports.deferred.remove(deferred)
        if imported.skip is None:
            self.done.processed += 1
        else:
            self.done.skipped[imported.skip] += 1
