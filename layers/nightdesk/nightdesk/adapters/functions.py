"""Invokes other Lambda functions of the deployment and waits, within a bound, for their answers."""

import json
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from typing import Any

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    HTTPClientError,
    ReadTimeoutError,
)
from botocore.session import Session

from nightdesk.domain.errors import UnavailableError
from nightdesk.domain.functions import FunctionFailedError, FunctionStillRunningError

#: API Gateway gives up after 30 seconds, and the API's own function after 28.
ANSWER_WITHIN = timedelta(seconds=20)
CONNECT_WITHIN = timedelta(seconds=2)

#: What Lambda answers when it had no room or could not run anything: a later call may do.
_PASSING = frozenset(
    {
        "EC2ThrottledException",
        "ResourceConflictException",
        "ResourceNotReadyException",
        "ServiceException",
        "ServiceUnavailable",
        "ThrottlingException",
        "TooManyRequestsException",
    },
)


class LambdaFunctions:
    """`Functions` on AWS Lambda. The client is made with the first call: few requests need it."""

    def __init__(
        self,
        session: Session | None = None,
        *,
        answer_within: timedelta = ANSWER_WITHIN,
    ) -> None:
        self._session = session
        self._answer_within = answer_within

    def invoke(self, name: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        try:
            answer = self._client.invoke(
                FunctionName=name,
                InvocationType="RequestResponse",
                Payload=json.dumps(payload).encode(),
            )
            text = answer["Payload"].read()
        except ReadTimeoutError as error:
            raise FunctionStillRunningError(f"{name} has not answered yet") from error
        except (ConnectTimeoutError, HTTPClientError, BotoCoreError) as error:
            raise UnavailableError(f"{name} cannot be reached") from error
        except ClientError as error:
            if error.response["Error"]["Code"] not in _PASSING:
                raise
            raise UnavailableError(f"{name} cannot be invoked now") from error
        if "FunctionError" in answer:
            raise FunctionFailedError(f"{name} failed")
        return _object(name, text)

    @cached_property
    def _client(self) -> Any:
        session = self._session or Session()
        # One try: a second one would run the function a second time.
        config = Config(
            connect_timeout=CONNECT_WITHIN.total_seconds(),
            read_timeout=self._answer_within.total_seconds(),
            retries={"total_max_attempts": 1},
        )
        return session.create_client("lambda", config=config)


def _object(name: str, text: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(text)
    except ValueError as error:
        raise FunctionFailedError(f"{name} answered no JSON") from error
    if not isinstance(answer, dict):
        raise FunctionFailedError(f"{name} answered no JSON object")
    return answer
