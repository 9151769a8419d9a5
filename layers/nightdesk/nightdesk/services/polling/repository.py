"""One poll of one repository: its feed and, when it is time, its lists."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from nightdesk.domain.decisions import TASK
from nightdesk.domain.errors import NightdeskError, TryLaterError
from nightdesk.domain.github_ports import FeedEvent, FeedPage, PollState, Repository
from nightdesk.services.explain_event import record_decisions
from nightdesk.services.polling.new_events import NewEvents
from nightdesk.services.polling.ports import PollerPorts
from nightdesk.services.polling.results import RepositoryResult
from nightdesk.services.polling.rounds import Round
from nightdesk.services.reconcile import ETAGS_MAX_AGE, EVERY, begun, reconcile

logger = logging.getLogger(__name__)

ETAG_MAX_AGE = timedelta(minutes=10)
#: Asking anew counts against the 5,000 requests an hour that GitHub allows: 2,000 are for the
#: feeds of all repositories of a credential, 1,500 for their lists, the rest for what is new.
_ETAG_AGE_EACH = timedelta(hours=1) / 2_000
_LISTS_AGE_EACH = 3 * timedelta(hours=1) / 1_500
#: One busy repository does not hold up the round; what is left over comes with the next.
WORK = timedelta(seconds=60)
_GAPS_KEPT = 5
_ERROR_CHARACTERS = 300


class RepositoryPoll:
    """Under the round's lease; `run` answers the state as it is to be stored."""

    def __init__(
        self, result: RepositoryResult, state: PollState, shared: Round, ports: PollerPorts
    ) -> None:
        self._result = result
        self._shared = shared
        self._ports = ports
        self._name = state.full_name or state.repo
        self._credential = shared.credentials[result.repo]
        self._key = result.repo.lower()
        self._asked_before = shared.asked_at.get(self._key)
        self._started = ports.clock.now()
        self._until = min(shared.deadline, self._started + WORK)
        self._state = self._of_this_credential(state)

    def run(self) -> PollState:
        self._result.checked = True
        self._shared.asked_at[self._key] = self._started
        errors_before, self._state = self._state.last_error, replace(self._state, last_error="")
        try:
            self._poll()
            if not self._state.last_error and self._ports.clock.now() < self._until:
                self._compare()
        except TryLaterError as error:
            self._wait_for(error)
        except NightdeskError as error:
            self._fail(str(error))
        if errors_before and not self._state.last_error:
            logger.info("[GitHubPolling] %s: well again", self._name)
        return self._state

    def _of_this_credential(self, state: PollState) -> PollState:
        """ETags are GitHub's to one credential; another one's are forgotten."""
        if state.credential == self._credential:
            return state
        lists = state.reconcile and replace(state.reconcile, etags=(), etags_at=None)
        return replace(state, credential=self._credential, etag="", etag_at=None, reconcile=lists)

    # The feed -------------------------------------------------------------------------------

    def _poll(self) -> None:
        if not self._state.repo_id:
            self._look_up()
        first = self._ports.source.page(self._name, 1, etag=self._usable_etag())
        if first.poll_interval:
            self._state = replace(self._state, poll_interval=first.poll_interval)
            self._result.next_poll_at = self._started + first.poll_interval
        if first.is_unchanged:
            return
        if self._is_another(first):
            self._look_up()
        self._state = replace(self._state, etag="", etag_at=None)
        if self._take_in(self._rest_of_feed(first)):
            self._state = replace(self._state, etag=first.etag, etag_at=self._started)

    def _look_up(self) -> None:
        found = self._ports.source.repository(self._state.repo)
        self._name = found.full_name
        self._state = replace(
            self._state, repo_id=found.id, full_name=found.full_name, etag="", etag_at=None
        )

    def _usable_etag(self) -> str:
        at = self._state.etag_at
        most = max(ETAG_MAX_AGE, self._shared.sharing(self._result.repo) * _ETAG_AGE_EACH)
        return self._state.etag if at and self._started - at < most else ""

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
        repo = Repository(id=self._state.repo_id, full_name=self._name)
        new = NewEvents(repo, self._result, self._shared.rules, self._ports, self._until)
        complete = new.take_in(events)
        if self._result.last_event_id:
            self._state = replace(self._state, last_event_id=self._result.last_event_id)
        if self._result.has_gap:
            self._report_gap()
        if new.limited:
            self._wait_for(new.limited)
        elif new.error:
            self._fail(new.error)
        return complete

    def _report_gap(self) -> None:
        """More happened than the feed holds; the lists are compared in this very poll."""
        now = self._ports.clock.now()
        gap = (self._asked_before or now, now)
        self._state = replace(self._state, gaps=(gap, *self._state.gaps)[:_GAPS_KEPT])
        logger.warning("[GitHubPolling] %s: the feed has a gap since %s", self._name, gap[0])

    # The lists ------------------------------------------------------------------------------

    def _compare(self) -> None:
        """Compare the lists when it is time, and at once after a gap."""
        state = self._state.reconcile
        if state is None:
            self._state = replace(self._state, reconcile=begun(self._started))
            return
        if not self._result.has_gap and not (self._is_time(state.began_at) and self._may()):
            return
        most = max(ETAGS_MAX_AGE, self._shared.sharing(self._result.repo) * _LISTS_AGE_EACH)
        state, decisions = reconcile(
            state,
            Repository(id=self._state.repo_id, full_name=self._name),
            now=self._started,
            etags_max_age=most,
            source=self._ports.source,
            states=self._ports.states,
            rules=self._shared.rules,
            ports=self._ports,
        )
        record_decisions(decisions, self._ports.decisions)
        made = sum(outcome.result == TASK for d in decisions for outcome in d.outcomes)
        self._result.reconciled += made
        self._result.processed += made
        self._state = replace(self._state, reconcile=state)
        self._shared.compared_at[self._key] = self._started

    def _is_time(self, began_at: datetime) -> bool:
        turns = -(-len(self._shared.credentials) // self._shared.comparable)
        last = max(self._shared.compared_at.get(self._key, began_at), began_at)
        return self._started >= last + max(EVERY, turns * self._ports.settings.interval)

    def _may(self) -> bool:
        return self._shared.may_compare()

    # Failures -------------------------------------------------------------------------------

    def _wait_for(self, error: TryLaterError) -> None:
        """The whole credential waits: what this repository was told is meant for all of its."""
        self._ports.limits.pause(self._credential, error)
        self._result.next_poll_at = self._ports.clock.now() + error.retry_after
        self._fail(str(error))

    def _fail(self, message: str) -> None:
        self._result.error = message
        self._state = replace(
            self._state, last_error=message[:_ERROR_CHARACTERS], etag="", etag_at=None
        )
