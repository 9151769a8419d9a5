"""Labels to add to the issue or pull request of the task."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nightdesk.domain.intents.names import LABELS
from nightdesk.domain.model import ToolSpec
from nightdesk.domain.tool import ToolResult

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
