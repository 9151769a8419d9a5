"""The function as it is deployed: its own handler and wiring, on moto's DynamoDB and SQS."""

import base64
import importlib.util
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import boto3
import botocore.handlers
import pytest

from nightdesk import bootstrap
from nightdesk.adapters.dynamodb.access_store import DynamoAccessStore
from nightdesk.adapters.dynamodb.tables import TableNames
from nightdesk.adapters.system import SystemClock, SystemDice
from nightdesk.domain.api_key import ApiKey, Operation
from nightdesk.domain.ports import Release
from nightdesk.domain.session import Entry, EntryKind
from nightdesk.domain.task import HOLD_FOR, LEASE, Hold, TaskStatus
from nightdesk.services import retry_task
from nightdesk.services.manage_keys import DEFAULT_OPERATIONS, create_key, revoke_key
from nightdesk.services.settle_dependants import settle_dependants
from tests.api.caller import TASKS, WORKSPACE, Answered, Context, answered, event_of
from tests.aws import REGION, TEMPLATE

HANDLER = TEMPLATE.parent / "functions" / "api" / "handler.py"
GOOD = {"prompt": "Do it", "agentId": "developer", "workspaceId": WORKSPACE}


@dataclass
class Deployed:
    """The deployed function; `requests` are the AWS operations of the latest call."""

    handler: Callable[[dict[str, Any], Context], dict[str, Any]]
    queue_url: str
    requests: list[str]
    key: str = ""
    key_id: str = ""

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answered:
        sent = {"authorization": f"Bearer {key or self.key}", "content-type": "application/json"}
        event = event_of(
            method,
            path,
            query=query,
            headers=sent | (headers or {}),
            body=None if body is None else json.dumps(body),
        )
        self.requests.clear()
        return answered(self.handler(event, Context()))

    def wake_ups(self) -> list[str]:
        sqs = boto3.client("sqs", region_name=REGION)
        received = sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10)
        return [json.loads(message["Body"])["taskId"] for message in received.get("Messages", [])]


def forget_wiring() -> None:
    """Wire anew, as a fresh environment of the function does."""
    for part in vars(bootstrap).values():
        if hasattr(part, "cache_clear"):
            part.cache_clear()


@pytest.fixture
def requests() -> Iterator[list[str]]:
    """Every request that botocore sends, by its operation."""
    sent: list[str] = []

    def note(event_name: str, **_: Any) -> None:
        sent.append(event_name.removeprefix("before-send."))

    hook = ("before-send", note)
    botocore.handlers.BUILTIN_HANDLERS.insert(0, hook)
    yield sent
    botocore.handlers.BUILTIN_HANDLERS.remove(hook)


@pytest.fixture
def api(
    requests: list[str], aws_tables: TableNames, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Deployed]:
    queue = boto3.client("sqs", region_name=REGION).create_queue(QueueName="wake-ups")
    for name in ("tasks", "origins", "session_log", "outbox", "access", "limits", "workspaces"):
        monkeypatch.setenv(f"{name.upper()}_TABLE", getattr(aws_tables, name))
    monkeypatch.setenv("CONVERSATIONS_TABLE", "conversations")
    monkeypatch.setenv("WAKE_UP_QUEUE_URL", queue["QueueUrl"])
    monkeypatch.setenv("SPECIALISTS_DIR", str(TEMPLATE.parent / "specialists"))
    monkeypatch.setenv("SWEEPER_FUNCTION", "sweeper")
    monkeypatch.setenv("GITHUB_POLLER_FUNCTION", "poller")
    forget_wiring()
    spec = importlib.util.spec_from_file_location("api_handler", HANDLER)
    assert spec is not None
    assert spec.loader is not None
    handler = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(handler)
    deployed = Deployed(handler.lambda_handler, queue["QueueUrl"], requests)
    deployed.key, deployed.key_id = make_key(WORKSPACE)
    yield deployed
    forget_wiring()


def make_key(
    workspace: str, operations: tuple[Operation, ...] = DEFAULT_OPERATIONS
) -> tuple[str, str]:
    new = create_key(
        workspace_id=workspace,
        operations=operations,
        access=DynamoAccessStore(),
        clock=SystemClock(),
        dice=SystemDice(),
    )
    return new.text, new.key.id


def stored_key(key_id: str) -> ApiKey:
    return next(key for key in DynamoAccessStore().list_keys() if key.id == key_id)


def test_a_task_lives_through_every_route(api: Deployed) -> None:
    created = api.call("POST", TASKS, GOOD)
    assert created.status == 201
    task_id = created.task["id"]
    assert api.wake_ups() == [task_id]

    shown = api.call("GET", f"{TASKS}/{task_id}").task
    assert shown["queuePosition"] == 1
    assert shown["estimatedStartAt"] is not None
    in_line = ("queuePosition", "estimatedStartAt")
    assert shown | dict.fromkeys(in_line) == created.task
    edited = api.call("PATCH", f"{TASKS}/{task_id}", {"title": "New", "prompt": "Other"}).task
    assert (edited["title"], edited["prompt"]) == ("New", "Other")
    listed = api.call("GET", TASKS, query={"workspaceId": WORKSPACE, "status": "PENDING"})
    assert [task["title"] for task in listed.json["tasks"]] == ["New"]

    task = bootstrap.api().tasks.get(task_id)
    assert task is not None
    bootstrap.api().tasks.end_unclaimed(task, TaskStatus.CANCELLED, None, now=SystemClock().now())
    retried = api.call("POST", f"{TASKS}/{task_id}/retry").task
    assert retried["status"] == "PENDING"
    assert api.call("DELETE", f"{TASKS}/{task_id}").json == {"success": True}
    assert api.call("GET", f"{TASKS}/{task_id}").status == 404


def test_creating_a_task_takes_three_requests(api: Deployed) -> None:
    """Authenticate, one transaction, one wake-up (design, section 4, rule 11)."""
    answer = api.call("POST", TASKS, GOOD)

    assert answer.status == 201
    assert api.requests == [
        "dynamodb.UpdateItem",
        "dynamodb.TransactWriteItems",
        "sqs.SendMessage",
    ]


def test_a_malformed_key_takes_no_request_and_an_unknown_one_exactly_one(api: Deployed) -> None:
    assert api.call("POST", TASKS, GOOD, key="nd_nonsense").status == 401
    assert api.requests == []

    assert api.call("POST", TASKS, GOOD, key=f"nd_{'0' * 16}_{'0' * 64}").status == 401
    assert api.requests == ["dynamodb.UpdateItem"]


def test_a_bad_request_takes_no_more_than_authentication(api: Deployed) -> None:
    for body in ({**GOOD, "agentId": "nobody"}, {**GOOD, "priority": 1}, {}):
        assert api.call("POST", TASKS, body).status == 400
        assert api.requests == ["dynamodb.UpdateItem"]


def test_health_takes_no_request(api: Deployed) -> None:
    assert api.call("GET", "/api/health").status == 200
    assert api.requests == []


def test_a_list_takes_a_query_and_a_batch_whatever_its_length(api: Deployed) -> None:
    for _ in range(12):
        api.call("POST", TASKS, GOOD)

    listed = api.call("GET", TASKS, query={"workspaceId": WORKSPACE, "limit": "10"})

    assert len(listed.json["tasks"]) == 10
    assert api.requests == [
        "dynamodb.UpdateItem",
        "dynamodb.Query",
        "dynamodb.BatchGetItem",
    ]


def test_the_uses_of_a_key_are_counted_and_dated(api: Deployed) -> None:
    for _ in range(3):
        api.call("GET", "/api/specialists")

    key = stored_key(api.key_id)
    assert key.uses == 3
    assert key.last_used_at is not None


def test_a_revoked_key_is_refused_with_the_next_request(api: Deployed) -> None:
    assert api.call("GET", "/api/specialists").status == 200
    revoke_key(api.key_id, access=DynamoAccessStore(), clock=SystemClock())

    assert api.call("GET", "/api/specialists").status == 401


def test_another_workspaces_task_is_not_found(api: Deployed) -> None:
    task_id = api.call("POST", TASKS, GOOD).task["id"]
    stranger, _ = make_key("elsewhere")

    for method in ("GET", "DELETE"):
        assert api.call(method, f"{TASKS}/{task_id}", key=stranger).status == 404
    assert api.call("GET", f"{TASKS}/{task_id}").status == 200


def test_a_repeated_request_makes_one_task(api: Deployed) -> None:
    headers = {"idempotency-key": "build-7"}
    first = api.call("POST", TASKS, GOOD, headers=headers)
    again = api.call("POST", TASKS, GOOD, headers=headers)
    other = api.call("POST", TASKS, {**GOOD, "title": "T"}, headers=headers)

    assert (first.status, again.status, other.status) == (201, 200, 422)
    assert again.task == first.task


def test_the_largest_prompt_can_be_stored(api: Deployed) -> None:
    """An item of DynamoDB holds 400 KB; 100,000 characters can be 400,000 bytes."""
    answer = api.call("POST", TASKS, {**GOOD, "prompt": "x" * 100_000})

    assert api.call("GET", f"{TASKS}/{answer.task['id']}").task["prompt"] == "x" * 100_000


def test_tasks_are_deleted_in_bulk(api: Deployed) -> None:
    for _ in range(3):
        api.call("POST", TASKS, GOOD)
    body = {"action": "deleteByStatus", "status": "PENDING", "workspaceId": WORKSPACE}

    assert api.call("POST", TASKS, body).json["deleted"] == 3
    assert api.call("GET", TASKS, query={"workspaceId": WORKSPACE}).json == {"tasks": []}


def forged(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "nonsense",
        "MQ==",
        forged(WORKSPACE),
        forged(WORKSPACE, {}),
        forged(WORKSPACE, {"foo": {"S": "bar"}}),
        forged(WORKSPACE, {"id": {"S": "a"}, "ws": {"S": "elsewhere"}, "cr": {"S": "2026"}}),
        forged(WORKSPACE, {"id": {"N": "1"}, "ws": {"S": WORKSPACE}, "cr": {"S": "2026"}}),
        forged("elsewhere", {}),
    ],
)
def test_a_forged_cursor_is_refused(api: Deployed, cursor: str) -> None:
    answer = api.call("GET", TASKS, query={"workspaceId": WORKSPACE, "cursor": cursor})

    assert (answer.status, answer.error["field"]) == (400, "cursor")


def test_the_shipped_specialists_are_there(api: Deployed) -> None:
    listed = api.call("GET", "/api/specialists").json

    assert {"developer", "issue-enricher", "pr-reviewer"} <= {
        s["id"] for s in listed["specialists"]
    }
    assert listed["broken"] == []


# Chains, groups, people and workspaces, against the real store ---------------------------------


def end(task_id: str, status: TaskStatus) -> None:
    ports = bootstrap.api()
    task = ports.tasks.get(task_id)
    assert task is not None
    ended = ports.tasks.end_unclaimed(task, status, None, now=ports.clock.now())
    settle_dependants(ended, tasks=ports.tasks, wake_ups=ports.wake_ups, clock=ports.clock)


def test_a_chain_is_stored_held_and_let_go(api: Deployed) -> None:
    awaited = api.call("POST", TASKS, GOOD).task["id"]
    api.wake_ups()
    made = api.call("POST", TASKS, {**GOOD, "dependsOn": [awaited], "quoteOutputs": True})
    assert (made.status, made.task["held"]) == (201, "dependencies")
    assert api.requests == [
        "dynamodb.UpdateItem",
        "dynamodb.BatchGetItem",
        "dynamodb.TransactWriteItems",
    ]
    assert api.call("GET", f"{TASKS}/{made.task['id']}").task["dependsOn"] == [awaited]

    end(awaited, TaskStatus.COMPLETED)

    assert api.wake_ups() == [made.task["id"]]
    assert api.call("GET", f"{TASKS}/{made.task['id']}").task["held"] is None


def test_a_chain_behind_a_failed_task_ends_at_once(api: Deployed) -> None:
    failed = api.call("POST", TASKS, GOOD).task["id"]
    end(failed, TaskStatus.FAILED)

    task = api.call("POST", TASKS, {**GOOD, "dependsOn": [failed]}).task
    unknown = api.call("POST", TASKS, {**GOOD, "dependsOn": [failed, "t-0"]})

    assert (task["status"], task["error"]["code"]) == ("FAILED", "DEPENDENCY_FAILED")
    assert failed in task["error"]["message"]
    assert (unknown.status, unknown.error["field"]) == (400, "dependsOn")
    assert api.call("POST", TASKS, {**GOOD, "dependsOn": [""]}).status == 400


def test_a_newer_task_of_a_group_supersedes_the_older(api: Deployed) -> None:
    older = api.call("POST", TASKS, {**GOOD, "concurrencyGroup": "g"}).task["id"]
    body = {**GOOD, "concurrencyGroup": "g", "onConflict": "supersede"}

    newer = api.call("POST", TASKS, body).task

    shown = api.call("GET", f"{TASKS}/{older}").task
    assert (shown["status"], shown["supersededBy"]) == ("CANCELLED", newer["id"])
    assert (newer["status"], newer["concurrencyGroup"]) == ("PENDING", "g")


def test_a_message_and_the_events_reach_a_running_task(api: Deployed) -> None:
    task_id = api.call("POST", TASKS, GOOD).task["id"]
    ports = bootstrap.api()
    task, now = ports.tasks.get(task_id), ports.clock.now()
    assert task is not None
    claimed = ports.tasks.claim(
        task,
        ports.tasks.slots()[0],
        message_id="m-1",
        now=now,
        lease_until=now + LEASE,
        reserved_micros=0,
    )
    told = api.call("POST", f"{TASKS}/{task_id}/messages", {"text": "Mind the cache."})
    listening = ports.tasks.get(task_id)
    assert listening is not None
    wait = {"reason": "question", "text": "Which one?"}
    entry = Entry(task_id, 1, 1, EntryKind.WAIT, now, wait)
    release = Release(status=TaskStatus.WAITING, entry=entry)
    ports.tasks.release(replace(claimed, inbox=listening.inbox), release, now=now)

    shown = api.call("GET", f"{TASKS}/{task_id}").task
    events = api.call("GET", f"{TASKS}/{task_id}/events").json
    answered_ = api.call("POST", f"{TASKS}/{task_id}/messages", {"text": "The second"})

    assert (told.status, [mail.text for mail in ports.tasks.mail(claimed)]) == (
        202,
        ["Mind the cache.", "The second"],
    )
    assert shown["waitingFor"] == wait
    assert [(e["number"], e["kind"], e["text"]) for e in events["events"]] == [
        (1, "waiting", "question: Which one?")
    ]
    assert (answered_.status, answered_.task["status"]) == (202, "PENDING")


def test_a_bulk_retry_goes_on_where_its_cursor_says(
    api: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry_task, "BULK_PAGE", 2)
    monkeypatch.setattr(retry_task, "BULK_PAGES", 1)
    for _ in range(3):
        end(api.call("POST", TASKS, GOOD).task["id"], TaskStatus.FAILED)
    body = {"action": "retryByStatus", "status": "FAILED", "workspaceId": WORKSPACE}

    first = api.call("POST", TASKS, body).json
    rest = api.call("POST", TASKS, {**body, "cursor": first["nextCursor"]}).json

    assert (first["retried"], first["more"]) == (2, True)
    assert rest == {"success": True, "retried": 1, "more": False}


def test_a_workspace_is_paused_and_resumed(api: Deployed) -> None:
    admin, _ = make_key(WORKSPACE, (Operation.ADMIN,))
    ours = f"/api/workspaces/{WORKSPACE}"
    task_id = api.call("POST", TASKS, GOOD).task["id"]
    paused = api.call("PATCH", ours, {"paused": True, "tasksPerDay": 9}, key=admin).json
    tasks = bootstrap.api().tasks
    task = tasks.get(task_id)
    assert task is not None
    tasks.hold(task, Hold.PAUSED, until=SystemClock().now() + HOLD_FOR)
    api.wake_ups()

    resumed = api.call("PATCH", ours, {"paused": False}, key=admin).json["workspace"]

    assert paused["workspace"]["paused"] is True
    assert (resumed["paused"], resumed["tasksPerDay"]) == (False, 9)
    assert api.call("GET", ours, key=admin).json["workspace"] == resumed
    assert api.wake_ups() == [task_id]
    assert api.call("GET", f"{TASKS}/{task_id}").task["held"] is None
