"""What a failed DynamoDB call means: a condition, a reason to try again, or a defect."""

from typing import Any, Self

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from pynamodb.exceptions import GetError, PynamoDBException, UpdateError

from nightdesk.adapters.dynamodb import transactions
from nightdesk.adapters.dynamodb.transactions import (
    ConditionFailed,
    patiently,
    transact,
    translated,
)
from nightdesk.domain.errors import UnavailableError


def refused(code: str) -> PynamoDBException:
    return UpdateError("refused", ClientError({"Error": {"Code": code}}, "UpdateItem"))


NO_ANSWER = [
    ReadTimeoutError(endpoint_url="http://x"),
    ConnectTimeoutError(endpoint_url="http://x"),
    EndpointConnectionError(endpoint_url="http://x"),
]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)


def failing(times: int, error: PynamoDBException) -> Any:
    left = [error] * times

    def call() -> str:
        if left:
            raise left.pop()
        return "done"

    return call


@pytest.mark.parametrize("cause", NO_ANSWER, ids=lambda cause: type(cause).__name__)
def test_a_call_without_an_answer_is_made_again(cause: Exception) -> None:
    assert patiently(failing(3, UpdateError("no answer", cause))) == "done"


@pytest.mark.parametrize("cause", NO_ANSWER, ids=lambda cause: type(cause).__name__)
def test_a_read_without_an_answer_is_unavailable(cause: Exception) -> None:
    with pytest.raises(UnavailableError, match=type(cause).__name__), translated():
        raise GetError("no answer", cause)


@pytest.mark.parametrize(
    "code",
    [
        "ThrottlingException",
        "ProvisionedThroughputExceededException",
        "TransactionConflictException",
        "InternalServerError",
        "503",  # what botocore makes of a 5xx whose body is not DynamoDB's
    ],
)
def test_what_may_pass_is_tried_again(code: str) -> None:
    assert patiently(failing(2, refused(code))) == "done"


def test_a_failed_condition_is_not_tried_again() -> None:
    with pytest.raises(ConditionFailed):
        patiently(failing(1, refused("ConditionalCheckFailedException")))


@pytest.mark.parametrize("code", ["AccessDeniedException", "ValidationException"])
def test_a_defect_is_raised_as_it_is(code: str) -> None:
    with pytest.raises(UpdateError):
        patiently(failing(1, refused(code)))
    with pytest.raises(UpdateError), translated():
        raise refused(code)


def test_what_never_passes_is_unavailable_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(100))
    monkeypatch.setattr("time.monotonic", lambda: next(ticks))

    with pytest.raises(UnavailableError, match="ThrottlingException"):
        patiently(failing(1000, refused("ThrottlingException")))


def test_a_repetition_has_the_calls_token_and_another_call_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same write by two executors is two writes: their tokens must differ."""
    tokens: list[str] = []

    class Failing:
        def __init__(self, *, connection: object, client_request_token: str) -> None:
            tokens.append(client_request_token)

        def __enter__(self) -> Self:
            if len(tokens) in (1, 2):
                raise UpdateError("no answer", NO_ANSWER[0])
            return self

        def __exit__(self, *error: object) -> None:
            return None

    monkeypatch.setattr(transactions, "TransactWrite", Failing)
    monkeypatch.setattr(transactions, "connection", lambda: None)

    transact(lambda transaction: None)
    transact(lambda transaction: None)

    first, second, third, other = tokens
    assert first == second == third != other
    assert len(first) <= 36, "DynamoDB's limit"
