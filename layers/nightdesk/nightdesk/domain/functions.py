"""Calling another Lambda function of the deployment and waiting for its answer."""

from collections.abc import Mapping
from typing import Any, Protocol

from nightdesk.domain.errors import UnavailableError


class FunctionFailedError(UnavailableError):
    """The function ran and failed; what it said stays in its own log."""


class FunctionStillRunningError(UnavailableError):
    """The function has not answered in time; it goes on without us."""


class Functions(Protocol):
    """The functions that this one may invoke."""

    def invoke(self, name: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Run the function once and return its answer, a JSON object.

        Raises:
            FunctionFailedError: it raised, or answered something else than an object.
            FunctionStillRunningError: no answer within the adapter's bound.
            UnavailableError: throttled, or not reachable.
        """
        ...
