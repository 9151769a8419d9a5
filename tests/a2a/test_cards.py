"""Agent cards: public, cacheable, true."""

from datetime import timedelta

import pytest
from a2a.types import AgentCard
from a2a.utils.proto_utils import validate_proto_required_fields
from google.protobuf.json_format import ParseDict

from nightdesk.a2a.app import A2aSettings
from nightdesk.domain.specialist import SpecialistSet
from tests.a2a.world import AGENT, OTHER_AGENT, REST, RPC, World, reason
from tests.fakes.specialists import specialist

CARD = f"{RPC}/.well-known/agent-card.json"
ROOT_CARD = "/.well-known/agent-card.json"


def test_a_card_is_public_and_valid_by_the_sdks_own_types(world: World) -> None:
    answer = world.call("GET", CARD, key=None, version=None)

    card = ParseDict(answer.json, AgentCard())  # unknown fields would be refused
    validate_proto_required_fields(card)
    assert (answer.status, card.name) == (200, "Developer")
    assert [(i.url, i.protocol_binding, i.protocol_version) for i in card.supported_interfaces] == [
        ("https://api.example/a2a/developer", "JSONRPC", "1.0"),
        ("https://api.example/a2a/developer/v1", "HTTP+JSON", "1.0"),
    ]
    assert not card.capabilities.streaming
    assert card.capabilities.push_notifications
    assert world.access.calls == 1  # the key that the test made; reading a card asks nobody


def test_the_default_agents_card_stands_at_the_root(world: World) -> None:
    assert world.call("GET", ROOT_CARD, key=None).json == world.call("GET", CARD, key=None).json


def test_without_a_default_agent_there_is_no_card_at_the_root() -> None:
    world = World(settings=A2aSettings())

    assert world.call("GET", ROOT_CARD, key=None).status == 404


def test_a_known_card_is_not_sent_again(world: World) -> None:
    first = world.call("GET", CARD, key=None)
    etag, since = first.headers["etag"], first.headers["last-modified"]

    again = world.call("GET", CARD, key=None, headers={"If-None-Match": f'"other", W/{etag}'})
    dated = world.call("GET", CARD, key=None, headers={"If-Modified-Since": since})

    assert (again.status, again.text, again.headers["etag"]) == (304, "", etag)
    assert dated.status == 304
    assert first.headers["cache-control"].startswith("public, max-age=")


def test_the_etag_decides_where_there_is_one(world: World) -> None:
    since = world.call("GET", CARD, key=None).headers["last-modified"]
    headers = {"If-None-Match": '"another"', "If-Modified-Since": since}

    assert world.call("GET", CARD, key=None, headers=headers).status == 200


@pytest.mark.parametrize("garbage", ["yesterday", "", "Sat, 99 Nov 2026 25:00:00 GMT"])
def test_a_date_that_is_none_gets_the_card(world: World, garbage: str) -> None:
    headers = {"If-Modified-Since": garbage}

    assert world.call("GET", CARD, key=None, headers=headers).status == 200


def test_a_changed_specialist_has_another_card(world: World) -> None:
    before = world.call("GET", CARD, key=None)
    world.clock.advance(timedelta(hours=1))
    world.specialists.set = SpecialistSet({AGENT: specialist("changed")})

    after = world.call("GET", CARD, key=None, headers={"If-None-Match": before.headers["etag"]})

    assert after.status == 200
    assert after.headers["last-modified"] != before.headers["last-modified"]


def test_a_public_url_stands_in_the_card_instead_of_the_gateways() -> None:
    world = World(settings=A2aSettings(public_url="https://agents.example.com/"))

    card = world.call("GET", CARD, key=None).json

    assert card["supportedInterfaces"][0]["url"] == "https://agents.example.com/a2a/developer"


def test_the_host_header_is_not_believed(world: World) -> None:
    card = world.call("GET", CARD, key=None, headers={"host": "evil.example"}).text

    assert "evil.example" not in card


def test_the_card_tells_whether_this_deployment_streams() -> None:
    card = World(streaming=True).call("GET", CARD, key=None).json

    assert card["capabilities"]["streaming"] is True


def test_an_unknown_agent_has_no_card(world: World) -> None:
    answer = world.call("GET", "/a2a/nobody/.well-known/agent-card.json", key=None)

    assert answer.status == 404
    assert reason(answer.error) == "AGENT_NOT_FOUND"


def test_a_switched_off_agent_has_no_card(world: World) -> None:
    world.specialists.add_broken("x.md", "no name", "broken")

    assert world.call("GET", "/a2a/broken/.well-known/agent-card.json", key=None).status == 400


def test_a_card_takes_no_other_method(world: World) -> None:
    assert world.call("POST", CARD, {}).status == 405
    assert world.call("HEAD", CARD, key=None).status == 200


def test_callers_see_more(world: World) -> None:
    extended = world.result("GetExtendedAgentCard")
    over_rest = world.call("GET", f"{REST}/extendedAgentCard").json

    card = ParseDict(extended, AgentCard())
    validate_proto_required_fields(card)
    assert extended == over_rest
    assert [skill.id for skill in card.skills] == ["developer", "developer.limits"]
    assert "limits" not in world.call("GET", CARD, key=None).text


def test_the_extended_card_is_for_callers_of_this_agent_only(world: World) -> None:
    elsewhere = world.make_key(agents=(OTHER_AGENT,))

    assert world.call("GET", f"{REST}/extendedAgentCard", key=None).status == 401
    assert world.call("GET", f"{REST}/extendedAgentCard", key=elsewhere).status == 403
