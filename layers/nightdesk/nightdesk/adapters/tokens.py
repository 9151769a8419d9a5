"""How an executor gets the token for its task's repository: it asks the token broker."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from nightdesk.domain.errors import ErrorCode, PermanentError, UnavailableError
from nightdesk.domain.github_ports import RepositoryToken
from nightdesk.domain.ports import Clock

#: A token is kept in the process for this long at most, and never past its last five minutes.
KEPT_FOR = timedelta(minutes=5)
_MARGIN = timedelta(minutes=5)
_CONFIG = Config(
    connect_timeout=1,
    read_timeout=15,
    retries={"total_max_attempts": 2, "mode": "standard"},
)


class BrokeredTokens:
    """`TaskTokens` over lambda:InvokeFunction. The client is made on first use."""

    def __init__(self, function_name: str, *, clock: Clock, region: str | None = None) -> None:
        self._function_name = function_name
        self._clock = clock
        self._region = region
        self._client: Any = None
        self._kept: tuple[str, datetime, RepositoryToken] | None = None

    def token_for(self, task_id: str) -> RepositoryToken:
        now = self._clock.now()
        if self._kept and self._kept[0] == task_id and now < self._kept[1]:
            return self._kept[2]
        token = self._answered(self._invoke(task_id), task_id)
        usable_until = now + KEPT_FOR
        if token.expires_at:
            usable_until = min(usable_until, token.expires_at - _MARGIN)
        self._kept = task_id, usable_until, token
        return token

    def _invoke(self, task_id: str) -> Any:
        try:
            answer = self._lambda().invoke(
                FunctionName=self._function_name,
                Payload=json.dumps({"taskId": task_id}).encode(),
            )
            payload = answer["Payload"].read()
        except (BotoCoreError, ClientError) as error:
            raise UnavailableError(f"token broker: {type(error).__name__}") from None
        if answer.get("FunctionError"):
            # Its payload is a stack trace, which nobody should carry further.
            raise UnavailableError("token broker: it failed")
        return json.loads(payload)

    def _answered(self, answer: Any, task_id: str) -> RepositoryToken:
        if not isinstance(answer, Mapping) or "error" in answer or "token" not in answer:
            reason = answer.get("error", "") if isinstance(answer, Mapping) else ""
            message = f"no token for task {task_id}: {reason or 'the broker answered nothing'}"
            raise PermanentError(message, ErrorCode.REPOSITORY_UNREACHABLE)
        expires = answer.get("expiresAt")
        return RepositoryToken(
            token=str(answer["token"]),
            repo=str(answer.get("repo", "")),
            expires_at=datetime.fromisoformat(expires) if expires else None,
        )

    def _lambda(self) -> Any:
        if self._client is None:
            session = botocore.session.get_session()
            self._client = session.create_client("lambda", region_name=self._region, config=_CONFIG)
        return self._client
