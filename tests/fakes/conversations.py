"""`Conversations` and `PushConfigs` in memory. They pass the same tests as the DynamoDB ones."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from threading import RLock
from typing import Any

from nightdesk.domain.conversations import FirstRequest, Listed, SentTask
from nightdesk.domain.errors import InvalidInputError
from nightdesk.domain.push_configs import CONFIGS_MAX, PushConfig
from nightdesk.domain.task import Task
from tests.fakes.task_store import FakeTaskStore


class FakePushConfigs:
    """`PushConfigs`."""

    def __init__(self) -> None:
        self._lock = RLock()
        self.kept: dict[tuple[str, str], PushConfig] = {}

    def put(self, config: PushConfig) -> None:
        with self._lock:
            others = [kept for kept in self.of_task(config.task_id) if kept.id != config.id]
            if len(others) >= CONFIGS_MAX:
                raise InvalidInputError("pushNotificationConfig", "too many")
            self.kept[(config.task_id, config.id)] = config

    def of_task(self, task_id: str) -> Sequence[PushConfig]:
        with self._lock:
            found = [config for key, config in self.kept.items() if key[0] == task_id]
        return sorted(found, key=lambda config: (config.created_at, config.id))

    def delete(self, task_id: str, config_id: str) -> None:
        self.kept.pop((task_id, config_id), None)


class FakeConversations:
    """`Conversations`; `reads` counts the tasks that lists had to look at."""

    def __init__(self, tasks: FakeTaskStore, pushes: FakePushConfigs) -> None:
        self._lock = RLock()
        self._tasks, self._pushes = tasks, pushes
        self._sent: dict[str, SentTask] = {}
        self._ended: dict[str, Listed] = {}
        self._requests: dict[tuple[str, str], FirstRequest] = {}
        self.reads = 0

    def add(self, sent: SentTask, push: PushConfig | None = None) -> None:
        with self._lock:
            self._sent[sent.task_id] = sent
            if push is not None:
                self._pushes.kept[(push.task_id, push.id)] = push

    def add_message(self, task_id: str, message: Mapping[str, Any], *, at: datetime) -> None:
        with self._lock:
            sent = self._sent[task_id]
            known = [kept for kept in sent.messages if kept["messageId"] != message["messageId"]]
            self._sent[task_id] = replace(sent, messages=(*known, message))
        assert at.tzinfo is not None

    def get(self, task_id: str) -> SentTask | None:
        return self._sent.get(task_id)

    def of_agent(self, workspace_id: str, agent_id: str) -> Sequence[Listed]:
        with self._lock:
            sent = [
                kept
                for kept in self._sent.values()
                if (kept.workspace_id, kept.agent_id) == (workspace_id, agent_id)
            ]
        sent.sort(key=lambda kept: (kept.created_at, kept.task_id), reverse=True)
        return [
            self._ended.get(kept.task_id) or Listed(kept.task_id, kept.context_id, kept.created_at)
            for kept in sent
        ]

    def of_context(self, workspace_id: str, agent_id: str, context_id: str) -> Sequence[Listed]:
        rows = self.of_agent(workspace_id, agent_id)
        return [row for row in rows if row.context_id == context_id]

    def note_ends(self, workspace_id: str, agent_id: str, ended: Sequence[Listed]) -> None:
        with self._lock:
            for row in ended:
                sent = self._sent.get(row.task_id)
                if sent is None:
                    continue  # its retention is over
                assert (sent.workspace_id, sent.agent_id) == (workspace_id, agent_id)
                self._ended[row.task_id] = row

    def tasks(self, task_ids: Sequence[str]) -> Mapping[str, Task]:
        self.reads += len(task_ids)
        return {i: self._tasks.tasks[i] for i in task_ids if i in self._tasks.tasks}

    def first_request(
        self, key_id: str, idempotency_key: str, request: FirstRequest, *, at: datetime
    ) -> FirstRequest:
        assert at.tzinfo is not None
        with self._lock:
            return self._requests.setdefault((key_id, idempotency_key), request)
