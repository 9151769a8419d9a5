"""From the keys of a specialist file to a `Specialist`, or to one sentence that says what is wrong.

Ours and the predecessors' keys are read alike (reference: docs/specialists.md). The predecessors
wrote several keys in two ways and repeated some below `execution`, which wins.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

from nightdesk.domain.errors import NightdeskError
from nightdesk.domain.intents.names import ASK
from nightdesk.domain.model import ModelTier
from nightdesk.domain.specialist import (
    EVENTS,
    INTENTS,
    READING_TOOLS,
    TOOLS,
    Concurrency,
    ConcurrencyGroup,
    EventTrigger,
    OnConflict,
    Role,
    Specialist,
)
from nightdesk.domain.task import TIMEOUT_MS_DEFAULT, TIMEOUT_MS_MAX, TIMEOUT_MS_MIN, Limits

NAME_MAX = 100
DESCRIPTION_MAX = 500
PROMPT_MAX = 50_000
LABELS_MAX = 50
INTENT_COUNT_MAX = 10
TURNS_MIN, TURNS_MAX, TURNS_DEFAULT = 1, 200, 30
TOKENS_MIN, TOKENS_MAX = 1_000, 100_000_000
COST_USD_MAX = 100

#: The keys of a file, ours first, and the other spellings of some.
KEYS = (
    "id",
    "name",
    "description",
    "role",
    "model_tier",
    "enabled",
    "on",
    "tools",
    "intents",
    "approval",
    "labels",
    "limits",
    "concurrency",
    "role_reminder",
    "system_prompt",
    "model",
    "default_provider",
    "default_adapter",
    "execution",
)
EXECUTION_KEYS = ("role", "provider", "adapter", "model_tier", "model")
SPELLINGS = {
    "modelTier": "model_tier",
    "roleReminder": "role_reminder",
    "systemPrompt": "system_prompt",
    "defaultProvider": "default_provider",
    "defaultAdapter": "default_adapter",
}

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
_DURATION = re.compile(r"([0-9]{1,7})\s*(ms|s|m)", re.ASCII)
_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000}

_Choice = TypeVar("_Choice", bound=StrEnum)


class SpecialistFileError(NightdeskError):
    """The file cannot be used; the message names key, value and what is allowed."""


def specialist_id(keys: Mapping[str, Any], *, file_id: str) -> str:
    """The `id` of the file, which wins over its name.

    Raises:
        SpecialistFileError: it is no usable id.
    """
    found = keys.get("id", file_id)
    if isinstance(found, str) and _ID.fullmatch(found):
        return found
    raise _refused("id", found, "letters, digits and . _ - (at most 63, the first no sign)")


def is_enabled(keys: Mapping[str, Any]) -> bool:
    """Whether the file leaves the specialist switched on.

    Raises:
        SpecialistFileError: `enabled` is neither true nor false.
    """
    enabled = keys.get("enabled", True)
    if isinstance(enabled, bool):
        return enabled
    raise _refused("enabled", enabled, "true, false")


def specialist_from(document: Mapping[Any, Any], body: str, *, file_id: str) -> Specialist:
    """Read a whole file: its keys, and the Markdown below them ("" for a YAML file).

    Raises:
        SpecialistFileError: something in it is missing, unknown or out of bounds.
    """
    keys = _known(document, KEYS, within="")
    execution = _known(_mapping("execution", keys.get("execution")), EXECUTION_KEYS, "execution.")
    merged = {**keys, **execution}
    model = _text("model", merged.get("model"), NAME_MAX)
    tools = _names("tools", keys.get("tools"), TOOLS, default=READING_TOOLS)
    intents = _intents(keys.get("intents"))
    return Specialist(
        id=specialist_id(keys, file_id=file_id),
        name=_required_text("name", keys.get("name"), NAME_MAX),
        description=_text("description", keys.get("description"), DESCRIPTION_MAX),
        prompt=_prompt(keys, body),
        role=_choice("role", merged.get("role"), Role, Role.CRAFTER, fold=str.upper),
        tier=_choice("model_tier", merged.get("model_tier"), ModelTier, ModelTier.SMART),
        reminder=_text("role_reminder", keys.get("role_reminder"), PROMPT_MAX),
        triggers=_triggers(keys.get("on")),
        tools=tools,
        intents=intents,
        allowed_labels=_labels("labels", keys.get("labels")),
        approvals=_approvals(keys.get("approval"), tools, intents),
        limits=_limits(keys.get("limits")),
        timeout_ms=_timeout_ms(keys.get("limits")),
        concurrency=_concurrency(keys.get("concurrency")),
        model=model,
        notices=_notices(merged, model),
    )


# Keys ----------------------------------------------------------------------------------------


def _known(keys: Mapping[Any, Any], allowed: Sequence[str], within: str) -> dict[str, Any]:
    """The keys in one spelling. A key that nobody knows is an error, not a surprise later."""
    known: dict[str, Any] = {}
    for written, value in keys.items():
        key = SPELLINGS.get(written, written) if isinstance(written, str) else written
        if key not in allowed:
            raise SpecialistFileError(f"unknown key {within}{written}; allowed: {_list(allowed)}")
        if key in known:
            raise SpecialistFileError(f"key {within}{key} is given twice, also as {written}")
        known[key] = value
    return known


def _mapping(key: str, value: Any) -> Mapping[Any, Any]:
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return value
    raise _refused(key, value, "a mapping of keys to values")


def _list(allowed: Iterable[object]) -> str:
    return ", ".join(str(item) for item in allowed)


def _refused(key: str, value: Any, allowed: str) -> SpecialistFileError:
    shown = repr(value)
    if len(shown) > 60:  # noqa: PLR2004 - enough to find it in the file
        shown = f"{shown[:60]}…"
    return SpecialistFileError(f"key {key}: {shown} is not allowed; allowed: {allowed}")


# Values --------------------------------------------------------------------------------------


def _text(key: str, value: Any, longest: int) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _refused(key, value, "text")
    if len(value) > longest:
        raise SpecialistFileError(f"key {key}: {len(value)} characters; allowed: at most {longest}")
    return value.strip()


def _required_text(key: str, value: Any, longest: int) -> str:
    text = _text(key, value, longest)
    if not text:
        raise SpecialistFileError(f"key {key} is missing; allowed: 1 to {longest} characters")
    return text


def _prompt(keys: Mapping[str, Any], body: str) -> str:
    """The Markdown below the keys, or `system_prompt`: one of them, never both."""
    given = _text("system_prompt", keys.get("system_prompt"), PROMPT_MAX)
    text = _text("the prompt below the keys", body, PROMPT_MAX)
    if given and text:
        raise SpecialistFileError("key system_prompt and a prompt below the keys; keep one of them")
    if not given and not text:
        raise SpecialistFileError("the prompt is missing: write it below the keys")
    return given or text


def _choice(
    key: str,
    value: Any,
    allowed: type[_Choice],
    default: _Choice,
    fold: Callable[[str], str] = str.lower,
) -> _Choice:
    if value is None:
        return default
    if isinstance(value, str) and fold(value) in set(allowed):
        return allowed(fold(value))
    raise _refused(key, value, _list(allowed))


def _integer(key: str, value: Any, least: int, most: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    raise _refused(key, value, f"a whole number from {least} to {most}")


def _names(
    key: str,
    value: Any,
    allowed: Sequence[str],
    default: tuple[str, ...] = (),
) -> tuple[str, ...]:
    """A list of allowed names, each once, in its order; one name may stand alone."""
    if value is None:
        return default
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list):
        raise _refused(key, value, f"a list of {_list(allowed)}")
    for name in names:
        if name not in allowed:
            raise _refused(key, name, _list(allowed))
    return tuple(dict.fromkeys(names))


def _labels(key: str, value: Any) -> tuple[str, ...]:
    labels = [value] if isinstance(value, str) else value
    if labels is None:
        return ()
    if not isinstance(labels, list) or len(labels) > LABELS_MAX:
        raise _refused(key, value, f"a list of at most {LABELS_MAX} labels")
    for label in labels:
        # GitHub's own limit is 50 characters.
        if not isinstance(label, str) or not 0 < len(label.strip()) <= 50:  # noqa: PLR2004
            raise _refused(key, label, "a label of 1 to 50 characters")
    return tuple(dict.fromkeys(label.strip() for label in labels))


def _branches(key: str, value: Any) -> tuple[str, ...]:
    branches = [value] if isinstance(value, str) else value
    if branches is None:
        return ()
    is_list = isinstance(branches, list) and 0 < len(branches) <= LABELS_MAX
    if not is_list or not all(isinstance(b, str) and 0 < len(b) <= NAME_MAX for b in branches):
        raise _refused(key, value, f"a list of at most {LABELS_MAX} patterns, such as release/*")
    return tuple(dict.fromkeys(branches))


def _flag(key: str, value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return value is not False
    raise _refused(key, value, "true, false")


_FILTERS = ("actions", "labels")
#: What only the events of a pull request tell.
_PULL_FILTERS = ("branches", "drafts", "forks")


def _triggers(value: Any) -> tuple[EventTrigger, ...]:
    """`on:` as {event: {actions, labels, …}}, as a list of events, or as one event."""
    if value is None:
        return ()
    if isinstance(value, str | list):
        return tuple(EventTrigger(event=event) for event in _names("on", value, tuple(EVENTS)))
    triggers = []
    for event, filters in _mapping("on", value).items():
        (name,) = _names("on", [event], tuple(EVENTS))
        allowed = _FILTERS + (_PULL_FILTERS if name == "pull_request" else ())
        found = _known(_mapping(f"on.{name}", filters), allowed, f"on.{name}.")
        triggers.append(
            EventTrigger(
                event=name,
                actions=_names(f"on.{name}.actions", found.get("actions"), EVENTS[name]),
                labels=_labels(f"on.{name}.labels", found.get("labels")),
                branches=_branches(f"on.{name}.branches", found.get("branches")),
                drafts=_flag(f"on.{name}.drafts", found.get("drafts")),
                forks=_flag(f"on.{name}.forks", found.get("forks")),
            ),
        )
    return tuple(triggers)


def _intents(value: Any) -> tuple[tuple[str, int], ...]:
    """What it may propose and how many; without the key one comment, as the predecessors did."""
    if value is None:
        return (("comment", 1),)
    counts = _known(_mapping("intents", value), INTENTS, "intents.")
    return tuple(
        (name, _integer(f"intents.{name}", count, 0, INTENT_COUNT_MAX))
        for name, count in counts.items()
    )


def _approvals(
    value: Any, tools: tuple[str, ...], intents: tuple[tuple[str, int], ...]
) -> tuple[str, ...]:
    """Which of its own intents and tools a person must approve first. A question needs none."""
    own = (*(name for name, count in intents if count), *(tool for tool in tools if tool != ASK))
    if value and not own:
        raise _refused("approval", value, "nothing: it has neither intents nor tools")
    return _names("approval", value, own)


_LIMIT_KEYS = ("turns", "timeout", "cost_usd", "tokens")


def _limits(value: Any) -> Limits:
    limits = _known(_mapping("limits", value), _LIMIT_KEYS, "limits.")
    tokens, cost = limits.get("tokens"), limits.get("cost_usd")
    return Limits(
        turns=_integer("limits.turns", limits.get("turns", TURNS_DEFAULT), TURNS_MIN, TURNS_MAX),
        tokens=None
        if tokens is None
        else _integer("limits.tokens", tokens, TOKENS_MIN, TOKENS_MAX),
        cost_micros=None if cost is None else _micros("limits.cost_usd", cost),
    )


def _micros(key: str, value: Any) -> int:
    """Dollars as millionths. Decimal, because 0.29 dollars are 290,000 and not 289,999."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= COST_USD_MAX:
        return max(1, int(Decimal(str(value)) * 1_000_000))
    raise _refused(key, value, f"dollars, more than 0 and at most {COST_USD_MAX}")


def _timeout_ms(limits: Any) -> int:
    """`limits.timeout`: "15m", "90s", "1500ms", or a number of milliseconds."""
    value = _mapping("limits", limits).get("timeout", TIMEOUT_MS_DEFAULT)
    milliseconds = value
    if isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        milliseconds = int(match[1]) * _UNIT_MS[match[2]]
    if (
        isinstance(milliseconds, int)
        and not isinstance(milliseconds, bool)
        and TIMEOUT_MS_MIN <= milliseconds <= TIMEOUT_MS_MAX
    ):
        return milliseconds
    raise _refused("limits.timeout", value, "1s to 30m, such as 90s, 15m, or milliseconds")


def _concurrency(value: Any) -> Concurrency | None:
    if value is None:
        return None
    found = _known(_mapping("concurrency", value), ("group", "on_conflict"), "concurrency.")
    if "group" not in found:
        raise SpecialistFileError(
            f"key concurrency.group is missing; allowed: {_list(ConcurrencyGroup)}",
        )
    return Concurrency(
        group=_choice(
            "concurrency.group", found["group"], ConcurrencyGroup, ConcurrencyGroup.ISSUE
        ),
        on_conflict=_choice(
            "concurrency.on_conflict", found.get("on_conflict"), OnConflict, OnConflict.QUEUE
        ),
    )


def _notices(merged: Mapping[str, Any], model: str) -> tuple[str, ...]:
    """What the predecessors' files ask for that is decided elsewhere here."""
    elsewhere = ("default_provider", "default_adapter", "provider", "adapter")
    asked = {key: _text(key, merged.get(key), NAME_MAX) for key in elsewhere}
    notices = [f"{k} {v} is not used: the deployment decides" for k, v in asked.items() if v]
    if model:
        notices.append(f"model {model} is not used: the tier decides which model runs")
    return tuple(notices)
