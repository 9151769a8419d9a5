"""Which route a request means, and what an answer is.

Powertools' resolver does the same; importing it costs a fifth of the cold start (it brings asyncio
and the event classes of a dozen services), and it answers a wrong method with 404.
"""

import hashlib
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from nightdesk.api.errors import MethodNotAllowedError, RouteNotFoundError
from nightdesk.api.rendering import to_json
from nightdesk.api.requests import Request
from nightdesk.api.routes import Route


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer in JSON."""

    status: HTTPStatus
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    def for_gateway(self, more: Mapping[str, str]) -> dict[str, Any]:
        """The answer in API Gateway's payload format 2.0, with `more` headers."""
        return {
            "statusCode": self.status.value,
            "headers": {
                "Content-Type": "application/json",
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
                **more,
                **self.headers,
            },
            "body": to_json(self.body),
            "isBase64Encoded": False,
        }


@dataclass(frozen=True, slots=True)
class Page:
    """A file of this folder, made at build time (local/openapi)."""

    file: str
    media_type: str
    status: HTTPStatus = HTTPStatus.OK

    def for_gateway(self, more: Mapping[str, str]) -> dict[str, Any]:
        """The answer in API Gateway's payload format 2.0, with `more` headers."""
        text = Path(__file__).with_name(self.file).read_text(encoding="utf-8")
        return {
            "statusCode": self.status.value,
            "headers": {
                "Content-Type": self.media_type,
                "Cache-Control": "public, max-age=300",
                "Content-Security-Policy": _policy(text),
                "Referrer-Policy": "no-referrer",
                "X-Content-Type-Options": "nosniff",
                **more,
            },
            "body": text,
            "isBase64Encoded": False,
        }


def _policy(text: str) -> str:
    """A browser may apply the page's own style sheets, and run, load and send nothing."""
    styles = re.findall("<style>(.*?)</style>", text, re.DOTALL)
    hashes = [b64encode(hashlib.sha256(style.encode()).digest()).decode() for style in styles]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes) or "'none'"
    return (
        f"default-src 'none'; style-src {allowed}; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


@dataclass(frozen=True, slots=True)
class Match:
    """The route that a request means, and the named parts of its path."""

    route: Route
    parts: Mapping[str, str]


class Router:
    """Finds routes by method and path."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = [(route, route.path.split("/")) for route in routes]

    def match(self, request: Request) -> Match:
        """The first route that fits.

        Raises:
            RouteNotFoundError: no route has this path.
            MethodNotAllowedError: some have, with other methods.
        """
        allowed, given = [], request.path.split("/")
        for route, wanted in self._routes:
            parts = _fit(wanted, given)
            if parts is not None and route.method == request.method:
                return Match(route, parts)
            if parts is not None:
                allowed.append(route.method)
        if allowed:
            raise MethodNotAllowedError(request.method, tuple(allowed))
        raise RouteNotFoundError("No such route")


def _fit(wanted: Sequence[str], given: Sequence[str]) -> dict[str, str] | None:
    """The named parts, when the path is that of the route."""
    if len(wanted) != len(given):
        return None
    parts = {}
    for name, value in zip(wanted, given, strict=True):
        if name.startswith("<") and value:
            parts[name[1:-1]] = value
        elif name != value:
            return None
    return parts
