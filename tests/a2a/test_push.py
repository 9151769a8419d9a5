"""Callback configurations: kept, bounded, checked, and never shown with their secrets."""

from dataclasses import replace
from typing import Any

import pytest
from a2a.types import ListTaskPushNotificationConfigsResponse, TaskPushNotificationConfig
from google.protobuf.json_format import ParseDict
from hypothesis import given
from hypothesis import strategies as st

from nightdesk.domain.errors import InvalidInputError
from nightdesk.domain.push_configs import CONFIGS_MAX, PushConfig, PushFormat, checked
from tests.a2a.world import HOOK, REST, World, message, reason
from tests.fakes.clock import NOON

SECRETS = {"token": "my-token", "authentication": {"scheme": "Bearer", "credentials": "s3cret"}}
CONFIG = PushConfig(task_id="t", id="p", url=HOOK, created_at=NOON)


def create(world: World, task_id: str, **fields: Any) -> dict[str, Any]:
    params = {"taskId": task_id, "url": HOOK, **fields}
    return world.result("CreateTaskPushNotificationConfig", params)


def test_a_configuration_is_created_got_listed_and_deleted_over_json_rpc(world: World) -> None:
    task_id = world.send()["id"]
    made = create(world, task_id, id="mine", **SECRETS)
    named = {"taskId": task_id, "id": "mine"}

    assert ParseDict(made, TaskPushNotificationConfig()).id == "mine"
    assert world.result("GetTaskPushNotificationConfig", named) == made
    listed = world.result("ListTaskPushNotificationConfigs", {"taskId": task_id})
    assert ParseDict(listed, ListTaskPushNotificationConfigsResponse()).configs[0].url == HOOK
    assert world.rpc("DeleteTaskPushNotificationConfig", named)["result"] is None
    assert world.result("ListTaskPushNotificationConfigs", {"taskId": task_id}) == {}


def test_a_configuration_is_created_got_listed_and_deleted_over_rest(world: World) -> None:
    configs = f"{REST}/tasks/{world.send()['id']}/pushNotificationConfigs"
    made = world.call("POST", configs, {"url": HOOK, **SECRETS}).json

    assert world.call("GET", f"{configs}/{made['id']}").json == made
    assert world.call("GET", configs).json == {"configs": [made]}
    assert world.call("DELETE", f"{configs}/{made['id']}").json == {}
    assert world.call("GET", f"{configs}/{made['id']}").status == 404


def test_secrets_are_kept_for_the_delivery_and_shown_to_nobody(world: World) -> None:
    task_id = world.send()["id"]
    answers = [create(world, task_id, id="p", **SECRETS)]
    answers.append(world.result("ListTaskPushNotificationConfigs", {"taskId": task_id}))

    assert "my-token" not in str(answers)
    assert "s3cret" not in str(answers)
    (kept,) = world.push_configs.of_task(task_id)
    assert (kept.token, kept.scheme, kept.credentials) == ("my-token", "Bearer", "s3cret")
    assert kept.format is PushFormat.A2A


def test_a_configuration_may_come_with_the_message(world: World) -> None:
    push = {"url": HOOK, "id": "inline"}
    task = world.send(configuration={"returnImmediately": True, "taskPushNotificationConfig": push})

    (kept,) = world.push_configs.of_task(task["id"])
    assert (kept.id, kept.url, kept.task_id) == ("inline", HOOK, task["id"])


def test_a_bad_configuration_makes_no_task(world: World) -> None:
    configuration = {"taskPushNotificationConfig": {"url": "http://10.0.0.1/"}}
    error = world.error("SendMessage", {"message": message(), "configuration": configuration})

    assert error["code"] == -32602
    assert world.tasks.tasks == {}


def test_a_task_has_a_few_configurations_at_most(world: World) -> None:
    task_id = world.send()["id"]
    for number in range(CONFIGS_MAX):
        create(world, task_id, id=f"p{number}")
    params = {"taskId": task_id, "url": HOOK}

    assert world.error("CreateTaskPushNotificationConfig", params)["code"] == -32602
    create(world, task_id, id="p0", url="https://hooks.example.com/other")  # replacing is free


def test_an_unknown_configuration_is_not_found(world: World) -> None:
    named = {"taskId": world.send()["id"], "id": "none"}

    error = world.error("GetTaskPushNotificationConfig", named)

    assert (error["code"], reason(error)) == (-32001, "TASK_NOT_FOUND")


REFUSED_URLS = [
    "http://hooks.example.com/",
    "ftp://hooks.example.com/",
    "hooks.example.com",
    "https://",
    "https:///path",
    "https://user:pass@hooks.example.com/",
    "https://hooks.example.com:0/",
    "https://hooks.example.com:99999/",
    "https://hooks.example.com/\r\nX: y",
    "https://hooks.example.com/ a",
    "https://hooks.example.com\\@10.0.0.1/",
    "https://höoks.example.com/",
    "https://localhost/",
    "https://app.localhost/",
    "https://intranet/",
    "https://db.internal/",
    "https://printer.local/",
    "https://127.0.0.1/",
    "https://10.1.2.3/",
    "https://192.168.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://100.64.0.1/",
    "https://0.0.0.0/",
    "https://2130706433/",
    "https://127.1/",
    "https://0x7f000001/",
    "https://[::1]/",
    "https://[fd00::1]/",
    "https://[::ffff:169.254.169.254]/",
    "https://" + "a" * 2_000 + ".example.com/",
]


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_a_url_that_could_lead_inside_is_refused(url: str) -> None:
    with pytest.raises(InvalidInputError) as raised:
        checked(replace(CONFIG, url=url), allow_http=False)
    assert raised.value.field == "url"


@pytest.mark.parametrize(
    "url", ["https://hooks.example.com/a?b=c", "https://8.8.8.8/", "https://a.example:8443/x"]
)
def test_a_public_https_url_is_taken(url: str) -> None:
    assert checked(replace(CONFIG, url=url), allow_http=False).url == url


def test_the_local_profile_may_call_this_machine() -> None:
    url = "http://127.0.0.1:9000/"

    assert checked(replace(CONFIG, url=url), allow_http=True).url == url


@pytest.mark.parametrize("field", ["token", "credentials"])
@given(text=st.text(alphabet=st.characters(max_codepoint=0x2FF), max_size=8))
def test_nothing_that_begins_another_header_gets_into_one(field: str, text: str) -> None:
    config = replace(CONFIG, scheme="Bearer")
    changed = replace(config, token=text) if field == "token" else replace(config, credentials=text)
    if all(0x20 <= ord(c) <= 0x7E for c in text):
        checked(changed, allow_http=False)
    else:
        with pytest.raises(InvalidInputError) as raised:
            checked(changed, allow_http=False)
        assert raised.value.field == field


@pytest.mark.parametrize("scheme", ["Bearer x", "a\r\nb", "é", "a:b"])
def test_a_scheme_is_one_word(scheme: str) -> None:
    with pytest.raises(InvalidInputError):
        checked(replace(CONFIG, scheme=scheme, credentials="c"), allow_http=False)


def test_credentials_need_a_scheme() -> None:
    with pytest.raises(InvalidInputError):
        checked(replace(CONFIG, credentials="c"), allow_http=False)
