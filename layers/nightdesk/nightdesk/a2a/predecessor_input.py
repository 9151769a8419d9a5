"""The bodies of the predecessor's API, with its limits and its words for what is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from nightdesk.domain.conversation_prompt import Data
from nightdesk.domain.errors import NightdeskError
from nightdesk.domain.push_configs import PushConfig, PushFormat
from nightdesk.domain.task import TIMEOUT_MS_MAX, TIMEOUT_MS_MIN

MESSAGE_MAX = 10_000


class ValidationError(NightdeskError):
    """The body is refused: (field, message) of everything that is wrong with it."""

    def __init__(self, *details: tuple[str, str]) -> None:
        super().__init__("Invalid request")
        self.details = details


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A valid body."""

    message: str
    timeout_ms: int | None = None
    context: Mapping[str, Any] | None = None
    session_id: str | None = None
    push: Mapping[str, Any] | None = None

    @property
    def data(self) -> tuple[Data, ...]:
        """The context, for the agent to read."""
        if not self.context:
            return ()
        return (Data("context", msgspec.json.format(msgspec.json.encode(self.context)).decode()),)

    def push_config(self, *, new_id: str, now: datetime) -> PushConfig | None:
        """The callback; it gets the predecessor's plain body, with the authentication it named."""
        if self.push is None:
            return None
        authentication = self.push.get("authentication") or {}
        credentials = authentication.get("credentials") or ""
        # Its own rule: credentials go under the first scheme; without any, the token is a Bearer's.
        scheme = authentication["schemes"][0] if credentials else ""
        token = self.push.get("token") or ""
        if token and not credentials:
            scheme, credentials = "Bearer", token
        return PushConfig(
            task_id="",
            id=new_id,
            url=self.push["url"],
            created_at=now,
            format=PushFormat.PLAIN,
            token=token,
            scheme=scheme,
            credentials=credentials,
        )


@dataclass(slots=True)
class _Checks:
    """Looks at every field, so that one answer names all that is wrong."""

    body: Mapping[str, Any]
    wrong: list[tuple[str, str]] = field(default_factory=list)

    def given(self, name: str, kind: type, expected: str) -> Any:
        """The field when it is there and of its type."""
        value = self.body.get(name)
        if value is None:
            if name in self.body or name == "message":
                got = "null" if name in self.body else "undefined"
                self.wrong.append((name, f"Invalid input: expected {expected}, received {got}"))
            return None
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self.wrong.append((name, f"Invalid input: expected {expected}"))
            return None
        return value


def given_task(body: Any) -> Given:
    """The body of POST /tasks.

    Raises:
        ValidationError: names every field that is wrong.
    """
    checks = _checks(body)
    given = Given(
        message=_message(checks),
        timeout_ms=_timeout(checks),
        context=checks.given("context", dict, "record"),
        push=_push(checks),
    )
    return _unless_wrong(checks, given)


def given_message(body: Any) -> Given:
    """The body of POST /messages. `sessionId` is the conversation to go on with.

    Raises:
        ValidationError: names every field that is wrong.
    """
    checks = _checks(body)
    mode = checks.given("sessionMode", str, "string")
    if mode not in (None, "new", "reuse"):
        checks.wrong.append(("sessionMode", 'Invalid option: expected one of "reuse"|"new"'))
    if body.get("images"):
        checks.wrong.append(("images", "Images are not supported"))
    given = Given(
        message=_message(checks),
        timeout_ms=_timeout(checks),
        context=checks.given("context", dict, "record"),
        session_id=checks.given("sessionId", str, "string") or None,
    )
    return _unless_wrong(checks, given)


def _checks(body: Any) -> _Checks:
    if not isinstance(body, dict):
        raise ValidationError(("", "Invalid input: expected object"))
    return _Checks(body)


def _unless_wrong(checks: _Checks, given: Given) -> Given:
    if checks.wrong:
        raise ValidationError(*checks.wrong)
    return given


def _message(checks: _Checks) -> str:
    message = checks.given("message", str, "string")
    if message is None:
        return ""
    if not message.strip():
        checks.wrong.append(("message", "Message cannot be empty"))
    elif len(message) > MESSAGE_MAX:
        checks.wrong.append(("message", f"Message too long (max {MESSAGE_MAX} characters)"))
    return str(message)


def _timeout(checks: _Checks) -> int | None:
    timeout = checks.given("timeout", (int | float), "number")  # type: ignore[arg-type]
    if timeout is None:
        return None
    if timeout != int(timeout):
        checks.wrong.append(("timeout", "Timeout must be an integer"))
    elif timeout < TIMEOUT_MS_MIN:
        checks.wrong.append(("timeout", "Timeout must be at least 1 second (1000ms)"))
    elif timeout > TIMEOUT_MS_MAX:
        checks.wrong.append(("timeout", "Timeout cannot exceed 30 minutes (1800000ms)"))
    return int(timeout)


def _push(checks: _Checks) -> Mapping[str, Any] | None:
    name = "pushNotificationConfig"
    push: Mapping[str, Any] | None = checks.given(name, dict, "object")
    if push is None:
        return None
    if not isinstance(push.get("url"), str) or "://" not in push["url"]:
        checks.wrong.append((f"{name}.url", "Invalid webhook URL"))
    if not isinstance(push.get("token", ""), str):
        checks.wrong.append((f"{name}.token", "Invalid input: expected string"))
    authentication = push.get("authentication")
    if authentication is not None:
        checks.wrong += _authentication(f"{name}.authentication", authentication)
    return push


def _authentication(name: str, value: Any) -> list[tuple[str, str]]:
    if not isinstance(value, dict):
        return [(name, "Invalid input: expected object")]
    wrong, schemes = [], value.get("schemes")
    if not isinstance(schemes, list) or not all(isinstance(scheme, str) for scheme in schemes):
        wrong.append((f"{name}.schemes", "Invalid input: expected array"))
    elif not schemes:
        wrong.append((f"{name}.schemes", "At least one authentication scheme required"))
    if not isinstance(value.get("credentials", ""), str):
        wrong.append((f"{name}.credentials", "Invalid input: expected string"))
    return wrong
