"""One finding of a review, and the keys by which it is known again after a push.

A key is a hash: of path and title, and of path and the code that the finding stands at. Line
numbers are not in them, since every push moves lines. Models word a title anew each time, so the
code alone is enough: two findings at one line of code are one conversation with its author.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nightdesk.domain.diff.pull_diff import Anchor

#: The gravest first.
SEVERITIES = ("critical", "warning", "suggestion")
FINDINGS_MAX = 10
TITLE_MAX = 150
BODY_MAX = 2_000
SUGGESTION_MAX = 2_000
PATH_MAX = 1_000
LINE_MAX = 10_000_000
_KEY_CHARACTERS = 16
#: Less code than this (`}`, `return None`) stands in many places and tells nothing apart.
_CODE_LEAST = 12
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What may hurt somebody, and where. Title, body and suggestion are Markdown, untrusted."""

    severity: str
    path: str
    line: int
    title: str
    body: str
    start_line: int | None = None
    suggestion: str = ""

    @property
    def anchor(self) -> Anchor:
        return Anchor(self.path, self.line, self.start_line)

    @property
    def rank(self) -> int:
        return SEVERITIES.index(self.severity)


def finding_from(data: Any) -> Finding | None:
    """A finding as a row of the outbox holds it; None for anything that is none.

    Whoever can write rows is bound here too: every text is cut to its bound.
    """
    if not isinstance(data, Mapping) or data.get("severity") not in SEVERITIES:
        return None
    path, line, title = data.get("path"), data.get("line"), data.get("title")
    if not isinstance(path, str) or not isinstance(title, str) or not _is_line(line):
        return None
    start = data.get("start_line")
    body, suggestion = data.get("body"), data.get("suggestion")
    return Finding(
        severity=data["severity"],
        path=path[:PATH_MAX],
        line=int(str(line)),
        title=title[:TITLE_MAX],
        body=body[:BODY_MAX] if isinstance(body, str) else "",
        start_line=int(str(start)) if _is_line(start) else None,
        suggestion=suggestion[:SUGGESTION_MAX] if isinstance(suggestion, str) else "",
    )


def _is_line(value: Any) -> bool:
    """DynamoDB gives numbers back as Decimal; 12.5 is no line."""
    return not isinstance(value, bool) and re.fullmatch(r"[1-9]\d{0,7}", str(value)) is not None


def findings_from(data: Any) -> tuple[Finding, ...]:
    """The findings of a row, the gravest first, FINDINGS_MAX at most."""
    found = [finding_from(item) for item in data] if isinstance(data, list | tuple) else []
    kept = sorted((one for one in found if one is not None), key=lambda one: one.rank)
    return tuple(kept[:FINDINGS_MAX])


def keys_of(path: str, title: str, code: str) -> frozenset[str]:
    """The keys of a finding; `code` is the line that it stands at, "" where it is unknown."""
    words = " ".join(_WORD.findall(title.casefold()))
    plain = " ".join(code.split())
    keys = [_key("title", path, words)] if words else []
    if len(plain.replace(" ", "")) >= _CODE_LEAST:
        keys.append(_key("code", path, plain))
    return frozenset(keys)


def _key(kind: str, path: str, text: str) -> str:
    source = f"{kind}\0{path}\0{text}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(source).hexdigest()[:_KEY_CHARACTERS]


def as_data(finding: Finding) -> dict[str, Any]:
    """A finding as it is journalled and stored; `finding_from` reads it."""
    data: dict[str, Any] = {
        "severity": finding.severity,
        "path": finding.path,
        "line": finding.line,
        "title": finding.title,
        "body": finding.body,
    }
    if finding.start_line is not None:
        data["start_line"] = finding.start_line
    if finding.suggestion:
        data["suggestion"] = finding.suggestion
    return data


def in_words(findings: Iterable[Finding]) -> str:
    """One line for each, for people who are asked to approve them."""
    return "\n".join(f"- {one.severity}: {one.anchor.shown}: {one.title}" for one in findings)
