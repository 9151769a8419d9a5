"""The public event log: numbered without gaps, stable as the journal grows, short, discreet."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nightdesk.domain.event_log import TEXT_MAX, EventKind, event_log
from nightdesk.domain.session import Entry, EntryKind, Session
from tests.fakes.clock import NOON

Raw = tuple[EntryKind, Mapping[str, Any]]
TEXTS = st.text(max_size=30) | st.text(min_size=TEXT_MAX - 1, max_size=TEXT_MAX + 2)
BY = "key:k"


def turn(text: str, calls: int) -> Raw:
    content: list[dict[str, Any]] = [{"text": text}]
    content += [
        {"toolUse": {"toolUseId": f"c{n}", "name": f"tool{n}", "input": {"query": text}}}
        for n in range(calls)
    ]
    message = {"role": "assistant", "content": content}
    return EntryKind.TURN, {"message": message, "model": "m", "usage": {}}


def tool(number: int, text: str, *, error: bool = False, intent: bool = False) -> Raw:
    data: dict[str, Any] = {
        "toolUseId": f"c{number}",
        "name": f"tool{number}",
        "text": text,
        "isError": error,
    }
    if intent:
        data["intent"] = {"name": "labels", "labels": ["bug"]}
    return EntryKind.TOOL, data


def note(text: str) -> Raw:
    return EntryKind.NOTE, {"text": text, "by": BY}


BREAKS: list[Raw] = [
    (EntryKind.HANDOVER, {"reason": "time"}),
    (EntryKind.FAILURE, {"code": "MODEL_ERROR", "message": "busy", "retry": True}),
]
BETWEEN = st.lists(TEXTS.map(note) | st.sampled_from(BREAKS), max_size=2)


@st.composite
def journals(draw: st.DrawFn) -> list[Entry]:
    """Any journal that a session can leave behind, finished or not."""
    raw: list[Raw] = []
    for _ in range(draw(st.integers(0, 4))):
        calls = draw(st.integers(0, 3))
        raw.append(turn(draw(TEXTS), calls))
        for number in range(calls):
            raw += draw(BETWEEN)
            if draw(st.booleans()):
                wait = {"reason": "approval", "text": draw(TEXTS), "toolUseId": f"c{number}"}
                said = {"decision": "deny", "text": draw(TEXTS), "by": BY}
                raw += [(EntryKind.WAIT, wait), (EntryKind.ANSWER, said)]
            raw.append(
                tool(number, draw(TEXTS), error=draw(st.booleans()), intent=draw(st.booleans()))
            )
        raw += draw(BETWEEN)
    if draw(st.booleans()):
        message = {"role": "assistant", "content": [{"text": "Done"}]}
        output = {"result": draw(TEXTS), "message": message, "model": "m"}
        raw.append((EntryKind.OUTPUT, {**output, "intents": [{"name": "comment", "body": "Done"}]}))
    else:
        raw = raw[: draw(st.integers(0, len(raw)))]
    return journal(*raw)


def journal(*raw: Raw) -> list[Entry]:
    return [
        Entry("t-1", 1, seq, kind, NOON + timedelta(seconds=seq), data)
        for seq, (kind, data) in enumerate(raw, start=1)
    ]


@given(journals())
def test_numbers_begin_at_one_and_have_no_gap(entries: list[Entry]) -> None:
    Session.replayed("Do it", entries)  # the journal is one that a session could have written

    assert [event.number for event in event_log(entries)] == list(
        range(1, len(event_log(entries)) + 1)
    )


@given(journals(), st.data())
def test_what_was_shown_never_changes_as_the_journal_grows(
    entries: list[Entry], data: st.DataObject
) -> None:
    some = event_log(entries[: data.draw(st.integers(0, len(entries)))])

    assert event_log(entries)[: len(some)] == some


@given(journals())
def test_texts_are_short_and_times_never_go_back(entries: list[Entry]) -> None:
    events = event_log(entries)

    assert all(len(event.text) <= TEXT_MAX for event in events)
    assert [event.at for event in events] == sorted(event.at for event in events)


@given(journals())
def test_every_tool_call_that_ended_had_started_and_one_runs_at_a_time(
    entries: list[Entry],
) -> None:
    open_call: str | None = None
    for event in event_log(entries):
        if event.kind is EventKind.TOOL_STARTED:
            assert open_call is None
            open_call = event.tool
        elif event.kind is EventKind.TOOL_COMPLETED:
            assert open_call == event.tool
            open_call = None


def test_a_session_is_told_in_its_order() -> None:
    wait = {"reason": "approval", "text": "propose_labels bug", "toolUseId": "c1"}
    message = {"role": "assistant", "content": [{"text": "Done"}]}
    output: dict[str, Any] = {"result": "Done", "message": message, "model": "m"}
    output["intents"] = [{"name": "labels", "labels": ["bug"]}, {"name": "comment"}]
    events = event_log(
        journal(
            turn("I look.", 2),
            tool(0, "found", error=True),
            (EntryKind.WAIT, wait),
            (EntryKind.ANSWER, {"decision": "approve", "text": "", "by": BY}),
            tool(1, "proposed: bug", intent=True),
            (EntryKind.NOTE, {"text": "Hurry", "by": BY}),
            (EntryKind.HANDOVER, {"reason": "time"}),
            (EntryKind.FAILURE, {"code": "MODEL_ERROR", "message": "busy", "retry": True}),
            (EntryKind.FAILURE, {"code": "MODEL_ERROR", "message": "busy", "retry": False}),
            (EntryKind.OUTPUT, output),
        )
    )

    assert [(e.kind.value, e.text, e.tool, e.is_error) for e in events] == [
        ("turn", "I look.", None, False),
        ("tool_started", '{"query": "I look."}', "tool0", False),
        ("tool_completed", "found", "tool0", True),
        ("tool_started", '{"query": "I look."}', "tool1", False),
        ("waiting", "approval: propose_labels bug", None, False),
        ("answered", "approve", None, False),
        ("tool_completed", "proposed: bug", "tool1", False),
        ("intent", 'labels {"labels": ["bug"]}', None, False),
        ("note", "Hurry", None, False),
        ("hand_over", "time", None, False),
        ("failed", "MODEL_ERROR: busy; it will be tried again", None, True),
        ("failed", "MODEL_ERROR: busy", None, True),
        ("intent", "comment", None, False),
        ("completed", "Done", None, False),
    ]


def test_a_whole_answer_of_a_tool_is_never_shown() -> None:
    events = event_log(journal(turn("", 1), tool(0, "x" * 600 + "SECRET")))

    assert events[-1].text == "x" * (TEXT_MAX - 1) + "…"
