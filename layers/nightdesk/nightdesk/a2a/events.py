"""What a stream tells of a task: the journal's entries, numbered, and the changes of its state.

Every stream of a task reads the same journal, so all get the same events in the same order, and one
that was cut goes on where it was: each event carries its place, {"nightdesk": {"run", "sequence"}}.
What tools were told and answered stays in the journal; an event names the tool.
"""

import re
from collections.abc import Iterator
from typing import Any, TypeAlias

from a2a.types import (
    Message,
    Part,
    Role,
    TaskArtifactUpdateEvent,
    TaskState,
    TaskStatusUpdateEvent,
)
from a2a.types import TaskStatus as WireStatus

from nightdesk.a2a.wire import artifacts_of, context_of, state_of, timestamp, wire_status
from nightdesk.domain.conversations import SentTask
from nightdesk.domain.errors import InvalidInputError
from nightdesk.domain.ports import TaskStore
from nightdesk.domain.session import Entry, EntryKind
from nightdesk.domain.task import Task
from nightdesk.services.show_question import show_question

Event: TypeAlias = TaskStatusUpdateEvent | TaskArtifactUpdateEvent
_PLACE = re.compile(r"([0-9]{1,4})-([0-9]{1,6})", re.ASCII)


def place_in(text: str) -> tuple[int, int]:
    """Run and sequence out of `<run>-<sequence>`, as Last-Event-ID gives it back.

    Raises:
        InvalidInputError: it is none.
    """
    found = _PLACE.fullmatch(text.strip())
    if found is None:
        raise InvalidInputError("Last-Event-ID", "Last-Event-ID must be <run>-<sequence>")
    return int(found[1]), int(found[2])


class TaskEvents:
    """Reads a task again and again; each time it tells what is new."""

    def __init__(
        self,
        task: Task,
        sent: SentTask | None,
        *,
        tasks: TaskStore,
        after: tuple[int, int] | None = None,
    ) -> None:
        """`after` is the last place that the client has seen; None: `task` as it is here."""
        self._tasks, self._task = tasks, task
        self._context_id = context_of(task, sent)
        self._run, self._told = after or (task.run, task.last_entry)
        self._state = state_of(task) if after is None else TaskState.TASK_STATE_UNSPECIFIED

    @property
    def task(self) -> Task:
        """The task as it was read last."""
        return self._task

    def new(self) -> list[Event]:
        """Everything since the last time, in order. A task that is gone tells nothing more."""
        read = self._tasks.get(self._task.id)
        if read is None:
            return []
        self._task = read
        if read.run != self._run:
            self._run, self._told = read.run, 0
        entries = self._tasks.entries(read.id, read.run, after=self._told)
        events: list[Event] = []
        for entry in entries:
            events += self._events_of(entry)
            self._told = entry.seq
        return [*events, *self._change()]

    def _change(self) -> Iterator[Event]:
        """The state, when it is another one; after all entries that led to it."""
        state = state_of(self._task)
        if state == self._state:
            return
        self._state = state
        question = show_question(self._task, tasks=self._tasks)
        status = wire_status(self._task, self._context_id, question=question)
        yield self._status_event(status, self._task.last_entry)

    def _events_of(self, entry: Entry) -> Iterator[Event]:
        if entry.kind is EntryKind.OUTPUT:
            for artifact in artifacts_of(entry.data):
                yield TaskArtifactUpdateEvent(
                    task_id=self._task.id,
                    context_id=self._context_id,
                    artifact=artifact,
                    last_chunk=True,
                    metadata=self._place(entry.seq),
                )
            return
        text = _text(entry)
        if not text:
            return
        self._state = TaskState.TASK_STATE_WORKING  # the event below says so
        status = WireStatus(
            state=TaskState.TASK_STATE_WORKING,
            timestamp=timestamp(entry.at),
            message=Message(
                message_id=f"{self._task.id}-{entry.run}-{entry.seq}",
                context_id=self._context_id,
                task_id=self._task.id,
                role=Role.ROLE_AGENT,
                parts=[Part(text=text, media_type="text/plain")],
            ),
        )
        yield self._status_event(status, entry.seq)

    def _status_event(self, status: WireStatus, sequence: int) -> Event:
        return TaskStatusUpdateEvent(
            task_id=self._task.id,
            context_id=self._context_id,
            status=status,
            metadata=self._place(sequence),
        )

    def _place(self, sequence: int) -> dict[str, Any]:
        return {"nightdesk": {"run": self._run, "sequence": sequence}}


def _text(entry: Entry) -> str:
    """What may be said of an entry in public; "" = nothing."""
    match entry.kind:
        case EntryKind.TURN:
            content = entry.data["message"]["content"]
            names = [block["toolUse"]["name"] for block in content if "toolUse" in block]
            return f"Running: {', '.join(names)}" if names else "Thinking"
        case EntryKind.TOOL:
            outcome = "Failed" if entry.data["isError"] else "Completed"
            return f"{outcome}: {entry.data['name']}"
        case EntryKind.NOTE | EntryKind.ANSWER:
            return "A message was taken in"
        case EntryKind.FAILURE:
            return f"An attempt failed: {entry.data['code']}"
        case EntryKind.HANDOVER:
            return "Goes on elsewhere"
        case _:
            return ""
