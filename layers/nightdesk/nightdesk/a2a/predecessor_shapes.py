"""The predecessor's API as types: its answers, and its bodies as the OpenAPI document shows them.

Its bodies are read by hand (predecessor_input), because its words for what is wrong are kept.
"""

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict

from nightdesk.domain.errors import ErrorCode

OldStatus = Literal["pending", "running", "completed", "failed", "canceled"]


class OldAccepted(TypedDict):
    """The task was taken in; ask `checkUrl` how it goes."""

    taskId: str
    status: OldStatus
    checkUrl: str


class OldUsage(TypedDict):
    """What the task has used so far."""

    inputTokens: int
    outputTokens: int
    costUsd: float


class OldFailure(TypedDict):
    """Why it failed."""

    message: str
    code: ErrorCode


class OldProgress(TypedDict):
    """What it does just now."""

    currentStep: str
    toolCallCount: int


class OldOutput(TypedDict):
    """The answer of a completed task."""

    result: str
    artifacts: list[Any]


class OldSummary(TypedDict):
    """A task without its output."""

    taskId: str
    status: OldStatus
    createdAt: str
    updatedAt: str
    usage: OldUsage
    startedAt: NotRequired[str]
    completedAt: NotRequired[str]
    errorDetails: NotRequired[OldFailure]
    progress: NotRequired[OldProgress]


class OldTask(OldSummary):
    """A task; its output once it is completed."""

    output: NotRequired[OldOutput]


class OldList(TypedDict):
    """A page; without `nextCursor` it is the last one."""

    tasks: list[OldSummary]
    total: int
    nextCursor: NotRequired[str]


class OldCancelled(TypedDict):
    """The task is canceled (200), or being stopped (202)."""

    taskId: str
    status: OldStatus
    message: str


class OldMetadata(TypedDict):
    """What the answer took."""

    processingTimeMs: int
    tokensUsed: int


class OldResponse(TypedDict):
    """The agent's answer; `sessionId` goes on with the conversation."""

    response: str
    sessionId: str
    metadata: OldMetadata


class OldDetail(TypedDict):
    """One field that was refused."""

    field: str
    message: str


class OldError(TypedDict):
    """Every error of these routes; `retryAfter` (seconds) with RATE_LIMIT_EXCEEDED."""

    error: str
    code: str
    details: NotRequired[list[OldDetail]]
    retryAfter: NotRequired[int]


class OldMessageFailed(OldSummary):
    """The agent ended without an answer: the task, and MESSAGE_PROCESSING_ERROR."""

    error: str
    code: Literal["MESSAGE_PROCESSING_ERROR"]


class OldAuthentication(TypedDict):
    """How the callback authenticates itself."""

    schemes: list[str]
    credentials: NotRequired[str]


class OldCallback(TypedDict):
    """Whom to call when the task has ended."""

    url: str
    token: NotRequired[str]
    authentication: NotRequired[OldAuthentication]


class OldNewTask(TypedDict):
    """A message to work on."""

    message: str
    timeout: NotRequired[int]
    context: NotRequired[Mapping[str, Any]]
    pushNotificationConfig: NotRequired[OldCallback]


class OldMessage(TypedDict):
    """A message to answer now."""

    message: str
    timeout: NotRequired[int]
    context: NotRequired[Mapping[str, Any]]
    sessionId: NotRequired[str]
    sessionMode: NotRequired[Literal["new", "reuse"]]
