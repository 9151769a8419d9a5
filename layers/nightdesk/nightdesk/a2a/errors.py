"""Every error in A2A's words: which of its classes, as a JSON-RPC error, as an HTTP answer.

Codes, statuses and reasons are the SDK's tables. What HTTP itself says (401, 403, 413, 503) is no
error of A2A's: it is said with that status over both bindings.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from a2a.utils.errors import (
    A2A_ERROR_MAPPING,
    JSON_RPC_ERROR_CODE_MAP,
    A2AError,
    ErrorMapping,
    InternalError,
    InvalidParamsError,
    InvalidRequestError,
    JSONParseError,
    TaskNotFoundError,
    UnsupportedOperationError,
)

from nightdesk.a2a.gateway import BodyTooLargeError, HttpAnswer, NotJsonError
from nightdesk.domain import errors
from nightdesk.domain.push_configs import PushConfigNotFoundError
from nightdesk.domain.rate_limit import RateLimitedError
from nightdesk.services.submit_task import IdempotencyKeyReusedError

DOMAIN = "a2a-protocol.org"
ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
REST_MEDIA_TYPE = "application/a2a+json"
#: What a client should wait before it tries again, in seconds.
RETRY_AFTER = 5


class AgentNotFoundError(errors.NotFoundError):
    """No specialist has this id."""


class AgentDisabledError(errors.NightdeskError):
    """The specialist's file is switched off or cannot be used."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as A2A tells it."""

    error: A2AError
    #: The HTTP status over both bindings; None = what the binding has for the error.
    status: HTTPStatus | None = None
    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    violations: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def mapping(self) -> ErrorMapping:
        """Status and reason; JSON that cannot be parsed has no row in the SDK's table."""
        if isinstance(self.error, JSONParseError):
            return ErrorMapping(400, "INVALID_ARGUMENT", "INVALID_REQUEST")
        return A2A_ERROR_MAPPING.get(type(self.error), A2A_ERROR_MAPPING[InternalError])

    @property
    def details(self) -> list[dict[str, Any]]:
        """google.rpc details: always an ErrorInfo, and the fields that were refused."""
        info = {
            "@type": ERROR_INFO,
            "reason": self.reason or self.mapping.reason,
            "domain": DOMAIN,
            "metadata": dict(self.metadata),
        }
        if not self.violations:
            return [info]
        fields = [{"field": name, "description": text} for name, text in self.violations]
        return [info, {"@type": BAD_REQUEST, "fieldViolations": fields}]

    def as_jsonrpc(self, request_id: str | int | None) -> HttpAnswer:
        """A JSON-RPC error; HTTP 200 unless HTTP itself has something to say."""
        error = {
            "code": JSON_RPC_ERROR_CODE_MAP.get(type(self.error), -32603),
            "message": self.error.message,
            "data": self.details,
        }
        body = {"jsonrpc": "2.0", "id": request_id, "error": error}
        return HttpAnswer((self.status or HTTPStatus.OK).value, body, self.headers)

    def as_rest(self) -> HttpAnswer:
        """A google.rpc.Status."""
        status = self.status.value if self.status else self.mapping.http_code
        named = _STATUS_NAMES.get(status, self.mapping.grpc_status)
        error = {
            "code": status,
            "status": named,
            "message": self.error.message,
            "details": self.details,
        }
        return HttpAnswer(status, {"error": error}, self.headers, REST_MEDIA_TYPE)


_STATUS_NAMES = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}


def problem_of(error: Exception) -> Problem:
    """How to tell this error; one that nobody expects is ours, and says nothing about itself."""
    match error:
        case A2AError():
            return _of_a2a(error)
        case errors.InvalidInputError():
            told = InvalidParamsError(str(error))
            return Problem(told, violations=((error.field, str(error)),))
        case errors.TaskNotFoundError():
            return Problem(TaskNotFoundError(), metadata={"taskId": error.task_id[:100]})
        case NotJsonError():
            return Problem(JSONParseError(str(error)))
        case BodyTooLargeError():
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            return Problem(InvalidRequestError(str(error)), status)
        case _:
            return _of_http(error)


def _of_a2a(error: A2AError) -> Problem:
    """The SDK's own checks name the fields in `data`; ErrorInfo's metadata holds text only."""
    found = error.data.get("errors", ()) if error.data else ()
    violations = tuple((str(item["field"]), str(item["message"])) for item in found)
    return Problem(error, violations=violations)


#: The first class that fits decides.
_OTHERS: tuple[tuple[type[errors.NightdeskError], Callable[[str], Problem]], ...] = (
    (
        errors.NotAuthenticatedError,
        lambda text: Problem(
            InvalidRequestError(text),
            HTTPStatus.UNAUTHORIZED,
            "UNAUTHENTICATED",
            headers={"WWW-Authenticate": "Bearer"},
        ),
    ),
    (
        errors.ForbiddenError,
        lambda text: Problem(InvalidRequestError(text), HTTPStatus.FORBIDDEN, "PERMISSION_DENIED"),
    ),
    (
        AgentNotFoundError,
        lambda text: Problem(InvalidRequestError(text), HTTPStatus.NOT_FOUND, "AGENT_NOT_FOUND"),
    ),
    # A2A has no error of its own for it; its SDKs answer this one.
    (PushConfigNotFoundError, lambda text: Problem(TaskNotFoundError(text))),
    (
        AgentDisabledError,
        lambda text: Problem(UnsupportedOperationError(text), metadata={"cause": "AGENT_DISABLED"}),
    ),
    (
        IdempotencyKeyReusedError,
        lambda text: Problem(
            InvalidParamsError(text), metadata={"cause": "IDEMPOTENCY_KEY_REUSED"}
        ),
    ),
    (errors.ConflictError, lambda text: Problem(UnsupportedOperationError(text))),
    (
        errors.TransientError,
        lambda _: Problem(
            InternalError("A service that is needed does not answer; try again"),
            HTTPStatus.SERVICE_UNAVAILABLE,
            "UNAVAILABLE",
            headers={"Retry-After": str(RETRY_AFTER)},
        ),
    ),
)


def _of_http(error: Exception) -> Problem:
    if isinstance(error, RateLimitedError):
        told = InvalidRequestError(str(error))
        status = HTTPStatus.TOO_MANY_REQUESTS
        return Problem(told, status, "RATE_LIMIT_EXCEEDED", headers=error.headers)
    for kind, problem in _OTHERS:
        if isinstance(error, kind):
            return problem(str(error))
    return Problem(InternalError())


def is_ours(problem: Problem) -> bool:
    """Whether the cause is a defect here, which only the log may tell."""
    return isinstance(problem.error, InternalError) and problem.status is None
