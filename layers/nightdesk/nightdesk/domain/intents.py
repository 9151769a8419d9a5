"""What a session may ask to be done in the world: proposals, bounded by the task's Origin.

An intent is {"name": one of INTENTS, ...its own fields}. The publisher applies it later, to the
target that the Origin names, never to one that the model names.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nightdesk.domain.model import ToolSpec
from nightdesk.domain.outbox import OutboxRow, github_row
from nightdesk.domain.task import Origin
from nightdesk.domain.tool import ToolResult

COMMENT = "comment"
LABELS = "labels"
ASK = "ask_person"
QUESTION_MAX = 2_000
#: The tool through which an intent is proposed; the comment is the answer itself.
PROPOSED_BY = {LABELS: "propose_labels"}
#: GitHub's limit of a label's name is 50 characters; more labels than this at once is noise.
LABEL_MAX, LABELS_AT_ONCE = 50, 3


@dataclass(frozen=True, slots=True)
class ProposeLabels:
    """The tool that proposes labels for the task's issue or pull request.

    `proposed` tells how many `labels` intents the session has proposed so far.
    """

    allowed_labels: tuple[str, ...]
    most: int
    proposed: Callable[[], int]

    @property
    def spec(self) -> ToolSpec:
        known = ", ".join(self.allowed_labels) or "any label that the repository has already"
        return ToolSpec(
            name="propose_labels",
            description=(
                "Propose labels to be added to the issue or pull request of this task when the "
                f"work is done. Allowed: {known}. May be called {self.most} time(s)."
            ),
            input_schema={
                "type": "object",
                "properties": {
                    "labels": {
                        "type": "array",
                        "items": {"type": "string", "maxLength": LABEL_MAX},
                        "minItems": 1,
                        "maxItems": LABELS_AT_ONCE,
                    },
                },
                "required": ["labels"],
                "additionalProperties": False,
            },
        )

    @property
    def idempotent(self) -> bool:
        return True

    def activity(self, arguments: Mapping[str, Any]) -> str:
        labels = arguments.get("labels")
        names = ", ".join(map(str, labels)) if isinstance(labels, list) else ""
        return f"propose_labels {names}".strip()

    def run(self, arguments: Mapping[str, Any]) -> ToolResult:
        """Check the proposal; `intent_of` turns one that passes into the intent."""
        labels = arguments.get("labels")
        if not isinstance(labels, list) or not labels:
            return ToolResult("labels must be a list of one or more label names", is_error=True)
        if len(labels) > LABELS_AT_ONCE or not all(
            isinstance(label, str) and 0 < len(label) <= LABEL_MAX for label in labels
        ):
            return ToolResult(
                f"labels must be 1 to {LABELS_AT_ONCE} names of 1 to {LABEL_MAX} characters",
                is_error=True,
            )
        refused = [label for label in labels if not self._allows(label)]
        if refused:
            return ToolResult(
                f"not allowed: {', '.join(refused)}; allowed: {', '.join(self.allowed_labels)}",
                is_error=True,
            )
        if self.proposed() >= self.most:
            return ToolResult(f"labels may be proposed {self.most} time(s) only", is_error=True)
        return ToolResult(f"proposed: {', '.join(labels)}")

    def intent_of(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return {"name": LABELS, "labels": list(arguments["labels"])}

    def _allows(self, label: str) -> bool:
        return not self.allowed_labels or label in self.allowed_labels


@dataclass(frozen=True, slots=True)
class AskPerson:
    """The tool that asks a person; the session waits, without a slot, until somebody answers."""

    @property
    def spec(self) -> ToolSpec:
        return ToolSpec(
            name=ASK,
            description=(
                "Ask the people of this project one question and wait for the answer, which may "
                "take hours. Only for what you cannot find out and cannot do without."
            ),
            input_schema={
                "type": "object",
                "properties": {"question": {"type": "string", "maxLength": QUESTION_MAX}},
                "required": ["question"],
                "additionalProperties": False,
            },
        )

    @property
    def idempotent(self) -> bool:
        return True

    def activity(self, arguments: Mapping[str, Any]) -> str:
        return f"{ASK} {question_of(arguments)}".strip()

    def run(self, arguments: Mapping[str, Any]) -> ToolResult:
        """Only reached without a question: one that has a question waits for its answer."""
        del arguments
        limit = f"1 to {QUESTION_MAX} characters"
        return ToolResult(f"question must be a text of {limit}", is_error=True)


def question_of(arguments: Mapping[str, Any]) -> str:
    """The question on one line; "" when there is none that can be asked."""
    question = arguments.get("question")
    if not isinstance(question, str) or len(question) > QUESTION_MAX:
        return ""
    return " ".join(question.split())


def final_intents(
    answer: str, proposed: Iterable[Mapping[str, Any]], origin: Origin
) -> tuple[dict[str, Any], ...]:
    """All intents of a session that ended with this answer, cut to what its Origin allows.

    The answer itself is the comment, where a comment is allowed.
    """
    wanted = [*({**intent} for intent in proposed), {"name": COMMENT, "body": answer}]
    kept: list[dict[str, Any]] = []
    for intent in wanted:
        so_far = sum(1 for other in kept if other["name"] == intent["name"])
        if so_far < origin.allows(intent["name"]):
            kept.append(intent)
    return tuple(kept)


def outbox_rows(
    intents: Iterable[Mapping[str, Any]],
    *,
    task_id: str,
    run: int,
    footer: Mapping[str, Any],
    now: datetime,
) -> tuple[OutboxRow, ...]:
    """One row for each intent, named so that a repetition writes the same rows."""
    numbers: dict[str, int] = {}
    rows: list[OutboxRow] = []
    for intent in intents:
        name = intent["name"]
        numbers[name] = numbers.get(name, 0) + 1
        payload = {key: value for key, value in intent.items() if key != "name"}
        if name == COMMENT:
            payload["footer"] = dict(footer)
        rows.append(
            OutboxRow(
                task_id=task_id,
                row=github_row(run, name, numbers[name]),
                payload=payload,
                created_at=now,
            )
        )
    return tuple(rows)
