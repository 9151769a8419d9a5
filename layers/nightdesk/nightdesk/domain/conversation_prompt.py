"""The prompt of a task that another agent sent: its text, and everything else as fenced data."""

from collections.abc import Sequence
from dataclasses import dataclass

from nightdesk.domain.errors import InvalidInputError
from nightdesk.domain.task import PROMPT_MAX
from nightdesk.domain.untrusted_text import fence_rule, fenced, without_hidden_text

#: Of the tasks before it in its context: the newest few, each cut.
EARLIER_MAX = 5
EARLIER_REQUEST_CHARACTERS = 3_000
EARLIER_RESULT_CHARACTERS = 8_000
_CUT = "\n[... the rest is left out]"


@dataclass(frozen=True, slots=True)
class Data:
    """Data that came with the text: `label` says what it is (lower-case letters and _)."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class EarlierTask:
    """A task of the same context: what was asked, how it ended (its status) and the answer."""

    request: str
    status: str
    result: str


def conversation_prompt(
    text: str, *, data: Sequence[Data], earlier: Sequence[EarlierTask], delimiter: str
) -> str:
    """The text as it came; data and earlier tasks (oldest first) are fenced below it.

    Raises:
        InvalidInputError: the text and its data are longer than a prompt may be. Earlier tasks
            are left out, the oldest first, until the prompt fits.
    """
    parts = [fenced(item.text, label=item.label, delimiter=delimiter) for item in data]
    kept = list(earlier[-EARLIER_MAX:])
    while True:
        prompt = _joined(text, parts, [_quoted(task, delimiter) for task in kept], delimiter)
        if len(prompt) <= PROMPT_MAX:
            return prompt
        if not kept:
            raise InvalidInputError(
                "message", f"the message and its data must have at most {PROMPT_MAX} characters"
            )
        kept.pop(0)


def _joined(text: str, data: list[str], earlier: list[str], delimiter: str) -> str:
    if not data and not earlier:
        return text
    sections = [text, fence_rule(delimiter)]
    if data:
        sections += ["Data that came with the request:", *data]
    if earlier:
        sections += ["Earlier tasks of this conversation, the oldest first:", *earlier]
    return "\n\n".join(sections)


def _quoted(task: EarlierTask, delimiter: str) -> str:
    request = _cut(without_hidden_text(task.request).strip(), EARLIER_REQUEST_CHARACTERS)
    result = _cut(without_hidden_text(task.result).strip(), EARLIER_RESULT_CHARACTERS)
    text = f"Asked:\n{request}\n\nEnded: {task.status}\n\nAnswered:\n{result or '(nothing)'}"
    return fenced(text, label="earlier_task", delimiter=delimiter)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[:length] + _CUT
