"""How many requests a key may make: so many in each minute of the clock.

The count is kept where the key is (adapters/dynamodb/access_store), so it survives restarts and
holds for all functions together. A window is fixed: around its end a client may make two windows'
requests shortly after each other, and never more than one window's within it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from nightdesk.domain.errors import NightdeskError

WINDOW = timedelta(minutes=1)
#: Ten clients that poll each second. API Gateway itself lets 50 a second pass, of all keys.
PER_MINUTE_DEFAULT = 600
PER_MINUTE_MIN, PER_MINUTE_MAX = 1, 100_000


@dataclass(frozen=True, slots=True)
class Quota:
    """What a key has left in the window that ends at `resets_at`."""

    limit: int
    remaining: int
    now: datetime
    resets_at: datetime

    @property
    def seconds_left(self) -> int:
        """Until the window's end, rounded up: then a request passes."""
        return -((self.now - self.resets_at) // timedelta(seconds=1))

    @property
    def headers(self) -> Mapping[str, str]:
        """RateLimit fields (draft-ietf-httpapi-ratelimit-headers-10), and what came before them.

        `X-RateLimit-Reset` is a Unix time, as GitHub's.
        """
        window = WINDOW // timedelta(seconds=1)
        return {
            "RateLimit-Policy": f'"key";q={self.limit};w={window}',
            "RateLimit": f'"key";r={self.remaining};t={self.seconds_left}',
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(int(self.resets_at.timestamp())),
        }


class RateLimitedError(NightdeskError):
    """The key is good, but has no requests left in this window."""

    def __init__(self, quota: Quota) -> None:
        super().__init__(
            f"The key's limit of {quota.limit} requests a minute is reached; "
            f"try again in {quota.seconds_left} s"
        )
        self.quota = quota

    @property
    def headers(self) -> Mapping[str, str]:
        """The quota's, and when to come again."""
        return {"Retry-After": str(self.quota.seconds_left), **self.quota.headers}


def window_at(now: datetime) -> int:
    """The number of the window, counted from 1970."""
    return int(now.timestamp()) // (WINDOW // timedelta(seconds=1))


def quota_at(now: datetime, *, limit: int, used: int) -> Quota:
    """What is left of the window at `now` after so many requests."""
    ends = (window_at(now) + 1) * WINDOW.total_seconds()
    return Quota(limit, max(0, limit - used), now, datetime.fromtimestamp(ends, now.tzinfo))
