"""What a stranger may try on every route of the template: one list, complete or the walk fails.

A request names its victim as `{task}`, `{config}`, `{delivery}`, `{key}`, `{cursor}` and
`{context}`. Whoever adds a route adds what a stranger could ask of it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.a2a.world import AGENT, HOOK
from tests.api.caller import TASKS, WORKSPACE

#: What the template lets in from outside, and how the walk goes there; "" = it takes no key.
FRONTS = {
    "ANY /api/{proxy+}": "api",
    "ANY /a2a/{proxy+}": "a2a",
    "function URL of A2aStreamFunction": "stream",
    # Public, and the same for everybody: it shows a specialist, and no task.
    "GET /.well-known/agent-card.json": "",
    # Signed by GitHub over the raw body; it takes no key, and answers nothing of a task.
    "POST /api/webhooks/github": "",
}
#: Routes of the API that name no task, no key and no workspace, and answer everybody alike.
HARMLESS = {
    "GET /api/health",
    "GET /api/openapi.json",
    "GET /api/docs",
    "POST /api/background-tasks/process",
    "POST /api/dead-letters/redrive",
    "GET /api/polling/check",
    "POST /api/polling/check",
    "GET /api/specialists",
}


@dataclass(frozen=True)
class Ask:
    """One request. `route` is the route that it is for; `is_owners` whether its owner may do it."""

    route: str
    method: str
    path: str
    body: Any = None
    query: Mapping[str, str] = field(default_factory=dict)
    is_owners: bool = True

    def aimed_at(self, names: Mapping[str, str]) -> "Ask":
        """The request with the victim's names in it."""

        def filled(text: str) -> str:
            return re.sub(r"\{(\w+)\}", lambda found: names[found[1]], text)

        # Placeholders only: JSON's own braces are never followed by a bare word and a brace.
        body = None if self.body is None else json.loads(filled(json.dumps(self.body)))
        query = {name: filled(value) for name, value in self.query.items()}
        return Ask(self.route, self.method, filled(self.path), body, query)


_WORKSPACE = "/api/workspaces/{workspace_id}"


def _api() -> list[Ask]:
    task, key = f"{TASKS}/{{task}}", "/api/keys/{key}"
    create = {"prompt": "Tell me", "agentId": "issue-enricher", "workspaceId": "{mine}"}
    bulk = {"status": "FAILED", "workspaceId": WORKSPACE}
    of_tasks = "/api/background-tasks"
    return [
        Ask(f"GET {of_tasks}", "GET", TASKS, query={"workspaceId": WORKSPACE}),
        Ask(f"GET {of_tasks}", "GET", TASKS, None, {"workspaceId": "{mine}", "cursor": "{cursor}"}),
        Ask(
            f"POST {of_tasks}",
            "POST",
            TASKS,
            {**create, "dependsOn": ["{task}"], "quoteOutputs": True},
        ),
        Ask(f"POST {of_tasks}", "POST", TASKS, {**create, "workspaceId": WORKSPACE}),
        Ask(f"POST {of_tasks}", "POST", TASKS, {**bulk, "action": "deleteByStatus"}),
        Ask(f"POST {of_tasks}", "POST", TASKS, {**bulk, "action": "retryByStatus"}),
        Ask("GET /api/background-tasks/{task_id}", "GET", task),
        Ask("PATCH /api/background-tasks/{task_id}", "PATCH", task, {"title": "Mine"}),
        Ask("DELETE /api/background-tasks/{task_id}", "DELETE", task),
        Ask("POST /api/background-tasks/{task_id}/retry", "POST", f"{task}/retry"),
        Ask(
            "POST /api/background-tasks/{task_id}/messages",
            "POST",
            f"{task}/messages",
            {"text": "Stop"},
        ),
        Ask("GET /api/background-tasks/{task_id}/events", "GET", f"{task}/events"),
        Ask("GET /api/workspaces/{workspace_id}", "GET", f"/api/workspaces/{WORKSPACE}"),
        Ask(
            "PATCH /api/workspaces/{workspace_id}",
            "PATCH",
            f"/api/workspaces/{WORKSPACE}",
            {"paused": True},
        ),
        Ask(
            f"POST {_WORKSPACE}/callback-secret",
            "POST",
            f"/api/workspaces/{WORKSPACE}/callback-secret",
        ),
        Ask(
            f"GET {_WORKSPACE}/dead-callbacks", "GET", f"/api/workspaces/{WORKSPACE}/dead-callbacks"
        ),
        Ask("GET /api/background-tasks/{task_id}/callbacks", "GET", f"{task}/callbacks"),
        Ask(
            "POST /api/background-tasks/{task_id}/callbacks/{delivery_id}/resend",
            "POST",
            f"{task}/callbacks/{{delivery}}/resend",
        ),
        Ask("GET /api/keys", "GET", "/api/keys"),
        Ask("POST /api/keys", "POST", "/api/keys", {"workspaceId": WORKSPACE, "agents": [AGENT]}),
        Ask("POST /api/keys/{key_id}/rotate", "POST", f"{key}/rotate", {"graceSeconds": 0}),
        Ask("DELETE /api/keys/{key_id}", "DELETE", key),
        Ask(
            "GET /api/github/decisions",
            "GET",
            "/api/github/decisions",
            query={"repo": "o/r", "number": "1"},
        ),
    ]


def _message(**fields: Any) -> dict[str, Any]:
    return {"messageId": "m-2", "role": "ROLE_USER", "parts": [{"text": "Tell me"}], **fields}


_NOW = {"returnImmediately": True}
_SENDS = (
    {"message": _message(taskId="{task}"), "configuration": _NOW},
    {"message": _message(contextId="{context}"), "configuration": _NOW},
    {"message": _message(referenceTaskIds=["{task}"]), "configuration": _NOW},
)
_RPC: tuple[tuple[str, Any], ...] = (
    *(("SendMessage", send) for send in _SENDS),
    *(("SendStreamingMessage", send) for send in _SENDS[:1]),
    ("GetTask", {"id": "{task}"}),
    ("ListTasks", {}),
    ("ListTasks", {"contextId": "{context}"}),
    ("CancelTask", {"id": "{task}"}),
    ("SubscribeToTask", {"id": "{task}"}),
    ("CreateTaskPushNotificationConfig", {"taskId": "{task}", "url": HOOK}),
    ("GetTaskPushNotificationConfig", {"taskId": "{task}", "id": "{config}"}),
    ("ListTaskPushNotificationConfigs", {"taskId": "{task}"}),
    ("DeleteTaskPushNotificationConfig", {"taskId": "{task}", "id": "{config}"}),
    ("GetExtendedAgentCard", {}),
)
_CONFIGS = "/tasks/{task}/pushNotificationConfigs"
_REST: tuple[tuple[str, str, Any], ...] = (
    *(("POST", "/message:send", send) for send in _SENDS),
    *(("POST", "/message:stream", send) for send in _SENDS[:1]),
    ("POST", "/tasks/{task}:cancel", {}),
    ("POST", "/tasks/{task}:subscribe", {}),
    ("GET", "/tasks/{task}:subscribe", None),
    ("GET", "/tasks", None),
    ("GET", "/tasks/{task}", None),
    ("POST", _CONFIGS, {"url": HOOK}),
    ("GET", _CONFIGS, None),
    ("GET", f"{_CONFIGS}/{{config}}", None),
    ("DELETE", f"{_CONFIGS}/{{config}}", None),
    ("GET", "/extendedAgentCard", None),
)
_OLD: tuple[tuple[str, str, Any], ...] = (
    ("POST", "/tasks", {"message": "Tell me"}),
    ("GET", "/tasks", None),
    ("GET", "/tasks/{task}", None),
    ("DELETE", "/tasks/{task}", None),
    ("POST", "/messages", {"message": "Tell me", "sessionId": "{context}"}),
)


def _a2a() -> list[Ask]:
    rpc = [
        Ask(
            f"rpc {method}",
            "POST",
            "/a2a/{agent}",
            {"jsonrpc": "2.0", "id": 1, "method": method, "params": params},
        )
        for method, params in _RPC
    ]
    rest = [
        Ask(f"rest {method} {path}", method, f"/a2a/{{agent}}/v1{path}", body)
        for method, path, body in _REST
    ]
    old = [
        Ask(f"old {method} {path}", method, f"/a2a/{{agent}}{path}", body)
        for method, path, body in _OLD
    ]
    return [*rpc, *rest, *old]


API_ASKS, A2A_ASKS = _api(), _a2a()
