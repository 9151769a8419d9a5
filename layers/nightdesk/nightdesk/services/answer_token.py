"""Answer a read token for the one repository of a running task.

The repository is read from Origins, never taken from the caller: whoever holds the executor's role
gets what the task may read anyway, and nothing else.
"""

from dataclasses import dataclass
from typing import Any

from nightdesk.domain.errors import ForbiddenError
from nightdesk.domain.github_ports import RepositoryTokens
from nightdesk.domain.ports import TaskStore
from nightdesk.domain.task import TaskStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBrokerPorts:
    tasks: TaskStore
    tokens: RepositoryTokens


def answer_token(task_id: str, ports: TokenBrokerPorts) -> dict[str, Any]:
    """{"token", "repo"} and, where the token ends, {"expiresAt"}; "" reads anonymously.

    Raises:
        ForbiddenError: no such task, it does not run now, or it has no repository.
        PermanentError: the GitHub App cannot give one; says what a person can do.
        UnavailableError: the store, the parameter or GitHub did not answer.
    """
    task = ports.tasks.get(task_id)
    if task is None or task.status is not TaskStatus.RUNNING:
        raise ForbiddenError("the task does not run")
    origin = ports.tasks.get_origin(task_id)
    if origin is None or origin.target is None:
        raise ForbiddenError("the task has no repository")
    found = ports.tokens.token_for(origin.target.repo, origin.target.repo_id)
    answer = {"token": found.token, "repo": origin.target.repo}
    if found.expires_at:
        answer["expiresAt"] = found.expires_at.isoformat()
    return answer
