"""Nobody reads, lists, cancels, messages, follows, edits, retries or deletes another's task.

Walks every route of template.yaml, over every binding, with keys of another workspace and of
another specialist. The list of routes comes from the template, the API's table and the dispatch of
A2A; a new route fails here until walk.py says what a stranger could ask of it.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from nightdesk.a2a.app import A2aSettings
from nightdesk.a2a.jsonrpc import _METHODS
from nightdesk.a2a.rest import _ROUTES
from nightdesk.a2a.streaming_server import streaming_app
from nightdesk.api.routes import ROUTES
from nightdesk.domain.api_key import Operation
from nightdesk.domain.notices import delivery, delivery_id, notice
from nightdesk.domain.push_configs import OF_WORKSPACE
from nightdesk.services.manage_keys import create_key
from tests.a2a.world import AGENT, HOOK, OTHER_AGENT, World
from tests.api.caller import WORKSPACE, Caller
from tests.aws import template
from tests.fakes.functions import FakeFunctions
from tests.openapi.judge import document
from tests.openapi.walk import A2A_ASKS, API_ASKS, FRONTS, HARMLESS, Ask

CANARY = "CANARY"
STRANGERS = ("of another workspace", "of another specialist")


# The list is complete ----------------------------------------------------------------------------


def test_every_way_in_of_the_template_is_walked() -> None:
    resources = template()["Resources"]
    routes = {
        r["Properties"]["RouteKey"]
        for r in resources.values()
        if r["Type"] == "AWS::ApiGatewayV2::Route"
    }
    urls = {
        f"function URL of {name}"
        for name, r in resources.items()
        if "FunctionUrlConfig" in r.get("Properties", {})
    }

    assert routes | urls == set(FRONTS), "say in tests/openapi/walk.py how a stranger comes in"


def test_every_route_of_the_api_is_walked() -> None:
    routes = {re.sub("<(.*?)>", r"{\1}", f"{route.method} {route.path}") for route in ROUTES}

    walked = {ask.route for ask in API_ASKS}
    assert not routes - walked - HARMLESS, "say in tests/openapi/walk.py what a stranger could ask"
    assert walked | HARMLESS == routes
    assert not walked & HARMLESS


def test_every_operation_of_a2a_is_walked() -> None:
    walked = [ask.route for ask in A2A_ASKS]
    old = {name for name in _old_routes() if f"old {name}" not in walked}
    rest = {
        f"{method} {pattern.pattern}"
        for method, pattern, _ in _ROUTES
        if not any(
            ask.method == method and pattern.fullmatch(ask.path.removeprefix("/a2a/{agent}/v1"))
            for ask in A2A_ASKS
            if ask.route.startswith("rest")
        )
    }

    missing = {f"rpc {method}" for method in _METHODS} - set(walked) | rest | old
    assert not missing, "say in tests/openapi/walk.py what a stranger could ask"


def _old_routes() -> Iterator[str]:
    """The predecessor's routes, which a test compares with its dispatch (test_document)."""
    for path, item in document()["paths"].items():
        if path.startswith("/a2a/{agentId}"):
            for method in item.keys() - {"parameters"}:
                place = path.removeprefix("/a2a/{agentId}").replace("{taskId}", "{task}")
                yield f"{method.upper()} {place}"


def test_every_route_of_the_streaming_server_is_walked() -> None:
    world = World(streaming=True)
    for route in streaming_app(world.operations, A2aSettings()).routes:
        pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", route.path))  # type: ignore[attr-defined]
        if "path:path" in pattern.pattern or route.path.endswith("}/"):  # type: ignore[attr-defined]
            continue  # the function's own answers, and JSON-RPC once more
        for method in set(route.methods) - {"HEAD"}:  # type: ignore[attr-defined]
            asks = [a for a in A2A_ASKS if a.method == method and pattern.fullmatch(a.path)]
            assert asks, f"say in tests/openapi/walk.py what a stranger could ask: {route}"


# The walk ----------------------------------------------------------------------------------------


class Poller(FakeFunctions):
    """Knows decisions of the victim's workspace, as the real one does of its own."""

    def invoke(self, name: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        ours = payload.get("workspaceId") == WORKSPACE
        row = {"event": CANARY, "outcome": "task", "specialist": AGENT, "taskId": CANARY}
        return {"repo": "o/r", "number": 1, "decisions": [row] if ours else []}


class Walk:
    """A deployment with four tasks of one specialist of one workspace, and somebody's keys."""

    def __init__(self) -> None:
        self.world = world = World(streaming=True)
        self.api = Caller(
            tasks=world.tasks,
            access=world.access,
            wake_ups=world.wake_ups,
            clock=world.clock,
            dice=world.dice,
            functions=Poller(),
        )
        push = {"url": f"{HOOK}/{CANARY}", "id": "p-1"}
        sent = {"returnImmediately": True, "taskPushNotificationConfig": push}
        self.tasks = []
        for kind in ("open", "done", "waits", "failed"):
            task = world.send(f"{CANARY} {kind}", configuration=sent, m_contextId="c-1")
            self.tasks.append(str(task["id"]))
        world.complete(self.tasks[1], f"{CANARY} result")
        world.wait(self.tasks[2], text=f"{CANARY} question")
        world.fail(self.tasks[3])
        self.delivery = self._dead_delivery(self.tasks[3])
        victim = self._key(WORKSPACE, (), description=CANARY)
        self.victims_key = victim.split("_")[1]
        self.owner = self._key(WORKSPACE, ())
        self.keys = {
            "of another workspace": self._key("others", ()),
            "of another specialist": self._key(WORKSPACE, (OTHER_AGENT,)),
        }
        page = self.api.call(
            "GET",
            "/api/background-tasks",
            query={"workspaceId": WORKSPACE, "limit": "1"},
            key=self.owner,
        )
        self.cursor = page.json["nextCursor"]

    def _dead_delivery(self, task_id: str) -> str:
        api, now = self.api, self.world.clock.now()
        row = delivery(
            notice(self.world.tasks.tasks[task_id]), OF_WORKSPACE, content={"body": CANARY}, now=now
        )
        api.outbox.put(row)
        leased = api.outbox.lease(api.outbox.rows[row.task_id, row.row], until=now)
        api.outbox.failed(leased, error=CANARY, next_try=None)
        return delivery_id(task_id, row.row)

    def _key(self, workspace: str, agents: tuple[str, ...], description: str = "") -> str:
        return create_key(
            workspace_id=workspace,
            agents=agents,
            operations=(Operation.ADMIN,),
            description=description,
            access=self.world.access,
            clock=self.world.clock,
            dice=self.world.dice,
        ).text

    def names(self, task_id: str, *, agent: str, mine: str) -> dict[str, str]:
        return {
            "task": task_id,
            "config": "p-1",
            "delivery": self.delivery,
            "context": "c-1",
            "key": self.victims_key,
            "cursor": self.cursor,
            "agent": agent,
            "mine": mine,
        }

    def everything(self, stranger: str) -> list[Any]:
        """All that is the victim's."""
        world = self.world
        found: list[Any] = [
            (
                world.tasks.tasks.get(task_id),
                list(world.push_configs.of_task(task_id)),
                world.conversations.get(task_id),
                world.tasks.get_origin(task_id),
                [row for key, row in self.api.outbox.rows.items() if key[0] == task_id],
            )
            for task_id in self.tasks
        ]
        found.append(world.access.get(self.victims_key))
        if stranger == "of another workspace":
            found.append(world.tasks.workspace_settings(WORKSPACE))
        return found

    def leaked(self) -> list[str]:
        """Tasks of strangers that quote the victim's."""
        return [
            task_id
            for task_id in self.world.tasks.tasks
            if task_id not in self.tasks
            and (origin := self.world.tasks.get_origin(task_id)) is not None
            and CANARY in repr(origin)
        ]


@dataclass(frozen=True)
class Reply:
    status: int
    text: str


def send(walk: Walk, front: str, ask: Ask, key: str) -> Reply:
    if front == "stream":
        return asyncio.run(_ask_stream(walk, ask, key))
    caller = walk.api if front == "api" else walk.world
    told = caller.call(ask.method, ask.path, ask.body, query=ask.query, key=key)
    return Reply(told.status, told.text)


async def _ask_stream(walk: Walk, ask: Ask, key: str) -> Reply:
    transport = httpx.ASGITransport(streaming_app(walk.world.operations, A2aSettings()))
    headers = {"Authorization": f"Bearer {key}", "A2A-Version": "1.0"}
    # What streams to a stranger would stream on: that fails, and soon.
    async with (
        asyncio.timeout(10),
        httpx.AsyncClient(
            transport=transport, base_url="http://agents.test", headers=headers
        ) as client,
    ):
        answer = await client.request(ask.method, ask.path, json=ask.body, params=dict(ask.query))
        return Reply(answer.status_code, answer.text)


WALKS = [
    *(("api", ask) for ask in API_ASKS),
    *(("a2a", ask) for ask in A2A_ASKS),
    *(("stream", ask) for ask in A2A_ASKS),
]
IDS = [f"{front} {ask.route} {number}" for number, (front, ask) in enumerate(WALKS)]


@pytest.mark.parametrize(("front", "ask"), WALKS, ids=IDS)
@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_stranger_gets_and_changes_nothing(front: str, ask: Ask, stranger: str) -> None:
    walk = Walk()
    key = walk.keys[stranger]
    mine = WORKSPACE if stranger == "of another specialist" else "others"
    before = walk.everything(stranger)
    for task_id in walk.tasks:
        for agent in (AGENT, OTHER_AGENT):
            if front == "stream" and _starts_a_stream(ask, stranger, agent):
                continue  # a task of its own, which would stream until its end
            aimed = ask.aimed_at(walk.names(task_id, agent=agent, mine=mine))
            reply = send(walk, front, aimed, key)
            assert reply.status < 500, reply.text
            assert CANARY not in reply.text, reply.text

    assert walk.everything(stranger) == before
    assert walk.leaked() == []


def _starts_a_stream(ask: Ask, stranger: str, agent: str) -> bool:
    """A stranger may well talk to its own specialists; nothing of the victim's is in that."""
    own = agent == OTHER_AGENT or stranger == "of another workspace"
    return own and "stream" in ask.path.lower() and "taskId" not in str(ask.body)


#: The owner's streams are in tests/a2a/test_stream.py.
ANSWERED = [
    ask for ask in (*API_ASKS, *A2A_ASKS) if not re.search("stream|subscribe", ask.route.lower())
]


@pytest.mark.parametrize("ask", ANSWERED, ids=lambda ask: ask.route)
def test_the_owner_is_answered(ask: Ask) -> None:
    """The control: without it, the walk could be right because nothing works."""
    front = "api" if ask in API_ASKS else "a2a"
    replies = []
    for number in range(4):
        walk = Walk()
        names = walk.names(walk.tasks[number], agent=AGENT, mine=WORKSPACE)
        replies.append(send(walk, front, ask.aimed_at(names), walk.owner))

    good = [
        reply
        for reply in replies
        if reply.status < 300 and not reply.text.startswith('{"jsonrpc":"2.0","id":1,"error"')
    ]
    assert good, [reply.text for reply in replies]
