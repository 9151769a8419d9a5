"""Messages, approvals and the event log over the REST API, with the real engine behind."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from nightdesk.domain.errors import ConditionFailedError, UnavailableError
from nightdesk.domain.session import Entry, EntryKind
from nightdesk.domain.task import MESSAGE_MAX, Task, TaskStatus
from tests.api.caller import TASKS, Answered, Caller
from tests.engine.test_run_session import ORIGIN, READ
from tests.engine.world import ENRICHER, World
from tests.fakes.clock import NOON
from tests.fakes.model import calls, says

ASKED = ("ask_person", {"question": "Which database?"})


class Desk:
    """One task of the enricher, made over the API; an executor works on it when told to."""

    def __init__(self, *, approvals: tuple[str, ...] = ()) -> None:
        self.world = World()
        self.api = Caller(
            tasks=self.world.tasks, wake_ups=self.world.wake_ups, clock=self.world.clock
        )
        asks = replace(ENRICHER, tools=(*ENRICHER.tools, "ask_person"))
        self.world.specialists.specialists = [asks]
        self.id = str(self.api.create(agentId="issue-enricher").task["id"])
        # As if it had come from an issue: only then is there something to read and to approve.
        origin = self.world.tasks.origins[self.id]
        self.world.tasks.origins[self.id] = replace(
            ORIGIN, task_id=self.id, delimiter=origin.delimiter, approvals=approvals
        )

    def works(self, *replies: Any) -> None:
        self.world.model.will(*replies)
        self.world.run(self.id)

    def tell(self, **body: Any) -> Answered:
        return self.api.call("POST", f"{TASKS}/{self.id}/messages", body)

    def shown(self) -> dict[str, Any]:
        return self.api.call("GET", f"{TASKS}/{self.id}").task

    def events(self, **query: str) -> dict[str, Any]:
        return self.api.call("GET", f"{TASKS}/{self.id}/events", query=query).json

    def kinds(self, **query: str) -> list[str]:
        return [event["kind"] for event in self.events(**query)["events"]]


@pytest.fixture
def desk() -> Desk:
    return Desk()


# Messages -------------------------------------------------------------------------------------


def test_a_question_is_shown_and_answered_and_the_session_goes_on(desk: Desk) -> None:
    desk.works(calls(ASKED))

    waiting = desk.shown()
    assert waiting["status"] == "WAITING"
    assert waiting["waitingFor"] == {"reason": "question", "text": "Which database?"}
    assert waiting["waitingSince"] == "2026-11-21T12:00:00.000Z"
    desk.world.wake_ups.sent.clear()
    told = desk.tell(text="PostgreSQL")
    assert (told.status, told.task["status"]) == (202, "PENDING")
    assert (told.task["waitingFor"], told.task["waitingSince"]) == (None, None)
    assert desk.world.wake_ups.sent == [(desk.id, timedelta(0))]
    desk.works(says("Then PostgreSQL."))

    ended = desk.shown()
    assert (ended["status"], ended["attempts"]) == ("COMPLETED", 1)
    assert ended["output"]["result"] == "Then PostgreSQL."


@pytest.mark.parametrize(
    ("body", "published"),
    [
        ({"action": "approve"}, True),
        ({"action": "approve", "text": "Thanks"}, True),
        ({"action": "deny", "text": "Too long"}, False),
        ({"text": "Too long"}, False),
    ],
)
def test_an_answer_is_published_once_it_is_approved(body: dict[str, Any], published: bool) -> None:
    desk = Desk(approvals=("comment",))
    desk.works(says("A proposal"))
    assert desk.shown()["waitingFor"] == {"reason": "approval", "text": "A proposal"}

    assert desk.tell(**body).status == 202
    desk.works(*([] if published else [says("A shorter one")]))

    assert bool(desk.world.tasks.rows) == published
    assert desk.shown()["status"] == ("COMPLETED" if published else "WAITING")


def test_a_running_task_takes_a_message_at_its_next_step(desk: Desk) -> None:
    def told(*_: object) -> Any:
        answer = desk.tell(text="Mind the cache.")
        assert (answer.status, answer.task["status"]) == (202, "RUNNING")
        return calls(READ)

    desk.works(told, says("Done."))

    assert desk.kinds() == ["turn", "tool_started", "note", "tool_completed", "intent", "completed"]


@pytest.mark.parametrize(
    ("status", "action", "said"),
    [
        ("PENDING", "text", "Only RUNNING or WAITING tasks take messages; it is PENDING"),
        ("COMPLETED", "text", "Only RUNNING or WAITING tasks take messages; it is COMPLETED"),
        ("FAILED", "approve", "Only RUNNING or WAITING tasks take messages; it is FAILED"),
        ("CANCELLED", "deny", "Only RUNNING or WAITING tasks take messages; it is CANCELLED"),
        ("RUNNING", "approve", "The task waits for no decision; it is RUNNING"),
        ("RUNNING", "deny", "The task waits for no decision; it is RUNNING"),
    ],
)
def test_a_message_that_nobody_waits_for_is_a_conflict(
    desk: Desk, status: str, action: str, said: str
) -> None:
    tasks = desk.world.tasks.tasks
    tasks[desk.id] = replace(tasks[desk.id], status=TaskStatus(status))

    answer = desk.tell(action=action, text="Hello")

    assert (answer.status, answer.error["code"]) == (409, "CONFLICT")
    assert answer.error["message"] == said
    assert desk.world.tasks.mail_rows == {}


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ({}, "text", "text is required for text"),
        ({"text": " \n"}, "text", "text is required for text"),
        ({"action": "deny"}, "text", "text is required for deny"),
        ({"text": "x" * (MESSAGE_MAX + 1)}, "text", f"at most {MESSAGE_MAX} characters"),
        ({"text": 7}, "text", "text; got 7"),
        ({"action": "maybe"}, "action", "one of text, approve, deny"),
        ({"action": "approve", "by": "me"}, "by", "Unknown field"),
    ],
)
def test_a_bad_message_names_its_field(
    desk: Desk, body: dict[str, Any], field: str, said: str
) -> None:
    desk.works(calls(ASKED))

    answer = desk.tell(**body)

    assert (answer.status, answer.error["field"]) == (400, field)
    assert said in answer.error["message"]
    assert desk.shown()["status"] == "WAITING"


def test_a_message_to_a_task_that_moves_meanwhile_is_looked_at_again(desk: Desk) -> None:
    desk.works(calls(ASKED))
    send: Callable[..., Task] = desk.world.tasks.send_mail
    refusals = [ConditionFailedError("moved"), ConditionFailedError("moved")]

    def moved_twice(*args: Any, **more: Any) -> Task:
        if refusals:
            raise refusals.pop()
        return send(*args, **more)

    desk.world.tasks.send_mail = moved_twice  # type: ignore[method-assign]

    assert desk.tell(text="PostgreSQL").status == 202


def test_an_answer_counts_although_its_wake_up_could_not_be_sent(desk: Desk) -> None:
    desk.works(calls(ASKED))

    def down(*_: object, **__: object) -> None:
        raise UnavailableError("SQS")

    desk.world.wake_ups.send = down  # type: ignore[method-assign]

    assert desk.tell(text="PostgreSQL").task["status"] == "PENDING"


# Events ---------------------------------------------------------------------------------------


def test_the_events_of_a_session_are_numbered_and_paged(desk: Desk) -> None:
    assert desk.events() == {"run": 1, "status": "PENDING", "events": [], "more": False}
    desk.works(calls(READ), says("Done."))

    whole = desk.events()
    first = desk.events(limit="2")
    rest = desk.events(after="2")

    assert (whole["status"], whole["more"]) == ("COMPLETED", False)
    assert [e["number"] for e in whole["events"]] == [1, 2, 3, 4, 5]
    assert desk.kinds() == ["turn", "tool_started", "tool_completed", "intent", "completed"]
    assert (first["events"], first["more"]) == (whole["events"][:2], True)
    assert (rest["events"], rest["more"]) == (whole["events"][2:], False)
    assert desk.events(after="5")["events"] == []
    started = whole["events"][1]
    assert (started["tool"], started["time"]) == (READ[0], "2026-11-21T12:00:00.000Z")


def test_the_events_hold_no_prompt_and_no_whole_answer_of_a_tool(desk: Desk) -> None:
    desk.world.snapshots.files["src/cache.py"] = "x = 1\n" * 5_000
    desk.works(calls(READ), says("Done."))

    answer = desk.api.call("GET", f"{TASKS}/{desk.id}/events")

    assert ENRICHER.prompt not in answer.text
    assert desk.world.tasks.origins[desk.id].prompt not in answer.text
    assert max(len(event["text"]) for event in answer.json["events"]) == 500


def test_a_retry_begins_a_new_log(desk: Desk) -> None:
    desk.works(says(""))
    assert desk.kinds() == ["failed"]

    desk.api.call("POST", f"{TASKS}/{desk.id}/retry")

    assert desk.events() == {"run": 2, "status": "PENDING", "events": [], "more": False}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"after": "-1"}, "after"),
        ({"after": "1_0"}, "after"),
        ({"after": "٣"}, "after"),
        ({"after": "9" * 10}, "after"),
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"since": "1"}, "since"),
    ],
)
def test_a_bad_question_for_events_names_its_parameter(
    desk: Desk, query: dict[str, str], field: str
) -> None:
    answer = desk.api.call("GET", f"{TASKS}/{desk.id}/events", query=query)

    assert (answer.status, answer.error["field"]) == (400, field)


def test_a_task_of_another_time_shows_what_is_left_of_it(desk: Desk) -> None:
    """Its journal has expired, or somebody has changed the row by hand."""
    tasks = desk.world.tasks.tasks
    tasks[desk.id] = replace(
        tasks[desk.id], status=TaskStatus.WAITING, last_entry=7, waiting_since=NOON
    )

    assert desk.shown()["waitingFor"] is None
    assert desk.events()["events"] == []

    note = Entry(desk.id, 1, 7, EntryKind.NOTE, NOON, {"text": "Hello", "by": "key:k"})
    desk.world.tasks.journal[(desk.id, 1, 7)] = note
    assert desk.shown()["waitingFor"] is None
