"""A session is a fold over its journal: the same entries always give the same next step.

Entry kinds and their `data`:
    turn     {"message": Message, "model": str, "usage": {...}}       a model turn that calls tools
    tool     {"toolUseId": str, "name": str, "text": str, "isError": bool, "intent"?: {...}}
    note     {"text": str, "by": str}                                 a person's message
    wait     {"reason": "approval" | "question", "toolUseId"?: str, "text": str}
             a person is asked: about this tool call, or (without one) about the final answer
    answer   {"decision": "approve" | "deny" | "reply", "text": str, "by": str}   what they said
    handover {"reason": str}                                          released between two steps
    failure  {"code": str, "message": str, "retry": bool}             an attempt that failed
    output   {"result": str, "message": Message, "model": str, "intents": [...]}   the final answer

The start of a tool call needs no entry of its own: calls of a turn run one after the other, so the
first one without a `tool` entry is the one that has started, or is about to.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from nightdesk.domain.model import Block, Message


class EntryKind(StrEnum):
    TURN = "turn"
    TOOL = "tool"
    NOTE = "note"
    WAIT = "wait"
    ANSWER = "answer"
    HANDOVER = "handover"
    FAILURE = "failure"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class Entry:
    """One journal entry. `seq` counts from 1 within a run, without gaps."""

    task_id: str
    run: int
    seq: int
    kind: EntryKind
    at: datetime
    data: Mapping[str, Any]


@dataclass(slots=True)
class Session:
    """What the journal says so far; `apply` moves it one entry on."""

    messages: list[Message]
    turns: int = 0
    last_seq: int = 0
    output: str | None = None
    #: What a person is asked, as journalled; None when nobody is.
    question: Mapping[str, Any] | None = None
    #: A final answer that waits for its approval, or has it.
    proposed_answer: Message | None = None
    answer_approved: bool = False
    #: What people have said about tool calls, by toolUseId.
    decisions: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    #: Intents in the order in which they were proposed.
    intents: list[Mapping[str, Any]] = field(default_factory=list)
    #: The tools whose calls have succeeded, one name for each call.
    tools_used: list[str] = field(default_factory=list)
    _open_calls: list[Block] = field(default_factory=list)
    _results: list[Block] = field(default_factory=list)
    _notes: list[str] = field(default_factory=list)

    @classmethod
    def opened_with(cls, prompt: str) -> "Session":
        """A session whose first user message is `prompt`."""
        return cls(messages=[{"role": "user", "content": [{"text": prompt}]}])

    @classmethod
    def replayed(cls, prompt: str, entries: Iterable[Entry]) -> "Session":
        """The session after these entries of one run, in their order."""
        session = cls.opened_with(prompt)
        for entry in entries:
            session.apply(entry)
        return session

    @property
    def next_call(self) -> Block | None:
        """The tool call to run next: {toolUseId, name, input}; None when it is the model's turn."""
        return self._open_calls[0] if self._open_calls else None

    @property
    def following_call(self) -> Block | None:
        """The call that starts once `next_call` has ended."""
        return self._open_calls[1] if len(self._open_calls) > 1 else None

    def apply(self, entry: Entry) -> None:
        """Take one entry in. Entries come without gaps, or the journal is broken."""
        if entry.seq != self.last_seq + 1:
            raise ValueError(f"journal gap: entry {entry.seq} after {self.last_seq}")
        self.last_seq = entry.seq
        match entry.kind:
            case EntryKind.TURN:
                self._take_turn(entry.data["message"])
            case EntryKind.TOOL:
                self._take_result(entry.data)
            case EntryKind.NOTE:
                self._take_note(entry.data["text"])
            case EntryKind.WAIT:
                self.question = entry.data
            case EntryKind.ANSWER:
                self._take_answer(entry.data)
            case EntryKind.OUTPUT:
                self.output = entry.data["result"]
            case EntryKind.HANDOVER | EntryKind.FAILURE:
                pass

    def _take_turn(self, message: Message) -> None:
        self.turns += 1
        self.messages.append(message)
        self._open_calls = [b["toolUse"] for b in message["content"] if "toolUse" in b]
        self._results = []
        self.proposed_answer = None if self._open_calls else message
        self.answer_approved = False

    def _take_result(self, data: Mapping[str, Any]) -> None:
        call = self._open_calls.pop(0)
        if call["toolUseId"] != data["toolUseId"]:
            raise ValueError(f"journal: result of {data['toolUseId']}, due {call['toolUseId']}")
        if intent := data.get("intent"):
            self.intents.append(intent)
        if not data["isError"]:
            self.tools_used.append(data["name"])
        self._results.append(
            {
                "toolResult": {
                    "toolUseId": data["toolUseId"],
                    "content": [{"text": data["text"]}],
                    "status": "error" if data["isError"] else "success",
                },
            },
        )
        if not self._open_calls:
            notes = [{"text": text} for text in self._notes]
            self.messages.append({"role": "user", "content": [*self._results, *notes]})
            self._results, self._notes = [], []

    def _take_answer(self, data: Mapping[str, Any]) -> None:
        """A decision on a tool call is used when the call runs; one on the answer, at once."""
        asked, self.question = self.question or {}, None
        if (call_id := asked.get("toolUseId")) is not None:
            self.decisions[call_id] = data
        elif data["decision"] == "approve":
            self.answer_approved = True
        else:
            self._take_note(f"A person declined to publish this answer: {data['text']}")

    def _take_note(self, text: str) -> None:
        """A message between a tool call and its result must wait for the result."""
        self.proposed_answer = None
        if self._open_calls:
            self._notes.append(text)
        elif self.messages[-1]["role"] == "user":
            last = self.messages[-1]
            self.messages[-1] = {**last, "content": [*last["content"], {"text": text}]}
        else:
            self.messages.append({"role": "user", "content": [{"text": text}]})
