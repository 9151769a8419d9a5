"""The query parameters of the API: how each is read, and how the OpenAPI document shows it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar

from nightdesk.api.requests import CURSOR_MAX, required, shown
from nightdesk.domain.errors import InvalidInputError
from nightdesk.domain.task import TaskStatus
from nightdesk.services.list_tasks import LIMIT_DEFAULT, LIMIT_MAX, LIMIT_MIN

_Choice = TypeVar("_Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter. `read` makes a value of the text, of None when it was not given.

    `read` raises InvalidInputError for whatever the JSON `schema` forbids.
    """

    name: str
    description: str
    schema: Mapping[str, Any]
    read: Callable[[str | None], Any]
    is_required: bool = False


def choice(field: str, value: str | None, *, allowed: type[_Choice]) -> _Choice | None:
    """A query parameter that is one of a few words."""
    if value is None:
        return None
    if value not in set(allowed):
        words = ", ".join(allowed)
        raise InvalidInputError(field, f"{field} must be one of {words}; got {shown(value)}")
    return allowed(value)


def page_limit(value: str | None) -> int:
    """The query parameter `limit`."""
    if value is None:
        return LIMIT_DEFAULT
    # Not int() alone: that also takes "1_0", digits of other scripts, and thousands of digits.
    if re.fullmatch(r"[0-9]{1,4}", value, re.ASCII) and LIMIT_MIN <= int(value) <= LIMIT_MAX:
        return int(value)
    allowed = f"a whole number from {LIMIT_MIN} to {LIMIT_MAX}"
    raise InvalidInputError("limit", f"limit must be {allowed}; got {shown(value)}")


def issue_number(value: str | None) -> int:
    """The query parameter `number`: of an issue or pull request."""
    if value is not None and re.fullmatch(r"[1-9][0-9]{0,9}", value, re.ASCII):
        return int(value)
    raise InvalidInputError("number", f"number must be that of an issue; got {shown(value)}")


def event_number(value: str | None) -> int:
    """The query parameter `after`: the number of the newest event that the caller has."""
    if value is None:
        return 0
    if re.fullmatch(r"[0-9]{1,9}", value, re.ASCII):
        return int(value)
    allowed = "the number of an event, or 0"
    raise InvalidInputError("after", f"after must be {allowed}; got {shown(value)}")


def list_cursor(value: str | None) -> str | None:
    """A cursor of ours: never long, never strange."""
    if value is not None and (len(value) > CURSOR_MAX or not value.isascii()):
        raise InvalidInputError("cursor", "cursor must be the nextCursor of an earlier answer")
    return value


def flag(field: str, value: str | None) -> bool:
    """A query parameter that is true or false."""
    if value not in (None, "true", "false"):
        raise InvalidInputError(field, f"{field} must be true or false; got {shown(value)}")
    return value == "true"


WORKSPACE_ID = Parameter(
    name="workspaceId",
    description="The key's own workspace.",
    schema={"type": "string", "minLength": 1},
    read=partial(required, "workspaceId"),
    is_required=True,
)
STATUS = Parameter(
    name="status",
    description="Only tasks with this status.",
    schema={"type": "string", "enum": [status.value for status in TaskStatus]},
    read=partial(choice, "status", allowed=TaskStatus),
)
LIMIT = Parameter(
    name="limit",
    description="How many at most.",
    schema={
        "type": "integer",
        "minimum": LIMIT_MIN,
        "maximum": LIMIT_MAX,
        "default": LIMIT_DEFAULT,
    },
    read=page_limit,
)
CURSOR = Parameter(
    name="cursor",
    description="The `nextCursor` of an earlier answer to the same question.",
    schema={"type": "string", "maxLength": CURSOR_MAX},
    read=list_cursor,
)
AFTER = Parameter(
    name="after",
    description="The number of the newest event that the caller has.",
    schema={"type": "integer", "minimum": 0, "maximum": 999_999_999, "default": 0},
    read=event_number,
)
FORCE = Parameter(
    name="force",
    description="Accepted, and changes nothing: what runs is stopped first, always.",
    schema={"type": "boolean", "default": False},
    read=partial(flag, "force"),
)
REPO = Parameter(
    name="repo",
    description="owner/name.",
    schema={"type": "string", "minLength": 1},
    read=partial(required, "repo"),
    is_required=True,
)
NUMBER = Parameter(
    name="number",
    description="Of an issue or pull request.",
    schema={"type": "integer", "minimum": 1, "maximum": 9_999_999_999},
    read=issue_number,
    is_required=True,
)
