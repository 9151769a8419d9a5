"""From the keys of `nightdesk.yml` to `RepositoryRules` (reference: docs/github.md)."""

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
)
from nightdesk.domain.name_filter import NameFilter
from nightdesk.domain.repository_rules import Narrowing, RepositoryRules
from nightdesk.domain.specialist import EVENTS
from nightdesk.domain.specialist_document import (
    TURNS_MAX,
    intents_of,
    limits_of,
    specialist_id,
    timeout_ms_of,
)
from nightdesk.domain.task import TIMEOUT_MS_MAX

SPECIALISTS_MAX = 100
NARROWING_KEYS = (
    "enabled",
    "commands",
    "events",
    "actions",
    "labels",
    "authors",
    "branches",
    "paths",
    "drafts",
    "forks",
    "intents",
    "limits",
)
KEYS = (*NARROWING_KEYS, "others", "specialists")
_ACTIONS = tuple(dict.fromkeys(action for actions in EVENTS.values() for action in actions))


def rules_from(document: Mapping[Any, Any]) -> RepositoryRules:
    """Read a whole file.

    Raises:
        DocumentError: something in it is unknown or out of bounds.
    """
    keys = known(document, KEYS, "")
    entries = mapping("specialists", keys.get("specialists"))
    if len(entries) > SPECIALISTS_MAX:
        raise DocumentError(f"key specialists: {len(entries)} of them; allowed: {SPECIALISTS_MAX}")
    return RepositoryRules(
        everybody=_narrowing({key: keys[key] for key in keys if key in NARROWING_KEYS}, ""),
        by_specialist={_id_of(name): _own(name, entry) for name, entry in entries.items()},
        others=flag("others", keys.get("others")),
    )


def _id_of(name: Any) -> str:
    """The key itself; whether there is such a specialist is not for the repository to know."""
    if not isinstance(name, str):
        raise refused("specialists", name, "names of specialists")
    return specialist_id({}, file_id=name)


def _own(name: str, entry: Any) -> Narrowing:
    """`true` and `false` stand for `enabled` alone."""
    within = f"specialists.{name}"
    if isinstance(entry, bool):
        return Narrowing(enabled=entry)
    return _narrowing(known(mapping(within, entry), NARROWING_KEYS, f"{within}."), f"{within}.")


def _narrowing(keys: Mapping[str, Any], within: str) -> Narrowing:
    for key in ("events", "actions", "labels"):
        if keys.get(key) == []:
            # It could mean all or none.
            raise refused(f"{within}{key}", [], "one at least; enabled: false switches off")
    intents, limits = keys.get("intents"), keys.get("limits")
    return Narrowing(
        enabled=flag(f"{within}enabled", keys.get("enabled")),
        commands=flag(f"{within}commands", keys.get("commands")),
        events=names(f"{within}events", keys.get("events"), tuple(EVENTS)),
        actions=names(f"{within}actions", keys.get("actions"), _ACTIONS),
        labels=labels(f"{within}labels", keys.get("labels")),
        authors=_in_lower_case(patterns(f"{within}authors", keys.get("authors"))),
        branches=patterns(f"{within}branches", keys.get("branches")),
        paths=patterns(f"{within}paths", keys.get("paths")),
        drafts=flag(f"{within}drafts", keys.get("drafts")),
        forks=flag(f"{within}forks", keys.get("forks")),
        intents=None if intents is None else intents_of(intents),
        limits=None if limits is None else limits_of(limits, turns=TURNS_MAX),
        timeout_ms=None if limits is None else timeout_ms_of(limits, default=TIMEOUT_MS_MAX),
    )


def _in_lower_case(authors: NameFilter | None) -> NameFilter | None:
    if authors is None:
        return None
    return NameFilter(tuple(pattern.lower() for pattern in authors.patterns))
