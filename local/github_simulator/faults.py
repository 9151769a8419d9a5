"""Describe what shall go wrong with the next matching requests."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

FaultKind = Literal["status", "drop_before", "drop_after", "delay", "stale_not_modified"]


@dataclass(kw_only=True)
class Fault:
    """One rule.

    `status` answers with `status`, `headers` and `body` instead of carrying the request out, or
    after it when `after` is set (an answer that was lost on its way); `drop_before` and
    `drop_after` close the connection without an answer, before or after the request takes effect;
    `delay` waits `seconds` first; `stale_not_modified` answers 304 to every conditional request.

    `count` is how many requests it still hits, None for ever; `skip` lets as many pass first.
    """

    id: int
    kind: FaultKind
    method: str = ".*"
    path: str = ".*"
    count: int | None = 1
    skip: int = 0
    status: int = 502
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    after: bool = False
    seconds: float = 0.0

    def __post_init__(self) -> None:
        """Refuse patterns that are no regular expressions.

        Raises:
            re.error: `method` or `path` is none.
        """
        re.compile(self.method)
        re.compile(self.path)

    def matches(self, method: str, path: str, *, conditional: bool) -> bool:
        """Whether the rule is about this request; `path` is searched, `method` is matched whole."""
        if self.count == 0 or (self.kind == "stale_not_modified" and not conditional):
            return False
        return bool(re.fullmatch(self.method, method) and re.search(self.path, path))


def next_fault(faults: list[Fault], method: str, path: str, *, conditional: bool) -> Fault | None:
    """Take the first rule that hits a request, and count it."""
    for fault in faults:
        if not fault.matches(method, path, conditional=conditional):
            continue
        if fault.skip > 0:
            fault.skip -= 1
            continue
        if fault.count is not None:
            fault.count -= 1
        return fault
    return None
