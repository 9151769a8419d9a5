"""Every error of the API in one shape: {"error": {code, message, field?, requestId}}."""

from dataclasses import dataclass
from http import HTTPStatus

from nightdesk.domain.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NightdeskError,
    NotAuthenticatedError,
    NotFoundError,
    TaskNotFoundError,
    TransientError,
)
from nightdesk.domain.functions import FunctionFailedError, FunctionStillRunningError
from nightdesk.domain.rate_limit import RateLimitedError
from nightdesk.services.submit_task import IdempotencyKeyReusedError

#: What a client should wait before it tries again, in seconds.
RETRY_AFTER = 5
RETRY_AFTER_STILL_RUNNING = 30


class MalformedJsonError(NightdeskError):
    """The body is not JSON."""

    def __init__(self) -> None:
        super().__init__("Invalid JSON body")


class BodyTooLargeError(NightdeskError):
    """The body is larger than any task can be."""


class MediaTypeError(NightdeskError):
    """The body is said to be something else than JSON."""


class RouteNotFoundError(NightdeskError):
    """There is no such route."""


class MethodNotAllowedError(NightdeskError):
    """The route exists, but not with this method."""

    def __init__(self, method: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"{method} is not allowed here; allowed: {', '.join(allowed)}")
        self.allowed = allowed


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """Status and code of an error; a `message` replaces the error's own."""

    status: HTTPStatus
    code: str
    message: str = ""
    retry_after: int | None = None


#: The first class that fits decides, so the special ones come first.
ANSWERS: tuple[tuple[type[NightdeskError], ErrorAnswer], ...] = (
    (MalformedJsonError, ErrorAnswer(HTTPStatus.BAD_REQUEST, "INVALID_JSON")),
    (InvalidInputError, ErrorAnswer(HTTPStatus.BAD_REQUEST, "VALIDATION_ERROR")),
    (NotAuthenticatedError, ErrorAnswer(HTTPStatus.UNAUTHORIZED, "UNAUTHENTICATED")),
    (ForbiddenError, ErrorAnswer(HTTPStatus.FORBIDDEN, "FORBIDDEN")),
    (RateLimitedError, ErrorAnswer(HTTPStatus.TOO_MANY_REQUESTS, "RATE_LIMIT_EXCEEDED")),
    (TaskNotFoundError, ErrorAnswer(HTTPStatus.NOT_FOUND, "TASK_NOT_FOUND")),
    (NotFoundError, ErrorAnswer(HTTPStatus.NOT_FOUND, "NOT_FOUND")),
    (RouteNotFoundError, ErrorAnswer(HTTPStatus.NOT_FOUND, "NOT_FOUND")),
    (MethodNotAllowedError, ErrorAnswer(HTTPStatus.METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED")),
    (ConflictError, ErrorAnswer(HTTPStatus.CONFLICT, "CONFLICT")),
    (BodyTooLargeError, ErrorAnswer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "PAYLOAD_TOO_LARGE")),
    (MediaTypeError, ErrorAnswer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE")),
    (
        IdempotencyKeyReusedError,
        ErrorAnswer(HTTPStatus.UNPROCESSABLE_ENTITY, "IDEMPOTENCY_KEY_REUSED"),
    ),
    (
        FunctionStillRunningError,
        ErrorAnswer(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "STILL_RUNNING",
            "It was started and has not ended yet; it goes on without this request",
            retry_after=RETRY_AFTER_STILL_RUNNING,
        ),
    ),
    (
        FunctionFailedError,
        ErrorAnswer(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "FUNCTION_FAILED",
            "It was started and failed; its log says why",
            retry_after=RETRY_AFTER_STILL_RUNNING,
        ),
    ),
    (
        TransientError,
        ErrorAnswer(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "UNAVAILABLE",
            "A service that is needed does not answer; try again",
            retry_after=RETRY_AFTER,
        ),
    ),
)

INTERNAL = ErrorAnswer(
    HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", "Something went wrong here"
)


def answer_to(error: NightdeskError) -> ErrorAnswer:
    """How to answer this error; one that nobody expects here is ours."""
    for kind, answer in ANSWERS:
        if isinstance(error, kind):
            return answer
    return INTERNAL
