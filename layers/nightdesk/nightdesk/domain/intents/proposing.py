"""What every tool that proposes an intent has."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from nightdesk.domain.tool import Tool


@runtime_checkable
class ProposingTool(Tool, Protocol):
    """A tool whose accepted call is journalled as an intent."""

    def intent_of(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The intent of a call that `run` has accepted: its "name" and its own fields."""
        ...
