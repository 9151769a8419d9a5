"""A review of the task's pull request: findings that are proposed one by one, and their summary.

`report_finding` journals an intent `finding` for each; the end of the session makes one `review`
of them: {"name": "review", "body": the answer, "head": commit, "findings": [...]}.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nightdesk.domain.diff.pull_diff import FileDiff, PullDiff, refusal_of, takes_no_comments
from nightdesk.domain.errors import InvalidInputError
from nightdesk.domain.intents.names import FINDING, REPORT_FINDING, REVIEW
from nightdesk.domain.model import ToolSpec
from nightdesk.domain.pull_ports import HeadMovedError
from nightdesk.domain.review.finding import (
    BODY_MAX,
    FINDINGS_MAX,
    LINE_MAX,
    PATH_MAX,
    SEVERITIES,
    SUGGESTION_MAX,
    TITLE_MAX,
    Finding,
    as_data,
    finding_from,
    keys_of,
)
from nightdesk.domain.tool import ToolResult
from nightdesk.domain.tool_arguments import checked_arguments
from nightdesk.domain.untrusted_text import without_hidden_text

_LINE = {"type": "integer", "minimum": 1, "maximum": LINE_MAX}
_PROPERTIES: dict[str, dict[str, Any]] = {
    "severity": {
        "type": "string",
        "enum": list(SEVERITIES),
        "description": (
            "critical: wrong results, lost data, a hole in security. warning: goes wrong under "
            "conditions that will occur. suggestion: clearly better, and cheap"
        ),
    },
    "path": {"type": "string", "minLength": 1, "maxLength": PATH_MAX},
    "line": {**_LINE, "description": "Line of the new file, as read_diff shows it"},
    "start_line": {**_LINE, "description": "First line, where several are meant; same hunk"},
    "title": {
        "type": "string",
        "minLength": 3,
        "maxLength": TITLE_MAX,
        "description": "What goes wrong, in one short sentence",
    },
    "body": {
        "type": "string",
        "minLength": 10,
        "maxLength": BODY_MAX,
        "description": "Which input or order of events leads through which lines to what harm",
    },
    "suggestion": {
        "type": "string",
        "maxLength": SUGGESTION_MAX,
        "description": "The smallest change that mends it, as code",
    },
}


@dataclass(frozen=True, slots=True)
class ReportFinding:
    """The tool that proposes one finding, checked at once against the diff.

    `reported` are the intents proposed so far; `earlier` the keys of findings that stand on the
    pull request already.
    """

    diff: Callable[[], PullDiff]
    earlier: Callable[[], frozenset[str]]
    reported: Callable[[], Sequence[Mapping[str, Any]]]

    @property
    def spec(self) -> ToolSpec:
        return ToolSpec(
            name=REPORT_FINDING,
            description=(
                "Report one finding at a line of the diff; it becomes a comment there when your "
                f"review is published. At most {FINDINGS_MAX}. What is wrong elsewhere because of "
                "this pull request is reported at the changed line that causes it."
            ),
            input_schema={
                "type": "object",
                "properties": _PROPERTIES,
                "required": ["severity", "path", "line", "title", "body"],
                "additionalProperties": False,
            },
        )

    @property
    def idempotent(self) -> bool:
        return True

    def activity(self, arguments: Mapping[str, Any]) -> str:
        path = " ".join(without_hidden_text(str(arguments.get("path", ""))).split())
        return f"{REPORT_FINDING} {path[:80]}:{str(arguments.get('line', ''))[:8]}"

    def run(self, arguments: Mapping[str, Any]) -> ToolResult:
        """Check the finding; `intent_of` turns one that passes into the intent."""
        try:
            checked_arguments(self.spec.input_schema, arguments)
            return self._judged(_finding_of(arguments), self.diff())
        except (InvalidInputError, HeadMovedError) as refused:
            return ToolResult(f"{REPORT_FINDING}: {refused}", is_error=True)

    def intent_of(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        finding = _finding_of(arguments)
        return {"name": FINDING, "head": self.diff().head_sha, **as_data(finding)}

    def _judged(self, finding: Finding, diff: PullDiff) -> ToolResult:
        file = diff.file(finding.path)
        if file is None or not takes_no_comments(file):
            refusal = refusal_of(finding.anchor, diff)
            if refusal:
                raise InvalidInputError("line", refusal)
        keys = keys_of(finding.path, finding.title, file.text_of(finding.line) if file else "")
        if keys & self.earlier():
            message = "it was reported on this pull request before, and is not repeated"
            raise InvalidInputError("title", message)
        reported = [one for one in self.reported() if one["name"] == FINDING]
        if any(keys & keys_of(o["path"], o["title"], "") for o in reported):
            raise InvalidInputError("title", "you have reported it already")
        if len(reported) >= FINDINGS_MAX:
            message = f"{FINDINGS_MAX} findings are the most; end with your summary"
            raise InvalidInputError("title", message)
        return ToolResult(_accepted(finding, file, len(reported) + 1))


def _finding_of(arguments: Mapping[str, Any]) -> Finding:
    """The finding of arguments that fit the schema."""
    finding = finding_from(arguments)
    if finding is None:
        raise InvalidInputError("severity", "the finding is incomplete")
    return finding


def _accepted(finding: Finding, file: FileDiff | None, count: int) -> str:
    where = "in the review's text, since GitHub shows no lines of that file"
    if file is not None and not takes_no_comments(file):
        where = f"at {finding.anchor.shown}"
    return f"reported ({count} of {FINDINGS_MAX}), {where}"


def review_intent(answer: str, proposed: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The one review of a session. A finding that was made at an older head is left out."""
    findings = [intent for intent in proposed if intent["name"] == FINDING]
    head = findings[-1]["head"] if findings else ""
    kept = [
        {key: value for key, value in intent.items() if key not in {"name", "head"}}
        for intent in findings
        if intent["head"] == head
    ]
    return {"name": REVIEW, "body": answer, "head": head, "findings": kept}
