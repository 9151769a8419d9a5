"""The official SDK's client, unchanged, over real HTTP: JSON-RPC and HTTP+JSON, both modes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import httpx
import pytest
from a2a.client import A2ACardResolver, Client, ClientConfig, ClientFactory
from a2a.client.errors import A2AClientError
from a2a.types import (
    CancelTaskRequest,
    DeleteTaskPushNotificationConfigRequest,
    GetExtendedAgentCardRequest,
    GetTaskPushNotificationConfigRequest,
    GetTaskRequest,
    ListTaskPushNotificationConfigsRequest,
    ListTasksRequest,
    Message,
    Part,
    Role,
    SendMessageRequest,
    SubscribeToTaskRequest,
    Task,
    TaskPushNotificationConfig,
    TaskState,
)
from a2a.utils.errors import (
    A2AError,
    ContentTypeNotSupportedError,
    InvalidParamsError,
    TaskNotCancelableError,
    TaskNotFoundError,
    UnsupportedOperationError,
    VersionNotSupportedError,
)

from nightdesk.a2a.app import A2aSettings
from tests.a2a.loopback import served
from tests.a2a.world import AGENT, HOOK, World

BINDINGS = ("JSONRPC", "HTTP+JSON")
Result = TypeVar("Result")


@dataclass
class Front:
    """A served world, and a way to talk to it."""

    world: World
    url: str
    binding: str

    def talk(self, run: Callable[[Client], Awaitable[Result]], *, polling: bool = False) -> Result:
        """Find the agent by its card and run this with a client of the SDK."""
        return asyncio.run(self._talk(run, polling=polling))

    async def _talk(self, run: Callable[[Client], Awaitable[Result]], *, polling: bool) -> Result:
        async with self.client(polling=polling) as client:
            return await run(client)

    @asynccontextmanager
    async def client(self, *, key: str = "", polling: bool = False) -> AsyncIterator[Client]:
        headers = {"Authorization": f"Bearer {key or self.world.key}"}
        async with httpx.AsyncClient(headers=headers) as http:
            card = await A2ACardResolver(http, f"{self.url}/a2a/{AGENT}").get_agent_card()
            made = ClientConfig(
                httpx_client=http, supported_protocol_bindings=[self.binding], polling=polling
            )
            yield ClientFactory(made).create(card)


@pytest.fixture(params=BINDINGS)
def front(request: pytest.FixtureRequest) -> Iterator[Front]:
    world = World(settings=A2aSettings(default_agent=AGENT, scheme="http"))
    with served(world.app) as url:
        yield Front(world, url, request.param)


def asking(text: str = "Do it", *, task_id: str = "", context_id: str = "") -> SendMessageRequest:
    return SendMessageRequest(
        message=Message(
            message_id="m-1",
            role=Role.ROLE_USER,
            parts=[Part(text=text)],
            task_id=task_id,
            context_id=context_id,
        )
    )


async def sent(client: Client, request: SendMessageRequest) -> Task:
    """The task that the one answer of a send holds."""
    answers = [answer async for answer in client.send_message(request)]
    assert len(answers) == 1
    return answers[0].task


def test_the_default_agent_is_found_at_the_root(front: Front) -> None:
    async def resolve() -> str:
        async with httpx.AsyncClient() as http:
            return (await A2ACardResolver(http, front.url).get_agent_card()).name

    assert asyncio.run(resolve()) == "Developer"


def test_a_default_client_gets_the_answer_of_a_task_that_ends_soon(front: Front) -> None:
    world = front.world
    world.on_sleep(lambda: world.complete(next(iter(world.tasks.tasks)), "It was the cache"))

    task = front.talk(lambda client: sent(client, asking("Why?")))

    assert task.status.state == TaskState.TASK_STATE_COMPLETED
    assert task.artifacts[0].parts[0].text == "It was the cache"


def test_a_longer_task_comes_back_as_it_is_and_is_polled_to_its_end(front: Front) -> None:
    async def run(client: Client) -> list[int]:
        task = await sent(client, asking())
        states = [task.status.state]
        front.world.complete(task.id)
        states.append((await client.get_task(GetTaskRequest(id=task.id))).status.state)
        return list(states)

    assert front.talk(run) == [TaskState.TASK_STATE_SUBMITTED, TaskState.TASK_STATE_COMPLETED]


def test_a_polling_client_waits_for_nothing(front: Front) -> None:
    task = front.talk(lambda client: sent(client, asking()), polling=True)

    assert task.status.state == TaskState.TASK_STATE_SUBMITTED
    assert front.world.clock.slept == []


def test_a_client_lists_what_it_sent(front: Front) -> None:
    async def run(client: Client) -> list[str]:
        task = await sent(client, asking())
        listed = await client.list_tasks(
            ListTasksRequest(page_size=5, context_id=task.context_id, include_artifacts=True)
        )
        assert (listed.total_size, listed.page_size, listed.next_page_token) == (1, 5, "")
        return [task.id, listed.tasks[0].id]

    made, listed = front.talk(run, polling=True)
    assert made == listed


def test_a_client_cancels(front: Front) -> None:
    async def run(client: Client) -> Task:
        task = await sent(client, asking())
        return await client.cancel_task(CancelTaskRequest(id=task.id))

    assert front.talk(run, polling=True).status.state == TaskState.TASK_STATE_CANCELED


def test_a_client_goes_on_with_a_context(front: Front) -> None:
    async def run(client: Client) -> tuple[str, str]:
        first = await sent(client, asking("First"))
        second = await sent(client, asking("Second", context_id=first.context_id))
        return first.context_id, second.context_id

    first, second = front.talk(run, polling=True)
    assert first == second


def test_a_client_manages_its_callbacks(front: Front) -> None:
    async def run(client: Client) -> list[str]:
        task = await sent(client, asking())
        await client.create_task_push_notification_config(
            TaskPushNotificationConfig(url=HOOK, task_id=task.id, id="mine")
        )
        got = await client.get_task_push_notification_config(
            GetTaskPushNotificationConfigRequest(task_id=task.id, id="mine")
        )
        listing = ListTaskPushNotificationConfigsRequest(task_id=task.id)
        before = await client.list_task_push_notification_configs(listing)
        await client.delete_task_push_notification_config(
            DeleteTaskPushNotificationConfigRequest(task_id=task.id, id="mine")
        )
        after = await client.list_task_push_notification_configs(listing)
        return [got.url, before.configs[0].id, str(len(after.configs))]

    assert front.talk(run, polling=True) == [HOOK, "mine", "0"]


def test_a_client_sees_the_extended_card(front: Front) -> None:
    async def run(client: Client) -> int:
        card = await client.get_extended_agent_card(GetExtendedAgentCardRequest())
        return len(card.skills)

    assert front.talk(run) == 2


async def subscribed(client: Client) -> None:
    async for _ in client.subscribe(SubscribeToTaskRequest(id="x")):
        pass


FAILING: dict[str, tuple[Callable[[Client], Awaitable[object]], type[A2AError]]] = {
    "unknown task": (lambda c: c.get_task(GetTaskRequest(id="none")), TaskNotFoundError),
    "unknown task to cancel": (
        lambda c: c.cancel_task(CancelTaskRequest(id="none")),
        TaskNotFoundError,
    ),
    "blank message": (lambda c: sent(c, asking(" ")), InvalidParamsError),
    "unknown task to continue": (lambda c: sent(c, asking(task_id="none")), TaskNotFoundError),
    "page too large": (lambda c: c.list_tasks(ListTasksRequest(page_size=101)), InvalidParamsError),
    "a file": (
        lambda c: sent(
            c,
            SendMessageRequest(
                message=Message(
                    message_id="m", role=Role.ROLE_USER, parts=[Part(url="https://example.com/x")]
                )
            ),
        ),
        ContentTypeNotSupportedError,
    ),
}


@pytest.mark.parametrize(("ask", "kind"), FAILING.values(), ids=FAILING)
def test_a_client_gets_the_error_by_its_class(
    front: Front, ask: Callable[[Client], Awaitable[object]], kind: type[A2AError]
) -> None:
    with pytest.raises(kind):
        front.talk(ask)


def test_canceling_twice_is_the_sdks_error(front: Front) -> None:
    async def run(client: Client) -> None:
        task = await sent(client, asking())
        await client.cancel_task(CancelTaskRequest(id=task.id))
        await client.cancel_task(CancelTaskRequest(id=task.id))

    with pytest.raises(TaskNotCancelableError):
        front.talk(run, polling=True)


def test_a_message_to_an_ended_task_is_the_sdks_error(front: Front) -> None:
    async def run(client: Client) -> None:
        task = await sent(client, asking())
        front.world.complete(task.id)
        await sent(client, asking(task_id=task.id))

    with pytest.raises(UnsupportedOperationError):
        front.talk(run, polling=True)


def test_a_client_believes_the_card_that_nothing_streams(front: Front) -> None:
    with pytest.raises(NotImplementedError, match="do not support resubscription"):
        front.talk(subscribed)


def test_a_client_without_a_key_is_refused(front: Front) -> None:
    async def run() -> None:
        async with front.client(key="nd_wrong") as client:
            await client.get_task(GetTaskRequest(id="x"))

    with pytest.raises((A2AClientError, A2AError)):
        asyncio.run(run())


def test_a_client_of_another_version_is_refused(front: Front) -> None:
    async def run() -> None:
        async with httpx.AsyncClient(
            headers={"Authorization": f"Bearer {front.world.key}"}
        ) as http:
            card = await A2ACardResolver(http, f"{front.url}/a2a/{AGENT}").get_agent_card()
            http.event_hooks["request"].append(_of_version_0_3)
            config = ClientConfig(httpx_client=http, supported_protocol_bindings=[front.binding])
            await ClientFactory(config).create(card).get_task(GetTaskRequest(id="x"))

    with pytest.raises(VersionNotSupportedError):
        asyncio.run(run())


async def _of_version_0_3(request: httpx.Request) -> None:
    request.headers["A2A-Version"] = "0.3"
