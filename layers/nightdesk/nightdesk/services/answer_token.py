"""Answer a read token for the one repository of a running task.

The repository is read from Origins, never taken from the caller: whoever holds the executor's role
gets what the task may read anyway, and nothing else.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nightdesk.domain.errors import ForbiddenError, PermanentError, TryLaterError
from nightdesk.domain.github_ports import RepositoryTokens, fingerprint_of
from nightdesk.domain.ports import TaskStore
from nightdesk.domain.task import TaskStatus

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBrokerPorts:
    """`renewed` answers another token for one that GitHub refused, "" when it has none."""

    tasks: TaskStore
    tokens: RepositoryTokens
    renewed: Callable[[str], str] | None = None


def answer_executor(request: Mapping[str, Any], ports: TokenBrokerPorts) -> dict[str, Any]:
    """Answer {"taskId", "refused"?}: as `answer_token`, or {"error"}, or {"error", "retryAfter"}.

    `retryAfter` (seconds) is GitHub's own wish: it would be lost if it were raised.

    Raises:
        UnavailableError: the store, the parameter or GitHub did not answer.
    """
    task_id, refused = request.get("taskId"), request.get("refused", "")
    if not isinstance(task_id, str) or not task_id:
        return {"error": "taskId is required"}
    if not isinstance(refused, str):
        return {"error": "refused must be the fingerprint of a token"}
    try:
        return answer_token(task_id, ports, refused=refused)
    except TryLaterError as error:
        logger.warning("no token yet for task %s: %s", task_id, error)
        return {"error": str(error), "retryAfter": error.retry_after.total_seconds()}
    except (ForbiddenError, PermanentError) as error:
        logger.warning("no token for task %s: %s", task_id, error)
        return {"error": str(error)}


def answer_token(task_id: str, ports: TokenBrokerPorts, *, refused: str = "") -> dict[str, Any]:
    """{"token", "repo"} and, where the token ends, {"expiresAt"}; "" reads anonymously.

    `refused` is the fingerprint of a token that GitHub did not accept: where it is still the one
    that would be answered, another is made first. So one refused token makes at most one new one.

    Raises:
        ForbiddenError: no such task, it does not run now, or it has no repository.
        PermanentError: the GitHub App cannot give one; says what a person can do.
        TryLaterError: GitHub wants us to wait.
        UnavailableError: the store, the parameter or GitHub did not answer.
    """
    task = ports.tasks.get(task_id)
    if task is None or task.status is not TaskStatus.RUNNING:
        raise ForbiddenError("the task does not run")
    origin = ports.tasks.get_origin(task_id)
    if origin is None or origin.target is None:
        raise ForbiddenError("the task has no repository")
    target = origin.target
    found = ports.tokens.token_for(target.repo, target.repo_id)
    is_refused = bool(refused) and fingerprint_of(found.token) == refused
    if is_refused and ports.renewed and ports.renewed(found.token):
        found = ports.tokens.token_for(target.repo, target.repo_id)
    answer = {"token": found.token, "repo": target.repo}
    if found.expires_at:
        answer["expiresAt"] = found.expires_at.isoformat()
    return answer
