"""A turn of the offline planner."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call to make."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """The next turn: a sentence for people with the calls to make, or the final answer."""

    text: str
    calls: tuple[Call, ...] = ()
