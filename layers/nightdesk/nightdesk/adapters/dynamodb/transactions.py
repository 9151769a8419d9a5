"""Conditional writes and transactions with one rule for what a failure means.

- A condition failed: `ConditionFailed`, with the items as they are.
- Conflict, throttle, 5xx, timeout: repeated with the same request token, up to `PATIENCE`.
- Still failing after that: `UnavailableError`; the outcome is unknown.
- Anything else (a wrong request, no rights) is raised as it is: a defect, not a state.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.exceptions import GetError, PynamoDBException, TransactWriteError, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from nightdesk.adapters.dynamodb.tables import connection
from nightdesk.domain.errors import UnavailableError

#: How long a transaction is repeated; far less than a lease (30 s).
PATIENCE = timedelta(seconds=8)

_RETRYABLE = frozenset(
    {
        "InternalServerError",
        "ItemCollectionSizeLimitExceededException",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
        "ThrottlingError",
        "ThrottledException",
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
    },
)

Result = TypeVar("Result")


class ConditionFailed(Exception):  # noqa: N818 - not an error of ours: each store says what it means
    """A condition did not hold. `items` are the raw items that failed, in no particular order."""

    def __init__(self, items: tuple[Mapping[str, Any], ...] = ()) -> None:
        super().__init__("a condition failed")
        self.items = items


def transact(fill: Callable[[TransactWrite], None]) -> None:
    """Commit what `fill` adds to a transaction: all of it, or nothing.

    Its request token belongs to this very call and is the same for all of its repetitions: after a
    lost answer DynamoDB does not apply it again. It is random, because a token made of the content
    is the same for two executors that do the same thing at the same moment, and then DynamoDB
    tells both that they have won.

    Raises:
        ConditionFailed: some condition did not hold.
        UnavailableError: DynamoDB did not say whether it was applied.
    """
    token = uuid4().hex

    def once() -> None:
        with TransactWrite(connection=connection(), client_request_token=token) as transaction:
            fill(transaction)

    patiently(once)


def patiently(call: Callable[[], Result]) -> Result:
    """Make the call, again while the failure may pass; for calls that may be repeated.

    Raises:
        ConditionFailed, UnavailableError: see the module.
    """
    give_up = time.monotonic() + PATIENCE.total_seconds()
    pause = 0.025
    while True:
        try:
            return call()
        except PynamoDBException as error:
            if _condition_failed(error):
                raise ConditionFailed(_failed_items(error)) from error
            if not _may_pass(error):
                raise
            if time.monotonic() + pause > give_up:
                raise UnavailableError(f"DynamoDB: {_code(error)}") from error
        time.sleep(pause)
        pause = min(pause * 2, 1.0)


def update_telling(item: Model, *, actions: list[Action], condition: Condition) -> None:
    """Update the item and take it over as it is then; a failed condition tells what it was.

    PynamoDB's own `update` cannot ask for ReturnValuesOnConditionCheckFailure.

    Raises:
        ConditionFailed: with the item, unless there is none.
        UnavailableError: see the module.
    """
    request = item.get_update_kwargs_from_instance(
        actions, condition, return_values_on_condition_failure="ALL_OLD"
    )

    def once() -> Mapping[str, Any]:
        try:
            answer: Mapping[str, Any] = connection().dispatch(
                "UpdateItem", {**request, "ReturnValues": "ALL_NEW"}
            )
        except (BotoCoreError, ClientError) as error:
            raise UpdateError("UpdateItem", error) from error
        return answer

    item.deserialize(patiently(once)["Attributes"])


@contextmanager
def translated() -> Iterator[None]:
    """Say in our words what went wrong with a read.

    Raises:
        UnavailableError: throttled, timed out or 5xx.
    """
    try:
        yield
    except PynamoDBException as error:
        if not _may_pass(error):
            raise
        raise UnavailableError(f"DynamoDB: {_code(error)}") from error


def batch_get(request: Mapping[str, Any]) -> dict[str, Any]:
    """BatchGetItem over several tables, which PynamoDB's models cannot do.

    Raises:
        UnavailableError: throttled, timed out or 5xx.
    """
    with translated():
        try:
            return connection().dispatch("BatchGetItem", {"RequestItems": dict(request)})
        except (BotoCoreError, ClientError) as error:
            raise GetError("BatchGetItem", error) from error


def _code(error: PynamoDBException) -> str:
    return _response_code(error) or type(error.cause).__name__


def _response_code(error: PynamoDBException) -> str:
    """DynamoDB's own code for the failure; "" when it did not answer at all.

    PynamoDB's `cause_response_code` breaks on an error without an answer, whose `response` is None.
    """
    response = getattr(error.cause, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def _condition_failed(error: PynamoDBException) -> bool:
    if isinstance(error, TransactWriteError):
        return any(r and r.code == "ConditionalCheckFailed" for r in error.cancellation_reasons)
    return _response_code(error) == "ConditionalCheckFailedException"


def _failed_items(error: PynamoDBException) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(error, TransactWriteError):
        # PynamoDB leaves the item out of its own error, which is raised from botocore's.
        told = getattr(error.cause, "__cause__", None)
        item = (getattr(told, "response", None) or {}).get("Item")
        return (item,) if item else ()
    reasons = (r for r in error.cancellation_reasons if r)
    return tuple(r.raw_item for r in reasons if r.code == "ConditionalCheckFailed" and r.raw_item)


def _is_5xx(code: str) -> bool:
    """Whether it is a bare status, as botocore tells a 5xx whose body is not DynamoDB's own."""
    return code.isdecimal() and code.startswith("5")


def _may_pass(error: PynamoDBException) -> bool:
    if isinstance(error, TransactWriteError) and error.cancellation_reasons:
        codes = {r.code for r in error.cancellation_reasons if r}
        return bool(codes) and codes <= _RETRYABLE
    if code := _response_code(error):
        return code in _RETRYABLE or _is_5xx(code)
    # No answer at all: refused, cut or timed out.
    return isinstance(error.cause, BotoCoreError)
