"""How an executor gets the token for its task's repository: it asks the token broker."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from nightdesk.adapters.functions import LambdaFunctions
from nightdesk.domain.errors import ErrorCode, PermanentError, TryLaterError
from nightdesk.domain.functions import Functions
from nightdesk.domain.github_ports import RepositoryToken, fingerprint_of
from nightdesk.domain.ports import Clock

#: A token is kept in the process for this long at most, and never into its last five minutes.
KEPT_FOR = timedelta(minutes=5)
_MARGIN = timedelta(minutes=5)


class BrokeredTokens:
    """`TaskTokens` from the broker function. Keeps the token of one task: the one that runs."""

    def __init__(
        self, function_name: str, *, clock: Clock, functions: Functions | None = None
    ) -> None:
        self._function_name = function_name
        self._clock = clock
        self._functions: Functions = functions or LambdaFunctions()
        self._kept: tuple[str, datetime, RepositoryToken] | None = None
        self._refused = ("", "")

    def token_for(self, task_id: str) -> RepositoryToken:
        if self._kept and self._kept[0] == task_id and self._clock.now() < self._kept[1]:
            return self._kept[2]
        return self._asked({"taskId": task_id})

    def renewed(self, token: str) -> str:
        """Another token instead of one that GitHub has refused; "" when there is none.

        The broker is asked once for each refused token, by its fingerprint: with a GitHub App it
        makes another. What a reader still holds is answered from what was asked before.

        Raises:
            As `token_for`.
        """
        if self._kept is None or not token:
            return ""
        task_id, _, kept = self._kept
        if self._refused != (task_id, token):
            if kept.token != token:
                return ""
            self._refused = task_id, token
            kept = self._asked({"taskId": task_id, "refused": fingerprint_of(token)})
        return kept.token if kept.token != token else ""

    def _asked(self, request: Mapping[str, str]) -> RepositoryToken:
        now, task_id = self._clock.now(), request["taskId"]
        token = _token_of(self._functions.invoke(self._function_name, request), task_id)
        usable_until = now + KEPT_FOR
        if token.expires_at:
            usable_until = min(usable_until, token.expires_at - _MARGIN)
        self._kept = task_id, usable_until, token
        return token


def _token_of(answer: Mapping[str, Any], task_id: str) -> RepositoryToken:
    token = answer.get("token")
    if not isinstance(token, str):
        reason = answer.get("error") or "the broker answered none"
        message = f"no token for task {task_id}: {reason}"
        wait = answer.get("retryAfter")
        if isinstance(wait, int | float):
            raise TryLaterError(message, retry_after=timedelta(seconds=wait))
        raise PermanentError(message, ErrorCode.REPOSITORY_UNREACHABLE)
    expires = answer.get("expiresAt")
    return RepositoryToken(
        token=token,
        repo=str(answer.get("repo", "")),
        expires_at=datetime.fromisoformat(expires) if expires else None,
    )
