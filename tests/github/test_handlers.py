"""Poller, token broker and publisher through their real handlers and wiring: moto is the cloud,
the simulator is GitHub.
"""

import io
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import boto3
import pytest

from nightdesk import bootstrap
from nightdesk.adapters.dynamodb.outbox_store import DynamoOutboxStore
from nightdesk.adapters.dynamodb.tables import (
    GithubItem,
    OriginItem,
    OutboxItem,
    SessionLogItem,
    TableNames,
    TaskItem,
)
from nightdesk.adapters.dynamodb.task_items import outbox_item
from nightdesk.adapters.dynamodb.task_store import DynamoTaskStore
from nightdesk.adapters.github.client import GithubClient
from nightdesk.adapters.github.issues import GithubIssueReader
from nightdesk.adapters.secrets import SsmSecrets
from nightdesk.adapters.system import SystemClock
from nightdesk.adapters.tokens import BrokeredTokens
from nightdesk.domain.outbox import OutboxRow, OutboxState, github_row
from nightdesk.domain.ports import Slot
from nightdesk.domain.task import Origin, Task
from tests.aws import REGION, TEMPLATE
from tests.fakes.clock import FakeClock
from tests.github_simulator.conftest import EVERYTHING, REPO, Github
from tests.handlers import FakeContext, event, load_handler

READ_CANARY = "ghp_readCANARY0123456789abcdefghijkl"
WRITE_CANARY = "ghs_1234_eyJwriteCANARY.0123456789abcdef-ghij.klmnop_qrst"
DAY = timedelta(days=1)


def forget_wiring() -> None:
    """Wire anew, as a fresh environment of a function does."""
    for part in vars(bootstrap).values():
        if hasattr(part, "cache_clear"):
            part.cache_clear()


@dataclass
class Deployment:
    """The three functions, wired as on AWS."""

    github: Github
    tasks: DynamoTaskStore

    def invoke(self, function: str, payload: dict[str, Any]) -> dict[str, Any]:
        answer = load_handler(function).lambda_handler(payload, FakeContext(300_000))
        assert isinstance(answer, dict)
        return answer

    def poll(self) -> dict[str, Any]:
        return self.invoke("github_poller", event("github-poller-schedule"))

    def only_task(self) -> tuple[Task, Origin]:
        (item,) = TaskItem.scan()
        task, origin = self.tasks.get(item.id), self.tasks.get_origin(item.id)
        assert task is not None
        assert origin is not None
        return task, origin

    def claim(self) -> Task:
        now = SystemClock().now()
        task, _ = self.only_task()
        later = now + timedelta(seconds=30)
        return self.tasks.claim(
            task, Slot(0), message_id="m", now=now, lease_until=later, reserved_micros=0
        )

    def intends(self, task_id: str, intent: str, payload: dict[str, Any]) -> str:
        name = github_row(1, intent, 1)
        now = SystemClock().now()
        row = OutboxRow(task_id=task_id, row=name, payload=payload, created_at=now)
        outbox_item(row, retention=DAY).save()
        return name

    def inserted(self, task_id: str, row: str) -> dict[str, Any]:
        record = event("publisher-outbox-insert")
        keys = {"taskId": {"S": task_id}, "row": {"S": row}}
        record["Records"][0]["dynamodb"]["Keys"] = keys
        return record

    def comments(self, number: int) -> list[dict[str, Any]]:
        found = self.github.anonymous().get(f"{REPO}/issues/{number}/comments")
        assert isinstance(found, list)
        return found


@pytest.fixture
def deployment(
    github: Github, aws_tables: TableNames, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Deployment]:
    queue = boto3.client("sqs", region_name=REGION).create_queue(QueueName="wake-ups")
    ssm = boto3.client("ssm", region_name=REGION)
    for name, token, login in (
        ("/nightdesk/read", READ_CANARY, "reader"),
        ("/nightdesk/write", WRITE_CANARY, "nightdesk-bot"),
    ):
        ssm.put_parameter(Name=name, Value=token, Type="SecureString")
        body = {"token": token, "login": login, "permissions": EVERYTHING}
        github.control("POST", "/tokens", body)
    github.control("PATCH", "/settings", {"poll_interval_seconds": 0})
    for field in ("tasks", "origins", "session_log", "outbox", "github", "limits"):
        monkeypatch.setenv(f"{field.upper()}_TABLE", getattr(aws_tables, field))
    for name, value in {
        "WAKE_UP_QUEUE_URL": queue["QueueUrl"],
        "SPECIALISTS_DIR": str(TEMPLATE.parent / "specialists"),
        "DEFAULT_TRIGGERS": '{"issues.opened": "issue-enricher"}',
        "GITHUB_API_URL": github.server.url,
        "GITHUB_POLLING_REPOS": "octo-org/widgets",
        "GITHUB_POLLING_INTERVAL_MINUTES": "5",
        "GITHUB_READ_TOKEN_PARAMETER": "/nightdesk/read",
        "GITHUB_WRITE_TOKEN_PARAMETER": "/nightdesk/write",
    }.items():
        monkeypatch.setenv(name, value)
    forget_wiring()
    yield Deployment(github, DynamoTaskStore(slot_count=2, retention=DAY))
    forget_wiring()


def test_a_new_issue_travels_from_the_feed_to_a_posted_comment(deployment: Deployment) -> None:
    deployment.poll()
    number = deployment.github.open_issue(title="The cache never expires", body="It is stale.")

    polled = deployment.poll()
    assert polled["summary"]["totalEventsProcessed"] == 1
    task, origin = deployment.only_task()
    assert task.title == ("[GitHub issues] octo-org/widgets — opened: The cache never expires")
    assert "It is stale." in origin.prompt

    assert deployment.invoke("token_broker", {"taskId": task.id}) == {
        "error": "the task does not run"
    }
    deployment.claim()
    answer = deployment.invoke("token_broker", {"taskId": task.id})
    assert answer == {"token": READ_CANARY, "repo": "octo-org/widgets"}

    row = deployment.intends(task.id, "comment", {"body": "See `src/app.py`."})
    published = deployment.invoke("publisher", deployment.inserted(task.id, row))
    assert published == {"batchItemFailures": [], "ok": True, "outcomes": {"done": 1}}
    (comment,) = deployment.comments(number)
    assert comment["user"]["login"] == "nightdesk-bot"
    assert f"task:{task.id}" in comment["body"]
    after, _ = deployment.only_task()
    assert after.publication == comment["html_url"]


def test_the_poller_says_why_something_happened(deployment: Deployment) -> None:
    deployment.poll()
    number = deployment.github.open_issue()
    deployment.poll()
    task, _ = deployment.only_task()
    asked = {"action": "decisions", "repo": "octo-org/widgets", "number": number}

    answer = deployment.invoke("github_poller", {**asked, "workspaceId": "default"})

    (row,) = (row for row in answer["decisions"] if row["outcome"] == "task")
    assert (row["taskId"], row["specialist"]) == (task.id, "issue-enricher")
    other = deployment.invoke("github_poller", {**asked, "workspaceId": "other"})
    assert other["decisions"] == []


def test_a_repeated_record_and_the_sweepers_list_write_nothing_more(
    deployment: Deployment,
) -> None:
    deployment.poll()
    number = deployment.github.open_issue()
    deployment.poll()
    task, _ = deployment.only_task()
    row = deployment.intends(task.id, "comment", {"body": "Hello"})
    record = deployment.inserted(task.id, row)
    record["Records"] *= 3
    deployment.invoke("publisher", record)
    again = deployment.invoke("publisher", {"rows": [{"taskId": task.id, "row": row}]})

    assert again["outcomes"] == {"left": 1}
    assert len(deployment.comments(number)) == 1


def test_one_bad_row_stops_no_other(deployment: Deployment) -> None:
    deployment.poll()
    number = deployment.github.open_issue()
    deployment.poll()
    task, _ = deployment.only_task()
    good = deployment.intends(task.id, "comment", {"body": "Hello"})
    deployment.intends(task.id, "labels", {"labels": ["bug"]})
    bad = OutboxItem.get(task.id, github_row(1, "labels", 1))
    bad.document = ["no", "mapping"]  # as no transaction of ours would write it
    bad.save()
    rows = [
        {"taskId": task.id, "row": github_row(1, "labels", 1)},
        {"taskId": task.id, "row": "notify#0001"},
        {"taskId": "", "row": good},
        {"row": None},
        {"taskId": "unknown", "row": "github#0001#comment#1"},
        {"taskId": task.id, "row": good},
    ]

    answer = deployment.invoke("publisher", {"rows": rows})

    assert answer["batchItemFailures"] == []
    assert answer["outcomes"]["done"] == 1
    assert answer["outcomes"]["left"] == 1
    assert len(deployment.comments(number)) == 1


def test_a_row_that_does_not_fit_into_the_time_is_left_to_the_sweeper(
    deployment: Deployment,
) -> None:
    deployment.poll()
    number = deployment.github.open_issue()
    deployment.poll()
    task, _ = deployment.only_task()
    row = deployment.intends(task.id, "comment", {"body": "Hello"})

    handler = load_handler("publisher").lambda_handler
    handler({"rows": [{"taskId": task.id, "row": row}]}, FakeContext(20_000))

    assert deployment.comments(number) == []
    (waiting,) = DynamoOutboxStore().due(now=SystemClock().now(), limit=10)
    assert (waiting.row, waiting.state) == (row, OutboxState.PENDING)


@pytest.mark.parametrize(
    ("function", "name", "expected"),
    [
        ("github_poller", "github-poller-check", "results"),
        ("github_poller", "github-poller-status", "intervalSeconds"),
        ("github_poller", "github-poller-schedule", "summary"),
        ("token_broker", "token-broker-task", "error"),
        ("publisher", "publisher-rows", "batchItemFailures"),
        ("publisher", "publisher-outbox-insert", "batchItemFailures"),
    ],
)
def test_every_sample_event_is_answered(
    deployment: Deployment, function: str, name: str, expected: str
) -> None:
    assert expected in deployment.invoke(function, event(name))


@pytest.mark.parametrize("payload", [{}, {"taskId": ""}, {"taskId": 3}, {"taskId": None}])
def test_the_broker_wants_a_task_id(deployment: Deployment, payload: dict[str, Any]) -> None:
    assert deployment.invoke("token_broker", payload) == {"error": "taskId is required"}


def test_without_a_read_token_public_repositories_are_read_anonymously(
    deployment: Deployment,
) -> None:
    boto3.client("ssm", region_name=REGION).delete_parameter(Name="/nightdesk/read")
    deployment.poll()
    deployment.github.open_issue()

    assert deployment.poll()["summary"]["totalEventsProcessed"] == 1
    task = deployment.claim()
    answer = deployment.invoke("token_broker", {"taskId": task.id})
    assert answer["token"] == ""
    logins = {entry.login for entry in deployment.github.server.state.requests.entries}
    assert logins == {None}


# Canaries -------------------------------------------------------------------------------------


def test_no_token_reaches_a_row_a_log_an_answer_or_a_comment(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = io.StringIO()
    monkeypatch.setattr("sys.stdout", said)
    logging.getLogger().addHandler(logging.StreamHandler(said))
    answers: list[object] = []
    faults: list[dict[str, Any]] = [
        {"kind": "drop_before"},
        {"kind": "status", "status": 401},
        {"kind": "drop_after"},
    ]

    deployment.poll()
    number = deployment.github.open_issue(body=f"leak {READ_CANARY}")
    for fault in faults:
        deployment.github.control("POST", "/faults", {**fault, "path": "/events$"})
        answers.append(deployment.poll())
    answers.append(deployment.poll())
    task, _ = deployment.only_task()
    body = f"{READ_CANARY} `{WRITE_CANARY}`\n\n    {READ_CANARY}"
    row = deployment.intends(task.id, "comment", {"body": body, "footer": {"model": WRITE_CANARY}})
    deployment.github.control("POST", "/faults", {"kind": "status", "status": 401})
    answers.append(deployment.invoke("publisher", deployment.inserted(task.id, row)))
    waiting = OutboxItem.get(task.id, row)
    waiting.update(actions=[OutboxItem.due_at.set(SystemClock().now())])
    answers.append(deployment.invoke("publisher", {"rows": [{"taskId": task.id, "row": row}]}))

    tables = (TaskItem, GithubItem, SessionLogItem, OutboxItem)
    stored = [item.attribute_values for table in tables for item in table.scan()]
    # What a stranger wrote is kept as it is, in the prompt and in the intent; nowhere else.
    stored = [{k: v for k, v in item.items() if k != "document"} for item in stored]
    comments = deployment.comments(number)
    assert len(comments) == 1
    everything = f"{answers} {said.getvalue()} {stored} {comments}"
    for canary in (READ_CANARY, WRITE_CANARY):
        for form in (canary, canary[7:], canary[::-1]):
            assert form not in everything
    prompts = [item.document["prompt"] for item in OriginItem.scan()]
    assert all(WRITE_CANARY not in prompt for prompt in prompts)


# The adapters behind them ---------------------------------------------------------------------


def test_a_secret_is_kept_for_a_minute_and_is_not_in_its_repr(deployment: Deployment) -> None:
    del deployment
    ssm = boto3.client("ssm", region_name=REGION)
    clock = FakeClock()
    secrets = SsmSecrets(clock=clock, region=REGION)
    assert secrets.read("/nightdesk/read") == READ_CANARY
    ssm.put_parameter(Name="/nightdesk/read", Value="new", Type="SecureString", Overwrite=True)
    assert secrets.read("/nightdesk/read") == READ_CANARY
    clock.advance(timedelta(seconds=60))
    assert secrets.read("/nightdesk/read") == "new"
    assert (secrets.read("/nightdesk/none"), secrets.read("")) == ("", "")
    assert "new" not in repr(secrets)


def test_a_session_reads_its_issue_with_the_brokers_token(deployment: Deployment) -> None:
    deployment.poll()
    deployment.github.open_issue(title="T", body="B")
    deployment.poll()
    task = deployment.claim()
    _, origin = deployment.only_task()
    assert origin.target is not None
    clock = SystemClock()
    tokens = BrokeredTokens("token_broker", clock=clock, functions=Invoked(deployment))
    client = GithubClient(api_url=deployment.github.server.url, clock=clock)

    issue = GithubIssueReader(client, tokens).read(task.id, origin.target)

    assert (issue.title, issue.body) == ("T", "B")
    reads = deployment.github.control("GET", "/requests?login=reader")
    assert reads[-1]["path"] == f"{REPO}/issues/1/comments"


class Invoked:
    """`Functions`, straight into the handlers."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def invoke(self, name: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        return self._deployment.invoke(name, dict(payload))
