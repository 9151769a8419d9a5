"""Which of the three ways of speaking a request means; authenticates; answers in that way's words.

/.well-known/agent-card.json                  the card of the default agent
/a2a/{agentId}/.well-known/agent-card.json    a card
/a2a/{agentId}[/]                             JSON-RPC
/a2a/{agentId}/v1/…                           HTTP+JSON
/a2a/{agentId}/tasks…, /messages              the predecessor's API
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from logging import Logger, getLogger
from typing import Any

from a2a.extensions.common import HTTP_EXTENSION_HEADER, get_requested_extensions
from a2a.utils.constants import VERSION_HEADER
from a2a.utils.errors import ContentTypeNotSupportedError, VersionNotSupportedError

from nightdesk.a2a import predecessor
from nightdesk.a2a.card import Cards
from nightdesk.a2a.errors import REST_MEDIA_TYPE, AgentNotFoundError, is_ours, problem_of
from nightdesk.a2a.gateway import HttpAnswer, HttpRequest
from nightdesk.a2a.jsonrpc import answer_rpc, method_of, rpc_id, rpc_request
from nightdesk.a2a.operations import Call, Operations
from nightdesk.a2a.predecessor import Predecessor
from nightdesk.a2a.rest import answer_rest, takes_body
from nightdesk.domain.errors import NightdeskError
from nightdesk.services.authenticate import authenticate
from nightdesk.services.send_task import Sent

_VERSION = re.compile(r"1(\.[0-9]{1,4}){0,2}", re.ASCII)
_JSON_TYPES = ("", "application/json")
_AGENT = re.compile(r"/a2a/(?P<agent>[^/]*)(?P<rest>.*)", re.DOTALL)
_WELL_KNOWN = "/.well-known/agent-card.json"

logger: Logger = getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class A2aSettings:
    """`public_url`: scheme and host of the front, "" = as the gateway was reached.

    `default_agent` is shown at the root; "" = none. `scheme` goes before the gateway's name.
    """

    public_url: str = ""
    default_agent: str = ""
    scheme: str = "https"

    def base_url(self, origin: str) -> str:
        """Scheme and host under which this deployment is known, without a trailing slash."""
        return self.public_url.rstrip("/") or f"{self.scheme}://{origin}"


class A2aApp:
    """One deployment's A2A routes, as a function from event to answer."""

    def __init__(self, operations: Operations, settings: A2aSettings) -> None:
        self._operations = operations
        self._settings = settings
        self._cards = Cards(operations.ports.api.clock)
        self._predecessor = Predecessor(operations, operations.blocking_wait)

    def __call__(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one event of API Gateway; whatever happens, the answer is an HTTP answer."""
        request = HttpRequest(event)
        return self.answer(request).for_gateway(request.quota)

    def answer(self, request: HttpRequest) -> HttpAnswer:
        """Answer one request."""
        if request.path == _WELL_KNOWN:
            return self._told(lambda: self._card(self._settings.default_agent, request))
        found = _AGENT.fullmatch(request.path)
        if found is None:
            return _not_found()
        agent_id, rest = found["agent"], found["rest"]
        if rest == _WELL_KNOWN:
            return self._told(lambda: self._card(agent_id, request))
        if rest in ("", "/"):
            return self._rpc(agent_id, request)
        if rest.startswith("/v1/"):
            return self._told(lambda: self._rest(agent_id, rest[3:], request))
        return self._old(agent_id, rest, request)

    # Cards -----------------------------------------------------------------------------------

    def _card(self, agent_id: str, request: HttpRequest) -> HttpAnswer:
        if request.method not in ("GET", "HEAD"):
            return _not_allowed("GET, HEAD")
        if not agent_id:
            raise AgentNotFoundError("Agent not found")
        card = self._operations.card(agent_id, self._settings.base_url(request.origin))
        return self._cards.answer(card, request)

    # A2A -------------------------------------------------------------------------------------

    def _rpc(self, agent_id: str, request: HttpRequest) -> HttpAnswer:
        request_id = None
        try:
            call = self._call(agent_id, request)
            if request.method != "POST":
                return _not_allowed("POST")
            _check_media_type(request, _JSON_TYPES)
            body = request.json()
            request_id = rpc_id(body)
            asked = rpc_request(body)
            method_of(asked.method)
            _check_version(request)
            self._operations.check_extensions(call)
            return answer_rpc(asked, self._operations, call)
        except Exception as error:  # noqa: BLE001 - the last one to catch it
            _log(error)
            return problem_of(error).as_jsonrpc(request_id)

    def _rest(self, agent_id: str, path: str, request: HttpRequest) -> HttpAnswer:
        call = self._call(agent_id, request)
        if takes_body(request):
            _check_media_type(request, (*_JSON_TYPES, REST_MEDIA_TYPE))
        _check_version(request)
        self._operations.check_extensions(call)
        return answer_rest(path, request, self._operations, call)

    def _told(self, run: Callable[[], HttpAnswer]) -> HttpAnswer:
        """The answer, or the error as HTTP+JSON tells it."""
        try:
            return run()
        except Exception as error:  # noqa: BLE001 - the last one to catch it
            _log(error)
            return problem_of(error).as_rest()

    def _call(self, agent_id: str, request: HttpRequest) -> Call:
        """Who calls which agent. The key comes first: a stranger learns nothing else."""
        api = self._operations.ports.api
        header = request.header("Authorization")
        key = authenticate(header, access=api.access, clock=api.clock)
        if key.quota is not None:
            request.quota = key.quota.headers
        return Call(
            key=key,
            agent_id=agent_id,
            base_url=self._settings.base_url(request.origin),
            idempotency_key=request.idempotency_key,
            extensions=frozenset(
                get_requested_extensions([request.header(HTTP_EXTENSION_HEADER) or ""])
            ),
        )

    # The predecessor -------------------------------------------------------------------------

    def _old(self, agent_id: str, path: str, request: HttpRequest) -> HttpAnswer:
        if not agent_id:
            return HttpAnswer(
                400, {"error": "The path must name an agent", "code": "MISSING_AGENT_ID"}
            )
        try:
            call = self._call(agent_id, request)
            return self._predecessor.answer(path.rstrip("/"), request, call)
        except Exception as error:  # noqa: BLE001 - the last one to catch it
            return _old_failure(error, request)

    def begin_message(self, agent_id: str, request: HttpRequest) -> Sent | dict[str, Any]:
        """Take in a message of the predecessor's API that is to be streamed; or the error."""
        try:
            return self._predecessor.begin_message(request, self._call(agent_id, request))
        except Exception as error:  # noqa: BLE001 - the last one to catch it
            return _old_failure(error, request).for_gateway(request.quota)


def _check_version(request: HttpRequest) -> None:
    """A2A-Version, as a header or a query parameter; nothing means 0.3 (spec, 3.6)."""
    asked = request.header(VERSION_HEADER) or request.query.get(VERSION_HEADER) or "0.3"
    if not _VERSION.fullmatch(asked.strip()):
        shown = asked[:20] if asked.isprintable() else "of this form"
        raise VersionNotSupportedError(
            f"A2A version {shown} is not supported; send the header {VERSION_HEADER}: 1.0"
        )


def _check_media_type(request: HttpRequest, allowed: tuple[str, ...]) -> None:
    if request.media_type not in allowed:
        words = " or ".join(media_type for media_type in allowed if media_type)
        raise ContentTypeNotSupportedError(f"The Content-Type must be {words}")


def _old_failure(error: Exception, request: HttpRequest) -> HttpAnswer:
    told = predecessor.failure(error, request)
    if told is not None:
        return told
    _log(error)
    return predecessor.defect(request)


def _not_found() -> HttpAnswer:
    error = {"code": 404, "status": "NOT_FOUND", "message": "No such route"}
    return HttpAnswer(HTTPStatus.NOT_FOUND.value, {"error": error})


def _not_allowed(allowed: str) -> HttpAnswer:
    error = {"code": 405, "status": "UNIMPLEMENTED", "message": f"Allowed: {allowed}"}
    return HttpAnswer(405, {"error": error}, {"Allow": allowed})


def _log(error: Exception) -> None:
    """Only defects: what a caller did wrong is answered, and may hold what must not be logged."""
    if not isinstance(error, NightdeskError) and is_ours(problem_of(error)):
        logger.error("request failed", exc_info=error)
