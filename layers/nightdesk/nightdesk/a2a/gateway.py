"""An HTTP request out of an event of API Gateway (payload format 2.0), and an answer for it."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

from nightdesk.domain.errors import InvalidInputError, NightdeskError
from nightdesk.services.submit_task import IDEMPOTENCY_KEY_MAX

#: The largest body: a prompt of 100,000 characters fits however it is written, but for rarities.
BODY_MAX = 1_048_576


class BodyTooLargeError(NightdeskError):
    """The body is larger than any message can be."""


class NotJsonError(NightdeskError):
    """The body is not JSON."""


class HttpRequest:
    """One event, read on demand."""

    def __init__(self, event: Mapping[str, Any]) -> None:
        self._event = event
        headers = event.get("headers") or {}
        self._headers = {str(name).lower(): str(value) for name, value in headers.items()}
        #: Headers that say what the caller's key has left; none before it was authenticated.
        self.quota: Mapping[str, str] = {}

    @property
    def method(self) -> str:
        """The method, in capitals."""
        return str(self._event["requestContext"]["http"]["method"]).upper()

    @property
    def path(self) -> str:
        """The path without the stage, decoded; a trailing slash stays."""
        path, stage = str(self._event["rawPath"]), self._stage
        if stage and path.startswith(f"/{stage}/"):
            path = path.removeprefix(f"/{stage}")
        return unquote(path)

    @property
    def origin(self) -> str:
        """Where the gateway was reached: host and stage, without a scheme.

        From the gateway's own word, not from the Host header, which a caller may choose.
        """
        domain = str(self._event["requestContext"].get("domainName") or "")
        return f"{domain}/{self._stage}" if self._stage else domain

    @property
    def _stage(self) -> str:
        stage = str(self._event["requestContext"].get("stage") or "")
        return "" if stage == "$default" else stage

    def header(self, name: str) -> str | None:
        """A header, however its name is written."""
        return self._headers.get(name.lower())

    @property
    def query(self) -> "Query":
        """The query parameters."""
        raw = self._event.get("rawQueryString")
        if isinstance(raw, str):
            return Query(parse_qsl(raw, keep_blank_values=True))
        given = self._event.get("queryStringParameters") or {}
        return Query([(str(name), str(value)) for name, value in given.items()])

    @property
    def media_type(self) -> str:
        """What the body is said to be, in lower case; "" when nothing is said."""
        return (self.header("Content-Type") or "").partition(";")[0].strip().lower()

    @property
    def idempotency_key(self) -> str | None:
        """The Idempotency-Key; None when there is none.

        Raises:
            InvalidInputError: it is empty, too long, or not printable ASCII.
        """
        key = self.header("Idempotency-Key")
        if key is None:
            return None
        if not 1 <= len(key) <= IDEMPOTENCY_KEY_MAX or not (key.isascii() and key.isprintable()):
            allowed = f"1 to {IDEMPOTENCY_KEY_MAX} printable ASCII characters"
            raise InvalidInputError("Idempotency-Key", f"Idempotency-Key must be {allowed}")
        return key

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            BodyTooLargeError, NotJsonError: see there.
        """
        try:
            return msgspec.json.decode(self._body())
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise NotJsonError("The body is not JSON") from error

    def _body(self) -> bytes:
        body = self._event.get("body") or ""
        if len(body) > BODY_MAX * 4 // 3 + 4:
            raise _too_large()
        try:
            if self._event.get("isBase64Encoded"):
                content = base64.b64decode(body, validate=True)
            else:
                content = str(body).encode()
        except (binascii.Error, ValueError) as error:
            raise NotJsonError("The body cannot be read") from error
        if len(content) > BODY_MAX:
            raise _too_large()
        return content


def _too_large() -> BodyTooLargeError:
    return BodyTooLargeError(f"The body must have at most {BODY_MAX} bytes")


class Query:
    """Query parameters, which may be repeated; what `a2a.utils.proto_utils.parse_params` reads."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._pairs = pairs

    def keys(self) -> list[str]:
        """The names, each once."""
        return list(dict.fromkeys(name for name, _ in self._pairs))

    def getlist(self, name: str) -> list[str]:
        """All values of one name."""
        return [value for key, value in self._pairs if key == name]

    def get(self, name: str) -> str | None:
        """The last value of one name."""
        values = self.getlist(name)
        return values[-1] if values else None


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer in JSON; `body` None = none."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"

    def for_gateway(self, more: Mapping[str, str]) -> dict[str, Any]:
        """The answer in API Gateway's payload format 2.0, with `more` headers."""
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        if self.body is not None:
            headers["Content-Type"] = self.media_type
        text = "" if self.body is None else msgspec.json.encode(self.body).decode()
        return {
            "statusCode": self.status,
            "headers": {**headers, **more, **self.headers},
            "body": text,
            "isBase64Encoded": False,
        }
