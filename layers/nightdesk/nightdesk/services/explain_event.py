"""Answer why something, or nothing, happened on an issue."""

import logging
from collections.abc import Sequence
from typing import Any

from nightdesk.domain.decisions import Decision, DecisionLog
from nightdesk.domain.errors import NightdeskError

logger = logging.getLogger(__name__)


def record_decisions(decisions: Sequence[Decision], log: DecisionLog) -> None:
    """Store them. A log that cannot be written must not stop what it tells of."""
    if not decisions:
        return
    try:
        log.record(decisions)
    except NightdeskError as error:
        logger.warning("[GitHubEvents] %s decisions not recorded: %s", len(decisions), error)


def explain(repo: str, number: int, log: DecisionLog | None) -> dict[str, Any]:
    """{"repo", "number", "decisions": [{"at", "event", "actor", "source", "outcome", …}]}.

    Without a log, which another workspace has, there are none.
    """
    rows = [
        {
            "at": decision.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "event": decision.event,
            "actor": decision.actor,
            "source": decision.source,
            **outcome.to_json(),
        }
        for decision in (log.of(repo, number) if log else ())
        for outcome in decision.outcomes
    ]
    return {"repo": repo, "number": number, "decisions": rows}
