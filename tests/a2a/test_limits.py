"""A key's end and a key's limit, over every binding in its own words."""

from datetime import timedelta

import pytest

from nightdesk.services.manage_keys import create_key, revoke_key
from tests.a2a.world import AGENT, REST, RPC, World, reason
from tests.api.caller import Answered

ASKS = {
    "rpc": ("POST", RPC, {"jsonrpc": "2.0", "id": 1, "method": "ListTasks", "params": {}}),
    "rest": ("GET", f"{REST}/tasks", None),
    "predecessor": ("GET", f"/a2a/{AGENT}/tasks", None),
}


@pytest.fixture
def key(world: World) -> str:
    """It has two requests a minute."""
    return create_key(
        workspace_id="team",
        requests_per_minute=2,
        access=world.access,
        clock=world.clock,
        dice=world.dice,
    ).text


def ask(world: World, binding: str, key: str) -> Answered:
    method, path, body = ASKS[binding]
    return world.call(method, path, body, key=key)


@pytest.mark.parametrize("binding", ASKS)
def test_over_the_limit_is_429_in_the_words_of_the_binding(
    world: World, key: str, binding: str
) -> None:
    passed = [ask(world, binding, key) for _ in range(2)]

    limited = ask(world, binding, key)

    assert [answer.headers["ratelimit"] for answer in passed] == [
        '"key";r=1;t=60',
        '"key";r=0;t=60',
    ]
    assert limited.status == 429
    assert limited.headers["retry-after"] == "60"
    assert limited.headers["ratelimit-policy"] == '"key";q=2;w=60'
    error = limited.json["error"]
    match binding:
        case "rpc":
            assert (error["code"], reason(error)) == (-32600, "RATE_LIMIT_EXCEEDED")
        case "rest":
            assert (error["code"], error["status"]) == (429, "RESOURCE_EXHAUSTED")
            assert reason(error) == "RATE_LIMIT_EXCEEDED"
        case _:
            assert limited.json["code"] == "RATE_LIMIT_EXCEEDED"
            assert limited.json["retryAfter"] == 60
    world.clock.advance(timedelta(seconds=60))
    assert ask(world, binding, key).status == 200


@pytest.mark.parametrize("binding", ASKS)
def test_a_revoked_key_fails_on_its_very_next_request(world: World, key: str, binding: str) -> None:
    assert ask(world, binding, key).status == 200
    revoke_key(key.split("_")[1], access=world.access, clock=world.clock)
    before = world.access.calls

    assert ask(world, binding, key).status == 401
    assert world.access.calls == before + 1


@pytest.mark.parametrize("binding", ASKS)
def test_a_malformed_key_costs_no_request(world: World, binding: str) -> None:
    before = world.access.calls

    assert ask(world, binding, "nd_short").status == 401
    assert world.access.calls == before
