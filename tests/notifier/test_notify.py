"""Who is told what, how often, and with what proof."""

import base64
import hashlib
import hmac
import json
import logging
from dataclasses import replace
from datetime import timedelta

import pytest
from a2a.types import StreamResponse, TaskState
from google.protobuf.json_format import Parse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightdesk.domain.callback_signature import OLD_SECRET_VALID_FOR, secret_of
from nightdesk.domain.callbacks import (
    NOTIFY_AFTER,
    CallbackAnswer,
    RefusedAddressError,
    wait_after,
)
from nightdesk.domain.conversations import SentTask
from nightdesk.domain.errors import UnavailableError
from nightdesk.domain.outbox import OutboxState
from nightdesk.domain.push_configs import PushFormat
from nightdesk.domain.task import TaskStatus
from nightdesk.services.notify import notify_row
from nightdesk.services.outbox_rows import Outcome
from tests.fakes.callbacks import CANARY_KEY
from tests.fakes.clock import NOON
from tests.notifier.world import HOST, TASK, TEAM, NotifierWorld, config

ENDS = [TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.WAITING]
CANARIES = ("canary-token", "canary-credentials", CANARY_KEY)


# Formats --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ENDS)
def test_an_a2a_callback_is_a_stream_response_of_the_specification(
    world: NotifierWorld, status: TaskStatus
) -> None:
    world.wants()
    world.ends(status)
    assert world.tell() == [Outcome.DONE]

    (got,) = world.receivers.got
    told = Parse(got.body, StreamResponse()).task
    assert got.headers["Content-Type"] == "application/a2a+json"
    assert (told.id, told.context_id) == (TASK, TASK)
    states = {
        TaskStatus.COMPLETED: TaskState.TASK_STATE_COMPLETED,
        TaskStatus.FAILED: TaskState.TASK_STATE_FAILED,
        TaskStatus.CANCELLED: TaskState.TASK_STATE_CANCELED,
        TaskStatus.WAITING: TaskState.TASK_STATE_INPUT_REQUIRED,
    }
    assert told.status.state == states[status]
    text = "".join(part.text for part in told.status.message.parts)
    said = {TaskStatus.FAILED: "TASK_TIMEOUT", TaskStatus.WAITING: "Which cache?"}
    assert said.get(status, "") in text
    results = [part.text for artifact in told.artifacts for part in artifact.parts]
    assert results == (["Look at `src/cache.py`.", "b"] if status is TaskStatus.COMPLETED else [])
    assert not told.history


def test_a_task_of_a_conversation_is_told_of_in_its_context(world: NotifierWorld) -> None:
    sent = SentTask(
        task_id=TASK, workspace_id=TEAM, agent_id="developer", context_id="ctx", created_at=NOON
    )
    world.conversations.add(sent, config())
    world.ends()
    world.tell()

    assert Parse(world.receivers.got[0].body, StreamResponse()).task.context_id == "ctx"


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (TaskStatus.COMPLETED, "completed"),
        (TaskStatus.FAILED, "failed"),
        (TaskStatus.CANCELLED, "canceled"),
        (TaskStatus.WAITING, "running"),
    ],
)
def test_the_predecessors_users_get_the_predecessors_body(
    world: NotifierWorld, status: TaskStatus, word: str
) -> None:
    """A6: nothing was sent of a cancelled task. A12: stacks were."""
    world.wants(config(format=PushFormat.PLAIN))
    world.ends(status)
    world.tell()

    body = json.loads(world.receivers.got[0].body)
    assert (body["taskId"], body["status"]) == (TASK, word)
    assert body["timestamp"] == "2026-11-21T12:00:00.000Z"
    assert (body.get("output") or {}).get("result") == (
        "Look at `src/cache.py`." if status is TaskStatus.COMPLETED else None
    )
    assert ("error" in body) == (status is TaskStatus.FAILED)
    assert "stack" not in json.dumps(body)


@pytest.mark.parametrize("status", ENDS)
def test_a_workspace_gets_the_task_in_the_rest_apis_fields(
    world: NotifierWorld, status: TaskStatus
) -> None:
    world.workspace_wants()
    world.ends(status)
    world.tell()

    body = json.loads(world.receivers.got[0].body)
    data = body["data"]
    assert body["type"] == f"task.{status.value.lower()}"
    assert (data["id"], data["status"], data["workspaceId"]) == (TASK, status.value, TEAM)
    assert (data["output"] is not None) == (status is TaskStatus.COMPLETED)
    assert (data["waitingFor"] is not None) == (status is TaskStatus.WAITING)
    assert (data["error"] is not None) == (status is TaskStatus.FAILED)
    assert "prompt" not in data


@pytest.mark.parametrize("kind", PushFormat)
def test_an_output_that_is_too_long_is_left_out_and_said_to_be(
    world: NotifierWorld, kind: PushFormat
) -> None:
    world.wants(config(format=kind))
    world.ends()
    held = next(iter(world.tasks.journal))
    entry = world.tasks.journal[held]
    world.tasks.journal[held] = replace(entry, data={"result": "x" * 400_000})
    assert world.tell() == [Outcome.DONE]

    body = world.receivers.got[0].body
    assert len(body) < 10_000
    assert (b"outputOmitted" in body) == (kind is not PushFormat.A2A)


# Whom -----------------------------------------------------------------------------------------


def test_nobody_who_wants_it_is_nobody_told(world: NotifierWorld) -> None:
    world.ends()

    assert world.tell() == []
    assert world.notice().state is OutboxState.DONE
    assert world.receivers.got == []


def test_every_configuration_and_the_workspace_are_told(world: NotifierWorld) -> None:
    world.wants(config("c-1"))
    world.wants(config("c-2", format=PushFormat.PLAIN))
    world.workspace_wants()
    world.ends()

    assert world.tell() == [Outcome.DONE] * 3
    assert len({got.headers["webhook-id"] for got in world.receivers.got}) == 3


def test_a_notice_that_is_tried_again_makes_no_second_delivery(world: NotifierWorld) -> None:
    world.wants()
    world.ends()
    world.tell()
    told = world.notice()
    pending = replace(told, state=OutboxState.PENDING, due_at=world.clock.now(), tries=0)
    world.outbox.rows[TASK, told.row] = pending
    world.tell()

    assert len(world.receivers.got) == 1


def test_a_task_that_was_deleted_meanwhile_is_not_told_of(world: NotifierWorld) -> None:
    world.wants()
    world.tasks.delete(world.ends())
    assert world.tell() == []
    assert world.notice().state is OutboxState.DONE


def test_one_bad_receiver_repeats_nobody_elses_callback(world: NotifierWorld) -> None:
    world.receivers.answers["bad.example.com"] = [500, UnavailableError("no answer")] * 10
    world.wants(config("good"))
    world.wants(config("bad", url="https://bad.example.com/"))
    world.ends()
    world.tell()
    world.tell_until_quiet()

    hosts = [got.url for got in world.receivers.got]
    assert hosts.count(f"https://{HOST}/done") == 1
    assert hosts.count("https://bad.example.com/") >= 6


# Tries ----------------------------------------------------------------------------------------


def test_a_receiver_that_is_down_gets_eight_tries_within_twelve_hours(
    world: NotifierWorld,
) -> None:
    world.receivers.answers[HOST] = [UnavailableError(f"{HOST}: TimeoutError")] * 20
    world.wants()
    world.ends()
    world.tell()
    begun, times = world.clock.now(), [world.clock.now()]
    for _ in range(24 * 60):
        world.clock.advance(timedelta(minutes=1))
        for row in world.outbox.due(now=world.clock.now(), limit=5):
            notify_row(row.task_id, row.row, world.ports)
            times.append(world.clock.now())

    (dead,) = world.deliveries()
    assert (dead.state, dead.tries) == (OutboxState.DEAD, 8)
    assert dead.last_error == f"{HOST}: TimeoutError"
    assert timedelta(hours=8) < times[-1] - begun < timedelta(hours=14)
    ids = {got.headers["webhook-id"] for got in world.receivers.got}
    bodies = {got.body for got in world.receivers.got}
    assert (len(world.receivers.got), len(ids), len(bodies)) == (8, 1, 1)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_taken(world: NotifierWorld, status: int) -> None:
    world.receivers.answers[HOST] = [status]
    world.wants()
    world.ends()

    assert world.tell() == [Outcome.DONE]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 413, 422, 301, 302, 307, 308])
def test_what_would_be_refused_again_is_not_tried_again(world: NotifierWorld, status: int) -> None:
    """A12: redirects were followed, and 4xx tried again."""
    world.receivers.answers[HOST] = [status]
    world.wants()
    world.ends()

    assert world.tell() == [Outcome.DEAD]
    assert str(status) in world.deliveries()[0].last_error
    assert len(world.receivers.got) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_what_may_pass_is_tried_again(world: NotifierWorld, status: int) -> None:
    world.receivers.answers[HOST] = [status]
    world.wants()
    world.ends()

    assert world.tell() == [Outcome.TRY_AGAIN]
    world.tell_until_quiet()
    assert world.deliveries()[0].state is OutboxState.DONE
    assert len(world.receivers.got) == 2


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("asked", "waits"), [(120, 120), (0, 1), (999_999, 3_600)])
def test_a_receiver_may_ask_for_a_wait_of_up_to_an_hour(
    world: NotifierWorld, status: int, asked: int, waits: int
) -> None:
    world.receivers.answers[HOST] = [CallbackAnswer(status, timedelta(seconds=asked))]
    world.wants()
    world.ends()
    world.tell()

    assert world.deliveries()[0].due_at == world.clock.now() + timedelta(seconds=waits)


def test_a_refused_address_is_given_up_at_once(world: NotifierWorld) -> None:
    world.receivers.answers[HOST] = [RefusedAddressError(f"{HOST} is not public")]
    world.wants()
    world.ends()

    assert world.tell() == [Outcome.DEAD]


def test_a_configuration_that_was_removed_is_not_called(world: NotifierWorld) -> None:
    world.wants()
    world.ends()
    notify_row(TASK, world.notice().row, world.ports)
    world.configs.delete(TASK, "c-1")

    assert world.tell() == [Outcome.DEAD]
    assert world.receivers.got == []


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tries=st.integers(1, 7), jitter=st.floats(0, 1, exclude_max=True))
def test_waits_grow_and_are_spread_by_a_fifth_to_each_side(tries: int, jitter: float) -> None:
    wait = wait_after(tries, jitter)
    assert wait is not None
    assert 0.8 * NOTIFY_AFTER[tries - 1] <= wait <= 1.2 * NOTIFY_AFTER[tries - 1]
    assert wait_after(8, jitter) is None


def test_there_are_at_least_six_tries_over_hours() -> None:
    assert len(NOTIFY_AFTER) + 1 >= 6
    assert sum(NOTIFY_AFTER, timedelta()) >= timedelta(hours=6)


# Proof ----------------------------------------------------------------------------------------


def test_a_callback_carries_its_id_and_its_time_and_no_signature_without_a_secret(
    world: NotifierWorld,
) -> None:
    world.wants()
    world.ends()
    world.tell()

    headers = world.receivers.got[0].headers
    assert headers["webhook-id"].startswith("msg_")
    assert headers["webhook-timestamp"] == str(int(world.clock.now().timestamp()))
    assert "webhook-signature" not in headers


def test_a_signed_callback_can_be_verified_with_the_workspaces_secret(
    world: NotifierWorld,
) -> None:
    world.wants()
    world.has_secret()
    world.ends()
    world.tell()

    (got,) = world.receivers.got
    secret = secret_of(CANARY_KEY, TEAM, 1)
    content = b".".join(
        (got.headers["webhook-id"].encode(), got.headers["webhook-timestamp"].encode(), got.body)
    )
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-signature"] == f"v1,{digest}"


def test_a_secret_that_was_replaced_signs_beside_the_new_one_for_a_day(
    world: NotifierWorld,
) -> None:
    world.receivers.answers[HOST] = [500]
    world.wants()
    world.has_secret(version=2)
    world.ends()
    world.tell()
    world.clock.advance(OLD_SECRET_VALID_FOR)
    world.tell()

    counts = [len(got.headers["webhook-signature"].split(" ")) for got in world.receivers.got]
    assert counts == [2, 1]


def test_nothing_is_sent_unsigned_when_the_key_is_gone(world: NotifierWorld) -> None:
    world.wants()
    world.has_secret()
    world.key.key = ""
    world.ends()

    assert world.tell() == [Outcome.TRY_AGAIN]
    assert world.receivers.got == []


def test_the_receivers_own_credentials_are_sent(world: NotifierWorld) -> None:
    """A11: authentication of the callback was lost; only a token worked."""
    world.wants(config(token="t", scheme="Basic", credentials="dTpw"))
    world.ends()
    world.tell()

    headers = world.receivers.got[0].headers
    assert headers["Authorization"] == "Basic dTpw"
    assert headers["X-A2A-Notification-Token"] == "t"


def test_no_secret_gets_into_a_row_a_log_an_error_or_a_repr(
    world: NotifierWorld, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    world.receivers.answers[HOST] = [500, UnavailableError("no answer"), 404]
    secrets = config(
        url=f"https://{HOST}/canary-path",
        token="canary-token",
        scheme="Bearer",
        credentials="canary-credentials",
    )
    world.wants(secrets)
    world.has_secret()
    world.ends()
    world.tell()
    world.tell_until_quiet()
    assert len(world.receivers.got) == 3

    signing = [secret_of(CANARY_KEY, TEAM, version) for version in (1, 2)]
    seen = caplog.text + repr(world.tasks.rows) + repr(world.receivers.got) + repr(secrets)
    for canary in (*CANARIES, *signing, "canary-path"):
        assert canary not in seen
