"""Poll the configured repositories: find each event once, and start what it starts.

The order that loses nothing: read the feed to its end, create the tasks, and only then remember
the events as seen. A poll may be cut anywhere or overlap another; the worst that follows is that
an event is looked at twice, and the second look creates nothing.

Every page is read, not only down to the first page without news: a late event is filed by its
time, so it may appear on the third page while the first is known. For the same reason an
unchanged first page (its ETag) is believed for ten minutes at most; GitHub has also been seen to
answer "unchanged" for ever.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from nightdesk.domain.actor_gate import ActorGate
from nightdesk.domain.decisions import TASK, Decision, DecisionLog
from nightdesk.domain.errors import (
    ConditionFailedError,
    NightdeskError,
    TryLaterError,
)
from nightdesk.domain.github_ports import (
    EventSource,
    FeedEvent,
    FeedPage,
    PollState,
    PollStates,
    Repository,
    SeenEvents,
)
from nightdesk.domain.ports import Specialists
from nightdesk.domain.repository_name import parse_repository_list
from nightdesk.domain.task import TriggerSource
from nightdesk.domain.trigger import DefaultTrigger, Skip, event_of_feed
from nightdesk.services.explain_event import record_decisions
from nightdesk.services.import_events import (
    TASKS_PER_HOUR,
    ImportPorts,
    ImportRules,
    decision_of,
    import_event,
)
from nightdesk.services.reconcile import AT_ONCE, EVERY, begun, reconcile

logger = logging.getLogger(__name__)

#: Longer than the poller's function may run (300 s), so that a lease ends after its holder.
LEASE = timedelta(minutes=6)
ETAG_MAX_AGE = timedelta(minutes=10)
ETAG_MAX_UNCHANGED = 3
#: What GitHub's feed holds; when all of them are new, some were never shown.
FEED_EVENTS = 300
_GAPS_KEPT = 5
#: The feed's events, and memory for those that come back.
REMEMBERED_EVENTS = 1_000
#: A schedule fires a moment early at times; such a poll waits instead of being left out.
SHORT_WAIT = timedelta(seconds=10)
#: After so many failures in a row the rest of a repository's events wait for the next poll.
_FAILURES_IN_A_ROW = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PollerSettings:
    """`repos` is the setting as it stands: malformed entries are reported by each poll."""

    repos: str
    interval: timedelta
    workspace_id: str
    default_triggers: tuple[DefaultTrigger, ...] = ()
    own_account_ids: frozenset[int] = frozenset()
    allowed_bot_ids: frozenset[int] = frozenset()
    mention_handle: str = ""
    tasks_per_hour: int = TASKS_PER_HOUR
    progress_comments: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PollerPorts(ImportPorts):
    source: EventSource
    states: PollStates
    decisions: DecisionLog
    specialists: Specialists
    settings: PollerSettings


@dataclass(slots=True, kw_only=True)
class RepositoryResult:
    """What a poll did for one repository; found = processed + skipped, always."""

    repo: str
    processed: int = 0
    skipped: Counter[Skip] = field(default_factory=Counter)
    last_event_id: str = ""
    next_poll_at: datetime | None = None
    error: str = ""
    #: Whether GitHub was asked at all.
    checked: bool = False
    #: Tasks of events that the feed has not shown (they count as found and processed).
    reconciled: int = 0
    has_gap: bool = False

    @property
    def found(self) -> int:
        return self.processed + self.skipped.total()

    def to_json(self) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "repo": self.repo,
            "eventsFound": self.found,
            "eventsProcessed": self.processed,
            "eventsSkipped": self.skipped.total(),
            "skipped": {reason.value: count for reason, count in sorted(self.skipped.items())},
        }
        if self.reconciled:
            answer["eventsReconciled"] = self.reconciled
        if self.has_gap:
            answer["gap"] = True
        if self.last_event_id:
            answer["newLastEventId"] = self.last_event_id
        if self.next_poll_at:
            answer["nextPollAt"] = iso(self.next_poll_at)
        if self.error:
            answer["error"] = self.error
        return answer


def poll_repositories(ports: PollerPorts, *, deadline: datetime) -> dict[str, Any]:
    """Poll them all, one after the other; what one of them lacks does not stop the others.

    Nothing new is begun after `deadline`. Answers {"ok", "checkedAt", "summary", "results"}.
    """
    listed = parse_repository_list(ports.settings.repos)
    results = [_malformed(entry) for entry in listed.malformed]
    rules = _rules(ports)
    for repo in listed.names:
        result = RepositoryResult(repo=repo)
        if ports.clock.now() >= deadline:
            result.error = "no time was left; the next poll begins here"
        else:
            _poll_if_allowed(result, rules, ports, deadline)
        results.append(result)
        _log(result)
    return _report(results, ports.clock.now())


def poll_status(ports: PollerPorts) -> dict[str, Any]:
    """What polling is configured to do and did last, without asking GitHub."""
    listed = parse_repository_list(ports.settings.repos)
    now = ports.clock.now()
    states = [ports.states.get(repo) or PollState(repo=repo) for repo in listed.names]
    checked = [state.checked_at for state in states if state.checked_at]
    return {
        "ok": True,
        "enabled": bool(listed.names),
        "isRunning": any(state.lease_until and state.lease_until > now for state in states),
        "intervalSeconds": int(ports.settings.interval.total_seconds()),
        "lastCheckedAt": iso(max(checked)) if checked else None,
        "lastEventIds": {state.repo: state.last_event_id for state in states},
        "repositories": [_state_json(state) for state in states],
        "malformed": list(listed.malformed),
    }


def iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


# One repository -------------------------------------------------------------------------------


def _poll_if_allowed(
    result: RepositoryResult, rules: ImportRules, ports: PollerPorts, deadline: datetime
) -> None:
    now = ports.clock.now()
    try:
        state = ports.states.lease(result.repo, now=now, until=now + LEASE)
    except ConditionFailedError:
        result.error = "another poll of this repository is at work"
        return
    except NightdeskError as error:
        result.error = str(error)
        return
    if state.next_poll_at and state.next_poll_at > now + SHORT_WAIT:
        result.next_poll_at = state.next_poll_at
        result.error = state.last_error
    else:
        _wait_until(state.next_poll_at, ports)
        state = _Poll(result, state, rules, ports, deadline).run()
    _release(state, result, ports)


def _wait_until(moment: datetime | None, ports: PollerPorts) -> None:
    if moment and (wait := moment - ports.clock.now()) > timedelta(0):
        ports.clock.sleep(wait)


def _release(state: PollState, result: RepositoryResult, ports: PollerPorts) -> None:
    try:
        ports.states.release(state)
    except NightdeskError as error:
        # Only the state of polling is lost, not an event: the next poll reads the feed in full.
        logger.warning("[GitHubPolling] %s: state not stored: %s", result.repo, error)


class _Poll:
    """One poll of one repository under its lease; `run` answers the state to store."""

    def __init__(
        self,
        result: RepositoryResult,
        state: PollState,
        rules: ImportRules,
        ports: PollerPorts,
        deadline: datetime,
    ) -> None:
        self._result = result
        self._state = state
        self._rules = rules
        self._ports = ports
        self._deadline = deadline
        self._name = state.full_name or state.repo
        self._checked_before = state.checked_at
        self._decisions: list[Decision] = []

    def run(self) -> PollState:
        started = self._ports.clock.now()
        self._result.checked = True
        self._state = replace(self._state, next_poll_at=None, last_error="", checked_at=started)
        try:
            self._poll(started)
            if not self._state.last_error and self._ports.clock.now() < self._deadline:
                self._reconcile(started)
        except TryLaterError as error:
            self._wait_for(error)
        except NightdeskError as error:
            self._fail(str(error))
        self._result.next_poll_at = self._state.next_poll_at
        return self._state

    def _reconcile(self, started: datetime) -> None:
        """Compare the lists when it is time, and at once after a gap."""
        state = self._state.reconcile
        if state is None:
            self._state = replace(self._state, reconcile=begun(started))
            return
        turns = -(-len(parse_repository_list(self._ports.settings.repos).names) // AT_ONCE)
        due = state.done_at + max(EVERY, turns * self._ports.settings.interval)
        if started < due and not self._result.has_gap:
            return
        state, decisions = reconcile(
            state,
            Repository(id=self._state.repo_id, full_name=self._name),
            now=started,
            source=self._ports.source,
            states=self._ports.states,
            rules=self._rules,
            ports=self._ports,
        )
        record_decisions(decisions, self._ports.decisions)
        made = sum(outcome.result == TASK for d in decisions for outcome in d.outcomes)
        self._result.reconciled += made
        self._result.processed += made
        self._state = replace(self._state, reconcile=state)

    def _poll(self, started: datetime) -> None:
        if not self._state.repo_id:
            self._look_up()
        etag = self._usable_etag(started)
        first = self._ports.source.page(self._name, 1, etag=etag)
        if first.poll_interval:
            self._state = replace(self._state, next_poll_at=started + first.poll_interval)
        if first.is_unchanged:
            self._state = replace(self._state, unchanged=self._state.unchanged + 1)
            return
        if self._is_another(first):
            self._look_up()
        self._state = replace(self._state, etag="", etag_at=None, unchanged=0)
        events = self._rest_of_feed(first)
        if self._take_in(events):
            self._state = replace(self._state, etag=first.etag, etag_at=started)

    def _look_up(self) -> None:
        found = self._ports.source.repository(self._state.repo)
        self._name = found.full_name
        self._state = replace(
            self._state, repo_id=found.id, full_name=found.full_name, etag="", etag_at=None
        )

    def _usable_etag(self, now: datetime) -> str:
        age = now - self._state.etag_at if self._state.etag_at else ETAG_MAX_AGE
        fresh = age < ETAG_MAX_AGE and self._state.unchanged < ETAG_MAX_UNCHANGED
        return self._state.etag if fresh else ""

    def _is_another(self, page: FeedPage) -> bool:
        """Whether the name means another repository now, or this one has another name."""
        strange = any(e.repo_id not in {0, self._state.repo_id} for e in page.events)
        return page.moved or strange

    def _rest_of_feed(self, page: FeedPage) -> list[FeedEvent]:
        """All pages. They shift while they are read, hence an event may come twice."""
        events = {event.id: event for event in page.events}
        number = 1
        while not page.is_last:
            number += 1
            page = self._ports.source.page(self._name, number)
            for event in page.events:
                events.setdefault(event.id, event)
        return list(events.values())

    def _take_in(self, events: Sequence[FeedEvent]) -> bool:
        """Deal with what is new; whether all of it is done, so that the ETag may be kept."""
        repo = Repository(id=self._state.repo_id, full_name=self._name)
        seen = self._ports.states.seen(repo.id)
        if seen is None:
            done = self._begin_watching(events)
            seen = SeenEvents(watched_since=max((e.created_at for e in events), default=None))
            complete = True
        else:
            known = set(seen.ids)
            new = [event for event in events if event.id not in known]
            if len(new) == len(events) >= FEED_EVENTS:
                self._report_gap()
            done = self._import(new, repo, seen.watched_since)
            record_decisions(self._decisions, self._ports.decisions)
            complete = len(done) == len(new)
            if not done:
                return complete
        if events:
            self._result.last_event_id = events[0].id
            self._state = replace(self._state, last_event_id=events[0].id)
        ids = _remembered(events, done, seen)
        try:
            self._ports.states.mark_seen(repo.id, replace(seen, ids=ids))
        except ConditionFailedError:
            logger.info("[GitHubPolling] %s: another poll was faster", self._result.repo)
            return False
        return complete

    def _report_gap(self) -> None:
        """More happened than the feed holds; the lists are compared in this very poll."""
        self._result.has_gap = True
        now = self._ports.clock.now()
        gap = (self._checked_before or now, now)
        self._state = replace(self._state, gaps=(gap, *self._state.gaps)[:_GAPS_KEPT])
        logger.warning("[GitHubPolling] %s: the feed has a gap since %s", self._name, gap[0])

    def _begin_watching(self, events: Sequence[FeedEvent]) -> set[str]:
        """The first poll starts nothing: what happened before it is old."""
        if events:
            self._result.skipped[Skip.FIRST_POLL] += len(events)
        return {event.id for event in events}

    def _import(
        self, new: Sequence[FeedEvent], repo: Repository, watched_since: datetime | None
    ) -> set[str]:
        """Import oldest first; answers the ids of those that are dealt with."""
        done: set[str] = set()
        failures = 0
        ordered = sorted(new, key=lambda event: (event.created_at, event.id))
        for index, event in enumerate(ordered):
            left = len(ordered) - index
            if failures >= _FAILURES_IN_A_ROW or self._ports.clock.now() >= self._deadline:
                self._result.skipped[Skip.DEFERRED] += left
                break
            try:
                self._count(self._import_one(event, repo, watched_since))
            except TryLaterError as error:
                self._wait_for(error)
                self._result.skipped[Skip.RATE_LIMITED] += left
                break
            except NightdeskError as error:
                failures += 1
                self._result.skipped[Skip.DEFERRED] += 1
                self._fail(f"event {event.id}: {error}")
                continue
            failures = 0
            done.add(event.id)
        return done

    def _import_one(
        self, item: FeedEvent, repo: Repository, watched_since: datetime | None
    ) -> Skip | None:
        if item.repo_id not in {0, repo.id}:
            return Skip.OTHER_REPOSITORY
        if watched_since and item.created_at < watched_since:
            return Skip.BEFORE_WATCHING
        event = event_of_feed(item, repo)
        if event is None:
            return Skip.UNSUPPORTED
        facts_of = partial(self._ports.source.issue, repo.full_name, event.number)
        imported = import_event(event, facts_of, self._rules, self._ports)
        self._decisions.append(decision_of(event, imported, self._rules, self._ports))
        return imported.skip

    def _count(self, skip: Skip | None) -> None:
        if skip is None:
            self._result.processed += 1
        else:
            self._result.skipped[skip] += 1

    def _wait_for(self, error: TryLaterError) -> None:
        self._fail(str(error))
        until = self._ports.clock.now() + error.retry_after
        self._state = replace(self._state, next_poll_at=until)

    def _fail(self, message: str) -> None:
        self._result.error = message
        self._state = replace(self._state, last_error=message[:300], etag="", etag_at=None)


def _remembered(events: Sequence[FeedEvent], done: set[str], seen: SeenEvents) -> tuple[str, ...]:
    """What the feed shows now comes first, so that only what it has dropped is ever forgotten."""
    known = done.union(seen.ids)
    shown = dict.fromkeys(event.id for event in events if event.id in known)
    rest = (event_id for event_id in seen.ids if event_id not in shown)
    return (*shown, *rest)[:REMEMBERED_EVENTS]


# Reports --------------------------------------------------------------------------------------


def _rules(ports: PollerPorts) -> ImportRules:
    settings = ports.settings
    specialists = ports.specialists.load()
    for default in settings.default_triggers:
        if default.specialist not in specialists.by_id:
            logger.warning(
                "[GitHubPolling] DEFAULT_TRIGGERS names %s; there are: %s",
                default.specialist,
                ", ".join(specialists.ids),
            )
    return ImportRules(
        workspace_id=settings.workspace_id,
        specialists=specialists,
        default_triggers=settings.default_triggers,
        gate=ActorGate(
            own_account_ids=settings.own_account_ids, allowed_bot_ids=settings.allowed_bot_ids
        ),
        source=TriggerSource.POLLING,
        handle=settings.mention_handle,
        tasks_per_hour=settings.tasks_per_hour,
        progress_comments=settings.progress_comments,
    )


def _malformed(entry: str) -> RepositoryResult:
    message = f"GITHUB_POLLING_REPOS: {entry[:100]!r} is not owner/name"
    logger.error("[PollingCheck] %s", message)
    return RepositoryResult(repo=entry, error=message)


def _report(results: Sequence[RepositoryResult], now: datetime) -> dict[str, Any]:
    summary = {
        "reposChecked": sum(result.checked for result in results),
        "totalEventsFound": sum(result.found for result in results),
        "totalEventsProcessed": sum(result.processed for result in results),
        "totalEventsSkipped": sum(result.skipped.total() for result in results),
    }
    logger.info("[PollingCheck] %s", summary)
    return {
        "ok": True,
        "checkedAt": iso(now),
        "summary": summary,
        "results": [result.to_json() for result in results],
    }


def _log(result: RepositoryResult) -> None:
    level = logging.WARNING if result.error else logging.INFO
    logger.log(level, "[GitHubPolling] %s", result.to_json())


def _state_json(state: PollState) -> dict[str, Any]:
    return {
        "repo": state.repo,
        "lastCheckedAt": iso(state.checked_at) if state.checked_at else None,
        "nextPollAt": iso(state.next_poll_at) if state.next_poll_at else None,
        "lastEventId": state.last_event_id,
        "error": state.last_error,
        "reconciledAt": iso(state.reconcile.done_at) if state.reconcile else None,
        "gaps": [{"from": iso(begin), "to": iso(end)} for begin, end in state.gaps],
    }
