"""The public event log of a run: what its journal says, short, numbered from 1 without a gap.

A fold over the journal: an entry adds its events at the end and changes none before, so that a
reader who has seen number N goes on after N. Prompts never come into it, and of what tools
answered only the beginning does.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from nightdesk.domain.intents.names import COMMENT, REVIEW
from nightdesk.domain.model import Block, Message
from nightdesk.domain.session import Entry, EntryKind

TEXT_MAX = 500


class EventKind(StrEnum):
    """What may happen in a run."""

    TURN = "turn"
    TOOL_STARTED = "tool_started"
    TOOL_COMPLETED = "tool_completed"
    INTENT = "intent"
    NOTE = "note"
    WAITING = "waiting"
    ANSWERED = "answered"
    HAND_OVER = "hand_over"
    FAILED = "failed"
    COMPLETED = "completed"


@dataclass(frozen=True, slots=True)
class Event:
    """`text` has at most TEXT_MAX characters; `tool` is a tool's name, None for other events."""

    number: int
    kind: EventKind
    at: datetime
    text: str
    tool: str | None = None
    #: Only of a completed tool call and of a failure: it failed; a failed attempt is made again.
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class _Happening:
    """An event without its number and its time."""

    kind: EventKind
    text: str
    tool: str | None = None
    is_error: bool = False


def event_log(entries: Iterable[Entry]) -> list[Event]:
    """The events of one run's journal, in order."""
    events: list[Event] = []
    projection = _Projection()
    for entry in entries:
        for seen in projection.of(entry):
            text = _short(seen.text)
            number = len(events) + 1
            events.append(Event(number, seen.kind, entry.at, text, seen.tool, seen.is_error))
    return events


@dataclass(slots=True)
class _Projection:
    """Remembers the tool calls of the newest turn that have not ended: the first one runs."""

    _open_calls: list[Block] = field(default_factory=list)

    def of(self, entry: Entry) -> Iterator[_Happening]:
        data = entry.data
        match entry.kind:
            case EntryKind.TURN:
                yield from self._turn(data["message"])
            case EntryKind.TOOL:
                yield from self._tool(data)
            case EntryKind.NOTE:
                yield _Happening(EventKind.NOTE, data["text"])
            case EntryKind.WAIT:
                yield _Happening(EventKind.WAITING, f"{data['reason']}: {data['text']}")
            case EntryKind.ANSWER:
                said = f": {data['text']}" if data["text"] else ""
                yield _Happening(EventKind.ANSWERED, f"{data['decision']}{said}")
            case EntryKind.HANDOVER:
                yield _Happening(EventKind.HAND_OVER, data["reason"])
            case EntryKind.FAILURE:
                again = "; it will be tried again" if data["retry"] else ""
                text = f"{data['code']}: {data['message']}{again}"
                yield _Happening(EventKind.FAILED, text, is_error=True)
            case EntryKind.OUTPUT:
                yield from self._output(data)

    def _turn(self, message: Message) -> Iterator[_Happening]:
        texts = (str(block["text"]) for block in message["content"] if "text" in block)
        yield _Happening(EventKind.TURN, "\n".join(texts).strip())
        self._open_calls = [b["toolUse"] for b in message["content"] if "toolUse" in b]
        yield from self._started()

    def _tool(self, data: Mapping[str, Any]) -> Iterator[_Happening]:
        is_error = bool(data["isError"])
        yield _Happening(EventKind.TOOL_COMPLETED, data["text"], data["name"], is_error)
        if intent := data.get("intent"):
            yield _Happening(EventKind.INTENT, _intent_text(intent))
        self._open_calls = self._open_calls[1:]
        yield from self._started()

    def _output(self, data: Mapping[str, Any]) -> Iterator[_Happening]:
        """The other intents were told when they were proposed; these two are the answer itself."""
        for intent in data.get("intents", ()):
            if intent["name"] in {COMMENT, REVIEW}:
                yield _Happening(EventKind.INTENT, intent["name"])
        yield _Happening(EventKind.COMPLETED, data["result"])

    def _started(self) -> Iterator[_Happening]:
        """Calls of a turn run one after the other: the first that has not ended has started."""
        for call in self._open_calls[:1]:
            yield _Happening(EventKind.TOOL_STARTED, _as_json(call["input"]), call["name"])


def _intent_text(intent: Mapping[str, Any]) -> str:
    details = {name: value for name, value in intent.items() if name != "name"}
    return f"{intent['name']} {_as_json(details)}" if details else str(intent["name"])


def _as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _short(text: str) -> str:
    return text if len(text) <= TEXT_MAX else f"{text[: TEXT_MAX - 1]}…"
