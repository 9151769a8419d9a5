"""What a published text is made of: the sanitised body, a footer for people, a marker for us."""

import re
from collections.abc import Mapping
from typing import Any

from nightdesk.domain.errors import PermanentError
from nightdesk.domain.intents.labels import LABELS_AT_ONCE
from nightdesk.domain.sanitiser import Kind, Policy, sanitise
from nightdesk.domain.trigger import MARKER_START

#: GitHub's limit for a comment.
COMMENT_MAX = 65_536
_ROW = re.compile(r"github#(?P<run>\d{4,8})#(?P<intent>[a-z_]{1,40})#(?P<number>[1-9]\d{0,3})")
_PART_CHARACTERS = 80
_CENT_MICROS = 10_000
_MANY = 1e15


def intent_of_row(row: str) -> tuple[str, int]:
    """Intent and number of `github#0001#comment#1`.

    Raises:
        PermanentError: the row is named otherwise.
    """
    match = _ROW.fullmatch(row)
    if match is None:
        raise PermanentError(f"{row[:100]!r} is no row of the publisher")
    return match["intent"], int(match["number"])


def marker_of(specialist: str, task_id: str, row: str) -> str:
    """The hidden line by which we know our own text again, wherever it was copied."""
    words = f"specialist:{_word(specialist)} task:{_word(task_id)} row:{_word(row)}"
    return f"{MARKER_START}{words} -->"


def thread_marker(specialist: str, task_id: str, row: str, key: str) -> str:
    """The marker of a tracking comment: what it shows, and what it is about."""
    return f"{marker_of(specialist, task_id, row).removesuffix('-->')}thread:{_word(key)} -->"


def is_marked(text: str, task_id: str, row: str) -> bool:
    """Whether a text bears the marker of this row, whichever specialist it names."""
    words = f" task:{_word(task_id)} row:{_word(row)} "
    return MARKER_START in text and (f"{words}-->" in text or f"{words}thread:" in text)


def is_of_thread(text: str, key: str) -> bool:
    """Whether a text bears the marker of the tracking comment of this key."""
    return MARKER_START in text and f" thread:{_word(key)} -->" in text


def _word(text: str) -> str:
    """No character that could end the HTML comment or part the words."""
    return re.sub(r"[^A-Za-z0-9_#.]+", "-", text)


def comment_body(payload: Mapping[str, Any], *, specialist: str, task_id: str, marker: str) -> str:
    """The comment as it is posted: at most COMMENT_MAX characters, ending with the marker.

    Raises:
        PermanentError: there is nothing to say.
    """
    text = payload.get("body")
    if not isinstance(text, str):
        raise PermanentError("the intent has no body")
    tail = f"{signature(payload, specialist=specialist, task_id=task_id)}\n\n{marker}\n"
    body = sanitise(text, Policy(max_characters=COMMENT_MAX - len(tail)))
    if not body:
        raise PermanentError("nothing is left of the body after sanitising")
    return body + tail


def signature(payload: Mapping[str, Any], *, specialist: str, task_id: str) -> str:
    """What stands below every text of ours: that a program wrote it, which, and for how long."""
    footer = payload.get("footer")
    facts = footer if isinstance(footer, Mapping) else {}
    return f"\n\n___\n\n{_footer(facts, specialist=specialist, task_id=task_id)}"


def pull_request_body(
    payload: Mapping[str, Any], *, specialist: str, task_id: str, number: int, marker: str
) -> str:
    """The text of a pull request: it refers to the task's own issue, and closes nothing."""
    text = payload.get("body")
    line = _footer({}, specialist=specialist, task_id=task_id)
    tail = f"\n\nRefs #{number}\n\n___\n\n{line}\n\n{marker}\n"
    policy = Policy(max_characters=COMMENT_MAX - len(tail))
    return sanitise(text if isinstance(text, str) else "", policy) + tail


def _footer(facts: Mapping[str, Any], *, specialist: str, task_id: str) -> str:
    parts = [f"{specialist}", f"task `{task_id[:8]}`"]
    if (duration := _number(facts.get("durationSeconds"))) is not None:
        parts.append(_duration(int(duration)))
    if cost := _number(facts.get("costMicros")):
        parts.append(f"${cost / 1e6:.2f}" if cost >= _CENT_MICROS else "less than 1 cent")
    if tokens := _number(facts.get("tokens")):
        parts.append(f"{int(tokens):,} tokens")
    model = facts.get("model")
    if isinstance(model, str) and model:
        parts.append(f"model `{model[:_PART_CHARACTERS].replace('`', '')}`")
    line = "Written by an automated agent: " + ", ".join(" ".join(p.split()) for p in parts)
    return sanitise(line, Policy(max_characters=1_000))


def _number(value: object) -> float | None:
    """A number that can be shown; None for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _MANY:
        return value
    return None


def _duration(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def allowed_labels(wanted: object, allowed: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the wanted labels that are allowed, in the allowed spelling, LABELS_AT_ONCE at most.

    GitHub takes `Bug` and `bug` for the same label.

    Raises:
        PermanentError: the intent names none, or none that is allowed.
    """
    if not isinstance(wanted, list | tuple):
        raise PermanentError("the intent has no list of labels")
    spelling = {name.lower(): name for name in allowed}
    cleaned = (sanitise(name, Policy(kind=Kind.LABEL)) for name in wanted if isinstance(name, str))
    found = dict.fromkeys(spelling[c.lower()] for c in cleaned if c.lower() in spelling)
    if not found:
        raise PermanentError("none of the proposed labels is allowed here")
    return tuple(found)[:LABELS_AT_ONCE]
