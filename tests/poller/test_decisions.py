from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import boto3
import pytest

from nightdesk.adapters.dynamodb.decisions import DynamoDecisions, DynamoTaskCounts
from nightdesk.domain.decisions import SHOWN, Decision, DecisionLog, Outcome, TaskCounts
from nightdesk.domain.errors import UnavailableError
from nightdesk.domain.github_ports import Account
from nightdesk.domain.specialist import EventTrigger
from nightdesk.services.explain_event import explain
from tests.aws import REGION
from tests.fakes.clock import NOON
from tests.fakes.decisions import FakeDecisions, FakeTaskCounts
from tests.poller.world import PollerWorld

MINUTE = timedelta(minutes=1)
DECISION = Decision(
    repo="Octo-Org/Widgets",
    number=12,
    at=NOON,
    event="issues.opened",
    key="issue:1012:opened",
    actor="ann",
    source="polling",
    outcomes=(Outcome(result="task", specialist="a", task_id="t-1"), Outcome(result="labels")),
)


@pytest.fixture(params=["fake", "dynamodb"])
def log(request: pytest.FixtureRequest) -> DecisionLog:
    makers: dict[str, Callable[[], DecisionLog]] = {
        "fake": FakeDecisions,
        "dynamodb": lambda: DynamoDecisions(retention=timedelta(days=90)),
    }
    if request.param == "dynamodb":
        request.getfixturevalue("aws_tables")
    return makers[request.param]()


@pytest.fixture(params=["fake", "dynamodb"])
def counts(request: pytest.FixtureRequest) -> TaskCounts:
    makers: dict[str, Callable[[], TaskCounts]] = {
        "fake": FakeTaskCounts,
        "dynamodb": DynamoTaskCounts,
    }
    if request.param == "dynamodb":
        request.getfixturevalue("aws_tables")
    return makers[request.param]()


def test_decisions_read_back_newest_first_whatever_the_case_of_the_name(log: DecisionLog) -> None:
    later = replace(DECISION, at=NOON + MINUTE, key="issue:1012:labeled")
    log.record([DECISION, replace(DECISION, number=13), later])
    found = log.of("octo-org/widgets", 12)
    assert [row.at for row in found] == [later.at, NOON]
    assert found[1].outcomes == DECISION.outcomes
    assert log.of("octo-org/widgets", 1) == []


def test_more_decisions_than_a_batch_holds_are_stored_and_the_latest_are_shown(
    log: DecisionLog,
) -> None:
    rows = [replace(DECISION, at=NOON + n * MINUTE, key=f"comment:{n}") for n in range(SHOWN + 20)]
    log.record(rows)
    found = log.of(DECISION.repo, 12)
    assert [row.key for row in found] == [row.key for row in reversed(rows)][:SHOWN]


def test_an_issue_has_room_for_so_many_tasks_an_hour(counts: TaskCounts) -> None:
    def admitted(task_id: str, *, number: int = 12, minutes: int = 0) -> bool:
        now = NOON + minutes * MINUTE
        return counts.admit(501, number, task_id, now=now, most=2)

    assert [admitted(task_id) for task_id in ("a", "b", "c")] == [True, True, False]
    # Asked again the answer is the same: a repeated import counts once.
    assert [admitted(task_id) for task_id in ("a", "b", "c")] == [True, True, False]
    assert admitted("c", number=13)
    assert not admitted("c", minutes=59)
    assert admitted("c", minutes=60)


@pytest.mark.usefixtures("aws_tables")
def test_rows_end_by_themselves() -> None:
    DynamoDecisions(retention=timedelta(days=90)).record([DECISION])
    DynamoTaskCounts().admit(501, 12, "a", now=NOON, most=2)
    database = boto3.client("dynamodb", region_name=REGION)
    (table,) = (n for n in database.list_tables()["TableNames"] if "ithub" in n)
    ends = {row["pk"]["S"]: int(row["ttl"]["N"]) for row in database.scan(TableName=table)["Items"]}
    assert ends == {
        "audit#octo-org/widgets#12": int((NOON + timedelta(days=90)).timestamp()),
        "count#501#12": int((NOON + timedelta(hours=2)).timestamp()),
    }


# Through the poller ---------------------------------------------------------------------------


def shown(world: PollerWorld, number: int) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = explain("octo-org/widgets", number, world.decisions)["decisions"]
    return rows


def test_each_specialist_has_its_reason_and_a_poll_is_one_request(world: PollerWorld) -> None:
    world.wants("labelled", EventTrigger(event="issues", labels=("x",)))
    world.watch()
    world.happens(1)
    world.happens(2, actor=Account(id=5, login="helper[bot]", is_bot=True))
    world.happens(3, action="pinned")
    world.poll()

    first = {row["specialist"]: row["outcome"] for row in shown(world, 1)}
    assert first == {"labelled": "labels", "enricher": "task"}
    (task,) = world.tasks.tasks
    assert [row["taskId"] for row in shown(world, 1) if "taskId" in row] == [task]
    assert {row["outcome"] for row in shown(world, 2)} == {"bot", "labels"}
    assert [row["outcome"] for row in shown(world, 3)] == ["labels"]
    assert world.decisions.requests == 1
    assert explain("octo-org/widgets", 1, None)["decisions"] == []


def test_a_log_that_cannot_be_written_stops_nothing(world: PollerWorld) -> None:
    class Down(FakeDecisions):
        def record(self, decisions: object) -> None:
            raise UnavailableError("DynamoDB")

    world.decisions = Down()
    world.watch()
    world.happens(1)
    assert world.poll_one()["eventsProcessed"] == 1


def test_a_loop_on_one_issue_ends(world: PollerWorld) -> None:
    world.wants("echo", EventTrigger(event="issues", actions=("reopened",)))
    world.settings = replace(world.settings, tasks_per_hour=3)
    world.watch()
    for number in range(8):
        world.clock.advance(MINUTE)
        world.happens(12, event_id=f"e{number}", action="reopened")
        world.poll()
    assert world.agents() == ["echo"] * 3
    assert shown(world, 12)[0]["outcome"] == "too_many"
    world.happens(13, action="reopened")
    world.poll()
    assert world.agents() == ["echo"] * 4
