"""What a tool of a session is: a name that the model calls, bound to the task beforehand."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from nightdesk.domain.model import ToolSpec


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What the model is told. `is_error`: a refusal or failure that the model may react to."""

    text: str
    is_error: bool = False


class Tool(Protocol):
    """A tool never takes an owner, repository, number or URL from the model."""

    @property
    def spec(self) -> ToolSpec: ...

    @property
    def idempotent(self) -> bool:
        """Whether an interrupted call may simply be repeated after a crash."""
        ...

    def activity(self, arguments: Mapping[str, Any]) -> str:
        """One short line for people, such as `read_file src/cache.py`. Never raises."""
        ...

    def run(self, arguments: Mapping[str, Any]) -> ToolResult:
        """Do it. Bad arguments are an error result, never an exception.

        Raises:
            TransientError: the outside world failed; the attempt may be repeated.
        """
        ...
