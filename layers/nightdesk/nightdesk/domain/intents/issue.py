"""A new issue in the task's own repository."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nightdesk.domain.intents.labels import LABEL_MAX, LABELS_AT_ONCE
from nightdesk.domain.intents.names import ISSUE, PROPOSED_BY
from nightdesk.domain.model import ToolSpec
from nightdesk.domain.tool import ToolResult

TITLE_MAX, BODY_MAX = 200, 20_000


@dataclass(frozen=True, slots=True)
class ProposeIssue:
    """The tool that proposes an issue. `proposed` tells how many there are so far."""

    allowed_labels: tuple[str, ...]
    most: int
    proposed: Callable[[], int]

    @property
    def spec(self) -> ToolSpec:
        known = ", ".join(self.allowed_labels) or "labels that the repository has already"
        return ToolSpec(
            name=PROPOSED_BY[ISSUE],
            description=(
                "Propose a new issue in this repository, for work that nobody has written down "
                f"yet. It is opened when your work is done. Labels: {known}. "
                f"May be called {self.most} time(s)."
            ),
            input_schema={
                "type": "object",
                "properties": {
                    "title": {"type": "string", "maxLength": TITLE_MAX},
                    "body": {"type": "string", "maxLength": BODY_MAX},
                    "labels": {
                        "type": "array",
                        "items": {"type": "string", "maxLength": LABEL_MAX},
                        "maxItems": LABELS_AT_ONCE,
                    },
                },
                "required": ["title", "body"],
                "additionalProperties": False,
            },
        )

    @property
    def idempotent(self) -> bool:
        return True

    def activity(self, arguments: Mapping[str, Any]) -> str:
        return f"{self.spec.name} {str(arguments.get('title', ''))[:80]}".strip()

    def run(self, arguments: Mapping[str, Any]) -> ToolResult:
        refusal = self._refusal(arguments)
        if refusal is not None:
            return ToolResult(refusal, is_error=True)
        return ToolResult("an issue is proposed")

    def intent_of(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "name": ISSUE,
            "title": arguments["title"],
            "body": arguments["body"],
            "labels": list(arguments.get("labels") or ()),
        }

    def _refusal(self, arguments: Mapping[str, Any]) -> str | None:
        title, body = arguments.get("title"), arguments.get("body")
        labels = arguments.get("labels") or []
        if not isinstance(title, str) or not title.strip() or len(title) > TITLE_MAX:
            return f"title must be 1 to {TITLE_MAX} characters"
        if not isinstance(body, str) or not body.strip() or len(body) > BODY_MAX:
            return f"body must be 1 to {BODY_MAX} characters"
        if not isinstance(labels, list) or len(labels) > LABELS_AT_ONCE:
            return f"labels must be a list of at most {LABELS_AT_ONCE} names"
        unknown = [str(x) for x in labels if not isinstance(x, str) or not self._allows(x)]
        if unknown:
            return f"not allowed: {', '.join(unknown)}; allowed: {', '.join(self.allowed_labels)}"
        if self.proposed() >= self.most:
            return f"issues may be proposed {self.most} time(s) only"
        return None

    def _allows(self, label: str) -> bool:
        return not self.allowed_labels or label in self.allowed_labels
