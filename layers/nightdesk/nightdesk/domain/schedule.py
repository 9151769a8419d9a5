"""When a cron expression is due, on the clocks of a time zone.

Five fields, read as Debian's cron reads them: names of days and months, 0 and 7 are Sunday, lists,
ranges and steps; where both days are restricted, either counts. A time that the clocks skip in
spring is due when they have jumped; one that they repeat in autumn is due once.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

from nightdesk.domain.errors import NightdeskError

_FIELDS = 5
_CRON = "five fields: minute hour day month weekday, such as 0 6 * * 1-5"
#: No year without one of its days; what has none in it never comes.
_SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)


class ScheduleError(NightdeskError):
    """`field` is cron or timezone."""

    def __init__(self, field: str, value: str, allowed: str) -> None:
        super().__init__(f"{field} {value!r} is not allowed; allowed: {allowed}")
        self.field = field
        self.value = value
        self.allowed = allowed


def check_schedule(cron: str, timezone: str) -> None:
    """Raise ScheduleError unless both can be read, and the time comes at all."""
    next_due(cron, timezone, _SOME_DAY)


def next_due(cron: str, timezone: str, after: datetime) -> datetime:
    """The first time after `after` at which it is due, in UTC.

    Raises:
        ScheduleError: the expression or the zone cannot be read, or it is never due.
    """
    return next(_times(cron, timezone, after))


def last_due(cron: str, timezone: str, *, since: datetime, now: datetime) -> datetime | None:
    """The latest time from `since` to `now` at which it is due; None = there is none.

    Raises:
        ScheduleError: as `next_due`.
    """
    # One more second, because only what lies before the start is looked at.
    for due in _times(cron, timezone, now + timedelta(seconds=1), backwards=True):
        if due <= now:
            return due if due >= since else None
    return None


def _times(
    cron: str, timezone: str, start: datetime, *, backwards: bool = False
) -> Iterator[datetime]:
    # Few files need it, and every cold start would pay for it.
    from cronsim import CronSim, CronSimError  # noqa: PLC0415

    if len(cron.split()) != _FIELDS:
        raise ScheduleError("cron", cron, _CRON)
    local = start.astimezone(_zone(timezone))
    try:
        found = CronSim(cron, local, reverse=backwards)
    except CronSimError as error:
        raise ScheduleError("cron", cron, f"{_CRON} ({error})") from error
    for due in found:
        yield due.astimezone(UTC)
    raise ScheduleError("cron", cron, "a time that comes")


@lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415 - as above

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        allowed = "a name of the time zone database, such as Europe/Berlin"
        raise ScheduleError("timezone", name, allowed) from error
