"""One poll of all repositories: its lease, what is known of each, and whose turn it is."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from threading import Lock

from nightdesk.domain.errors import ConditionFailedError, NightdeskError
from nightdesk.domain.github_ports import PollRound, PollState, PollStates
from nightdesk.domain.ports import Clock
from nightdesk.services.import_events import ImportRules

Limits = Mapping[str, Mapping[str, object]]

logger = logging.getLogger(__name__)

#: How long a killed poller holds up the next: less than the shortest interval of the schedule.
LEASE = timedelta(seconds=45)
RENEW_EVERY = timedelta(seconds=10)
#: Repositories whose lists are compared in one round, for each credential: three requests each.
COMPARED_AT_ONCE = 30
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Round:
    """Shared by the threads of one poll; its dictionaries have one writer for each key."""

    found: PollRound
    states: Mapping[str, PollState]
    credentials: Mapping[str, str]
    rules: ImportRules
    deadline: datetime
    asked_at: dict[str, datetime] = field(default_factory=dict)
    compared_at: dict[str, datetime] = field(default_factory=dict)
    #: Set when another poll has taken over: nothing new is begun.
    is_lost: bool = False
    renewed_at: datetime = _LONG_AGO
    _sharing: Counter[str] = field(default_factory=Counter)
    _compared: int = 0
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self.asked_at = dict(self.found.asked_at)
        self.compared_at = dict(self.found.compared_at)
        self._sharing = Counter(self.credentials.values())

    def in_turn(self, repos: Sequence[str]) -> list[str]:
        """Who has waited longest comes first: what the last round did not reach, before all."""
        return sorted(repos, key=lambda repo: self.asked_at.get(repo.lower(), _LONG_AGO))

    def sharing(self, repo: str) -> int:
        """How many repositories are read with the credential of this one."""
        return self._sharing[self.credentials[repo]]

    @property
    def comparable(self) -> int:
        return COMPARED_AT_ONCE * max(len(self._sharing), 1)

    def may_compare(self) -> bool:
        """Take one of the round's places for comparing lists, if there is one left."""
        with self._lock:
            self._compared += 1
            return self._compared <= self.comparable

    def renew(self, states: PollStates, clock: Clock, limits: Limits) -> None:
        """Keep the lease, and what was done so far; at most every RENEW_EVERY."""
        now = clock.now()
        if self.is_lost or now - self.renewed_at < RENEW_EVERY:
            return
        self.renewed_at = now
        self.keep(states, limits, until=now + LEASE)

    def keep(
        self,
        states: PollStates,
        limits: Limits,
        *,
        until: datetime | None,
    ) -> None:
        """Store the round. What fails here costs a few requests in the next one, no event."""
        known = {repo.lower() for repo in self.credentials}
        kept = replace(
            self.found,
            asked_at={r: at for r, at in dict(self.asked_at).items() if r in known},
            compared_at={r: at for r, at in dict(self.compared_at).items() if r in known},
            limits=limits,
        )
        try:
            states.keep_round(kept, until=until)
        except ConditionFailedError:
            self.is_lost = True
            logger.warning("[GitHubPolling] another poll has taken over")
        except NightdeskError as error:
            logger.warning("[GitHubPolling] the round was not stored: %s", error)
