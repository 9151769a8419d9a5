from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from nightdesk.adapters.tokens import BrokeredTokens
from nightdesk.domain.errors import (
    ErrorCode,
    ForbiddenError,
    PermanentError,
    TryLaterError,
    UnavailableError,
)
from nightdesk.domain.github_ports import fingerprint_of
from nightdesk.domain.task import TaskStatus
from nightdesk.services.answer_token import TokenBrokerPorts, answer_executor, answer_token
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.functions import FakeFunctions
from tests.fakes.secrets import FakeRepositoryTokens
from tests.publisher.world import TASK, PublisherWorld

HOUR = timedelta(hours=1)


def brokered(functions: FakeFunctions, clock: FakeClock) -> BrokeredTokens:
    return BrokeredTokens("broker", clock=clock, functions=functions)


# The executor's side --------------------------------------------------------------------------


def test_the_broker_is_asked_with_nothing_but_the_task(clock: FakeClock) -> None:
    functions = FakeFunctions()
    functions.answers["broker"] = {"token": "t", "repo": "o/r"}

    found = brokered(functions, clock).token_for("t-1")

    assert (found.token, found.repo) == ("t", "o/r")
    assert functions.invoked == [("broker", {"taskId": "t-1"})]
    assert "token='t'" not in repr(found)


def test_a_token_is_kept_for_five_minutes_and_for_one_task(clock: FakeClock) -> None:
    functions = FakeFunctions()
    functions.answers["broker"] = {"token": "t", "repo": "o/r"}
    tokens = brokered(functions, clock)
    for advance, task_id, asked in (
        (timedelta(0), "t-1", 1),
        (timedelta(minutes=4), "t-1", 1),
        (timedelta(minutes=1), "t-1", 2),
        (timedelta(0), "t-2", 3),
        (timedelta(0), "t-1", 4),
    ):
        clock.advance(advance)
        tokens.token_for(task_id)
        assert len(functions.invoked) == asked


def test_a_token_is_not_used_in_its_last_five_minutes(clock: FakeClock) -> None:
    functions = FakeFunctions()
    expires = (NOON + timedelta(minutes=6)).isoformat()
    functions.answers["broker"] = {"token": "t", "repo": "o/r", "expiresAt": expires}
    tokens = brokered(functions, clock)
    tokens.token_for("t-1")
    clock.advance(timedelta(minutes=1))
    tokens.token_for("t-1")
    assert len(functions.invoked) == 2


@pytest.mark.parametrize("answer", [{}, {"error": "the task does not run"}, {"token": None}])
def test_a_refusal_fails_the_task(clock: FakeClock, answer: dict[str, object]) -> None:
    functions = FakeFunctions()
    functions.answers["broker"] = answer
    with pytest.raises(PermanentError, match="no token for task t-1") as raised:
        brokered(functions, clock).token_for("t-1")
    assert raised.value.code is ErrorCode.REPOSITORY_UNREACHABLE


def test_a_broker_that_is_down_may_be_asked_later(clock: FakeClock) -> None:
    functions = FakeFunctions()
    functions.answers["broker"] = UnavailableError("broker cannot be reached")
    with pytest.raises(UnavailableError):
        brokered(functions, clock).token_for("t-1")


# The broker's side ----------------------------------------------------------------------------


@pytest.fixture
def tokens() -> FakeRepositoryTokens:
    return FakeRepositoryTokens("secret")


def running(status: TaskStatus) -> PublisherWorld:
    world = PublisherWorld()
    task = world.tasks.tasks[TASK]
    world.tasks.tasks[TASK] = type(task)(
        id=task.id,
        workspace_id=task.workspace_id,
        agent_id=task.agent_id,
        title=task.title,
        created_at=task.created_at,
        updated_at=task.updated_at,
        status=status,
    )
    return world


def ask(world: PublisherWorld, tokens: FakeRepositoryTokens) -> dict[str, object]:
    return answer_token(TASK, TokenBrokerPorts(tasks=world.tasks, tokens=tokens))


def test_a_running_task_gets_a_token_for_its_own_repository(tokens: FakeRepositoryTokens) -> None:
    answer = ask(running(TaskStatus.RUNNING), tokens)
    assert answer == {"token": "secret", "repo": "octo-org/widgets"}
    assert tokens.asked == [("octo-org/widgets", 501)]


def test_the_end_of_a_token_is_told(tokens: FakeRepositoryTokens) -> None:
    tokens.expires_at = NOON + HOUR
    answer = ask(running(TaskStatus.RUNNING), tokens)
    assert datetime.fromisoformat(str(answer["expiresAt"])) == NOON + HOUR


@pytest.mark.parametrize("status", [s for s in TaskStatus if s is not TaskStatus.RUNNING])
def test_a_task_that_does_not_run_gets_none(
    status: TaskStatus, tokens: FakeRepositoryTokens
) -> None:
    with pytest.raises(ForbiddenError):
        ask(running(status), tokens)
    assert tokens.asked == []


def test_an_unknown_task_or_one_without_a_repository_gets_none(
    tokens: FakeRepositoryTokens,
) -> None:
    world = running(TaskStatus.RUNNING)
    world.origin(target=None)
    with pytest.raises(ForbiddenError):
        ask(world, tokens)
    world.tasks.tasks.clear()
    with pytest.raises(ForbiddenError):
        ask(world, tokens)
    assert tokens.asked == []


# A token that GitHub has refused --------------------------------------------------------------


def test_a_refused_token_is_asked_for_anew_once_and_by_its_fingerprint(clock: FakeClock) -> None:
    functions = FakeFunctions()
    functions.answers["broker"] = {"token": "old", "repo": "o/r"}
    tokens = brokered(functions, clock)
    tokens.token_for("t-1")
    functions.answers["broker"] = {"token": "new", "repo": "o/r"}

    assert [tokens.renewed("old") for _ in range(3)] == ["new", "new", "new"]
    assert tokens.token_for("t-1").token == "new"
    asked = {"taskId": "t-1", "refused": fingerprint_of("old")}
    assert functions.invoked[1:] == [("broker", asked)]
    assert tokens.renewed("of another task") == ""


def test_a_broker_that_has_no_other_token_is_asked_once(clock: FakeClock) -> None:
    functions = FakeFunctions()
    functions.answers["broker"] = {"token": "old", "repo": "o/r"}
    tokens = brokered(functions, clock)
    assert tokens.renewed("old") == ""
    tokens.token_for("t-1")
    assert [tokens.renewed("old") for _ in range(3)] == ["", "", ""]
    assert len(functions.invoked) == 2
    tokens.token_for("t-2")
    assert tokens.renewed("old") == ""


def test_a_wait_that_github_asks_the_broker_for_reaches_the_executor(clock: FakeClock) -> None:
    functions = FakeFunctions()
    functions.answers["broker"] = {"error": "GitHub: slow down", "retryAfter": 90.0}
    with pytest.raises(TryLaterError, match="slow down") as raised:
        brokered(functions, clock).token_for("t-1")
    assert raised.value.retry_after == timedelta(seconds=90)


@dataclass
class Renewing(FakeRepositoryTokens):
    """Makes another token for the one that it has, and counts."""

    made: int = 0

    def __post_init__(self) -> None:
        super().__init__("first")

    def renewed(self, token: str) -> str:
        assert token == self.token
        self.made += 1
        self.token = f"number {self.made}"
        return self.token


def test_the_broker_makes_at_most_one_new_token_for_each_that_was_refused() -> None:
    tokens = Renewing()
    world = running(TaskStatus.RUNNING)
    ports = TokenBrokerPorts(tasks=world.tasks, tokens=tokens, renewed=tokens.renewed)
    request = {"taskId": TASK, "refused": fingerprint_of("first")}

    answers = [answer_executor(request, ports)["token"] for _ in range(3)]

    assert answers == ["number 1"] * 3
    assert tokens.made == 1
    made_up = {"taskId": TASK, "refused": fingerprint_of("some other")}
    assert answer_executor(made_up, ports)["token"] == "number 1"
    assert tokens.made == 1


def test_without_an_app_a_refused_token_is_answered_again(tokens: FakeRepositoryTokens) -> None:
    ports = TokenBrokerPorts(tasks=running(TaskStatus.RUNNING).tasks, tokens=tokens)
    request = {"taskId": TASK, "refused": fingerprint_of("secret")}
    assert answer_executor(request, ports)["token"] == "secret"


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        pytest.param({}, "taskId is required", id="no task"),
        pytest.param({"taskId": 7}, "taskId is required", id="a number"),
        pytest.param({"taskId": TASK, "refused": 7}, "refused must be", id="no fingerprint"),
    ],
)
def test_a_request_that_is_none_is_refused(
    request_: dict[str, object], says: str, tokens: FakeRepositoryTokens
) -> None:
    ports = TokenBrokerPorts(tasks=running(TaskStatus.RUNNING).tasks, tokens=tokens)
    assert says in answer_executor(request_, ports)["error"]
    assert tokens.asked == []
