"""ListTasks: the caller's tasks, the latest change first, with exact numbers."""

from datetime import timedelta
from typing import Any

import pytest
from a2a.types import ListTasksResponse
from google.protobuf.json_format import ParseDict

from tests.a2a.world import OTHER_AGENT, REST, RPC, World

MINUTE = timedelta(minutes=1)


def several(world: World, number: int, **options: Any) -> list[str]:
    """Ids of tasks, each a minute younger than the one before."""
    ids = []
    for _ in range(number):
        world.clock.advance(MINUTE)
        ids.append(world.send(**options)["id"])
    return ids


def ids_of(answer: dict[str, Any]) -> list[str]:
    return [task["id"] for task in answer["tasks"]]


def test_pages_hold_every_task_once_the_newest_first(world: World) -> None:
    sent = several(world, 7)
    listed: list[str] = []
    token = ""
    for _ in range(4):
        page = world.result("ListTasks", {"pageSize": 2, "pageToken": token})
        assert (page["totalSize"], page["pageSize"]) == (7, 2)
        listed += ids_of(page)
        token = page["nextPageToken"]

    assert token == ""
    assert listed == sent[::-1]


def test_a_last_page_that_is_full_is_the_last(world: World) -> None:
    several(world, 2)

    assert world.result("ListTasks", {"pageSize": 2})["nextPageToken"] == ""


def test_the_numbers_are_there_when_there_is_nothing(world: World) -> None:
    answer = world.result("ListTasks")

    assert answer == {"tasks": [], "nextPageToken": "", "pageSize": 50, "totalSize": 0}


def test_the_answer_is_valid_by_the_sdks_types_over_both_bindings(world: World) -> None:
    world.complete(several(world, 2)[1])
    query = {"pageSize": "1", "includeArtifacts": "true", "historyLength": "1"}

    over_rest = world.call("GET", f"{REST}/tasks", query=query).json
    over_rpc = world.result(
        "ListTasks", {"pageSize": 1, "includeArtifacts": True, "historyLength": 1}
    )

    assert over_rest == over_rpc
    assert ParseDict(over_rest, ListTasksResponse()).total_size == 2
    assert over_rest["tasks"][0]["artifacts"][0]["artifactId"] == "result"
    assert len(over_rest["tasks"][0]["history"]) == 1


def test_what_changed_last_comes_first(world: World) -> None:
    first, second = several(world, 2)
    world.clock.advance(MINUTE)
    world.complete(first)

    assert ids_of(world.result("ListTasks")) == [first, second]


def test_artifacts_are_absent_unless_asked_for(world: World) -> None:
    world.complete(several(world, 1)[0])

    assert "artifacts" not in world.result("ListTasks")["tasks"][0]


def test_tasks_are_filtered_by_state(world: World) -> None:
    done, failed, running, waiting, handed_over, new = several(world, 6)
    world.complete(done)
    world.fail(failed)
    world.start(running)
    world.wait(waiting)
    world.start(handed_over)
    world.hand_over(handed_over)

    def of(state: str) -> set[str]:
        return set(ids_of(world.result("ListTasks", {"status": f"TASK_STATE_{state}"})))

    assert of("COMPLETED") == {done}
    assert of("FAILED") == {failed}
    assert of("WORKING") == {running, handed_over}
    assert of("INPUT_REQUIRED") == {waiting}
    assert of("SUBMITTED") == {new}
    assert of("CANCELED") == of("REJECTED") == of("AUTH_REQUIRED") == set()


def test_tasks_are_filtered_by_context_and_counted_so(world: World) -> None:
    several(world, 2)
    mine = several(world, 3, m_contextId="mine")

    answer = world.result("ListTasks", {"contextId": "mine", "pageSize": 2})

    assert (ids_of(answer), answer["totalSize"]) == ([mine[2], mine[1]], 3)


def test_tasks_are_filtered_by_the_time_of_their_last_change(world: World) -> None:
    first, _, third = several(world, 3)
    after = world.clock.now()
    world.clock.advance(MINUTE)
    world.complete(first)

    stamp = after.isoformat().replace("+00:00", "Z")
    answer = world.call("GET", f"{REST}/tasks", query={"statusTimestampAfter": stamp}).json

    assert ids_of(answer) == [first]
    assert third not in ids_of(answer)


def test_a_task_that_has_ended_is_looked_at_only_while_it_is_shown(world: World) -> None:
    for task_id in several(world, 20):
        world.complete(task_id)
    world.result("ListTasks", {"pageSize": 1})
    world.conversations.reads = 0

    answer = world.result("ListTasks", {"pageSize": 2})

    assert answer["totalSize"] == 20
    assert world.conversations.reads == 2


def test_a_cursor_holds_when_tasks_come_and_go_meanwhile(world: World) -> None:
    sent = several(world, 4)
    page = world.result("ListTasks", {"pageSize": 2})
    several(world, 3)
    del world.tasks.tasks[sent[3]]

    following = world.result("ListTasks", {"pageToken": page["nextPageToken"]})

    assert ids_of(following) == [sent[1], sent[0]]


@pytest.mark.parametrize("size", [0, -1, 101])
def test_a_page_has_1_to_100_tasks(world: World, size: int) -> None:
    assert world.error("ListTasks", {"pageSize": size})["code"] == -32602


@pytest.mark.parametrize("token", ["x", "é", "====", "MjAyNi0xMS0yMQ", "bm90LWEtZGF0ZSN4"])
def test_a_token_that_no_list_answered_is_refused(world: World, token: str) -> None:
    assert world.error("ListTasks", {"pageToken": token})["code"] == -32602


def test_lists_are_of_one_agent(world: World) -> None:
    several(world, 1, path=f"/a2a/{OTHER_AGENT}")
    mine = several(world, 1)

    assert ids_of(world.result("ListTasks", path=RPC)) == mine
