"""What no fake refuses but DynamoDB might: strange text and sizes, through the deployed function.

Each test takes all its cases to one deployment, since making one takes seconds.
"""

import json
from typing import Any

from tests.a2a.test_on_aws import Deployed, deployed
from tests.a2a.world import HOOK, message
from tests.handlers import event

__all__ = ["deployed"]

IDEOGRAPHS = "".join(chr(0x4E00 + (i * 7919) % 20_000) for i in range(99_000))
STRANGE: list[dict[str, Any]] = [
    {"contextId": "é" * 100},
    {"contextId": "#" * 100},
    {"messageId": "m" * 50_000},
    {"parts": [{"text": "a\u0000b"}]},
    {"parts": [{"text": "x"}, {"data": {"": ""}}]},
    {"parts": [{"text": "x", "metadata": {"a": None}}]},
    {"parts": [{"text": IDEOGRAPHS}]},
]


def test_strange_messages_are_kept_as_they_came(deployed: Deployed) -> None:
    for fields in STRANGE:
        params = {"message": message() | fields, "configuration": {"returnImmediately": True}}

        task = deployed.rpc("SendMessage", params)["result"]["task"]

        assert deployed.rpc("GetTask", {"id": task["id"]})["result"] == task
        listed = deployed.rpc("ListTasks", {"contextId": task["contextId"]})["result"]
        assert [shown["id"] for shown in listed["tasks"]] == [task["id"]]


def test_ids_that_no_configuration_has_are_not_looked_for(deployed: Deployed) -> None:
    params = {"message": message(), "configuration": {"returnImmediately": True}}
    task_id = deployed.rpc("SendMessage", params)["result"]["task"]["id"]
    for config_id in ("x" * 2_000, "é", "a b", "\u0000"):
        named = {"taskId": task_id, "id": config_id}

        created = deployed.rpc("CreateTaskPushNotificationConfig", named | {"url": HOOK})

        assert created["error"]["code"] == -32602
        assert deployed.rpc("GetTaskPushNotificationConfig", named)["error"]["code"] == -32001
        assert deployed.rpc("DeleteTaskPushNotificationConfig", named)["result"] is None


def test_strange_messages_of_the_predecessors_api_have_an_answer(deployed: Deployed) -> None:
    for text, status in (("a\u0000b", 202), ("\ud800", 400), ("\U0001f600" * 5_000, 202)):
        body = json.dumps({"message": text})

        assert deployed.send_event("a2a-task-create", body=body).status == status


def test_any_allowed_idempotency_key_is_kept(deployed: Deployed) -> None:
    for key in ("k" * 255, " ", "~"):
        headers = event("a2a-send")["headers"] | {
            "authorization": f"Bearer {deployed.key}",
            "idempotency-key": key,
        }

        first, second = (deployed.send_event("a2a-send", headers=headers).json for _ in range(2))

        assert first["result"] == second["result"]
