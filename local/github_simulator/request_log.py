"""Remember the requests that the simulator answered, for tests and for people who watch it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime

LONGEST_LOG = 10_000


@dataclass(kw_only=True)
class LoggedRequest:
    """One request. Tokens are never kept: `login` says whose it was, None for nobody's.

    `status` is None when the connection was dropped instead of an answer; `took_effect` says
    whether the request was carried out all the same.
    """

    number: int
    method: str
    path: str
    query: str
    at: datetime
    user_agent: str | None
    login: str | None = None
    body: str = ""
    status: int | None = None
    took_effect: bool = True
    fault: str | None = None


@dataclass
class RequestLog:
    """The newest requests in the order of their arrival."""

    entries: deque[LoggedRequest] = field(default_factory=lambda: deque(maxlen=LONGEST_LOG))
    count: int = 0

    def begin(
        self, *, method: str, path: str, query: str, at: datetime, user_agent: str | None
    ) -> LoggedRequest:
        """Write down a request as it arrives; the entry is completed as it is answered."""
        self.count += 1
        entry = LoggedRequest(
            number=self.count, method=method, path=path, query=query, at=at, user_agent=user_agent
        )
        self.entries.append(entry)
        return entry
