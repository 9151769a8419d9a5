"""`Functions` in memory."""

from collections.abc import Mapping
from typing import Any


class FakeFunctions:
    """Answers what a test has put into `answers` by name; an exception is raised instead."""

    def __init__(self) -> None:
        self.answers: dict[str, dict[str, Any] | Exception] = {}
        self.invoked: list[tuple[str, dict[str, Any]]] = []

    def invoke(self, name: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        self.invoked.append((name, dict(payload)))
        answer = self.answers.get(name, {})
        if isinstance(answer, Exception):
            raise answer
        return answer
