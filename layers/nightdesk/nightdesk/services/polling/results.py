"""What a poll answers, and what is known of polling without one."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from nightdesk.domain.github_ports import PollRound, PollState
from nightdesk.domain.trigger import Skip

logger = logging.getLogger(__name__)


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

    def log(self) -> None:
        """Whatever is worth a line; of hundreds of repositories most have nothing to say."""
        is_silent = not self.error and not self.found
        level = logging.WARNING if self.error else logging.DEBUG if is_silent else logging.INFO
        logger.log(level, "[GitHubPolling] %s", self.to_json())


def malformed(entry: str) -> RepositoryResult:
    message = f"GITHUB_POLLING_REPOS: {entry[:100]!r} is not owner/name"
    logger.error("[PollingCheck] %s", message)
    return RepositoryResult(repo=entry, error=message)


def report(results: Sequence[RepositoryResult], now: datetime) -> dict[str, Any]:
    """{"ok", "checkedAt", "summary", "results"}."""
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


def state_json(state: PollState, last: PollRound) -> dict[str, Any]:
    """One repository of GET /api/polling/check."""
    asked = last.asked_at.get(state.repo.lower())
    compared = last.compared_at.get(state.repo.lower())
    return {
        "repo": state.repo,
        "lastCheckedAt": iso(asked) if asked else None,
        "nextPollAt": iso(asked + state.poll_interval) if asked and state.poll_interval else None,
        "lastEventId": state.last_event_id,
        "error": state.last_error,
        "reconciledAt": iso(compared) if compared else None,
        "gaps": [{"from": iso(begin), "to": iso(end)} for begin, end in state.gaps],
    }


def iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
