"""The tools that a session reads its repository and its issue with."""

from collections.abc import Callable, Collection

from nightdesk.domain.issue_text import IssueText
from nightdesk.domain.tool import Tool
from nightdesk.domain.workspace_files import Snapshot
from nightdesk.services.reading_tools.list_files import ListFiles
from nightdesk.services.reading_tools.locate_code import LocateCode
from nightdesk.services.reading_tools.read_diff import ReadDiff
from nightdesk.services.reading_tools.read_file import ReadFile
from nightdesk.services.reading_tools.read_history import ReadHistory
from nightdesk.services.reading_tools.read_issue import ReadIssue
from nightdesk.services.reading_tools.search_code import SearchCode
from nightdesk.services.task_changes import TaskChanges

__all__ = ["READING_TOOLS", "reading_tools"]

READING_TOOLS = (
    ListFiles.name,
    ReadFile.name,
    SearchCode.name,
    LocateCode.name,
    ReadIssue.name,
    ReadDiff.name,
    ReadHistory.name,
)


def reading_tools(
    snapshot: Snapshot,
    fetch_issue: Callable[[], IssueText] | None,
    changes: TaskChanges | None = None,
    *,
    delimiter: str,
    allowed: Collection[str] = READING_TOOLS,
) -> tuple[Tool, ...]:
    """The allowed tools, bound to one snapshot, one issue and its changes.

    `delimiter` is the task's random word (16 to 64 hexadecimal digits), the same on every resume.
    The issue is fetched by the first call of `read_issue`, the changes by the first that needs
    them; None = there are no such tools.
    """
    tools: list[Tool] = [
        ListFiles(snapshot, delimiter),
        ReadFile(snapshot, delimiter),
        SearchCode(snapshot, delimiter),
        LocateCode(snapshot, delimiter),
    ]
    if fetch_issue is not None:
        tools.append(ReadIssue(fetch_issue, delimiter))
    if changes is not None:
        if changes.is_pull_request:
            tools.append(ReadDiff(changes, delimiter))
        tools.append(ReadHistory(changes, delimiter))
    return tuple(tool for tool in tools if tool.spec.name in allowed)
