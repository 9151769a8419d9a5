"""The hidden keys in our published findings, by which later reviews do not repeat them."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nightdesk.domain.pull_ports import PullComment
from nightdesk.domain.trigger import MARKER_START
from nightdesk.domain.untrusted_text import without_hidden_text

_MARK = re.compile(re.escape(MARKER_START) + r"findings:(?P<keys>[0-9a-f,]{1,2000}) -->")
_ANSWER_CHARACTERS = 500
_TEXT_CHARACTERS = 600
_SHOWN = 60


def mark_of(keys: Iterable[str]) -> str:
    """A hidden line with the keys of a text's findings; "" for none."""
    ordered = sorted(set(keys))
    return f"{MARKER_START}findings:{','.join(ordered)} -->" if ordered else ""


def keys_in(text: str) -> frozenset[str]:
    """The keys that a text of ours bears."""
    found = (match["keys"].split(",") for match in _MARK.finditer(text))
    return frozenset(key for keys in found for key in keys if key)


@dataclass(frozen=True, slots=True)
class EarlierFinding:
    """A finding that stands on the pull request already; answers are people's, oldest first."""

    path: str
    line: int | None
    text: str
    answers: tuple[str, ...] = ()

    def shown(self) -> str:
        """Where, what, and what people said to it, in a few lines."""
        place = f"{self.path}:{self.line}" if self.line else self.path
        head = f"- {place}: " if place else "- "
        return "\n  ".join([head + self.text, *(f"answered: {a}" for a in self.answers)])


def earlier_findings(comments: Sequence[PullComment]) -> tuple[EarlierFinding, ...]:
    """Our findings among the comments of a pull request, the latest of them.

    A stranger can copy a marker to have a finding passed over, so only bots and members count.
    """
    answers: dict[int, list[str]] = {}
    for comment in comments:
        if comment.in_reply_to is not None and not keys_in(comment.body):
            said = _plain(comment.body, _ANSWER_CHARACTERS)
            answers.setdefault(comment.in_reply_to, []).append(said)
    ours = [one for one in comments if one.path and one.is_trusted and keys_in(one.body)]
    return tuple(
        EarlierFinding(
            one.path, one.line, _plain(one.body, _TEXT_CHARACTERS), tuple(answers.get(one.id, ()))
        )
        for one in ours[-_SHOWN:]
    )


def earlier_keys(
    comments: Iterable[PullComment], *, author_id: int | None = None
) -> frozenset[str]:
    """All keys in the texts of an account or, where it is not known, of bots and members."""
    return frozenset(
        key
        for one in comments
        if (one.is_trusted if author_id is None else one.author_id == author_id)
        for key in keys_in(one.body)
    )


def _plain(text: str, length: int) -> str:
    words = " ".join(without_hidden_text(text).split())
    return words if len(words) <= length else f"{words[:length]} [...]"
