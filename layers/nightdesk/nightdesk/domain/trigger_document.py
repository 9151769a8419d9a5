"""The key `on:` of a specialist file: events with their filters, and schedules.

It is spelt as in a workflow of GitHub Actions; `actions` and `types` are the same key there.
"""

from collections.abc import Mapping
from typing import Any

from nightdesk.domain.document_values import (
    DocumentError,
    flag,
    known,
    labels,
    mapping,
    names,
    patterns,
    refused,
    required_text,
    text,
)
from nightdesk.domain.repository_name import is_repository_name
from nightdesk.domain.schedule import ScheduleError, check_schedule
from nightdesk.domain.specialist import EVENTS, EventTrigger, ScheduleTrigger

SCHEDULE = "schedule"
SCHEDULES_MAX = 10
SCHEDULE_PROMPT_MAX = 10_000
CRON_MAX = 100

FILTERS = ("actions", "labels", "locked", "closed")
#: What only the events of a pull request tell.
PULL_FILTERS = ("branches", "branches-ignore", "paths", "paths-ignore", "drafts", "forks")
SPELLINGS = {
    "types": "actions",
    "branches_ignore": "branches-ignore",
    "paths_ignore": "paths-ignore",
}
_SCHEDULE_KEYS = ("cron", "timezone", "prompt", "repo")


def read_on(value: Any) -> tuple[tuple[EventTrigger, ...], tuple[ScheduleTrigger, ...]]:
    """`on:` as {event: filters, schedule: […]}, as a list of events, or as one event.

    Raises:
        DocumentError: something in it is unknown, out of bounds, or says two things at once.
    """
    if value is None:
        return (), ()
    if isinstance(value, str | list):
        return tuple(EventTrigger(event=event) for event in names("on", value, tuple(EVENTS))), ()
    triggers: list[EventTrigger] = []
    schedules: tuple[ScheduleTrigger, ...] = ()
    for event, filters in mapping("on", value).items():
        if event == SCHEDULE:
            schedules = _schedules(filters)
            continue
        if event not in EVENTS:
            raise refused("on", event, ", ".join((*EVENTS, SCHEDULE)))
        triggers.append(_trigger(event, filters))
    return tuple(triggers), schedules


def _trigger(event: str, filters: Any) -> EventTrigger:
    within = f"on.{event}"
    allowed = FILTERS + (PULL_FILTERS if event == "pull_request" else ())
    found = known(mapping(within, filters), allowed, f"{within}.", SPELLINGS)
    for name in ("branches", "paths"):
        if name in found and f"{name}-ignore" in found:
            both = f"{within}.{name} and {within}.{name}-ignore"
            raise DocumentError(
                f"keys {both}: only one of them is allowed; write ! before patterns"
            )
    return EventTrigger(
        event=event,
        actions=names(f"{within}.actions", found.get("actions"), EVENTS[event]),
        labels=labels(f"{within}.labels", found.get("labels")),
        branches=patterns(f"{within}.branches", found.get("branches")),
        branches_ignore=_ignored(f"{within}.branches-ignore", found),
        paths=patterns(f"{within}.paths", found.get("paths")),
        paths_ignore=_ignored(f"{within}.paths-ignore", found),
        drafts=flag(f"{within}.drafts", found.get("drafts")),
        forks=flag(f"{within}.forks", found.get("forks")),
        locked=flag(f"{within}.locked", found.get("locked")),
        closed=flag(f"{within}.closed", found.get("closed")),
    )


def _ignored(key: str, found: Mapping[str, Any]) -> Any:
    return patterns(key, found.get(key.rpartition(".")[2]), negated=True)


def _schedules(value: Any) -> tuple[ScheduleTrigger, ...]:
    entries = [value] if isinstance(value, Mapping) else value
    if not isinstance(entries, list) or not 0 < len(entries) <= SCHEDULES_MAX:
        raise refused("on.schedule", value, f"a list of 1 to {SCHEDULES_MAX} entries with cron")
    read = [_schedule(f"on.schedule[{index}]", entry) for index, entry in enumerate(entries)]
    if len(set(read)) < len(read):
        raise DocumentError("key on.schedule: one entry is there twice")
    return tuple(read)


def _schedule(key: str, value: Any) -> ScheduleTrigger:
    found = known(mapping(key, value), _SCHEDULE_KEYS, f"{key}.")
    schedule = ScheduleTrigger(
        cron=" ".join(required_text(f"{key}.cron", found.get("cron"), CRON_MAX).split()),
        timezone=text(f"{key}.timezone", found.get("timezone"), CRON_MAX) or "UTC",
        prompt=text(f"{key}.prompt", found.get("prompt"), SCHEDULE_PROMPT_MAX),
        repo=text(f"{key}.repo", found.get("repo"), 2 * CRON_MAX),
    )
    if schedule.repo and not is_repository_name(schedule.repo):
        raise refused(f"{key}.repo", schedule.repo, "owner/name")
    try:
        check_schedule(schedule.cron, schedule.timezone)
    except ScheduleError as error:
        raise refused(f"{key}.{error.field}", error.value, error.allowed) from error
    return schedule
