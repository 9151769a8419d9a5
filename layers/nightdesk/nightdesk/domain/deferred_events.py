"""Events whose import GitHub, or a store, did not let us finish: they wait here to be tried again.

A row holds what an import needs of the event itself, and no token. The port has an adapter and a
fake that pass the same tests.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Protocol

from nightdesk.domain.trigger import GithubEvent

#: After so long an event is given up: nobody expects an answer to it any more.
GIVEN_UP_AFTER = timedelta(days=1)
_FIRST_WAIT = timedelta(minutes=1)
_MAX_WAIT = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeferredEvent:
    """An event, and when it may be tried. `tries` counts those of the poller alone."""

    event: GithubEvent
    deferred_at: datetime
    next_try: datetime
    tries: int = 0

    @property
    def digest(self) -> str:
        """Of the whole event: two events may share a natural key (opened, labelled at once), and
        start different specialists.
        """
        text = json.dumps(document_of(self.event), sort_keys=True)
        return sha256(text.encode()).hexdigest()[:32]


def document_of(event: GithubEvent) -> dict[str, Any]:
    """The event as JSON can hold it."""
    document = asdict(event)
    if event.happened_at is not None:
        document["happened_at"] = event.happened_at.isoformat()
    return document


def wait_before(tries: int) -> timedelta:
    """How long an event waits after so many tries: one minute, doubled up to half an hour."""
    return min(_FIRST_WAIT * (1 << min(tries, 10)), _MAX_WAIT)


class DeferredEvents(Protocol):
    """The waiting events, in the order of their next tries."""

    def put(self, deferred: DeferredEvent) -> None:
        """Store it, unless it waits already for the same time: then nothing is changed.

        An event that waits for another time waits twice then, which costs a look and no more.
        """
        ...

    def due(self, *, now: datetime, most: int) -> Sequence[DeferredEvent]:
        """Those whose next try has come, who waits longest first. Reads only these."""
        ...

    def move(self, deferred: DeferredEvent, *, next_try: datetime) -> DeferredEvent:
        """Count a try, and let the event wait until then. The answer is as it is stored now.

        Raises:
            ConditionFailedError: it was moved or removed meanwhile; nothing is stored.
        """
        ...

    def remove(self, deferred: DeferredEvent) -> None:
        """Forget it. Nothing happens when it was moved or removed meanwhile."""
        ...

    def count(self, *, most: int) -> int:
        """How many wait, at most so many."""
        ...
