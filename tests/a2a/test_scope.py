"""Nobody sees another's task: every operation that names one, over every binding."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.a2a.world import AGENT, HOOK, OTHER_AGENT, World, message
from tests.api.caller import Answered

Ask = Callable[[World, str, str, str], Answered]


def rpc(method: str, **params: Any) -> Ask:
    def ask(world: World, task_id: str, agent: str, key: str) -> Answered:
        filled = {k: task_id if v == "$" else v for k, v in params.items()}
        if "message" in filled:
            filled["message"] = message(taskId=task_id)
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": filled}
        return world.call("POST", f"/a2a/{agent}", body, key=key)

    return ask


def http(method: str, path: str, body: Any = None) -> Ask:
    def ask(world: World, task_id: str, agent: str, key: str) -> Answered:
        filled = body
        if body == "message":
            filled = {"message": message(taskId=task_id)}
        return world.call(method, f"/a2a/{agent}{path}".replace("$", task_id), filled, key=key)

    return ask


CONFIGS = "/v1/tasks/$/pushNotificationConfigs"
#: Every operation that names a task.
ASKS = {
    "rpc get": rpc("GetTask", id="$"),
    "rpc cancel": rpc("CancelTask", id="$"),
    "rpc message": rpc("SendMessage", message=None),
    "rpc push create": rpc("CreateTaskPushNotificationConfig", taskId="$", url=HOOK),
    "rpc push get": rpc("GetTaskPushNotificationConfig", taskId="$", id="p"),
    "rpc push list": rpc("ListTaskPushNotificationConfigs", taskId="$"),
    "rpc push delete": rpc("DeleteTaskPushNotificationConfig", taskId="$", id="p"),
    "rest get": http("GET", "/v1/tasks/$"),
    "rest cancel": http("POST", "/v1/tasks/$:cancel", {}),
    "rest message": http("POST", "/v1/message:send", "message"),
    "rest push create": http("POST", CONFIGS, {"url": HOOK}),
    "rest push get": http("GET", f"{CONFIGS}/p"),
    "rest push list": http("GET", CONFIGS),
    "rest push delete": http("DELETE", f"{CONFIGS}/p"),
    "old get": http("GET", "/tasks/$"),
    "old cancel": http("DELETE", "/tasks/$"),
}


@pytest.fixture
def task_id(world: World) -> str:
    push = {"url": HOOK, "id": "p"}
    task = world.send(configuration={"returnImmediately": True, "taskPushNotificationConfig": push})
    return str(task["id"])


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
@pytest.mark.parametrize("stranger", ["of another workspace", "of another agent", "asks another"])
def test_a_strangers_task_looks_as_if_there_were_none(
    world: World, task_id: str, ask: Ask, stranger: str
) -> None:
    key, agent = world.key, AGENT
    match stranger:
        case "of another workspace":
            key = world.make_key("others")
        case "of another agent":
            key = world.make_key(agents=(OTHER_AGENT,))
        case _:
            agent = OTHER_AGENT  # the same key may see the task, but it is not this agent's
    before = (world.tasks.tasks[task_id], list(world.push_configs.of_task(task_id)))
    missing = "0" * 32

    theirs = ask(world, task_id, agent, key)
    nobodys = ask(world, missing, agent, key)

    assert theirs.status == nobodys.status
    assert theirs.text.replace(task_id, missing) == nobodys.text
    assert (world.tasks.tasks[task_id], list(world.push_configs.of_task(task_id))) == before


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
def test_nothing_is_answered_without_a_key(world: World, task_id: str, ask: Ask) -> None:
    assert ask(world, task_id, AGENT, "no-key").status == 401


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
def test_an_owner_is_answered(world: World, task_id: str, ask: Ask) -> None:
    """The control: without it, the tests above could hold because nothing works."""
    answer = ask(world, task_id, AGENT, world.key)

    assert answer.status in (200, 400)
    assert "not found" not in answer.text.lower()


def test_lists_of_strangers_are_empty(world: World, task_id: str) -> None:
    elsewhere = world.make_key("others")
    other_agent = world.make_key(agents=(OTHER_AGENT,))

    for key in (elsewhere, other_agent):
        answer = world.result("ListTasks", key=key)
        assert (answer["tasks"], answer["totalSize"]) == ([], 0)
        assert world.call("GET", f"/a2a/{AGENT}/tasks", key=key).json == {"tasks": [], "total": 0}
    assert world.result("ListTasks")["tasks"][0]["id"] == task_id


def test_a_key_of_another_agent_starts_nothing(world: World) -> None:
    key = world.make_key(agents=(OTHER_AGENT,))
    body = {"message": message()}

    assert world.call("POST", f"/a2a/{AGENT}/v1/message:send", body, key=key).status == 403
    assert world.call("POST", f"/a2a/{AGENT}/tasks", {"message": "m"}, key=key).status == 403
    assert world.tasks.tasks == {}
