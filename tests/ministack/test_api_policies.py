"""Every route of the API works with the role that the function is deployed with."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from local.run import WORKSPACE, Nightdesk

pytestmark = pytest.mark.ministack

TASKS = "/api/background-tasks"


def later() -> str:
    return (datetime.now(UTC) + timedelta(days=1)).isoformat()  # noqa: TID251 - the API's clock


class Caller:
    """Calls the API with the deployment's key."""

    def __init__(self, nightdesk: Nightdesk) -> None:
        self._url = nightdesk.url
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {nightdesk.key}"

    def __call__(self, method: str, path: str, body: Any = None) -> requests.Response:
        return self._session.request(method, self._url + path, json=body, timeout=35)

    def create(self, **fields: Any) -> str:
        body = {
            "prompt": "Where are refunds computed?",
            "agentId": "issue-enricher",
            "workspaceId": WORKSPACE,
        }
        answer = self("POST", TASKS, body | fields)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["task"]["id"])

    def status(self, task_id: str) -> str:
        answer = self("GET", f"{TASKS}/{task_id}")
        assert answer.status_code == 200, answer.text
        return str(answer.json()["task"]["status"])


@pytest.fixture
def call(nightdesk: Nightdesk) -> Caller:
    return Caller(nightdesk)


def test_a_task_is_created_listed_changed_and_deleted(call: Caller) -> None:
    task_id = call.create(runAfter=later(), title="Later")

    listed = call("GET", f"{TASKS}?workspaceId={WORKSPACE}&status=PENDING")
    changed = call("PATCH", f"{TASKS}/{task_id}", {"title": "Sooner", "priority": "HIGH"})
    deleted = call("DELETE", f"{TASKS}/{task_id}")

    assert task_id in {task["id"] for task in listed.json()["tasks"]}
    assert (changed.status_code, changed.json()["task"]["title"]) == (200, "Sooner")
    assert deleted.status_code == 200, deleted.text
    assert call("GET", f"{TASKS}/{task_id}").status_code == 404


def test_tasks_are_deleted_by_status(call: Caller) -> None:
    task_id = call.create(runAfter=later())

    answer = call(
        "POST",
        TASKS,
        {"action": "deleteByStatus", "status": "PENDING", "workspaceId": WORKSPACE},
    )

    assert answer.status_code == 200, answer.text
    assert call("GET", f"{TASKS}/{task_id}").status_code == 404


def test_a_task_without_a_repository_ends_and_can_be_retried(call: Caller) -> None:
    task_id = call.create(title="No repository")
    end = time.monotonic() + 60
    while call.status(task_id) not in {"COMPLETED", "FAILED"} and time.monotonic() < end:
        time.sleep(0.2)

    assert call.status(task_id) in {"COMPLETED", "FAILED"}
    answer = call("POST", f"{TASKS}/{task_id}/retry")
    assert answer.status_code in {200, 409}, answer.text
    assert call("DELETE", f"{TASKS}/{task_id}").status_code in {200, 202}


def test_tasks_are_chained_superseded_and_retried_in_bulk(call: Caller) -> None:
    group = {"concurrencyGroup": "release", "runAfter": later()}
    older = call.create(**group)
    newer = call.create(**group, onConflict="supersede")
    waiting = call.create(dependsOn=[newer])
    skipped = call.create(dependsOn=[older], onDependencyFailure="skip")

    assert call.status(older) == "CANCELLED"
    assert call.status(waiting) == "PENDING"
    assert call.status(skipped) == "CANCELLED"
    assert call("GET", f"{TASKS}/{waiting}/events").json()["events"] == []
    assert call("POST", f"{TASKS}/{waiting}/messages", {"text": "Hello"}).status_code == 409
    body = {"action": "retryByStatus", "status": "CANCELLED", "workspaceId": WORKSPACE}
    retried = call("POST", TASKS, body)
    assert (retried.status_code, retried.json()["retried"] >= 2) == (200, True), retried.text
    for task_id in (waiting, skipped, newer, older):
        assert call("DELETE", f"{TASKS}/{task_id}").status_code in {200, 202}


def test_a_workspace_is_paused_and_resumed(call: Caller) -> None:
    ours = f"/api/workspaces/{WORKSPACE}"

    paused = call("PATCH", ours, {"paused": True, "tasksPerDay": 1_000})
    resumed = call("PATCH", ours, {"paused": False, "tasksPerDay": None})

    assert paused.json()["workspace"]["paused"] is True, paused.text
    assert resumed.status_code == 200, resumed.text
    assert call("GET", ours).json()["workspace"]["paused"] is False


def test_a_key_is_made_used_rotated_limited_and_revoked(call: Caller, nightdesk: Nightdesk) -> None:
    def use(text: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {text}"}
        return requests.get(f"{nightdesk.url}/api/specialists", headers=headers, timeout=35)

    made = call("POST", "/api/keys", {"operations": ["read"], "requestsPerMinute": 3})
    assert made.status_code == 201, made.text
    key_id, old = made.json()["key"]["id"], made.json()["apiKey"]
    assert use(old).headers["RateLimit-Policy"] == '"key";q=3;w=60'
    new = call("POST", f"/api/keys/{key_id}/rotate", {"graceSeconds": 60}).json()["apiKey"]

    # Two minutes of the clock let at most six pass.
    statuses = [use(text).status_code for text in (old, new, old, new, old, new, new, new)]
    listed = call("GET", "/api/keys").json()["keys"]
    revoked = call("DELETE", f"/api/keys/{key_id}")

    assert statuses[0] == 200
    assert set(statuses) == {200, 429}
    assert next(key for key in listed if key["id"] == key_id)["lastUsedAt"] is not None
    assert revoked.status_code == 200
    assert (use(old).status_code, use(new).status_code) == (401, 401)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/health"),
        ("GET", "/api/docs"),
        ("GET", "/api/openapi.json"),
        ("GET", "/api/specialists"),
        ("POST", "/api/dead-letters/redrive"),
        ("GET", "/api/polling/check"),
        ("POST", "/api/polling/check"),
        ("POST", f"{TASKS}/process"),
    ],
)
def test_the_other_routes_answer(call: Caller, method: str, path: str) -> None:
    answer = call(method, path)

    assert answer.status_code == 200, answer.text


def test_without_a_key_nothing_is_shown(nightdesk: Nightdesk) -> None:
    answer = requests.get(f"{nightdesk.url}{TASKS}?workspaceId={WORKSPACE}", timeout=35)

    assert answer.status_code == 401


def test_no_function_was_refused_anything(nightdesk: Nightdesk, call: Caller) -> None:
    """What the roles lack shows in the logs of whatever ran before."""
    assert call("POST", f"{TASKS}/process").status_code == 200
    logs = nightdesk.deployment.client("logs")
    refused = [
        event["message"]
        for group in logs.describe_log_groups(logGroupNamePrefix="/nightdesk/")["logGroups"]
        for page in logs.get_paginator("filter_log_events").paginate(
            logGroupName=group["logGroupName"]
        )
        for event in page["events"]
        if "AccessDenied" in event["message"]
    ]

    assert refused == []
