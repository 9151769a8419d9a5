"""A deployment's A2A routes on fakes: callers on one side, an executor's hand on the other."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from nightdesk.a2a.app import A2aApp, A2aSettings
from nightdesk.a2a.operations import Operations
from nightdesk.domain.api_key import Operation
from nightdesk.domain.errors import ErrorCode
from nightdesk.domain.ports import Progress, Release
from nightdesk.domain.rate_limit import PER_MINUTE_MAX
from nightdesk.domain.session import Entry, EntryKind
from nightdesk.domain.task import LEASE, Task, TaskError, TaskStatus
from nightdesk.services.api_ports import ApiPorts, ApiSettings
from nightdesk.services.conversation_ports import ConversationPorts
from nightdesk.services.manage_keys import create_key
from tests.api.caller import Answered, answered, event_of
from tests.fakes.access_store import FakeAccessStore
from tests.fakes.callbacks import callback_ports
from tests.fakes.clock import FakeClock, FakeDice
from tests.fakes.conversations import FakeConversations, FakePushConfigs
from tests.fakes.functions import FakeFunctions
from tests.fakes.outbox_store import FakeOutboxStore
from tests.fakes.specialists import FakeSpecialists
from tests.fakes.task_store import FakeTaskStore
from tests.fakes.wake_ups import FakeWakeUps
from tests.openapi.judge import judge

WORKSPACE = "team"
AGENT = "developer"
OTHER_AGENT = "issue-enricher"
RPC = f"/a2a/{AGENT}"
REST = f"/a2a/{AGENT}/v1"
HOOK = "https://hooks.example.com/done"


class WatchedClock(FakeClock):
    """A clock that tells a test when somebody sleeps: that is when the world moves on."""

    def __init__(self) -> None:
        super().__init__()
        self.on_sleep: Callable[[], None] = lambda: None

    def sleep(self, duration: timedelta) -> None:
        super().sleep(duration)
        self.on_sleep()


@dataclass
class World:
    """Calls the A2A function; the fakes are there to be looked at."""

    specialists: FakeSpecialists = field(
        default_factory=lambda: FakeSpecialists(AGENT, OTHER_AGENT)
    )
    access: FakeAccessStore = field(default_factory=FakeAccessStore)
    wake_ups: FakeWakeUps = field(default_factory=FakeWakeUps)
    tasks: FakeTaskStore = field(default_factory=lambda: FakeTaskStore(slot_count=50))
    clock: WatchedClock = field(default_factory=WatchedClock)
    dice: FakeDice = field(default_factory=FakeDice)
    settings: A2aSettings = field(default_factory=lambda: A2aSettings(default_agent=AGENT))
    streaming: bool = False
    allow_http: bool = False

    def __post_init__(self) -> None:
        self.push_configs = FakePushConfigs()
        self.outbox = FakeOutboxStore(self.tasks.rows)
        self.conversations = FakeConversations(self.tasks, self.push_configs)
        self.key = self.make_key()
        self.operations = Operations(self.ports, streaming=self.streaming)
        self.app = A2aApp(self.operations, self.settings)

    @property
    def ports(self) -> ConversationPorts:
        return ConversationPorts(
            api=ApiPorts(
                tasks=self.tasks,
                access=self.access,
                wake_ups=self.wake_ups,
                specialists=self.specialists,
                functions=FakeFunctions(),
                callbacks=callback_ports(
                    outbox=self.outbox,
                    push_configs=self.push_configs,
                    allow_http=self.allow_http,
                ),
                clock=self.clock,
                dice=self.dice,
                settings=ApiSettings(sweeper_function="", github_poller_function=""),
            ),
            conversations=self.conversations,
        )

    def make_key(
        self,
        workspace: str = WORKSPACE,
        *,
        agents: tuple[str, ...] = (),
        operations: tuple[Operation, ...] = (Operation.READ, Operation.WRITE),
    ) -> str:
        return create_key(
            workspace_id=workspace,
            agents=agents,
            operations=operations,
            # The clock stands still in most tests, so all their calls are of one minute.
            requests_per_minute=PER_MINUTE_MAX,
            access=self.access,
            clock=self.clock,
            dice=self.dice,
        ).text

    # Callers ---------------------------------------------------------------------------------

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        key: str | None = "",
        raw: str | None = None,
        version: str | None = "1.0",
    ) -> Answered:
        """`body` is sent as JSON, `raw` as it is; `key` None sends none."""
        sent = {name.lower(): value for name, value in (headers or {}).items()}
        if key is not None:
            sent.setdefault("authorization", f"Bearer {key or self.key}")
        if version is not None:
            sent.setdefault("a2a-version", version)
        text = raw if raw is not None else None if body is None else json.dumps(body)
        if text is not None:
            sent.setdefault("content-type", "application/json")
        event = event_of(method, path, query=query, headers=sent, body=text)
        event["rawQueryString"] = urlencode(query or {})
        answer = answered(self.app(event))
        judge(method, path, answer.status, answer.headers, answer.text)
        return answer

    def rpc(self, method: str, params: Any = None, **options: Any) -> dict[str, Any]:
        """The JSON-RPC answer; `path` is another agent's."""
        path = options.pop("path", RPC)
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = self.call("POST", path, body, **options)
        assert answer.json["jsonrpc"] == "2.0"
        assert answer.json["id"] == 1
        return answer.json

    def result(self, method: str, params: Any = None, **options: Any) -> dict[str, Any]:
        answer = self.rpc(method, params, **options)
        assert "error" not in answer, answer
        result = answer["result"]
        assert isinstance(result, dict)
        return result

    def error(self, method: str, params: Any = None, **options: Any) -> dict[str, Any]:
        answer = self.rpc(method, params, **options)
        assert "result" not in answer, answer
        error = answer["error"]
        assert isinstance(error, dict)
        return error

    def send(self, text: str = "Do it", **options: Any) -> dict[str, Any]:
        """Send a message without waiting; the task. Fields of the message are `m_…`."""
        fields = {n[2:]: options.pop(n) for n in list(options) if n.startswith("m_")}
        configuration = options.pop("configuration", {"returnImmediately": True})
        params = {"message": message(text, **fields), "configuration": configuration}
        task = self.result("SendMessage", params, **options)["task"]
        assert isinstance(task, dict)
        return task

    # The executor ----------------------------------------------------------------------------

    def start(self, task_id: str) -> Task:
        task = self.tasks.tasks[task_id]
        now = self.clock.now()
        slot = next(slot for slot in self.tasks.slots() if slot.task_id is None)
        return self.tasks.claim(
            task,
            slot,
            message_id="wake-up",
            now=now,
            lease_until=now + LEASE,
            reserved_micros=0,
        )

    def step(self, task_id: str, activity: str) -> Task:
        task = self.tasks.tasks[task_id]
        now = self.clock.now()
        entry = Entry(task.id, task.run, task.last_entry + 1, EntryKind.NOTE, now, {"text": "-"})
        progress = Progress(activity=activity, tool_calls=1)
        return self.tasks.step(task, entry, progress, lease_until=now + LEASE)

    def complete(self, task_id: str, result: str = "Done.", **data: Any) -> Task:
        task = self._running(task_id)
        entry = Entry(
            task.id,
            task.run,
            task.last_entry + 1,
            EntryKind.OUTPUT,
            self.clock.now(),
            {"result": result, **data},
        )
        return self._release(task, Release(status=TaskStatus.COMPLETED, entry=entry))

    def fail(self, task_id: str, code: ErrorCode = ErrorCode.EXECUTION_ERROR) -> Task:
        error = TaskError(code, "It broke")
        return self._release(self._running(task_id), Release(status=TaskStatus.FAILED, error=error))

    def wait(self, task_id: str, reason: str = "question", text: str = "Which branch?") -> Task:
        task = self._running(task_id)
        entry = Entry(
            task.id,
            task.run,
            task.last_entry + 1,
            EntryKind.WAIT,
            self.clock.now(),
            {"reason": reason, "text": text},
        )
        return self._release(task, Release(status=TaskStatus.WAITING, entry=entry))

    def hand_over(self, task_id: str) -> Task:
        release = Release(status=TaskStatus.PENDING, continuing=True, hop=True)
        return self._release(self._running(task_id), release)

    def stop_if_asked(self, task_id: str) -> None:
        task = self.tasks.tasks[task_id]
        if task.cancel_requested and task.status is TaskStatus.RUNNING:
            self._release(task, Release(status=TaskStatus.CANCELLED))

    def on_sleep(self, *steps: Callable[[], object]) -> None:
        """One step each time that somebody sleeps."""
        left = list(steps)

        def next_step() -> None:
            if left:
                left.pop(0)()

        self.clock.on_sleep = next_step

    def _running(self, task_id: str) -> Task:
        task = self.tasks.tasks[task_id]
        return task if task.status is TaskStatus.RUNNING else self.start(task_id)

    def _release(self, task: Task, release: Release) -> Task:
        return self.tasks.release(task, release, now=self.clock.now())


def message(text: str = "Do it", **fields: Any) -> dict[str, Any]:
    """A2A's Message as JSON."""
    return {"messageId": "m-1", "role": "ROLE_USER", "parts": [{"text": text}], **fields}


def reason(error: Mapping[str, Any]) -> str:
    """The reason in an error's ErrorInfo, over either binding."""
    details = error.get("data") or error["details"]
    assert details[0]["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert details[0]["domain"] == "a2a-protocol.org"
    return str(details[0]["reason"])
