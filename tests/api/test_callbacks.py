"""The callback of a workspace, its secret, and what became of callbacks."""

from http import HTTPStatus
from typing import Any

import pytest

from nightdesk.domain.api_key import Operation
from nightdesk.domain.callback_signature import secret_of
from nightdesk.domain.notices import delivery, notice
from nightdesk.domain.outbox import OutboxRow
from nightdesk.domain.push_configs import OF_WORKSPACE, workspace_owner
from nightdesk.domain.task import LEASE, TaskStatus
from tests.api.caller import WORKSPACE, Caller
from tests.fakes.callbacks import CANARY_KEY

HOOK = "https://hooks.example.com/done"
PATH = f"/api/workspaces/{WORKSPACE}"
SECRETS = {"token": "canary-token", "authentication": {"scheme": "Bearer", "credentials": "s3cr"}}


@pytest.fixture
def admin(api: Caller) -> str:
    return api.make_key(operations=(Operation.ADMIN,))


def change(api: Caller, key: str, callback: Any) -> Any:
    return api.call("PATCH", PATH, {"callback": callback}, key=key)


def a_dead_delivery(api: Caller) -> tuple[str, OutboxRow]:
    """Of a new task, to its workspace."""
    made = api.create()
    task = api.tasks.tasks[made.task["id"]]
    ended = api.tasks.end_unclaimed(task, TaskStatus.CANCELLED, None, now=api.clock.now())
    row = delivery(notice(ended), OF_WORKSPACE, content={"body": "x"}, now=api.clock.now())
    api.outbox.put(row)
    leased = api.outbox.lease(api.outbox.rows[row.task_id, row.row], until=api.clock.now())
    api.outbox.failed(leased, error="hooks.example.com answered 404", next_try=None)
    return task.id, row


# The workspace's own --------------------------------------------------------------------------


def test_a_workspace_is_given_a_callback_and_it_is_shown_without_its_secrets(
    api: Caller, admin: str
) -> None:
    made = change(api, admin, {"url": HOOK, **SECRETS})
    assert made.status == HTTPStatus.OK

    shown = api.call("GET", PATH, key=admin).json["workspace"]["callback"]
    assert shown == made.json["workspace"]["callback"]
    assert (shown["url"], shown["format"], shown["hasToken"]) == (HOOK, "json", True)
    assert shown["authentication"] == {"scheme": "Bearer"}
    assert "canary" not in str(made.json)
    assert "s3cr" not in str(made.json)
    (kept,) = api.push_configs.of_task(workspace_owner(WORKSPACE))
    assert (kept.token, kept.credentials) == ("canary-token", "s3cr")
    assert api.tasks.settings[WORKSPACE].calls_back
    assert "canary" not in repr(api.tasks.settings)


def test_null_takes_the_callback_away_and_absent_leaves_it(api: Caller, admin: str) -> None:
    change(api, admin, {"url": HOOK})
    left = api.call("PATCH", PATH, {"paused": False}, key=admin)
    assert left.json["workspace"]["callback"]["url"] == HOOK

    gone = change(api, admin, None)
    assert gone.json["workspace"]["callback"] is None
    assert not api.tasks.settings[WORKSPACE].calls_back
    assert not api.push_configs.of_task(workspace_owner(WORKSPACE))


def test_what_runs_when_the_callback_is_set_is_told_of_too(api: Caller, admin: str) -> None:
    made = api.create()
    task = api.tasks.tasks[made.task["id"]]
    now = api.clock.now()
    api.tasks.claim(
        task,
        api.tasks.slots()[0],
        message_id="m",
        now=now,
        lease_until=now + LEASE,
        reserved_micros=0,
    )
    change(api, admin, {"url": HOOK})

    assert api.tasks.tasks[task.id].has_callbacks


@pytest.mark.parametrize(
    ("callback", "field"),
    [
        ({"url": "http://hooks.example.com/"}, "url"),
        ({"url": "https://169.254.169.254/"}, "url"),
        ({"url": "https://user:pass@hooks.example.com/"}, "url"),
        ({"url": HOOK, "token": "a\r\nX-Evil: 1"}, "token"),
        ({"url": HOOK, "authentication": {"scheme": "Bearer", "credentials": "a\nb"}}, ""),
        ({"url": HOOK, "authentication": {"scheme": "a b", "credentials": "c"}}, "scheme"),
    ],
)
def test_a_callback_that_cannot_be_used_is_refused(
    api: Caller, admin: str, callback: Any, field: str
) -> None:
    refused = change(api, admin, callback)

    assert refused.status == HTTPStatus.BAD_REQUEST
    assert refused.json["error"]["field"] == (field or "credentials")
    assert not api.push_configs.of_task(workspace_owner(WORKSPACE))


def test_only_an_admin_of_the_workspace_sets_its_callback(api: Caller) -> None:
    plain = change(api, api.key, {"url": HOOK})
    other = api.make_key("elsewhere", operations=(Operation.ADMIN,))

    assert plain.status == HTTPStatus.FORBIDDEN
    assert change(api, other, {"url": HOOK}).status == HTTPStatus.FORBIDDEN
    secret = api.call("POST", f"{PATH}/callback-secret", key=other)
    assert secret.status == HTTPStatus.FORBIDDEN
    assert not api.push_configs.kept


# Its secret -----------------------------------------------------------------------------------


def test_a_signing_secret_is_shown_once_and_replaced_by_the_next(api: Caller, admin: str) -> None:
    first = api.call("POST", f"{PATH}/callback-secret", key=admin)
    second = api.call("POST", f"{PATH}/callback-secret", key=admin)

    assert first.status == HTTPStatus.CREATED
    assert first.json["secret"] == secret_of(CANARY_KEY, WORKSPACE, 1)
    assert second.json["secret"] == secret_of(CANARY_KEY, WORKSPACE, 2)
    assert api.tasks.settings[WORKSPACE].secret_version == 2
    shown = api.call("GET", PATH, key=admin)
    assert "whsec" not in str(shown.json)
    assert "whsec" not in repr(api.tasks.settings)


@pytest.mark.parametrize("key", ["", "short"])
def test_without_a_key_to_derive_it_from_there_is_no_secret(
    api: Caller, admin: str, key: str
) -> None:
    api.callback_key.key = key
    refused = api.call("POST", f"{PATH}/callback-secret", key=admin)

    assert refused.status == HTTPStatus.CONFLICT
    assert "CallbackKeyParameter" in refused.json["error"]["message"]


# Deliveries -----------------------------------------------------------------------------------


def test_a_dead_callback_is_listed_and_sent_again(api: Caller) -> None:
    task_id, _ = a_dead_delivery(api)
    path = f"/api/background-tasks/{task_id}/callbacks"

    (shown,) = api.call("GET", path).json["callbacks"]
    assert (shown["event"], shown["to"], shown["state"]) == ("task.cancelled", "workspace", "dead")
    assert shown["lastError"] == "hooks.example.com answered 404"
    dead = api.call("GET", f"{PATH}/dead-callbacks").json["callbacks"]
    assert dead == [shown]

    again = api.call("POST", f"{path}/{shown['id']}/resend")
    assert again.status == HTTPStatus.ACCEPTED
    assert (again.json["callback"]["state"], again.json["callback"]["tries"]) == ("pending", 0)
    assert api.call("GET", f"{PATH}/dead-callbacks").json["callbacks"] == []
    assert api.outbox.due(now=api.clock.now(), limit=9)
    twice = api.call("POST", f"{path}/{shown['id']}/resend")
    assert twice.status == HTTPStatus.CONFLICT
    unknown = api.call("POST", f"{path}/msg_{'0' * 32}/resend")
    assert unknown.status == HTTPStatus.NOT_FOUND


def test_callbacks_of_others_are_neither_seen_nor_sent(api: Caller) -> None:
    task_id, _ = a_dead_delivery(api)
    path = f"/api/background-tasks/{task_id}/callbacks"
    (shown,) = api.call("GET", path).json["callbacks"]
    other = api.make_key("elsewhere")
    narrow = api.make_key(agents=("issue-enricher",))
    reader = api.make_key(operations=(Operation.READ,))

    for key in (other, narrow):
        assert api.call("GET", path, key=key).status == HTTPStatus.NOT_FOUND
        resent = api.call("POST", f"{path}/{shown['id']}/resend", key=key)
        assert resent.status == HTTPStatus.NOT_FOUND
    assert api.call("GET", f"{PATH}/dead-callbacks", key=other).status == HTTPStatus.FORBIDDEN
    assert api.call("GET", f"{PATH}/dead-callbacks", key=narrow).json["callbacks"] == []
    resent = api.call("POST", f"{path}/{shown['id']}/resend", key=reader)
    assert resent.status == HTTPStatus.FORBIDDEN
