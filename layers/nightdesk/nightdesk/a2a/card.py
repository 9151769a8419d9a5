"""The agent card of a specialist: what anyone may know of it, and more for its callers."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import msgspec
from a2a.types import (
    AgentCapabilities,
    AgentCard,
    AgentInterface,
    AgentSkill,
    HTTPAuthSecurityScheme,
    SecurityRequirement,
    SecurityScheme,
    StringList,
)
from google.protobuf.json_format import MessageToDict

from nightdesk.a2a.gateway import HttpAnswer, HttpRequest
from nightdesk.domain.ports import Clock
from nightdesk.domain.specialist import Specialist
from nightdesk.domain.version import VERSION

PROTOCOL_VERSION = "1.0"
INPUT_MODES = ("text/plain", "text/markdown", "application/json")
OUTPUT_MODES = ("text/markdown", "text/plain")
#: A specialist changes with a deployment; a cache that asks again after minutes is early enough.
CACHE_CONTROL = "public, max-age=300"

_BEARER = "nightdesk"
_MICROS = 1_000_000


def agent_card(
    specialist: Specialist, *, base_url: str, streaming: bool, extended: bool = False
) -> AgentCard:
    """The card of one specialist at `base_url` (scheme and host, no trailing slash).

    `streaming` is what the front that answers can really do. The public card holds nothing that
    a stranger could not know; `extended` adds what the specialist may use and spend.
    """
    url = f"{base_url}/a2a/{specialist.id}"
    description = specialist.description or specialist.name
    skills = [
        AgentSkill(
            id=specialist.id,
            name=specialist.name,
            description=description,
            tags=["nightdesk", specialist.role.value.lower()],
        )
    ]
    if extended:
        skills.append(_limits_skill(specialist))
    return AgentCard(
        name=specialist.name,
        description=description,
        supported_interfaces=[
            _interface(url, "JSONRPC"),
            _interface(f"{url}/v1", "HTTP+JSON"),
        ],
        version=VERSION,
        capabilities=AgentCapabilities(
            streaming=streaming, push_notifications=True, extended_agent_card=True
        ),
        security_schemes={
            _BEARER: SecurityScheme(
                http_auth_security_scheme=HTTPAuthSecurityScheme(
                    description="An API key of Nightdesk.",
                    scheme="Bearer",
                    bearer_format="nd_<id>_<secret>",
                )
            )
        },
        security_requirements=[SecurityRequirement(schemes={_BEARER: StringList()})],
        default_input_modes=INPUT_MODES,
        default_output_modes=OUTPUT_MODES,
        skills=skills,
    )


def _interface(url: str, binding: str) -> AgentInterface:
    return AgentInterface(url=url, protocol_binding=binding, protocol_version=PROTOCOL_VERSION)


def _limits_skill(specialist: Specialist) -> AgentSkill:
    """What only callers see: which tools it has, and what one task may take and cost."""
    limits = specialist.limits
    cost = limits.cost_micros
    lines = [
        f"Reads with: {', '.join(specialist.tools) or 'nothing'}.",
        f"A task may take {specialist.timeout_ms // 1000} s and {limits.turns} turns.",
        "" if cost is None else f"It may cost {cost / _MICROS:.2f} US dollars.",
    ]
    return AgentSkill(
        id=f"{specialist.id}.limits",
        name="Limits",
        description=" ".join(line for line in lines if line),
        tags=["limits", specialist.tier.value, *specialist.tools],
    )


@dataclass(slots=True)
class _Seen:
    etag: str
    since: datetime


class Cards:
    """Serves cards so that caches can keep them: ETag, Last-Modified, and 304."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, _Seen] = {}

    def answer(self, card: AgentCard, request: HttpRequest) -> HttpAnswer:
        """The card, or 304 for a client that has it."""
        body: dict[str, Any] = MessageToDict(card)
        etag = f'"{hashlib.sha256(msgspec.json.encode(body, order="sorted")).hexdigest()[:32]}"'
        changed = self._changed_at(card.supported_interfaces[0].url, etag)
        headers = {
            "ETag": etag,
            "Cache-Control": CACHE_CONTROL,
            "Last-Modified": format_datetime(changed, usegmt=True),
        }
        if _is_known(request, etag, changed):
            return HttpAnswer(HTTPStatus.NOT_MODIFIED.value, None, headers)
        return HttpAnswer(HTTPStatus.OK.value, body, headers)

    def _changed_at(self, url: str, etag: str) -> datetime:
        """When this process first saw the card as it is: never before it became so."""
        seen = self._seen.get(url)
        if seen is None or seen.etag != etag:
            moment = self._clock.now().astimezone(UTC).replace(microsecond=0)
            seen = self._seen[url] = _Seen(etag, moment)
        return seen.since


def _is_known(request: HttpRequest, etag: str, changed: datetime) -> bool:
    """RFC 9110, 13.2.2: If-None-Match decides where there is one."""
    known = request.header("If-None-Match")
    if known is not None:
        tags = [tag.strip().removeprefix("W/") for tag in known.split(",")]
        return "*" in tags or etag in tags
    since = request.header("If-Modified-Since")
    if since is None:
        return False
    try:
        moment = parsedate_to_datetime(since)
    except ValueError:
        return False
    return moment.tzinfo is not None and changed <= moment


def card_dict(card: AgentCard) -> Mapping[str, Any]:
    """The card as JSON."""
    shown: Mapping[str, Any] = MessageToDict(card)
    return shown
