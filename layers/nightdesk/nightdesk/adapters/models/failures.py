"""Turn what a provider answers instead of a turn into the errors of the `Model` port.

A provider's message is quoted for the person who reads it and is never decided on: only the HTTP
status, the provider's error code and the headers decide what the runtime does next.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from nightdesk.domain.errors import NightdeskError
from nightdesk.domain.model import (
    ModelAuthError,
    ModelRequestError,
    ModelThrottledError,
    ModelUnavailableError,
)
from nightdesk.domain.sanitiser.repetition import repeats

DEFAULT_WAIT = timedelta(seconds=30)
_SHORTEST_WAIT = timedelta(seconds=1)
_LONGEST_WAIT = timedelta(minutes=15)
_LONGEST_QUOTE = 300
_LONGEST_READ = 3_000
_OVERLOADED = 529  # Anthropic's own status
_FAILED_DEPENDENCY = 424  # Bedrock: the model behind it failed
#: Codes of a spent budget. They come as 429 too, but waiting does not help: a person has to pay.
_SPENT = frozenset({"insufficient_quota", "enforced_spend_limit_reached", "billing_error"})
_AUTH_STATUS = frozenset({401, 402, 403})
_PASSING_STATUS = frozenset({408, 409, 425, _FAILED_DEPENDENCY})
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
#: What an error inside a stream means, which has no status of its own. Unlisted codes are failures
#: of the provider, 500.
_STATUS_OF_CODE = {
    "invalid_request_error": 400,
    "context_length_exceeded": 400,
    "validationexception": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "permission_error": 403,
    "accessdeniedexception": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "throttlingexception": 429,
    "overloaded_error": _OVERLOADED,
}
_UNIT_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def failure_of(
    status: int,
    headers: Mapping[str, str],
    *,
    code: str,
    message: str,
    now: datetime,
) -> NightdeskError:
    """The error that an answer with this status means. `headers` have lower-case names."""
    text = f"the provider answered {status}{f' {code}' if code else ''}: {message}"
    if code in _SPENT or status in _AUTH_STATUS:
        return ModelAuthError(text)
    waits = status == HTTPStatus.SERVICE_UNAVAILABLE and "retry-after" in headers
    if status in {HTTPStatus.TOO_MANY_REQUESTS, _OVERLOADED} or waits:
        return ModelThrottledError(text, retry_after=wait_asked_for(headers, now))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _PASSING_STATUS:
        return ModelUnavailableError(text)
    # A redirect is here too: it is never followed with the key, and never goes away by itself.
    return ModelRequestError(text)


def failure_in_stream(error: Any, *, now: datetime, secret: str = "") -> NightdeskError:
    """The error that the provider sends in the middle of its answer, after a 200."""
    code, message = code_and_message(error)
    # Gateways put the status itself where OpenAI has a name.
    status = (
        int(code) if re.fullmatch(r"[45]\d\d", code) else _STATUS_OF_CODE.get(code.lower(), 500)
    )
    return failure_of(status, {}, code=code, message=shortened(message, secret=secret), now=now)


def error_in_body(body: bytes) -> Any:
    """The `error` of a JSON body, else the JSON itself, else the text."""
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return body.decode("utf-8", errors="replace")
    return payload.get("error", payload) if isinstance(payload, dict) else payload


def code_and_message(error: Any) -> tuple[str, str]:
    """The provider's code, as exact as it has one, and its words."""
    if not isinstance(error, dict):
        return "", str(error)
    details = error.get("details")
    exact = details.get("error_code") if isinstance(details, dict) else None
    codes = (exact, error.get("code"), error.get("type"))
    code = next((str(code) for code in codes if code), "")
    return code, str(error.get("message", ""))


def wait_asked_for(headers: Mapping[str, str], now: datetime) -> timedelta:
    """How long the provider asks us to wait, from one second to 15 minutes; 30 s if it is silent.

    Understands retry-after-ms (OpenAI, Azure), Retry-After in seconds or as a date (RFC 9110,
    10.2.3), and the reset of each limit that has nothing left: x-ratelimit-reset-KIND as a duration
    such as 6m0s (OpenAI), anthropic-ratelimit-KIND-reset as a time (RFC 3339).
    """
    wait = _retry_after(headers, now)
    if wait is None:
        wait = max(_resets(headers, now), default=DEFAULT_WAIT)
    return min(max(wait, _SHORTEST_WAIT), _LONGEST_WAIT)


def shortened(message: object, *, secret: str = "") -> str:
    """One line of a provider's message, without the key even where the provider repeats it."""
    text = str(message)[:_LONGEST_READ]
    if secret:
        text = text.replace(secret, "[key]")
    text = " ".join(text.split())
    if repeats(text, secret):
        text = "(the message repeats the key)"
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"


def _retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return _bounded(milliseconds / 1000)
    value = headers.get("retry-after", "").strip()
    seconds = _number(value)
    return _bounded(seconds) if seconds is not None else _until(value, now)


def _resets(headers: Mapping[str, str], now: datetime) -> list[timedelta]:
    """When the exhausted limits are filled again; several can be exhausted at once."""
    waits = []
    for name, value in headers.items():
        if name.startswith("x-ratelimit-reset-"):
            left = headers.get(name.replace("-reset-", "-remaining-"))
            wait = _duration(value)
        elif name.startswith("anthropic-ratelimit-") and name.endswith("-reset"):
            left = headers.get(f"{name.removesuffix('-reset')}-remaining")
            wait = _until(value, now)
        else:
            continue
        if left in {None, "0"} and wait is not None:
            waits.append(wait)
    return waits


def _number(value: str) -> float | None:
    return float(value) if re.fullmatch(r"\s*\d+(\.\d+)?\s*", value) else None


def _bounded(seconds: float) -> timedelta:
    """A duration that a timedelta can hold, whatever the header says."""
    return timedelta(seconds=min(seconds, _LONGEST_WAIT.total_seconds()))


def _duration(value: str) -> timedelta | None:
    parts = _DURATION.findall(value)
    if not parts or "".join(number + unit for number, unit in parts) != value.strip():
        return None
    return _bounded(sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts))


def _until(value: str, now: datetime) -> timedelta | None:
    """The time left until an HTTP date or an RFC 3339 time; None when it is neither."""
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = parse(value)
        except (ValueError, OverflowError):
            continue
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
    return None
