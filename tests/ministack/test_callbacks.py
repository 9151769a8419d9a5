"""Callbacks as deployed: from the A2A SDK's own client and the REST API to a receiver on loopback,
through the table's stream, the notifier and the role that it is deployed with.
"""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
import requests
from a2a.client import ClientConfig, ClientFactory
from a2a.types import (
    AgentCard,
    AuthenticationInfo,
    Message,
    Part,
    Role,
    SendMessageConfiguration,
    SendMessageRequest,
    StreamResponse,
    TaskPushNotificationConfig,
    TaskState,
)
from google.protobuf.json_format import Parse, ParseDict

from examples.callback_receiver import verified
from local.run import Nightdesk
from nightdesk.domain.push_configs import CONFIGS_MAX

pytestmark = pytest.mark.ministack

AGENT = "issue-enricher"


@dataclass
class Receiver:
    """What came, as it came."""

    url: str = ""
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    def wait_for(self, path: str, *, seconds: float = 60) -> tuple[dict[str, str], bytes]:
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up:
            for came, headers, body in list(self.got):
                if came == path:
                    return headers, body
            time.sleep(0.1)
        raise AssertionError(f"nothing came to {path}; {[came for came, _, _ in self.got]}")


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.got.append((self.path, dict(self.headers), body))
            self.send_response(404 if "refused" in self.path else 204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield kept
    server.shutdown()
    thread.join()
    server.server_close()


def request(nightdesk: Nightdesk, method: str, path: str, body: Any = None) -> requests.Response:
    return requests.request(
        method,
        nightdesk.deployment.api_path + path,
        json=body,
        headers={"Authorization": f"Bearer {nightdesk.key}", "A2A-Version": "1.0"},
        timeout=40,
    )


def test_the_sdks_client_that_asks_for_a_callback_is_called_back(
    nightdesk: Nightdesk, receiver: Receiver
) -> None:
    base = nightdesk.deployment.api_path
    wanted = TaskPushNotificationConfig(
        url=f"{receiver.url}/a2a",
        token="my-token",
        authentication=AuthenticationInfo(scheme="Bearer", credentials="for-the-receiver"),
    )
    message = Message(
        message_id="m-1", role=Role.ROLE_USER, parts=[Part(text="Where are refunds computed?")]
    )
    asked = SendMessageRequest(
        message=message,
        configuration=SendMessageConfiguration(
            return_immediately=True, task_push_notification_config=wanted
        ),
    )

    async def send() -> str:
        headers = {"Authorization": f"Bearer {nightdesk.key}"}
        async with httpx.AsyncClient(headers=headers, timeout=40) as http:
            answer = await http.get(f"{base}/a2a/{AGENT}/.well-known/agent-card.json")
            card = ParseDict(answer.json(), AgentCard())
            assert card.capabilities.push_notifications
            for interface in card.supported_interfaces:
                interface.url = base + interface.url[interface.url.index("/a2a/") :]
            config = ClientConfig(httpx_client=http, polling=True)
            client = ClientFactory(config).create(card)
            (sent,) = [event async for event in client.send_message(asked)]
            return str(sent.task.id)

    task_id = asyncio.run(send())
    headers, body = receiver.wait_for("/a2a")

    told = Parse(body, StreamResponse()).task
    assert told.id == task_id
    assert told.status.state == TaskState.TASK_STATE_COMPLETED
    assert told.artifacts[0].parts[0].text
    assert headers["X-A2A-Notification-Token"] == "my-token"
    assert headers["Authorization"] == "Bearer for-the-receiver"
    assert headers["webhook-id"].startswith("msg_")
    listed = request(nightdesk, "GET", f"/api/background-tasks/{task_id}/callbacks").json()
    assert [(c["event"], c["tries"]) for c in listed["callbacks"]] == [("task.completed", 1)]


def test_a_workspace_is_called_back_signed_and_what_it_refuses_is_sent_again(
    nightdesk: Nightdesk, receiver: Receiver
) -> None:
    workspace = "/api/workspaces/default"
    secret = request(nightdesk, "POST", f"{workspace}/callback-secret").json()["secret"]
    callback = {"url": f"{receiver.url}/refused"}
    changed = request(nightdesk, "PATCH", workspace, {"callback": callback})
    assert changed.status_code == 200, changed.text
    try:
        new = {"prompt": "Where?", "agentId": AGENT, "workspaceId": "default"}
        made = request(nightdesk, "POST", "/api/background-tasks", new)
        task_id = made.json()["task"]["id"]
        headers, body = receiver.wait_for("/refused")
        assert verified(headers, body, secret, now=time.time()) == headers["webhook-id"]
        told = json.loads(body)
        assert (told["type"], told["data"]["id"]) == ("task.completed", task_id)

        dead: list[dict[str, Any]] = []
        give_up = time.monotonic() + 20
        while not dead and time.monotonic() < give_up:
            found = request(nightdesk, "GET", f"{workspace}/dead-callbacks").json()["callbacks"]
            dead = [one for one in found if one["taskId"] == task_id]
            time.sleep(0.2)
        (given_up,) = dead
        assert given_up["lastError"] == "127.0.0.1 answered 404"
        taken = {"callback": {"url": f"{receiver.url}/taken"}}
        request(nightdesk, "PATCH", workspace, taken)
        path = f"/api/background-tasks/{task_id}/callbacks"
        again = request(nightdesk, "POST", f"{path}/{given_up['id']}/resend")
        assert again.status_code == 202, again.text
        request(nightdesk, "POST", "/api/background-tasks/process")
        same, _ = receiver.wait_for("/taken")
        assert same["webhook-id"] == headers["webhook-id"]
    finally:
        request(nightdesk, "PATCH", workspace, {"callback": None})


def test_of_twelve_configurations_at_once_a_task_keeps_five(nightdesk: Nightdesk) -> None:
    new = {"prompt": "Later.", "agentId": AGENT, "workspaceId": "default"}
    new["runAfter"] = (datetime.now(UTC) + timedelta(days=1)).isoformat()  # noqa: TID251
    made = request(nightdesk, "POST", "/api/background-tasks", new)
    task_id = made.json()["task"]["id"]
    path = f"/a2a/{AGENT}/v1/tasks/{task_id}/pushNotificationConfigs"
    barrier = threading.Barrier(12)

    def ask(number: int) -> int:
        barrier.wait()
        body = {"id": f"c-{number}", "url": "https://hooks.example.com/"}
        return request(nightdesk, "POST", path, body).status_code

    try:
        with ThreadPoolExecutor(12) as threads:
            statuses = list(threads.map(ask, range(12)))
        kept = request(nightdesk, "GET", path).json()["configs"]
        assert len(kept) == CONFIGS_MAX
        assert statuses.count(200) == CONFIGS_MAX
    finally:
        request(nightdesk, "DELETE", f"/api/background-tasks/{task_id}")
