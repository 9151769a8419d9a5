"""From the keys of a specialist file to a `Specialist`, or to one sentence that says what is wrong.

Ours and the predecessors' keys are read alike (reference: docs/specialists.md). The predecessors
wrote several keys in two ways and repeated some below `execution`, which wins.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from nightdesk.domain.document_values import (
    DocumentError,
    choice,
    flag,
    integer,
    known,
    labels,
    listed,
    mapping,
    names,
    refused,
    required_text,
    text,
)
from nightdesk.domain.intents.names import ASK
from nightdesk.domain.model import ModelTier
from nightdesk.domain.specialist import (
    INTENTS,
    OPEN_INTENTS,
    READING_TOOLS,
    TOOLS,
    Audience,
    Concurrency,
    ConcurrencyGroup,
    OnConflict,
    Role,
    Specialist,
)
from nightdesk.domain.task import TIMEOUT_MS_DEFAULT, TIMEOUT_MS_MAX, TIMEOUT_MS_MIN, Limits
from nightdesk.domain.trigger_document import read_on

NAME_MAX = 100
DESCRIPTION_MAX = 500
PROMPT_MAX = 50_000
INTENT_COUNT_MAX = 10
PATHS_MAX = 50
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
    "allow",
    "tools",
    "intents",
    "approval",
    "labels",
    "limits",
    "concurrency",
    "paths",
    "progress",
    "status",
    "sticky",
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

#: What reading a specialist file raises.
SpecialistFileError = DocumentError


def specialist_id(keys: Mapping[str, Any], *, file_id: str) -> str:
    """The `id` of the file, which wins over its name.

    Raises:
        SpecialistFileError: it is no usable id.
    """
    found = keys.get("id", file_id)
    if isinstance(found, str) and _ID.fullmatch(found):
        return found
    raise refused("id", found, "letters, digits and . _ - (at most 63, the first no sign)")


def is_enabled(keys: Mapping[str, Any]) -> bool:
    """Whether the file leaves the specialist switched on.

    Raises:
        SpecialistFileError: `enabled` is neither true nor false.
    """
    enabled = keys.get("enabled", True)
    if isinstance(enabled, bool):
        return enabled
    raise refused("enabled", enabled, "true, false")


def specialist_from(document: Mapping[Any, Any], body: str, *, file_id: str) -> Specialist:
    """Read a whole file: its keys, and the Markdown below them ("" for a YAML file).

    Raises:
        SpecialistFileError: something in it is missing, unknown or out of bounds.
    """
    keys = known(document, KEYS, "", SPELLINGS)
    execution = known(
        mapping("execution", keys.get("execution")), EXECUTION_KEYS, "execution.", SPELLINGS
    )
    merged = {**keys, **execution}
    model = text("model", merged.get("model"), NAME_MAX)
    tools = names("tools", keys.get("tools"), TOOLS, default=READING_TOOLS)
    intents = intents_of(keys.get("intents"))
    triggers, schedules = read_on(keys.get("on"))
    return Specialist(
        id=specialist_id(keys, file_id=file_id),
        name=required_text("name", keys.get("name"), NAME_MAX),
        description=text("description", keys.get("description"), DESCRIPTION_MAX),
        prompt=_prompt(keys, body),
        role=choice("role", merged.get("role"), Role, Role.CRAFTER, fold=str.upper),
        tier=choice("model_tier", merged.get("model_tier"), ModelTier, ModelTier.SMART),
        reminder=text("role_reminder", keys.get("role_reminder"), PROMPT_MAX),
        triggers=triggers,
        schedules=schedules,
        audience=_audience(keys.get("allow"), tools, intents),
        tools=tools,
        intents=intents,
        allowed_labels=labels("labels", keys.get("labels")),
        approvals=_approvals(keys.get("approval"), tools, intents),
        limits=limits_of(keys.get("limits")),
        timeout_ms=timeout_ms_of(keys.get("limits")),
        concurrency=_concurrency(keys.get("concurrency")),
        allowed_paths=_paths(keys.get("paths")),
        progress=flag("progress", keys.get("progress")),
        status=flag("status", keys.get("status"), default=False),
        sticky=None if keys.get("sticky") is None else flag("sticky", keys["sticky"]),
        model=model,
        notices=_notices(merged, model),
    )


# Values --------------------------------------------------------------------------------------


def _prompt(keys: Mapping[str, Any], body: str) -> str:
    """The Markdown below the keys, or `system_prompt`: one of them, never both."""
    given = text("system_prompt", keys.get("system_prompt"), PROMPT_MAX)
    below = text("the prompt below the keys", body, PROMPT_MAX)
    if given and below:
        raise SpecialistFileError("key system_prompt and a prompt below the keys; keep one of them")
    if not given and not below:
        raise SpecialistFileError("the prompt is missing: write it below the keys")
    return given or below


def _audience(value: Any, tools: tuple[str, ...], intents: tuple[tuple[str, int], ...]) -> Audience:
    """Whose events start it: everybody's if it only reads and answers, unless the file says less.

    Raises:
        DocumentError: it is for everybody, and does more than that.
    """
    proposed = {name for name, count in intents if count}
    is_harmless = set(tools) <= set(READING_TOOLS) and proposed <= set(OPEN_INTENTS)
    allowed = choice(
        "allow", value, Audience, Audience.EVERYONE if is_harmless else Audience.MEMBERS
    )
    if allowed is Audience.EVERYONE and not is_harmless:
        only = f"members, since it does more than read and propose {listed(OPEN_INTENTS)}"
        raise refused("allow", value, only)
    return allowed


def intents_of(value: Any) -> tuple[tuple[str, int], ...]:
    """What it may propose and how many; without the key one comment, as the predecessors did."""
    if value is None:
        return (("comment", 1),)
    counts = known(mapping("intents", value), INTENTS, "intents.")
    return tuple(
        (name, integer(f"intents.{name}", count, 0, INTENT_COUNT_MAX))
        for name, count in counts.items()
    )


def _approvals(
    value: Any, tools: tuple[str, ...], intents: tuple[tuple[str, int], ...]
) -> tuple[str, ...]:
    """Which of its own intents and tools a person must approve first. A question needs none."""
    own = (*(name for name, count in intents if count), *(tool for tool in tools if tool != ASK))
    if value and not own:
        raise refused("approval", value, "nothing: it has neither intents nor tools")
    return names("approval", value, own)


_LIMIT_KEYS = ("turns", "timeout", "cost_usd", "tokens")


def limits_of(value: Any, *, turns: int = TURNS_DEFAULT) -> Limits:
    """`limits:`; `turns` is what counts without that key."""
    limits = known(mapping("limits", value), _LIMIT_KEYS, "limits.")
    tokens, cost = limits.get("tokens"), limits.get("cost_usd")
    return Limits(
        turns=integer("limits.turns", limits.get("turns", turns), TURNS_MIN, TURNS_MAX),
        tokens=None if tokens is None else integer("limits.tokens", tokens, TOKENS_MIN, TOKENS_MAX),
        cost_micros=None if cost is None else _micros("limits.cost_usd", cost),
    )


def _micros(key: str, value: Any) -> int:
    """Dollars as millionths. Decimal, because 0.29 dollars are 290,000 and not 289,999."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= COST_USD_MAX:
        return max(1, int(Decimal(str(value)) * 1_000_000))
    raise refused(key, value, f"dollars, more than 0 and at most {COST_USD_MAX}")


def timeout_ms_of(limits: Any, *, default: int = TIMEOUT_MS_DEFAULT) -> int:
    """`limits.timeout`: "15m", "90s", "1500ms", or a number of milliseconds."""
    value = mapping("limits", limits).get("timeout", default)
    milliseconds = value
    if isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        milliseconds = int(match[1]) * _UNIT_MS[match[2]]
    if (
        isinstance(milliseconds, int)
        and not isinstance(milliseconds, bool)
        and TIMEOUT_MS_MIN <= milliseconds <= TIMEOUT_MS_MAX
    ):
        return milliseconds
    raise refused("limits.timeout", value, "1s to 30m, such as 90s, 15m, or milliseconds")


def _paths(value: Any) -> tuple[str, ...]:
    """Patterns of what its pull requests may change, as git writes them."""
    patterns = [value] if isinstance(value, str) else value
    if patterns is None:
        return ()
    if not isinstance(patterns, list) or not 0 < len(patterns) <= PATHS_MAX:
        raise refused("paths", value, f"1 to {PATHS_MAX} patterns, such as src/**")
    for pattern in patterns:
        if not isinstance(pattern, str) or not 0 < len(pattern.strip()) <= NAME_MAX:
            raise refused("paths", pattern, f"a pattern of 1 to {NAME_MAX} characters")
    return tuple(dict.fromkeys(pattern.strip() for pattern in patterns))


def _concurrency(value: Any) -> Concurrency | None:
    if value is None:
        return None
    found = known(mapping("concurrency", value), ("group", "on_conflict"), "concurrency.")
    if "group" not in found:
        raise SpecialistFileError(
            f"key concurrency.group is missing; allowed: {listed(ConcurrencyGroup)}",
        )
    return Concurrency(
        group=choice("concurrency.group", found["group"], ConcurrencyGroup, ConcurrencyGroup.ISSUE),
        on_conflict=choice(
            "concurrency.on_conflict", found.get("on_conflict"), OnConflict, OnConflict.QUEUE
        ),
    )


def _notices(merged: Mapping[str, Any], model: str) -> tuple[str, ...]:
    """What the predecessors' files ask for that is decided elsewhere here."""
    elsewhere = ("default_provider", "default_adapter", "provider", "adapter")
    asked = {key: text(key, merged.get(key), NAME_MAX) for key in elsewhere}
    notices = [f"{k} {v} is not used: the deployment decides" for k, v in asked.items() if v]
    if model:
        notices.append(f"model {model} is not used: the tier decides which model runs")
    return tuple(notices)
