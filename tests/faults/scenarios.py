"""What the engine does, as short plays on a region; the fault tests cut each at every call.

A scenario's `play` is written as if nothing could go wrong: whoever starts something (a person, a
poller) repeats it until it gets an answer, and whoever was killed is simply gone. What is left
when the play is over, `Region.settle` brings to its end. `ends` are the states in which the tasks
may be then, whatever single thing went wrong.

To add one: write a play, and put it into `SCENARIOS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

from nightdesk.domain.errors import ConflictError, TaskNotFoundError, UnavailableError
from nightdesk.domain.intents.names import ASK
from nightdesk.domain.model import (
    ModelAuthError,
    ModelRequest,
    ModelThrottledError,
    ModelUnavailableError,
)
from nightdesk.domain.push_configs import PushConfig
from nightdesk.domain.task import HOLD_FOR, Hold, TaskStatus
from nightdesk.services.api_ports import ApiPorts
from nightdesk.services.cancel_task import cancel_task
from nightdesk.services.conversation_ports import ConversationPorts
from nightdesk.services.manage_push_configs import add_push_config
from nightdesk.services.retry_task import retry_task
from tests.fakes.clock import NOON
from tests.fakes.conversations import FakeConversations
from tests.fakes.model import calls, says
from tests.fakes.region import (
    KEY,
    Invocation,
    Region,
    Reply,
    create_from_event,
    proposes,
    reads,
)
from tests.fakes.strand import Strand
from tests.fakes.task_store import FakeTaskStore

SECOND = timedelta(seconds=1)
Ask = Callable[[ApiPorts], object]
DONE, FAILED, CANCELLED = TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED


@dataclass(frozen=True, slots=True)
class Scenario:
    """`ends`: the states in which all of its tasks may be at the end."""

    play: Callable[[Region], None]
    ends: frozenset[TaskStatus]
    #: Short enough that pairs of cuts are tried too.
    is_short: bool = False


# Players --------------------------------------------------------------------------------------


def until_answered(region: Region, name: str, request: Ask) -> None:
    """Somebody asks until there is an answer, a refusal included."""
    for _ in range(5):
        strand = region.begin_request(name, request)
        region.run(strand)
        if not strand.was_killed and not isinstance(strand.error, UnavailableError):
            assert strand.error is None or isinstance(
                strand.error, ConflictError | TaskNotFoundError
            ), strand.error
            return
    raise AssertionError(f"{name} was never answered")


def event(region: Region, number: int = 1, **fields: object) -> None:
    """A poller imports the event of an issue. The attempts suffice for all that may be lost."""
    wanted: dict[str, Any] = {"max_attempts": 5, **fields}
    until_answered(region, "event", lambda ports: create_from_event(number, ports, **wanted))


def deliver(region: Region) -> Invocation | None:
    """One message is delivered, if there is one; its executor has not begun yet."""
    visible = region.queue.visible()
    return region.deliver(visible[0]) if visible else None


def work(region: Region) -> None:
    """One message is delivered and its executor runs to its end."""
    strand = deliver(region)
    if strand is not None:
        region.run(strand)


def until_the_model(region: Region) -> Invocation | None:
    """One message is delivered; its executor works until it asks the model."""
    strand = deliver(region)
    while strand is not None and not strand.ended and strand.at != "model.converse":
        if strand.asleep_until is not None:
            region.advance(strand.asleep_until - region.clock.now())
        region.step(strand)
    return strand


def finish(region: Region, strand: Invocation | None) -> None:
    if strand is not None and not strand.ended:
        region.run(strand)


def publish(region: Region) -> None:
    """The stream's records reach the publisher."""
    while region.stream:
        region.run(region.begin_publishing(*region.stream.pop(0)))


def turns(*replies: Callable[[ModelRequest], Reply]) -> Callable[[ModelRequest], Reply]:
    """The n-th turn of the conversation is the n-th reply, whoever asks for it."""

    def script(request: ModelRequest) -> Reply:
        number = len([m for m in request.messages if m["role"] == "assistant"])
        return replies[min(number, len(replies) - 1)](request)

    return script


def at_first(*replies: Callable[[ModelRequest], Reply]) -> Callable[[ModelRequest], Reply]:
    """The n-th call of the model gets the n-th reply, and all later ones the last."""
    number = count()

    def script(request: ModelRequest) -> Reply:
        return replies[min(next(number), len(replies) - 1)](request)

    return script


def answers(_request: ModelRequest) -> Reply:
    return says("Look at `src/cache.py`.")


def after(
    region: Region, duration: timedelta, reply: Callable[[ModelRequest], Reply]
) -> Callable[[ModelRequest], Reply]:
    """The reply after some time, during which the session's watch looks each five seconds."""

    def slowly(request: ModelRequest) -> Reply:
        strand = Strand.current()
        assert isinstance(strand, Invocation)
        until = region.clock.now() + duration
        while region.clock.now() < until and strand.held is not None:
            region.clock.advance(min(5 * SECOND, until - region.clock.now()))
            region.queue.hide(strand.receipt or "")
            strand.held.look()
        return reply(request)

    return slowly


# Plays ----------------------------------------------------------------------------------------


def a_comment_from_an_issue(region: Region) -> None:
    region.script = turns(lambda r: reads(r, 2), proposes, answers)
    event(region)
    work(region)
    publish(region)


def a_short_answer(region: Region) -> None:
    event(region)
    work(region)
    publish(region)


def a_comment_that_shows_how_it_goes(region: Region) -> None:
    region.script = turns(reads, after(region, 25 * SECOND, reads), proposes, answers)
    event(region, tracking="task")
    strand = until_the_model(region)
    publish(region)
    finish(region, strand)
    publish(region)


def a_comment_of_a_task_that_ends_badly(region: Region) -> None:
    region.script = at_first(lambda _: ModelUnavailableError("502"), lambda _: ModelAuthError(""))
    event(region, tracking="task")
    work(region)
    publish(region)
    region.advance(2 * SECOND)
    work(region)
    publish(region)


def a_comment_that_asks_a_person(region: Region) -> None:
    region.script = turns(
        lambda r: calls((ASK, {"question": "Which cache?"}), first_id=100 * len(r.messages)),
        answers,
    )
    event(region, tracking="sticky")
    work(region)
    publish(region)
    region.answer_all()
    work(region)
    publish(region)


def a_comment_that_two_tasks_share(region: Region) -> None:
    event(region, 1, tracking="sticky", group="default#one", supersedes=True, issue=5)
    first = until_the_model(region)
    publish(region)
    region.advance(SECOND)
    event(region, 2, tracking="sticky", group="default#one", supersedes=True, issue=5)
    finish(region, first)
    publish(region)
    work(region)
    publish(region)


def a_long_call(region: Region) -> None:
    region.script = turns(after(region, 11 * SECOND, reads), after(region, 6 * SECOND, answers))
    event(region)
    work(region)


def a_hand_over(region: Region) -> None:
    region.executor_timeout = 100 * SECOND
    region.script = turns(reads, after(region, 56 * SECOND, reads), answers)
    event(region)
    work(region)
    region.executor_timeout = 900 * SECOND
    work(region)


def a_failure_that_passes(region: Region) -> None:
    region.script = at_first(lambda _: ModelUnavailableError("502"), reads, answers)
    event(region)
    work(region)
    region.advance(2 * SECOND)
    work(region)


def a_provider_that_asks_to_wait(region: Region) -> None:
    wait = ModelThrottledError("429", retry_after=20 * SECOND)
    region.script = at_first(lambda _: wait, answers)
    event(region)
    work(region)
    region.advance(21 * SECOND)
    work(region)


def a_failure_for_good_that_a_person_retries(region: Region) -> None:
    region.script = at_first(lambda _: ModelAuthError("401"), answers)
    event(region)
    work(region)
    until_answered(region, "retry", lambda ports: retry_task("issue-1", key=KEY, ports=ports))
    work(region)


def _cancel(region: Region) -> None:
    until_answered(
        region,
        "cancel",
        lambda ports: cancel_task("issue-1", key=KEY, tasks=ports.tasks, clock=ports.clock),
    )


def a_cancel_before_the_start(region: Region) -> None:
    event(region)
    _cancel(region)
    work(region)


def a_cancel_of_a_running_session(region: Region) -> None:
    region.script = turns(reads, answers)
    event(region)
    strand = until_the_model(region)
    _cancel(region)
    finish(region, strand)


def a_session_that_takes_too_long(region: Region) -> None:
    region.script = turns(reads, after(region, 21 * SECOND, answers))
    event(region, timeout_ms=20_000)
    work(region)


def a_lost_executor_that_the_queue_replaces(region: Region) -> None:
    region.script = turns(reads, answers)
    event(region)
    strand = until_the_model(region)
    if strand is not None and not strand.ended:
        region.kill(strand)
    region.advance(41 * SECOND)
    work(region)


def a_lost_executor_that_the_sweep_replaces(region: Region) -> None:
    region.script = turns(reads, answers)
    event(region)
    strand = until_the_model(region)
    if strand is not None and not strand.ended:
        region.kill(strand)
    for message in list(region.queue.messages.values()):
        region.queue.lose(message)
    region.advance(31 * SECOND)
    region.run(region.begin_sweep())
    work(region)


def a_delayed_task(region: Region) -> None:
    event(region, run_after=region.clock.now() + 30 * SECOND)
    work(region)
    region.advance(31 * SECOND)
    region.run(region.begin_sweep())
    work(region)


def a_publisher_that_github_fails_once(region: Region) -> None:
    region.github.fails_after.append(UnavailableError("GitHub: 502"))
    event(region)
    work(region)
    publish(region)
    region.advance(60 * SECOND)
    region.run(region.begin_sweep())


def an_approval_by_a_person(region: Region) -> None:
    region.script = turns(
        lambda r: calls((ASK, {"question": "Which cache?"}), first_id=100 * len(r.messages)),
        answers,
    )
    event(region, approvals=("comment",))
    work(region)
    region.answer_all()
    work(region)
    region.answer_all()
    work(region)


def two_tasks_of_one_group(region: Region) -> None:
    event(region, 1, group="default#one")
    event(region, 2, group="default#one")
    first = until_the_model(region)
    work(region)
    finish(region, first)
    work(region)


def a_newer_task_that_supersedes_an_older(region: Region) -> None:
    event(region, 1, group="default#one", supersedes=True)
    first = until_the_model(region)
    region.advance(SECOND)
    event(region, 2, group="default#one", supersedes=True)
    work(region)
    finish(region, first)
    work(region)


def a_task_that_waits_for_another(region: Region) -> None:
    event(region, 1)
    until = region.clock.now() + HOLD_FOR
    event(region, 2, depends_on=("issue-1",), held=Hold.DEPENDENCIES, run_after=until)
    work(region)
    work(region)


CONFIG = PushConfig(task_id="issue-1", id="c-1", url="https://hooks.example.com/", created_at=NOON)


def _ask_for_a_callback(region: Region) -> None:
    def ask(ports: ApiPorts) -> object:
        conversations = FakeConversations(FakeTaskStore(), region.push_configs)
        both = ConversationPorts(api=ports, conversations=conversations)
        return add_push_config(CONFIG, key=KEY, ports=both)

    until_answered(region, "ask for a callback", ask)


def a_callback_asked_for_with_the_task(region: Region) -> None:
    region.push_configs.put(CONFIG)
    event(region, has_callbacks=True)
    work(region)
    publish(region)


def a_callback_asked_for_while_it_runs(region: Region) -> None:
    event(region)
    strand = until_the_model(region)
    _ask_for_a_callback(region)
    finish(region, strand)
    publish(region)


def a_callback_asked_for_after_the_end(region: Region) -> None:
    event(region)
    work(region)
    publish(region)
    _ask_for_a_callback(region)
    publish(region)


def a_callback_of_a_cancelled_task_whose_receiver_fails_once(region: Region) -> None:
    region.receivers.answers["hooks.example.com"] = [500]
    event(region)
    _ask_for_a_callback(region)
    _cancel(region)
    publish(region)
    region.advance(60 * SECOND)
    region.run(region.begin_sweep())


def callbacks_of_a_task_that_waits_for_a_person(region: Region) -> None:
    region.push_configs.put(CONFIG)
    event(region, approvals=("comment",), has_callbacks=True)
    work(region)
    publish(region)
    region.answer_all()
    work(region)
    publish(region)


SCENARIOS: dict[str, Scenario] = {
    play.__name__: Scenario(play, frozenset(ends), is_short)
    for play, ends, is_short in (
        (a_comment_from_an_issue, (DONE,), False),
        (a_short_answer, (DONE,), True),
        (a_comment_that_shows_how_it_goes, (DONE,), False),
        (a_comment_of_a_task_that_ends_badly, (FAILED,), False),
        (a_comment_that_asks_a_person, (DONE,), False),
        (a_comment_that_two_tasks_share, (DONE, CANCELLED), False),
        (a_long_call, (DONE,), False),
        (a_hand_over, (DONE,), False),
        (a_failure_that_passes, (DONE,), True),
        (a_provider_that_asks_to_wait, (DONE,), True),
        (a_failure_for_good_that_a_person_retries, (DONE, FAILED), True),
        (a_cancel_before_the_start, (CANCELLED,), True),
        (a_cancel_of_a_running_session, (CANCELLED, DONE), True),
        (a_session_that_takes_too_long, (FAILED,), False),
        (a_lost_executor_that_the_queue_replaces, (DONE,), True),
        (a_lost_executor_that_the_sweep_replaces, (DONE,), True),
        (a_delayed_task, (DONE,), True),
        (a_publisher_that_github_fails_once, (DONE,), False),
        (an_approval_by_a_person, (DONE,), False),
        (two_tasks_of_one_group, (DONE,), False),
        (a_newer_task_that_supersedes_an_older, (DONE, CANCELLED), False),
        (a_task_that_waits_for_another, (DONE,), False),
        (a_callback_asked_for_with_the_task, (DONE,), True),
        (a_callback_asked_for_while_it_runs, (DONE,), True),
        (a_callback_asked_for_after_the_end, (DONE,), True),
        (a_callback_of_a_cancelled_task_whose_receiver_fails_once, (CANCELLED, DONE), False),
        (callbacks_of_a_task_that_waits_for_a_person, (DONE,), False),
    )
}
