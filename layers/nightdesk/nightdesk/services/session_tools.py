"""What a session may use: its tools, bound to the task beforehand, and its standing orders.

Nothing here takes an owner, a repository or a number from the model: the target is the Origin's.
The repository and the issue are fetched by the first tool call that needs them.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import cached_property, partial
from typing import Any

from nightdesk.domain.intents.ask import AskPerson
from nightdesk.domain.intents.changes import ProposeChange, ProposePullRequest
from nightdesk.domain.intents.issue import ProposeIssue
from nightdesk.domain.intents.labels import ProposeLabels
from nightdesk.domain.intents.names import (
    ASK,
    CHANGE,
    COMMENT,
    ISSUE,
    LABELS,
    PULL_REQUEST,
    REVIEW,
)
from nightdesk.domain.intents.review import ReportFinding
from nightdesk.domain.issue_text import IssueText
from nightdesk.domain.ports import TaskStore
from nightdesk.domain.review.marks import earlier_keys
from nightdesk.domain.session import EntryKind, Session
from nightdesk.domain.specialist import Specialist
from nightdesk.domain.task import Origin
from nightdesk.domain.tool import Tool
from nightdesk.domain.untrusted_text import fence_rule, fenced
from nightdesk.domain.workspace_files import Snapshot, SnapshotFile
from nightdesk.services.engine_ports import ExecutorPorts
from nightdesk.services.reading_tools import reading_tools
from nightdesk.services.reading_tools.read_issue import READ_ISSUE
from nightdesk.services.task_changes import TaskChanges

_ON_ASKING = f"You may ask people with {ASK}; otherwise nobody answers questions or approves plans."
_ON_NOT_ASKING = "Nobody answers questions or approves plans while you work."
_ON_THE_ANSWER = """\
You work in the background. {asking}
When you are done, answer without calling a tool. That answer, in GitHub Markdown, is what people
get{where}. Name files as paths with line numbers, and say what you could not find out."""

_AS_REVIEW = """\
, as the summary above your findings, if you report any with report_finding. Without findings
nothing is published and nobody is disturbed, which is the best outcome of a good change"""


def system_prompt(specialist: Specialist, origin: Origin) -> str:
    """The specialist's own words, its reminder, and the rules that hold for all of them."""
    where = ""
    if origin.target is not None and origin.allows(COMMENT):
        kind = "pull request" if origin.target.kind == "pull_request" else "issue"
        where = f", as a comment on the {kind}"
    if can_review(origin):
        where += _AS_REVIEW
    asking = _ON_ASKING if ASK in specialist.tools else _ON_NOT_ASKING
    parts = [specialist.prompt.strip()]
    if origin.delimiter:
        parts.append(fence_rule(origin.delimiter))
    parts.append(_ON_THE_ANSWER.format(asking=asking, where=where))
    if specialist.reminder:
        parts.append(f"**Reminder:** {specialist.reminder}")
    return "\n\n---\n\n".join(parts)


def opening_prompt(origin: Origin, tasks: TaskStore) -> str:
    """The task's words and, where it asks for them, the outputs of its dependencies as data."""
    if not origin.quotes_outputs:
        return origin.prompt
    parts = [origin.prompt]
    for task in tasks.view_for_claim(origin.depends_on).tasks.values():
        entry = tasks.entry(task.id, task.run, task.last_entry)
        if entry is not None and entry.kind is EntryKind.OUTPUT:
            quoted = fenced(entry.data["result"], label="output", delimiter=origin.delimiter)
            parts.append(f"The output of task {task.id}:\n{quoted}")
    return "\n\n".join(parts)


def can_review(origin: Origin) -> bool:
    """Whether the session's findings may become a review."""
    target = origin.target
    return target is not None and target.kind == "pull_request" and origin.allows(REVIEW) > 0


def tools_for(
    specialist: Specialist,
    origin: Origin,
    session: Session,
    ports: ExecutorPorts,
    opened: ExitStack,
) -> Mapping[str, Tool]:
    """The tools by name. What they open is closed with `opened`.

    A task without a repository has no reading tools: there is nothing to read.
    """
    tools: list[Tool] = []
    target = origin.target
    if target is not None:
        changes = TaskChanges(ports.pulls, origin.task_id, target)
        # A schedule's target is a repository without an issue.
        allowed = [tool for tool in specialist.tools if target.number or tool != READ_ISSUE]

        def open_snapshot() -> Snapshot:
            return opened.enter_context(ports.snapshots.open(origin.task_id, changes.target))

        def read_issue() -> IssueText:
            return ports.issues.read(origin.task_id, target)

        def proposed(name: str) -> list[Mapping[str, Any]]:
            return [intent for intent in session.intents if intent["name"] == name]

        snapshot = _SnapshotOnDemand(open_snapshot)
        tools.extend(
            reading_tools(
                snapshot,
                read_issue,
                changes,
                delimiter=origin.delimiter,
                allowed=allowed,
            )
        )
        if can_review(origin):
            tools.append(
                ReportFinding(
                    lambda: changes.diff,
                    lambda: earlier_keys(changes.comments),
                    lambda: session.intents,
                )
            )
        if most := origin.allows(LABELS):
            tools.append(
                ProposeLabels(
                    origin.allowed_labels,
                    most,
                    lambda: len(proposed(LABELS)),
                )
            )
        if most := origin.allows(ISSUE):
            tools.append(ProposeIssue(origin.allowed_labels, most, lambda: len(proposed(ISSUE))))
        if target.kind == "issue" and (most := origin.allows(PULL_REQUEST)):
            so_far = partial(proposed, CHANGE)
            tools.append(ProposeChange(snapshot, origin.allowed_paths, so_far))
            tools.append(ProposePullRequest(most, lambda: len(proposed(PULL_REQUEST)), so_far))
    if ASK in specialist.tools:
        tools.append(AskPerson())
    return {tool.spec.name: tool for tool in tools}


class _SnapshotOnDemand:
    """A `Snapshot` that is fetched when the first tool looks at it."""

    def __init__(self, open_snapshot: Callable[[], Snapshot]) -> None:
        self._open = open_snapshot

    @cached_property
    def _snapshot(self) -> Snapshot:
        return self._open()

    @property
    def commit(self) -> str:
        return self._snapshot.commit

    @property
    def notices(self) -> tuple[str, ...]:
        return self._snapshot.notices

    def files(self) -> Iterator[SnapshotFile]:
        return self._snapshot.files()

    def read_text(self, path: str, *, max_bytes: int) -> str:
        return self._snapshot.read_text(path, max_bytes=max_bytes)
