"""From an API Gateway event to typed input; what does not fit is an error that names the field."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from types import NoneType
from typing import Annotated, Any, ClassVar, Protocol, TypeVar, get_args, get_origin

import msgspec

from nightdesk.api.errors import BodyTooLargeError, MalformedJsonError, MediaTypeError
from nightdesk.domain.api_key import DESCRIPTION_MAX, ApiKey, Operation
from nightdesk.domain.errors import InvalidInputError
from nightdesk.domain.push_configs import PushFormat
from nightdesk.domain.rate_limit import PER_MINUTE_MAX, PER_MINUTE_MIN
from nightdesk.domain.specialist import OnConflict
from nightdesk.domain.task import (
    DEPENDENCIES_MAX,
    GROUP_MAX,
    MAX_ATTEMPTS_DEFAULT,
    MAX_ATTEMPTS_MAX,
    MAX_ATTEMPTS_MIN,
    MESSAGE_MAX,
    PROMPT_MAX,
    TIMEOUT_MS_MAX,
    TIMEOUT_MS_MIN,
    TITLE_MAX,
    OnDependencyFailure,
    Priority,
    TaskStatus,
    TriggerSource,
)
from nightdesk.services.manage_keys import AGENTS_MAX, GRACE_DEFAULT, GRACE_MAX
from nightdesk.services.manage_workspace import COST_USD_PER_DAY_MAX, TASKS_PER_DAY_MAX
from nightdesk.services.message_task import MessageAction
from nightdesk.services.submit_task import IDEMPOTENCY_KEY_MAX, TRIGGERED_BY_MAX

#: The largest body: a prompt of 100,000 characters fits however it is written, but for rarities.
BODY_MAX = 1_048_576
CURSOR_MAX = 2_000
_SHOWN = 60

_IDEMPOTENCY_KEY = re.compile(rf"[\x20-\x7e]{{1,{IDEMPOTENCY_KEY_MAX}}}")
_JSON_TYPE = re.compile(r"application/([a-z0-9.+-]+\+)?json", re.IGNORECASE)

_Instant = Annotated[datetime, msgspec.Meta(tz=True)]


def _text(longest: int) -> dict[str, Any]:
    """Not blank, and not too long."""
    return {"minLength": 1, "maxLength": longest, "pattern": r"\S"}


class Body(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """A JSON body. Absent and null mean the same, so every field may be None.

    Only in WorkspaceBody null takes a bound away, and absent leaves it.
    """

    #: What the services demand, for the OpenAPI document: fields, and bounds by field.
    required: ClassVar[tuple[str, ...]] = ()
    bounds: ClassVar[Mapping[str, Mapping[str, Any]]] = {}


class CreateBody(Body):
    """A new task."""

    required: ClassVar = ("prompt", "agentId", "workspaceId")
    bounds: ClassVar = {
        "prompt": _text(PROMPT_MAX),
        "agentId": {"minLength": 1},
        "workspaceId": {"minLength": 1},
        "title": {"maxLength": TITLE_MAX},
        "triggeredBy": {"maxLength": TRIGGERED_BY_MAX},
        "maxAttempts": {
            "minimum": MAX_ATTEMPTS_MIN,
            "maximum": MAX_ATTEMPTS_MAX,
            "default": MAX_ATTEMPTS_DEFAULT,
        },
        "timeoutMs": {"minimum": TIMEOUT_MS_MIN, "maximum": TIMEOUT_MS_MAX},
        "dependsOn": {"maxItems": DEPENDENCIES_MAX},
        "concurrencyGroup": {"minLength": 1, "maxLength": GROUP_MAX},
    }
    prompt: str | None = None
    agent_id: str | None = None
    workspace_id: str | None = None
    title: str | None = None
    trigger_source: TriggerSource | None = None
    triggered_by: str | None = None
    priority: Priority | None = None
    max_attempts: int | None = None
    timeout_ms: int | None = None
    run_after: _Instant | None = None
    depends_on: list[str] | None = None
    on_dependency_failure: OnDependencyFailure | None = None
    quote_outputs: bool | None = None
    concurrency_group: str | None = None
    on_conflict: OnConflict | None = None


class BulkBody(Body):
    """What to delete or retry: `action` is deleteByStatus or retryByStatus."""

    required: ClassVar = ("action", "status", "workspaceId")
    bounds: ClassVar = {
        "action": {"enum": ["deleteByStatus", "retryByStatus"]},
        "workspaceId": {"minLength": 1},
        "cursor": {"maxLength": CURSOR_MAX},
    }
    action: str | None = None
    status: TaskStatus | None = None
    workspace_id: str | None = None
    trigger_source: TriggerSource | None = None
    cursor: str | None = None


class EditBody(Body):
    """What to change of a task."""

    bounds: ClassVar = {
        "title": {"maxLength": TITLE_MAX},
        "prompt": _text(PROMPT_MAX),
        "agentId": {"minLength": 1},
    }
    title: str | None = None
    prompt: str | None = None
    agent_id: str | None = None
    priority: Priority | None = None


class MessageBody(Body):
    """A message, or a decision. `text` is required unless `action` is approve."""

    bounds: ClassVar = {"text": {"maxLength": MESSAGE_MAX}}
    action: MessageAction | None = None
    text: str | None = None


class AuthenticationBody(Body):
    """How a callback is sent: `Authorization: <scheme> <credentials>`."""

    scheme: str
    credentials: str


class CallbackBody(Body):
    """Where a workspace is called back. `token` is sent as X-A2A-Notification-Token."""

    url: str
    format: PushFormat = PushFormat.JSON
    token: str = ""
    authentication: AuthenticationBody | None = None


class WorkspaceBody(Body):
    """What to change of a workspace; null takes a bound away."""

    bounds: ClassVar = {
        "tasksPerDay": {"minimum": 1, "maximum": TASKS_PER_DAY_MAX},
        "costUsdPerDay": {"exclusiveMinimum": 0, "maximum": COST_USD_PER_DAY_MAX},
    }
    paused: bool | msgspec.UnsetType = msgspec.UNSET
    tasks_per_day: int | msgspec.UnsetType | None = msgspec.UNSET
    cost_usd_per_day: float | msgspec.UnsetType | None = msgspec.UNSET
    callback: CallbackBody | msgspec.UnsetType | None = msgspec.UNSET


class KeyBody(Body):
    """A new key. Left out: the specialists and the workspace of the key that asks."""

    bounds: ClassVar = {
        "agents": {"maxItems": AGENTS_MAX},
        "operations": {"minItems": 1},
        "description": {"maxLength": DESCRIPTION_MAX},
        "requestsPerMinute": {"minimum": PER_MINUTE_MIN, "maximum": PER_MINUTE_MAX},
    }
    workspace_id: str | None = None
    agents: list[str] | None = None
    operations: list[Operation] | None = None
    description: str | None = None
    requests_per_minute: int | None = None


class RotateBody(Body):
    """How long the secret before is accepted."""

    bounds: ClassVar = {
        "graceSeconds": {
            "minimum": 0,
            "maximum": GRACE_MAX // timedelta(seconds=1),
            "default": GRACE_DEFAULT // timedelta(seconds=1),
        }
    }
    grace_seconds: int | None = None


_Body = TypeVar("_Body", bound=Body)


class Expected(Protocol):
    """A query parameter (nightdesk.api.parameters)."""

    @property
    def name(self) -> str: ...
    @property
    def read(self) -> Callable[[str | None], Any]: ...


class Request:
    """One event of API Gateway (payload format 2.0), read on demand."""

    _no_headers: ClassVar[Mapping[str, str]] = {}

    def __init__(self, event: Mapping[str, Any]) -> None:
        self._event = event
        headers = event.get("headers") or self._no_headers
        self._headers = {str(name).lower(): value for name, value in headers.items()}
        self._bodies: Sequence[type] = ()
        self._may_lack_body = False
        #: Who asks; None on a route that is open to everybody.
        self.key_or_none: ApiKey | None = None
        #: The query parameters of the route by name, read (`expect`).
        self.query: Mapping[str, Any] = {}

    @property
    def method(self) -> str:
        """The method, in capitals."""
        return str(self._event["requestContext"]["http"]["method"]).upper()

    @property
    def path(self) -> str:
        """The path as it was sent, without the stage and without trailing slashes."""
        path, stage = str(self._event["rawPath"]), self._event["requestContext"].get("stage")
        if stage not in (None, "$default"):
            path = path.removeprefix(f"/{stage}")
        return path.rstrip("/") or "/"

    @property
    def key(self) -> ApiKey:
        """Who asks, on a route that needs a key."""
        assert self.key_or_none is not None
        return self.key_or_none

    def header(self, name: str) -> str | None:
        """A header, however its name is written."""
        value = self._headers.get(name.lower())
        return value if isinstance(value, str) else None

    def idempotency_key(self) -> str | None:
        """The Idempotency-Key; None when there is none.

        Raises:
            InvalidInputError: it is empty, too long, or not printable ASCII.
        """
        key = self.header("Idempotency-Key")
        if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
            allowed = f"1 to {IDEMPOTENCY_KEY_MAX} printable ASCII characters"
            raise InvalidInputError("Idempotency-Key", f"Idempotency-Key must be {allowed}")
        return key

    def expect(
        self, *, query: Sequence[Expected], bodies: Sequence[type], may_lack_body: bool
    ) -> None:
        """Read the query parameters of the route, and remember which bodies it takes.

        Raises:
            InvalidInputError: one is wrong, or not of the route: a misspelt filter must not show
                everything. A route without any ignores what it is given.
        """
        self._bodies, self._may_lack_body = bodies, may_lack_body
        given = self._event.get("queryStringParameters") or {}
        allowed = tuple(parameter.name for parameter in query)
        for name in given if query else ():
            if name not in allowed:
                raise InvalidInputError(name[:_SHOWN], _unknown("parameter", name, allowed))
        stated = {name: str(value) for name, value in given.items() if str(value).strip()}
        self.query = {
            parameter.name: parameter.read(stated.get(parameter.name)) for parameter in query
        }

    def body_as(self, shape: type[_Body], given: Mapping[str, Any] | None = None) -> _Body:
        """The body, or the object that was `given`, as one of the bodies of the route.

        Raises:
            MediaTypeError, BodyTooLargeError, MalformedJsonError, InvalidInputError.
        """
        assert shape in self._bodies, f"{shape.__name__} is not documented for this route"
        if given is None and self._may_lack_body and not self._event.get("body"):
            return shape()
        return body_as(shape, self.json_object() if given is None else given)

    def json_object(self) -> dict[str, Any]:
        """The body, which must be a JSON object.

        Raises:
            MediaTypeError, BodyTooLargeError, MalformedJsonError, InvalidInputError.
        """
        media_type = (self.header("Content-Type") or "application/json").partition(";")[0].strip()
        if not _JSON_TYPE.fullmatch(media_type):
            raise MediaTypeError("The Content-Type must be application/json")
        try:
            value = msgspec.json.decode(self._body())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedJsonError from error
        if not isinstance(value, dict):
            raise InvalidInputError("body", f"The body must be a JSON object; got {_kind(value)}")
        return value

    def _body(self) -> bytes:
        body = self._event.get("body") or ""
        if len(body) > BODY_MAX * 4 // 3 + 4:
            raise _too_large()
        try:
            if self._event.get("isBase64Encoded"):
                content = base64.b64decode(body, validate=True)
            else:
                content = body.encode()
        except (binascii.Error, ValueError) as error:
            raise MalformedJsonError from error
        if len(content) > BODY_MAX:
            raise _too_large()
        return content


def _too_large() -> BodyTooLargeError:
    return BodyTooLargeError(f"The body must have at most {BODY_MAX} bytes")


def body_as(shape: type[_Body], given: Mapping[str, Any]) -> _Body:
    """The JSON object as a typed body.

    Raises:
        InvalidInputError: an unknown field, or a value of another type; names field and allowed.
    """
    fields = {field.encode_name: field for field in msgspec.structs.fields(shape)}
    for name in given:
        if name not in fields:
            raise InvalidInputError(name[:_SHOWN], _unknown("field", name, tuple(fields)))
    values = {}
    for name, value in given.items():
        # One field at a time, because msgspec names the field in words only.
        try:
            values[fields[name].name] = msgspec.convert(value, fields[name].type)
        except msgspec.ValidationError as error:
            allowed = _allowed(fields[name].type)
            raise InvalidInputError(
                name, f"{name} must be {allowed}; got {shown(value)}"
            ) from error
    return shape(**values)


def required(field: str, value: str | None) -> str:
    """The value without blanks around it.

    Raises:
        InvalidInputError: it is missing or blank.
    """
    text = (value or "").strip()
    if not text:
        raise InvalidInputError(field, f"{field} is required")
    return text


def seconds(value: int) -> timedelta:
    """A length of time; what is beyond all bounds stays beyond them."""
    return timedelta(seconds=max(-1, min(value, 10**12)))


def _unknown(what: str, name: str, allowed: Sequence[str]) -> str:
    known = f"allowed: {', '.join(allowed)}" if allowed else "none is allowed here"
    return f"Unknown {what} {shown(name)}; {known}"


def shown(value: Any) -> str:
    """The value as JSON would write it, cut short."""
    if isinstance(value, dict | list):
        return _kind(value)
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _kind(value: Any) -> str:
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case str():
            return "text"
        case None:
            return "null"
        case bool():
            return "true or false"
        case _:
            return "a number"


_WORDS: Mapping[Any, str] = {
    int: "a whole number",
    str: "text",
    bool: "true or false",
    float: "a number",
}


def _allowed(field_type: Any) -> str:
    """What a field's type allows, in words."""
    nothing = (NoneType, msgspec.UnsetType)
    wanted = next(part for part in get_args(field_type) if part not in nothing)
    if get_origin(wanted) is list:
        (part,) = get_args(wanted)
        return "a list of texts" if part is str else f"a list of {', '.join(part)}"
    if isinstance(wanted, type) and issubclass(wanted, StrEnum):
        return f"one of {', '.join(wanted)}"
    return _WORDS.get(wanted, "a time with an offset, such as 2026-01-31T12:00:00Z")
