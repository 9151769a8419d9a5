"""A client of the API: makes the events of API Gateway and reads the answers."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from nightdesk.api.app import build_app
from nightdesk.domain.api_key import Operation
from nightdesk.domain.ports import TaskStore
from nightdesk.services.api_ports import ApiPorts, ApiSettings
from nightdesk.services.manage_keys import create_key
from tests.fakes.access_store import FakeAccessStore
from tests.fakes.callbacks import FakeCallbackKey, callback_ports
from tests.fakes.clock import FakeClock, FakeDice
from tests.fakes.conversations import FakePushConfigs
from tests.fakes.functions import FakeFunctions
from tests.fakes.outbox_store import FakeOutboxStore
from tests.fakes.specialists import FakeSpecialists
from tests.fakes.task_store import FakeTaskStore
from tests.fakes.wake_ups import FakeWakeUps
from tests.openapi.judge import judge

WORKSPACE = "team"
TASKS = "/api/background-tasks"


@dataclass(frozen=True)
class Context:
    """What Lambda passes beside the event."""

    function_name: str = "api"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:123456789012:function:api"
    aws_request_id: str = "request-1"


@dataclass(frozen=True)
class Answered:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> dict[str, Any]:
        loaded = json.loads(self.text)
        assert isinstance(loaded, dict)
        return loaded

    @property
    def task(self) -> dict[str, Any]:
        task = self.json["task"]
        assert isinstance(task, dict)
        return task

    @property
    def error(self) -> dict[str, Any]:
        error = self.json["error"]
        assert isinstance(error, dict)
        return error


def event_of(
    method: str,
    path: str,
    *,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    body: str | None = None,
    is_base64: bool = False,
) -> dict[str, Any]:
    """An event of an HTTP API, payload format 2.0."""
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "ANY /api/{proxy+}",
        "rawPath": path,
        "rawQueryString": urlencode(query or {}),
        "headers": {"host": "api.example", **(headers or {})},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api",
            "domainName": "api.example",
            "domainPrefix": "api",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.1",
                "userAgent": "tests",
            },
            "requestId": "gateway-1",
            "routeKey": "ANY /api/{proxy+}",
            "stage": "$default",
            "time": "21/Nov/2026:12:00:00 +0000",
            "timeEpoch": 1_795_262_400_000,
        },
        "isBase64Encoded": is_base64,
    }
    if query:
        event["queryStringParameters"] = dict(query)
    if body is not None:
        event["body"] = body
    return event


@dataclass
class Caller:
    """Calls the API on fakes; the fakes are there to be looked at."""

    tasks: FakeTaskStore = field(default_factory=FakeTaskStore)
    access: FakeAccessStore = field(default_factory=FakeAccessStore)
    wake_ups: FakeWakeUps = field(default_factory=FakeWakeUps)
    specialists: FakeSpecialists = field(
        default_factory=lambda: FakeSpecialists("developer", "issue-enricher")
    )
    functions: FakeFunctions = field(default_factory=FakeFunctions)
    clock: FakeClock = field(default_factory=FakeClock)
    dice: FakeDice = field(default_factory=FakeDice)
    #: Whether every answer is held against the OpenAPI document.
    is_judged: bool = True
    push_configs: FakePushConfigs = field(default_factory=FakePushConfigs)
    callback_key: FakeCallbackKey = field(default_factory=FakeCallbackKey)
    #: The store that the API uses instead of `tasks`, when a test needs one that misbehaves.
    store: TaskStore | None = None

    def __post_init__(self) -> None:
        self.outbox = FakeOutboxStore(self.tasks.rows)
        self.callbacks = callback_ports(
            outbox=self.outbox, push_configs=self.push_configs, key=self.callback_key
        )
        self.key = self.make_key()
        self.app = build_app(self.ports)

    @property
    def ports(self) -> ApiPorts:
        return ApiPorts(
            tasks=self.store or self.tasks,
            access=self.access,
            wake_ups=self.wake_ups,
            specialists=self.specialists,
            functions=self.functions,
            callbacks=self.callbacks,
            clock=self.clock,
            dice=self.dice,
            settings=ApiSettings(sweeper_function="sweeper", github_poller_function="poller"),
        )

    def make_key(
        self,
        workspace: str = WORKSPACE,
        *,
        agents: tuple[str, ...] = (),
        operations: tuple[Operation, ...] = (Operation.READ, Operation.WRITE),
    ) -> str:
        new = create_key(
            workspace_id=workspace,
            agents=agents,
            operations=operations,
            access=self.access,
            clock=self.clock,
            dice=self.dice,
        )
        return new.text

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
        is_base64: bool = False,
    ) -> Answered:
        """`body` is sent as JSON, `raw` as it is; `key` None sends none."""
        # API Gateway makes the names of headers lower case; other callers may not.
        sent = dict(headers or {})
        names = {name.lower() for name in sent}
        if key is not None and "authorization" not in names:
            sent["authorization"] = f"Bearer {key or self.key}"
        text = raw if raw is not None else None if body is None else json.dumps(body)
        if text is not None and "content-type" not in names:
            sent["content-type"] = "application/json"
        event = event_of(method, path, query=query, headers=sent, body=text, is_base64=is_base64)
        answer = answered(self.app(event, Context()))
        if self.is_judged:
            judge(method, path, answer.status, answer.headers, answer.text)
        return answer

    def create(self, **fields: Any) -> Answered:
        """Ask for a task; a field None is left out."""
        asked = {"prompt": "Do it", "agentId": "developer", "workspaceId": WORKSPACE, **fields}
        return self.call("POST", TASKS, {k: v for k, v in asked.items() if v is not None})


def answered(answer: Mapping[str, Any]) -> Answered:
    """Read the function's answer as API Gateway does."""
    body = answer["body"]
    if answer.get("isBase64Encoded"):
        body = base64.b64decode(body).decode()
    headers = {name.lower(): str(value) for name, value in (answer.get("headers") or {}).items()}
    return Answered(answer["statusCode"], headers, body)
