"""People in a session: messages, questions, approvals; and what a crash between them leaves."""

from dataclasses import replace

import pytest

from nightdesk.domain.errors import ErrorCode
from nightdesk.domain.model import CallControl, ModelRequest, ModelTurn
from nightdesk.domain.session import EntryKind
from nightdesk.domain.task import WAIT_TIMEOUT, TaskStatus
from nightdesk.services.recover_tasks import sweep
from tests.engine.test_run_session import ORIGIN, READ, Killed, kinds
from tests.engine.world import ENRICHER, World
from tests.fakes.model import calls, says

LABEL = ("propose_labels", {"labels": ["bug"]})
NEEDS_LABEL_APPROVAL = replace(ORIGIN, allowed_labels=("bug",), approvals=("labels",))
NEEDS_ANSWER_APPROVAL = replace(ORIGIN, approvals=("comment",))


def tell(world: World, kind: str, text: str = "") -> None:
    world.tasks.send_mail(world.task(), kind=kind, text=text, by="ann", now=world.clock.now())


def last_texts(world: World) -> list[str]:
    """The text blocks of the newest user message that the model saw."""
    blocks = world.model.requests[-1].messages[-1]["content"]
    return [block["text"] for block in blocks if "text" in block]


def last_result(world: World) -> tuple[str, str]:
    blocks = world.model.requests[-1].messages[-1]["content"]
    result = next(block["toolResult"] for block in blocks if "toolResult" in block)
    return result["status"], result["content"][0]["text"]


# Messages to a session that runs --------------------------------------------------------------


def test_a_message_reaches_the_agent_at_its_next_step(world: World) -> None:
    world.submit(origin=ORIGIN)

    def told(request: ModelRequest, control: CallControl) -> ModelTurn:
        tell(world, "text", "Mind the cache.")
        return calls(READ)

    world.model.will(told, says("Done."))
    world.run()

    assert last_texts(world) == ["Mind the cache."]
    assert kinds(world) == [EntryKind.TURN, EntryKind.NOTE, EntryKind.TOOL, EntryKind.OUTPUT]
    assert world.task().inbox_read == 1


def test_a_message_that_comes_with_the_final_answer_is_answered_too(world: World) -> None:
    world.submit(origin=ORIGIN)

    def told(request: ModelRequest, control: CallControl) -> ModelTurn:
        tell(world, "text", "One more thing.")
        return says("Done.")

    world.model.will(told, says("Done, with one more thing."))
    world.run()

    assert world.task().status is TaskStatus.COMPLETED
    assert last_texts(world) == ["One more thing."]
    assert [m["role"] for m in world.model.requests[-1].messages] == ["user", "assistant", "user"]
    row = world.tasks.rows[("t-1", "github#0001#comment#1")]
    assert row.payload["body"] == "Done, with one more thing."
    assert len(world.tasks.rows) == 1


def test_a_session_killed_between_its_answer_and_a_message_goes_on_to_the_message(
    world: World,
) -> None:
    world.submit(origin=ORIGIN)

    def told(request: ModelRequest, control: CallControl) -> ModelTurn:
        tell(world, "text", "One more thing.")
        return says("Done.")

    def killed(request: ModelRequest, control: CallControl) -> ModelTurn:
        raise Killed

    world.model.will(told, killed)
    with pytest.raises(Killed):
        world.run()
    world.clock.advance(world.task().lease_until - world.clock.now())  # type: ignore[operator]

    world.model.will(says("Both done."))
    world.run()

    assert world.task().status is TaskStatus.COMPLETED
    assert last_texts(world) == ["One more thing."]


# Questions ------------------------------------------------------------------------------------


@pytest.fixture
def asking(world: World) -> World:
    world.specialists.specialists = [replace(ENRICHER, tools=(*ENRICHER.tools, "ask_person"))]
    world.submit(origin=ORIGIN)
    world.model.will(calls(("ask_person", {"question": "Which\ndatabase?"})))
    world.run()
    return world


def test_a_question_waits_without_a_slot_and_without_an_executor(asking: World) -> None:
    task = asking.task()

    assert task.status is TaskStatus.WAITING
    assert task.current_activity == "Waiting: Which database?"
    assert all(slot.task_id is None for slot in asking.tasks.slots())
    assert kinds(asking) == [EntryKind.TURN, EntryKind.WAIT]


def test_the_answer_is_the_result_of_the_question(asking: World) -> None:
    tell(asking, "text", "PostgreSQL")
    asking.model.will(says("Then PostgreSQL."))
    asking.run()

    task = asking.task()
    assert (task.status, task.attempts) == (TaskStatus.COMPLETED, 1)
    assert last_result(asking) == ("success", "PostgreSQL")
    assert kinds(asking) == [
        EntryKind.TURN,
        EntryKind.WAIT,
        EntryKind.ANSWER,
        EntryKind.TOOL,
        EntryKind.OUTPUT,
    ]


def test_a_question_that_nobody_answers_expires(asking: World) -> None:
    asking.clock.advance(WAIT_TIMEOUT)

    sweep(asking.sweeper())

    task = asking.task()
    assert task.status is TaskStatus.FAILED
    assert task.error is not None
    assert task.error.code is ErrorCode.WAIT_EXPIRED


def test_a_question_without_words_is_answered_at_once(world: World) -> None:
    world.specialists.specialists = [replace(ENRICHER, tools=("ask_person",))]
    world.submit(origin=ORIGIN)
    world.model.will(calls(("ask_person", {"question": 7})), says("Done."))

    world.run()

    assert world.task().status is TaskStatus.COMPLETED
    assert last_result(world)[0] == "error"


def test_a_specialist_that_may_not_ask_has_no_such_tool(world: World) -> None:
    world.submit(origin=ORIGIN)
    world.model.will(calls(("ask_person", {"question": "Really?"})), says("Done."))

    world.run()

    assert world.task().status is TaskStatus.COMPLETED
    assert last_result(world)[0] == "error"


# Approvals ------------------------------------------------------------------------------------


def test_an_intent_that_needs_approval_waits_for_it(world: World) -> None:
    world.submit(origin=NEEDS_LABEL_APPROVAL)
    world.model.will(calls(LABEL))
    world.run()
    assert world.task().status is TaskStatus.WAITING
    assert world.task().current_activity == "Waiting: propose_labels bug"

    tell(world, "approve")
    world.model.will(says("Done."))
    world.run()

    assert world.task().status is TaskStatus.COMPLETED
    assert ("t-1", "github#0001#labels#1") in world.tasks.rows


def test_an_intent_that_is_denied_is_not_proposed_and_the_agent_hears_why(world: World) -> None:
    world.submit(origin=NEEDS_LABEL_APPROVAL)
    world.model.will(calls(LABEL))
    world.run()

    tell(world, "deny", "It is no bug.")
    world.model.will(says("Fine."))
    world.run()

    assert last_result(world) == ("error", "A person did not approve this: It is no bug.")
    assert ("t-1", "github#0001#labels#1") not in world.tasks.rows
    assert world.task().status is TaskStatus.COMPLETED


def test_words_instead_of_an_approval_are_no_approval(world: World) -> None:
    world.submit(origin=NEEDS_LABEL_APPROVAL)
    world.model.will(calls(LABEL))
    world.run()

    tell(world, "text", "Why?")
    world.model.will(says("Never mind."))
    world.run()

    assert last_result(world)[0] == "error"
    assert ("t-1", "github#0001#labels#1") not in world.tasks.rows


def test_tools_that_need_no_approval_do_not_wait(world: World) -> None:
    world.submit(origin=NEEDS_LABEL_APPROVAL)
    world.model.will(calls(READ), says("Done."))

    world.run()

    assert world.task().status is TaskStatus.COMPLETED


def test_an_answer_that_needs_approval_is_published_only_once_approved(world: World) -> None:
    world.submit(origin=NEEDS_ANSWER_APPROVAL)
    world.model.will(says("The answer."))
    world.run()
    assert world.task().status is TaskStatus.WAITING
    assert world.tasks.rows == {}

    tell(world, "approve")
    world.run()

    assert world.task().status is TaskStatus.COMPLETED
    assert len(world.model.requests) == 1
    assert world.tasks.rows[("t-1", "github#0001#comment#1")].payload["body"] == "The answer."


def test_an_answer_that_is_declined_is_worked_on_and_asked_about_again(world: World) -> None:
    world.submit(origin=NEEDS_ANSWER_APPROVAL)
    world.model.will(says("Too short."))
    world.run()

    tell(world, "deny", "Say more.")
    world.model.will(says("Much longer."))
    world.run()

    assert world.task().status is TaskStatus.WAITING
    assert last_texts(world) == ["A person declined to publish this answer: Say more."]
    tell(world, "approve")
    world.run()
    assert world.task().status is TaskStatus.COMPLETED
    assert world.tasks.rows[("t-1", "github#0001#comment#1")].payload["body"] == "Much longer."


def test_a_task_that_waits_can_be_cancelled(world: World) -> None:
    world.submit(origin=NEEDS_ANSWER_APPROVAL)
    world.model.will(says("The answer."))
    world.run()

    world.tasks.end_unclaimed(world.task(), TaskStatus.CANCELLED, None, now=world.clock.now())

    assert world.task().status is TaskStatus.CANCELLED
    assert {row for _, row in world.tasks.rows} == {"notify#0001#000001#CANCELLED"}


def test_the_time_of_waiting_is_not_the_tasks_time(world: World) -> None:
    world.submit(origin=NEEDS_ANSWER_APPROVAL)
    world.model.will(says("The answer."))
    world.run()
    world.clock.advance(WAIT_TIMEOUT / 2)

    tell(world, "approve")
    world.run()

    assert world.task().status is TaskStatus.COMPLETED
