"""What other agents sent: the messages of their tasks, and which task belongs to which context.

A task itself knows nothing of this (domain/task): it is made and run as any other. What is kept
here is what only a conversation needs: the messages as they came, and two lists, of an agent and of
a context, that `ListTasks` and a further message of the context read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from nightdesk.domain.push_configs import PushConfig
from nightdesk.domain.task import Task, TaskStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class SentTask:
    """A task that another agent sent. `messages` are as they came (the wire's JSON), in order."""

    task_id: str
    workspace_id: str
    agent_id: str
    context_id: str
    created_at: datetime
    messages: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Listed:
    """A row of a list. `ended` (status, when) is None until somebody has noted the end."""

    task_id: str
    context_id: str
    created_at: datetime
    ended: tuple[TaskStatus, datetime] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstRequest:
    """What the first request with an Idempotency-Key asked for, and what was made of it.

    A repetition takes this instead of making its own (a context, a delimiter, quotes of earlier
    tasks), or it would not be the same request any more.
    """

    request_hash: str
    prompt: str
    context_id: str


class Conversations(Protocol):
    """The A2A face of tasks. The adapter and the fake pass the same tests."""

    def add(self, sent: SentTask, push: PushConfig | None = None) -> None:
        """Record the task, its first message and callback, at once. Harmless when repeated."""
        ...

    def add_message(self, task_id: str, message: Mapping[str, Any], *, at: datetime) -> None:
        """Add a further message. Harmless when repeated (by its messageId)."""
        ...

    def get(self, task_id: str) -> SentTask | None:
        """With its messages (consistent read); None for a task that came another way."""
        ...

    def of_agent(self, workspace_id: str, agent_id: str) -> Sequence[Listed]:
        """All tasks sent to an agent, newest first."""
        ...

    def of_context(self, workspace_id: str, agent_id: str, context_id: str) -> Sequence[Listed]:
        """All tasks of a context, newest first."""
        ...

    def note_ends(self, workspace_id: str, agent_id: str, ended: Sequence[Listed]) -> None:
        """Keep in both lists how these tasks ended, so that lists need not look at them again."""
        ...

    def tasks(self, task_ids: Sequence[str]) -> Mapping[str, Task]:
        """These tasks by id, in few requests; what is gone is left out."""
        ...

    def first_request(
        self, key_id: str, idempotency_key: str, request: FirstRequest, *, at: datetime
    ) -> FirstRequest:
        """Keep this request as the first of its Idempotency-Key, or get the one that was."""
        ...
