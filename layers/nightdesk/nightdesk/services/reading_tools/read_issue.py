"""The tool `read_issue`: the issue or pull request that the task is about, and no other."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from nightdesk.domain.issue_text import IssueText
from nightdesk.domain.tool import ToolResult
from nightdesk.services.reading_tools.reading_tool import MAX_RESULT_CHARACTERS, ReadingTool

READ_ISSUE = "read_issue"


class ReadIssue(ReadingTool):
    name = READ_ISSUE
    description = (
        "Read the issue or pull request that this task is about: title, author, labels, "
        "description and comments. It takes no arguments."
    )

    def __init__(self, fetch: Callable[[], IssueText], delimiter: str) -> None:
        super().__init__(delimiter)
        self._fetch = fetch

    @cached_property
    def _issue(self) -> IssueText:
        return self._fetch()

    def answer(self, arguments: Mapping[str, Any]) -> ToolResult:
        del arguments  # there are none
        text = self._issue.visible().to_text()
        cut = len(text) - MAX_RESULT_CHARACTERS
        notes = [f"The last {cut} characters are left out."] if cut > 0 else []
        if left_out := self._issue.comments_left_out:
            notes.append(f"{left_out} later comments are left out.")
        return self.data("issue", text[:MAX_RESULT_CHARACTERS], " ".join(notes))
