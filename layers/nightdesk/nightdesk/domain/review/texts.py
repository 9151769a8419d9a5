"""The texts of a review, each through the sanitiser: its body, and a comment for each line."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nightdesk.domain.diff.pull_diff import Anchor
from nightdesk.domain.publication import COMMENT_MAX, signature
from nightdesk.domain.review.finding import Finding
from nightdesk.domain.review.marks import mark_of
from nightdesk.domain.sanitiser import Kind, Policy, sanitise

#: What the findings in the body leave of it; a summary is a few sentences.
_SUMMARY_MAX = 12_000
_FENCE = "````"


@dataclass(frozen=True, slots=True)
class KnownFinding:
    """A finding with its keys, which say what it is, and whether a comment can stand there."""

    finding: Finding
    keys: frozenset[str]
    is_inline: bool


@dataclass(frozen=True, slots=True)
class LineComment:
    """A comment at lines of the new file."""

    anchor: Anchor
    body: str


@dataclass(frozen=True, slots=True)
class ReviewDraft:
    """All of a review, as it is sent in one call."""

    commit: str
    body: str
    comments: tuple[LineComment, ...] = ()


def review_draft(
    payload: Mapping[str, Any],
    findings: Sequence[KnownFinding],
    *,
    commit: str,
    repeated: int,
    specialist: str,
    task_id: str,
    marker: str,
) -> ReviewDraft:
    """The review; the findings that are not inline stand in its body.

    The body bears the keys of all findings, so that they are known again even when the comments
    are deleted.
    """
    known = frozenset(key for one in findings for key in one.keys)
    tail = signature(payload, specialist=specialist, task_id=task_id)
    marks = "\n".join(mark for mark in (mark_of(known), marker) if mark)
    ending = f"{tail}\n\n{marks}\n"
    folded = [one.finding for one in findings if not one.is_inline]
    body = _body(payload.get("body"), folded, repeated, room=COMMENT_MAX - len(ending))
    return ReviewDraft(commit, body + ending, tuple(_comments(findings, marker)))


def _comments(findings: Iterable[KnownFinding], marker: str) -> Iterator[LineComment]:
    for one in findings:
        if one.is_inline:
            marks = "\n".join(mark for mark in (mark_of(one.keys), marker) if mark)
            room = COMMENT_MAX - len(marks) - 3
            text = sanitise(_told(one.finding), Policy(max_characters=room))
            yield LineComment(one.finding.anchor, f"{text}\n\n{marks}\n")


def _body(summary: object, folded: Sequence[Finding], repeated: int, *, room: int) -> str:
    said = summary if isinstance(summary, str) else ""
    parts = [sanitise(said, Policy(max_characters=_SUMMARY_MAX))]
    for finding in folded:
        place = f"`{finding.anchor.shown.replace('`', '')}`"
        parts.append(f"{place}: {_told(finding)}")
    if repeated:
        what = "finding was" if repeated == 1 else "findings were"
        parts.append(f"*{repeated} more {what} reported here before and not repeated.*")
    text = "\n\n".join(part for part in parts if part)
    return sanitise(text, Policy(max_characters=room))


def _told(finding: Finding) -> str:
    """One finding in Markdown, not yet sanitised as a whole."""
    title = sanitise(finding.title, Policy(kind=Kind.TITLE)) or "Finding"
    parts = [f"**{finding.severity.capitalize()}:** {title}", finding.body.strip()]
    if finding.suggestion.strip():
        code = finding.suggestion.replace(_FENCE, "```").rstrip()
        parts.append(f"Suggested change:\n\n{_FENCE}\n{code}\n{_FENCE}")
    return "\n\n".join(part for part in parts if part)
