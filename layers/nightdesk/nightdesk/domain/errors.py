"""The error tree: classes are named by what the runtime must do next."""

from datetime import timedelta
from enum import StrEnum


class ErrorCode(StrEnum):
    """Why a task ended FAILED (design, section 3)."""

    EXECUTION_ERROR = "EXECUTION_ERROR"
    TASK_TIMEOUT = "TASK_TIMEOUT"
    QUEUE_TIMEOUT = "QUEUE_TIMEOUT"
    TASK_ORPHANED = "TASK_ORPHANED"
    EXECUTOR_LOST = "EXECUTOR_LOST"
    MODEL_AUTH = "MODEL_AUTH"
    MODEL_ERROR = "MODEL_ERROR"
    BUDGET_EXCEEDED = "BUDGET_EXCEEDED"
    TURN_LIMIT = "TURN_LIMIT"
    EMPTY_OUTPUT = "EMPTY_OUTPUT"
    NO_PROGRESS = "NO_PROGRESS"
    WAIT_EXPIRED = "WAIT_EXPIRED"
    DEPENDENCY_FAILED = "DEPENDENCY_FAILED"
    SPECIALIST_INVALID = "SPECIALIST_INVALID"
    REPOSITORY_UNREACHABLE = "REPOSITORY_UNREACHABLE"
    AGENT_FAILED = "AGENT_FAILED"


class NightdeskError(Exception):
    """Root of everything that Nightdesk raises on purpose."""


# What a session or an adapter says to the engine ---------------------------------------------


class PermanentError(NightdeskError):
    """Fail the task: the same attempt would fail again."""

    def __init__(self, message: str, code: ErrorCode = ErrorCode.EXECUTION_ERROR) -> None:
        super().__init__(message)
        self.code = code


class TransientError(NightdeskError):
    """Release the task for another attempt: the cause may pass."""

    def __init__(self, message: str, code: ErrorCode = ErrorCode.EXECUTION_ERROR) -> None:
        super().__init__(message)
        self.code = code


class TryLaterError(NightdeskError):
    """Release the task without spending an attempt: somebody told us to wait."""

    def __init__(self, message: str, *, retry_after: timedelta) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class LeaseLostError(NightdeskError):
    """Stop at once and write nothing: another executor owns the task, or it has ended."""


class CancelRequestedError(NightdeskError):
    """Stop at once: a person cancelled the task while it ran."""


class HandOverError(NightdeskError):
    """Stop between steps and release the task: this invocation's time is nearly over."""


class CallAbortedError(NightdeskError):
    """The call was cut by our own side (cancel, hand-over, lost lease); nothing is known of it."""


# What the services say to their callers ------------------------------------------------------


class InvalidInputError(NightdeskError):
    """The caller's input is refused: says which field, what came and what is allowed."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class NotFoundError(NightdeskError):
    """Nothing of that kind exists in the caller's workspace."""


class TaskNotFoundError(NotFoundError):
    """No task with this id exists in the caller's workspace."""

    def __init__(self, task_id: str) -> None:
        super().__init__("Task not found")
        self.task_id = task_id


class ConflictError(NightdeskError):
    """The state of the task forbids what was asked; asking again will not help by itself."""


class NotAuthenticatedError(NightdeskError):
    """No key, a malformed key, an unknown or a revoked one."""


class ForbiddenError(NightdeskError):
    """The key is good, but its scope does not cover this."""


# What the stores say to the services ---------------------------------------------------------


class ConditionFailedError(NightdeskError):
    """A conditional write found another state than the caller had read."""


class NotClaimableError(NightdeskError):
    """The task cannot be claimed now."""

    def __init__(self, task_id: str, reason: str) -> None:
        super().__init__(f"{task_id}: {reason}")
        self.task_id = task_id
        self.reason = reason


class GroupBusyError(NotClaimableError):
    """Another task of the same concurrency group runs."""

    def __init__(self, task_id: str, holder: str) -> None:
        super().__init__(task_id, f"{holder} of its group runs")
        self.holder = holder


class BudgetSpentError(NotClaimableError):
    """The workspace's budget of the day does not allow another task."""

    def __init__(self, task_id: str) -> None:
        super().__init__(task_id, "the workspace's budget of the day is spent")


class StaleTaskError(NightdeskError):
    """A write was refused because fields that others own have changed; here they are as they are
    now. The writer takes them over and writes again.
    """

    def __init__(self, *, inbox: int, has_dependants: bool, has_callbacks: bool = False) -> None:
        super().__init__("the task has changed in fields that others own")
        self.inbox = inbox
        self.has_dependants = has_dependants
        self.has_callbacks = has_callbacks


class NewMessagesError(NightdeskError):
    """People have sent messages that the session has not taken in; nothing was written."""


class UnavailableError(TransientError):
    """A dependency (AWS, a provider, GitHub) did not answer in time or answered 5xx."""
