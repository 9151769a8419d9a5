"""Streams, with the SDK's own server mounted on our operations and the SDK's own client."""

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from a2a.client import A2ACardResolver, Client, ClientConfig, ClientFactory
from a2a.client.client import ClientCallContext
from a2a.types import (
    GetTaskRequest,
    Message,
    Part,
    Role,
    SendMessageRequest,
    StreamResponse,
    SubscribeToTaskRequest,
    TaskState,
)
from a2a.utils.errors import A2AError, TaskNotFoundError, UnsupportedOperationError
from google.protobuf.json_format import MessageToDict

from nightdesk.a2a.app import A2aSettings
from nightdesk.a2a.events import TaskEvents, place_in
from nightdesk.a2a.streaming_server import streaming_app
from nightdesk.domain.errors import InvalidInputError
from nightdesk.services.manage_keys import create_key, revoke_key
from tests.a2a.world import AGENT, REST, RPC, World
from tests.handlers import ROOT

PACE = timedelta(milliseconds=10)


@dataclass
class Front:
    world: World
    url: str
    binding: str = "JSONRPC"

    @asynccontextmanager
    async def client(self, *, key: str = "") -> Any:
        headers = {"Authorization": f"Bearer {key or self.world.key}"}
        async with httpx.AsyncClient(headers=headers) as http:
            card = await A2ACardResolver(http, f"{self.url}/a2a/{AGENT}").get_agent_card()
            assert card.capabilities.streaming
            config = ClientConfig(httpx_client=http, supported_protocol_bindings=[self.binding])
            yield ClientFactory(config).create(card)

    def talk(self, run: Callable[[Client], Any]) -> Any:
        async def talked() -> Any:
            async with self.client() as client:
                return await run(client)

        return asyncio.run(talked())


@pytest.fixture(scope="module", params=["JSONRPC", "HTTP+JSON"])
def front(request: pytest.FixtureRequest) -> Iterator[Front]:
    world = World(streaming=True)
    app = streaming_app(world.operations, A2aSettings(scheme="http"), pace=PACE)
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Front(world, f"http://127.0.0.1:{port}", request.param)
    server.should_exit = True
    thread.join()


def asking(text: str = "Do it") -> SendMessageRequest:
    return SendMessageRequest(
        message=Message(message_id="m-1", role=Role.ROLE_USER, parts=[Part(text=text)])
    )


def told(event: StreamResponse) -> str:
    """An event in a few words."""
    match event.WhichOneof("payload"):
        case "task":
            return f"task {TaskState.Name(event.task.status.state)}"
        case "status_update":
            parts = event.status_update.status.message.parts
            state = TaskState.Name(event.status_update.status.state)
            return f"{state} {parts[0].text}" if parts else state
        case _:
            return f"artifact {event.artifact_update.artifact.parts[0].text}"


def sequence(event: StreamResponse) -> int:
    update = event.status_update if event.HasField("status_update") else event.artifact_update
    return int(MessageToDict(update.metadata)["nightdesk"]["sequence"])


def test_a_sent_message_streams_to_its_end(front: Front) -> None:
    world = front.world

    async def run(client: Client) -> list[str]:
        seen = []
        async for event in client.send_message(asking()):
            seen.append(told(event))
            if event.HasField("task"):
                task_id = event.task.id
                world.start(task_id)
                world.step(task_id, "a")
                world.step(task_id, "b")
                world.complete(task_id, "Done.")
        return seen

    assert front.talk(run) == [
        "task TASK_STATE_SUBMITTED",
        "TASK_STATE_WORKING A message was taken in",
        "TASK_STATE_WORKING A message was taken in",
        "artifact Done.",
        "TASK_STATE_COMPLETED",
    ]


def test_a_stream_of_a_sent_message_ends_when_the_task_asks_back(front: Front) -> None:
    async def run(client: Client) -> list[str]:
        seen = []
        async for event in client.send_message(asking()):
            seen.append(told(event))
            if event.HasField("task"):
                front.world.wait(event.task.id, text="Which?")
        return seen

    assert front.talk(run)[-1] == "TASK_STATE_INPUT_REQUIRED Which?"


def test_a_subscription_begins_with_the_task_and_ends_with_it(front: Front) -> None:
    world = front.world
    task_id = world.send()["id"]
    world.start(task_id)
    world.step(task_id, "before")

    async def run(client: Client) -> list[str]:
        seen = []
        async for event in client.subscribe(SubscribeToTaskRequest(id=task_id)):
            seen.append(told(event))
            if len(seen) == 1:
                world.step(task_id, "after")
                world.complete(task_id, "Done.")
        return seen

    assert front.talk(run) == [
        "task TASK_STATE_WORKING",
        "TASK_STATE_WORKING A message was taken in",
        "artifact Done.",
        "TASK_STATE_COMPLETED",
    ]


def test_a_stream_that_was_cut_goes_on_where_it_was(front: Front) -> None:
    world = front.world
    task_id = world.send()["id"]
    world.start(task_id)

    async def cut(client: Client) -> int:
        last = 0
        async for event in client.subscribe(SubscribeToTaskRequest(id=task_id)):
            if event.HasField("task"):
                for number in range(5):
                    world.step(task_id, str(number))
            else:
                last = sequence(event)
            if last == 3:
                break
        return last

    async def resumed(client: Client) -> list[int]:
        context = ClientCallContext(service_parameters={"Last-Event-ID": "1-3"})
        seen = []
        request = SubscribeToTaskRequest(id=task_id)
        async for event in client.subscribe(request, context=context):
            if not event.HasField("task"):
                seen.append(sequence(event))
            else:
                world.complete(task_id)
        return seen

    assert front.talk(cut) == 3
    assert front.talk(resumed) == [4, 5, 6, 6]  # the answer, and that it has ended


def test_several_streams_tell_the_same_in_the_same_order(front: Front) -> None:
    world = front.world
    task_id = world.send()["id"]
    world.start(task_id)
    begun: list[int] = []

    async def one(client: Client) -> list[int]:
        seen = []
        async for event in client.subscribe(SubscribeToTaskRequest(id=task_id)):
            if event.HasField("task"):
                begun.append(1)
                if len(begun) == 3:
                    for number in range(4):
                        world.step(task_id, str(number))
                    world.complete(task_id)
            else:
                seen.append(sequence(event))
        return seen

    async def run(client: Client) -> list[list[int]]:
        return list(await asyncio.gather(*(one(client) for _ in range(3))))

    first, second, third = front.talk(run)
    assert first == second == third == [1, 2, 3, 4, 5, 5]


def test_an_ended_task_cannot_be_subscribed_to(front: Front) -> None:
    task_id = front.world.send()["id"]
    front.world.complete(task_id)

    async def run(client: Client) -> None:
        async for _ in client.subscribe(SubscribeToTaskRequest(id=task_id)):
            pass

    with pytest.raises(UnsupportedOperationError):
        front.talk(run)


def test_a_strangers_task_cannot_be_subscribed_to(front: Front) -> None:
    task_id = front.world.send(key=front.world.make_key("others"))["id"]

    async def run(client: Client) -> None:
        async for _ in client.subscribe(SubscribeToTaskRequest(id=task_id)):
            pass

    with pytest.raises(TaskNotFoundError):
        front.talk(run)


def test_everything_else_answers_here_as_the_function_does(front: Front) -> None:
    world = front.world
    task_id = world.send()["id"]

    async def run(client: Client) -> str:
        return (await client.get_task(GetTaskRequest(id=task_id))).id

    assert front.talk(run) == task_id
    headers = {"Authorization": f"Bearer {world.key}", "A2A-Version": "1.0"}
    with httpx.Client(base_url=front.url, headers=headers) as http:
        assert http.get(f"{REST}/tasks/{task_id}").json() == world.result(
            "GetTask", {"id": task_id}
        )
        assert http.get(f"/a2a/{AGENT}/tasks/{task_id}").json()["taskId"] == task_id
        made = http.post(f"/a2a/{AGENT}/tasks", json={"message": "m"})
        assert made.status_code == 202
        assert http.get("/elsewhere").status_code == 404
        query = http.get(f"{REST}/tasks?A2A-Version=1.0", headers={"A2A-Version": ""})
        assert query.status_code in (200, 400)


def test_nothing_is_answered_without_a_key(front: Front) -> None:
    with httpx.Client(base_url=front.url, headers={"A2A-Version": "1.0"}) as http:
        for answer in (
            http.post(RPC, json={}),
            http.post(f"{RPC}/", json={}),
            http.get(f"{REST}/tasks"),
            http.post(f"{REST}/message:stream", json={}),
            http.get(f"/a2a/{AGENT}/tasks"),
            http.post(f"/a2a/{AGENT}/messages?stream=true", json={"message": "m"}),
        ):
            assert answer.status_code == 401, answer.url


def test_the_predecessors_stream_tells_progress_and_the_answer(front: Front) -> None:
    world = front.world
    headers = {"Authorization": f"Bearer {world.key}"}
    lines: list[dict[str, Any]] = []
    before = set(world.tasks.tasks)
    path = f"{front.url}/a2a/{AGENT}/messages?stream=true"
    with (
        httpx.Client(headers=headers) as http,
        http.stream("POST", path, json={"message": "Go"}) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        (task_id,) = set(world.tasks.tasks) - before
        world.start(task_id)
        world.step(task_id, "a")
        world.complete(task_id, "Done.")
        lines = [json.loads(line[6:]) for line in answer.iter_lines() if line]

    assert [line["type"] for line in lines] == ["status", "status", "result", "done"]
    assert lines[2]["result"] == "Done."


def test_the_predecessors_stream_tells_a_failure(front: Front) -> None:
    world = front.world
    before = set(world.tasks.tasks)
    headers = {"Authorization": f"Bearer {world.key}", "Accept": "text/event-stream"}
    path = f"{front.url}/a2a/{AGENT}/messages"
    with (
        httpx.Client(headers=headers) as http,
        http.stream("POST", path, json={"message": "Go"}) as answer,
    ):
        (task_id,) = set(world.tasks.tasks) - before
        world.fail(task_id)
        lines = [json.loads(line[6:]) for line in answer.iter_lines() if line]

    assert lines[-2] == {"type": "error", "error": "EXECUTION_ERROR: It broke", "taskId": task_id}


@pytest.mark.parametrize("body", [{"message": ""}, {}])
def test_a_bad_message_is_refused_before_anything_streams(front: Front, body: Any) -> None:
    headers = {"Authorization": f"Bearer {front.world.key}"}
    path = f"{front.url}/a2a/{AGENT}/messages?stream=true"

    answer = httpx.post(path, headers=headers, json=body)

    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")


def test_a_place_that_is_none_is_refused(front: Front) -> None:
    task_id = front.world.send()["id"]
    context = ClientCallContext(service_parameters={"Last-Event-ID": "nowhere"})

    async def run(client: Client) -> None:
        async for _ in client.subscribe(SubscribeToTaskRequest(id=task_id), context=context):
            pass

    with pytest.raises(A2AError):
        front.talk(run)


# Events without a server -----------------------------------------------------------------------


def test_a_retry_begins_its_numbers_again(world: World) -> None:
    task_id = world.send()["id"]
    events = TaskEvents(world.tasks.tasks[task_id], None, tasks=world.tasks)
    world.fail(task_id)
    assert len(events.new()) == 1
    world.tasks.start_new_run(world.tasks.tasks[task_id], now=world.clock.now())
    world.start(task_id)
    world.step(task_id, "again")

    (event,) = events.new()

    assert MessageToDict(event.metadata) == {"nightdesk": {"run": 2.0, "sequence": 1.0}}


def test_a_deleted_task_tells_nothing_more(world: World) -> None:
    task_id = world.send()["id"]
    events = TaskEvents(world.tasks.tasks[task_id], None, tasks=world.tasks)
    del world.tasks.tasks[task_id]

    assert events.new() == []


@pytest.mark.parametrize("text", ["", "1", "1-", "-1", "a-b", "1-1-1", "12345-1", "1-1234567"])
def test_a_place_is_a_run_and_a_sequence(text: str) -> None:
    with pytest.raises(InvalidInputError):
        place_in(text)
    assert place_in(" 2-17 ") == (2, 17)


# The function that streams ---------------------------------------------------------------------


@pytest.fixture
def started() -> Iterator[str]:
    """functions/a2a_stream as Lambda starts it, with nothing behind it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    tables = ("tasks", "origins", "session_log", "outbox", "access", "limits", "conversations")
    environment = {f"{name.upper()}_TABLE": name for name in tables} | {
        "PATH": str(Path(sys.executable).parent),
        "PYTHONPATH": str(ROOT / "layers" / "nightdesk"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "SPECIALISTS_DIR": str(ROOT / "specialists"),
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_LWA_PORT": str(port),
    }
    folder = ROOT / "functions" / "a2a_stream"
    process = subprocess.Popen(["/bin/sh", "start.sh"], cwd=folder, env=environment)
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and process.poll() is None:
            try:
                httpx.get(url)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def test_the_function_that_streams_starts_and_says_that_it_does(started: str) -> None:
    card = httpx.get(f"{started}/a2a/issue-enricher/.well-known/agent-card.json").json()

    assert card["capabilities"]["streaming"] is True
    assert card["supportedInterfaces"][0]["url"] == (
        f"https://{started.removeprefix('http://')}/a2a/issue-enricher"
    )
    assert httpx.post(f"{started}/a2a/issue-enricher", json={}).status_code == 401


def test_a_stranger_a_limited_and_a_revoked_key_are_refused_before_anything_streams(
    front: Front,
) -> None:
    world = front.world
    new = create_key(
        workspace_id="team",
        requests_per_minute=1,
        access=world.access,
        clock=world.clock,
        dice=world.dice,
    )
    url, headers = f"{front.url}{REST}/tasks", {"A2A-Version": "1.0"}

    def ask() -> httpx.Response:
        return httpx.get(url, headers={**headers, "Authorization": f"Bearer {new.text}"})

    passed, limited = ask(), ask()
    revoke_key(new.key.id, access=world.access, clock=world.clock)

    assert (passed.status_code, limited.status_code, ask().status_code) == (200, 429, 401)
    assert passed.headers["ratelimit"].startswith('"key";r=0')
    assert limited.headers["retry-after"].isdigit()
    assert limited.json()["error"]["status"] == "RESOURCE_EXHAUSTED"
