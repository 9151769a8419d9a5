"""Run a claimed task's session until it ends, waits or must be handed over.

The session is a loop over its journal (design, section 5): whoever holds the lease replays the
journal, does the next thing, and writes it down. Being killed between any two lines below loses
at most one model call or one reading tool call, which is made again; nothing else is repeated.
"""

import logging
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nightdesk.domain.errors import (
    CallAbortedError,
    ErrorCode,
    NewMessagesError,
    NightdeskError,
    PermanentError,
    TransientError,
)
from nightdesk.domain.intents.ask import question_of
from nightdesk.domain.intents.final import final_intents, outbox_rows
from nightdesk.domain.intents.names import ASK, COMMENT, FINDING, PROPOSED_BY, REVIEW
from nightdesk.domain.intents.proposing import ProposingTool
from nightdesk.domain.model import (
    Block,
    ModelRequest,
    ModelTurn,
    StopReason,
    Usage,
    invalid_input,
)
from nightdesk.domain.ports import Mail, Progress, Release
from nightdesk.domain.review.finding import findings_from, in_words
from nightdesk.domain.session import EntryKind, Session
from nightdesk.domain.specialist import Specialist
from nightdesk.domain.task import Origin, Task, TaskError, TaskStatus
from nightdesk.domain.tool import Tool, ToolResult
from nightdesk.domain.tracking import refresh_wait
from nightdesk.services.engine_ports import ExecutorPorts
from nightdesk.services.held_task import HeldTask
from nightdesk.services.leave_session import leave_session
from nightdesk.services.session_tools import opening_prompt, system_prompt, tools_for

logger = logging.getLogger(__name__)

#: What one answer may have at most; also what is set aside for it in the budget.
MAX_OUTPUT_TOKENS = 8_192
#: A token is rarely shorter than this many characters: an upper bound for what is set aside.
_CHARACTERS_PER_TOKEN = 2


def run_session(
    task: Task, origin: Origin, *, ports: ExecutorPorts, hand_over_at: datetime
) -> Task | None:
    """Work on the task, which we have claimed, and bring it to its next state.

    Returns the task as we left it; None when another executor has it, or when it is unknown
    whether our last write was applied (its lease then runs out, and the next one finds out).
    """
    held = HeldTask(task, tasks=ports.tasks, clock=ports.clock, hand_over_at=hand_over_at)
    with held.watched():
        reason = _work(held, origin, ports)
        if reason is None:
            return held.task
        return leave_session(held, reason, ports)


def _work(held: HeldTask, origin: Origin, ports: ExecutorPorts) -> Exception | None:
    """Run the session; answers why it stopped before its end, or None when it has ended."""
    try:
        specialist = _specialist(held.task, ports)
        with ExitStack() as opened:
            _SessionRun.resumed(held, origin, specialist, ports, opened).until_end()
    except NightdeskError as error:
        return error
    except Exception as error:
        # The last boundary that still holds the lease. A defect of ours or of a library is an
        # attempt that failed, and not a task that hangs.
        logger.exception("[BGWorker] session of %s broke", held.task.id)
        return TransientError(f"{type(error).__name__} in the session")
    return None


def _specialist(task: Task, ports: ExecutorPorts) -> Specialist:
    known = ports.specialists.load()
    specialist = known.by_id.get(task.agent_id)
    if specialist is None:
        raise PermanentError(
            f"Specialist {task.agent_id} is not known; known: {', '.join(known.ids)}",
            ErrorCode.SPECIALIST_INVALID,
        )
    return specialist


# The loop -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _SessionRun:
    held: HeldTask
    origin: Origin
    specialist: Specialist
    ports: ExecutorPorts
    session: Session
    tools: Mapping[str, Tool]
    system: str
    #: The call that an executor before us may have begun; None once it is answered.
    interrupted: Block | None
    #: When this executor last had the tracking comment refreshed; its claim did.
    refreshed_at: datetime

    @classmethod
    def resumed(
        cls,
        held: HeldTask,
        origin: Origin,
        specialist: Specialist,
        ports: ExecutorPorts,
        opened: ExitStack,
    ) -> "_SessionRun":
        task = held.task
        entries = ports.tasks.entries(task.id, task.run) if task.last_entry else []
        session = Session.replayed(opening_prompt(origin, ports.tasks), entries)
        return cls(
            held=held,
            origin=origin,
            specialist=specialist,
            ports=ports,
            session=session,
            tools=tools_for(specialist, origin, session, ports, opened),
            system=system_prompt(specialist, origin),
            interrupted=session.next_call,
            refreshed_at=held.held_since,
        )

    def until_end(self) -> None:
        while True:
            self.held.check()
            self._take_mail()
            if (call := self.session.next_call) is not None:
                if (question := self._question_about(call)) is not None:
                    if self._wait(question):
                        return
                    continue
                self._run_tool(call)
            elif self.session.proposed_answer is not None:
                if self._publish_proposed():
                    return
            else:
                turn = self._ask_model()
                if not turn.tool_uses and self._finish(turn):
                    return
                if turn.tool_uses:
                    self._take_turn(turn)

    # People ----------------------------------------------------------------------------------

    def _take_mail(self) -> None:
        """Journal what people have said since, in their order."""
        task = self.held.task
        if task.inbox == task.inbox_read:
            return
        for mail in self.ports.tasks.mail(task):
            kind, data = _entry_of_mail(mail, self.session)
            self.session.apply(self.held.step(kind, data, Progress(messages_read=1)))

    def _question_about(self, call: Block) -> dict[str, Any] | None:
        """What a person must be asked before this call may run; None = nothing, or it was."""
        if call["toolUseId"] in self.session.decisions or call["name"] not in self.tools:
            return None
        about = {"toolUseId": call["toolUseId"]}
        if call["name"] == ASK and (question := question_of(call["input"])):
            return {**about, "reason": "question", "text": question}
        if call["name"] in self._tools_to_approve():
            return {**about, "reason": "approval", "text": self._activity(call)}
        return None

    def _tools_to_approve(self) -> set[str]:
        return {PROPOSED_BY.get(name, name) for name in self.origin.approvals}

    def _wait(self, question: dict[str, Any]) -> bool:
        """Leave RUNNING until a person answers; False when somebody has just said something."""
        entry = self.held.end_entry(EntryKind.WAIT, question)
        progress = Progress(activity=f"Waiting: {question['text']}")
        try:
            self.held.release(Release(status=TaskStatus.WAITING, entry=entry, progress=progress))
        except NewMessagesError:
            return False
        logger.info("[BGWorker] Task %s WAITING for a person", self.held.task.id)
        return True

    def _publish_proposed(self) -> bool:
        """Complete with an answer that was approved, or ask for its approval."""
        message = self.session.proposed_answer
        assert message is not None
        turn = ModelTurn(message, StopReason.END_TURN, Usage(), self._model_id())
        if self.session.answer_approved or not self._answer_needs_approval():
            return self._complete(turn, Progress())
        findings = [one for one in self.session.intents if one["name"] == FINDING]
        told = "\n".join([turn.text, "", in_words(findings_from(findings))]).strip()
        return self._wait({"reason": "approval", "text": told})

    # Tools -----------------------------------------------------------------------------------

    def _run_tool(self, call: Block) -> None:
        tool = self.tools.get(call["name"])
        result = self._answer(call, tool)
        data: dict[str, Any] = {
            "toolUseId": call["toolUseId"],
            "name": call["name"],
            "text": result.text,
            "isError": result.is_error,
        }
        if isinstance(tool, ProposingTool) and not result.is_error:
            data["intent"] = tool.intent_of(call["input"])
        following = self.session.following_call
        if following is None:
            progress = Progress(
                activity=f"Completed: {self._activity(call)}",
                reserved_micros=self._most_a_call_may_cost(),
                tools=self._tools_to_show(call["name"], result),
            )
        else:
            progress = Progress(
                activity=f"Running: {self._activity(following)}",
                tool_calls=1,
                tools=self._tools_to_show(call["name"], result),
            )
        self.session.apply(self.held.step(EntryKind.TOOL, data, progress))
        self.interrupted = None

    def _tools_to_show(self, name: str, result: ToolResult) -> Mapping[str, int] | None:
        """What the tracking comment is to show with this step; None = it was refreshed lately."""
        now, task = self.ports.clock.now(), self.held.task
        wait = refresh_wait(now - (task.started_at or now))
        if not task.tracked or now - self.refreshed_at < wait:
            return None
        self.refreshed_at = now
        return Counter([*self.session.tools_used, *([] if result.is_error else [name])])

    def _answer(self, call: Block, tool: Tool | None) -> ToolResult:
        if tool is None:
            known = ", ".join(sorted(self.tools)) or "none"
            return ToolResult(f"There is no tool {call['name']!r}. Tools: {known}.", is_error=True)
        if (invalid := invalid_input(call)) is not None:
            return ToolResult(f"The input was not a JSON object: {invalid}", is_error=True)
        if (decision := self.session.decisions.get(call["toolUseId"])) is not None:
            said = str(decision["text"])
            if call["name"] == ASK:
                return ToolResult(said or "(no answer)")
            if decision["decision"] != "approve":
                return ToolResult(f"A person did not approve this: {said}", is_error=True)
        if self.interrupted is call and not tool.idempotent:
            return ToolResult("interrupted, outcome unknown", is_error=True)
        return tool.run(call["input"])

    def _activity(self, call: Block) -> str:
        tool = self.tools.get(call["name"])
        return tool.activity(call["input"]) if tool else str(call["name"])

    # Model -----------------------------------------------------------------------------------

    def _ask_model(self) -> ModelTurn:
        self._demand_budget()
        request = ModelRequest(
            system=self.system,
            messages=tuple(self.session.messages),
            tools=tuple(tool.spec for tool in self.tools.values()),
            tier=self.specialist.tier,
            max_output_tokens=MAX_OUTPUT_TOKENS,
        )
        with self.held.model_call() as control:
            try:
                return self.ports.model.converse(request, control)
            except CallAbortedError as error:
                raise (self.held.stop_reason() or error) from error

    def _demand_budget(self) -> None:
        limits, task = self.origin.limits, self.held.task
        if self.session.turns >= limits.turns:
            raise PermanentError(
                f"No final answer within {limits.turns} turns", ErrorCode.TURN_LIMIT
            )
        spent = task.input_tokens + task.output_tokens + task.cache_read_tokens
        most = self._most_a_call_may_use()
        if limits.tokens is not None and spent + most.input + most.output > limits.tokens:
            raise PermanentError(
                f"The next call could exceed the budget of {limits.tokens} tokens; used {spent}",
                ErrorCode.BUDGET_EXCEEDED,
            )
        next_call = self._most_a_call_may_cost()
        if limits.cost_micros is not None and task.cost_micros + next_call > limits.cost_micros:
            raise PermanentError(
                f"The next call could exceed the budget of ${limits.cost_micros / 1e6:.2f}; "
                f"spent ${task.cost_micros / 1e6:.4f}, the call ${next_call / 1e6:.4f} at most",
                ErrorCode.BUDGET_EXCEEDED,
            )

    def _most_a_call_may_cost(self) -> int:
        """Millionths of a dollar; 0 where no price is known (docs/models.md: what holds then)."""
        return self.ports.price_of(self._model_id(), self._most_a_call_may_use()) or 0

    def _most_a_call_may_use(self) -> Usage:
        characters = len(self.system) + len(str(self.session.messages))
        return Usage(input=characters // _CHARACTERS_PER_TOKEN, output=MAX_OUTPUT_TOKENS)

    def _model_id(self) -> str:
        return self.ports.model.model_id(self.specialist.tier)

    def _take_turn(self, turn: ModelTurn) -> None:
        data = {"message": turn.message, "model": turn.model_id, "usage": _usage_of(turn)}
        first = turn.tool_uses[0]
        progress = Progress(
            activity=f"Running: {self._activity(first)}",
            tool_calls=1,
            usage=turn.usage,
            cost_micros=self._cost_of(turn),
        )
        self.session.apply(self.held.step(EntryKind.TURN, data, progress))

    def _cost_of(self, turn: ModelTurn) -> int:
        return self.ports.price_of(turn.model_id, turn.usage) or 0

    # The end ---------------------------------------------------------------------------------

    def _finish(self, turn: ModelTurn) -> bool:
        """End with the model's last turn; False when the session goes on after all."""
        progress = Progress(usage=turn.usage, cost_micros=self._cost_of(turn))
        if (failure := _failure_of(turn)) is not None:
            self._end(TaskStatus.FAILED, progress, error=failure)
            return True
        if self._answer_needs_approval():
            self._propose(turn, progress)
            return False
        if self._complete(turn, progress):
            return True
        self._propose(turn, progress)
        return False

    def _answer_needs_approval(self) -> bool:
        wanted = (name for name in (COMMENT, REVIEW) if name in self.origin.approvals)
        return any(self.origin.allows(name) for name in wanted)

    def _propose(self, turn: ModelTurn, progress: Progress) -> None:
        """Journal an answer that is not the end yet."""
        data = {"message": turn.message, "model": turn.model_id, "usage": _usage_of(turn)}
        self.session.apply(self.held.step(EntryKind.TURN, data, progress))

    def _complete(self, turn: ModelTurn, progress: Progress) -> bool:
        """Complete with this answer; False when a person has said something meanwhile."""
        now = self.ports.clock.now()
        task = self.held.task
        intents = final_intents(turn.text, self.session.intents, self.origin)
        target = self.origin.target
        started = task.started_at or now
        tokens = task.input_tokens + task.output_tokens + task.cache_read_tokens
        footer = {
            "specialist": self.specialist.id,
            "model": turn.model_id,
            "durationSeconds": round((now - started).total_seconds(), 1),
            "costMicros": task.cost_micros + progress.cost_micros,
            "tokens": tokens + progress.usage.input + progress.usage.output,
        }
        rows = outbox_rows(intents, task_id=task.id, run=task.run, footer=footer, now=now)
        entry = self.held.end_entry(
            EntryKind.OUTPUT,
            {
                "result": turn.text,
                "message": turn.message,
                "model": turn.model_id,
                "usage": _usage_of(turn),
                "intents": list(intents),
            },
        )
        try:
            self.held.release(
                Release(
                    status=TaskStatus.COMPLETED,
                    progress=progress,
                    entry=entry,
                    rows=rows if target is not None else (),
                )
            )
        except NewMessagesError:
            return False
        logger.info("[BGWorker] Task %s COMPLETED", task.id)
        return True

    def _end(self, status: TaskStatus, progress: Progress, *, error: TaskError) -> None:
        entry = self.held.end_entry(
            EntryKind.FAILURE, {"code": error.code.value, "message": error.message, "retry": False}
        )
        self.held.release(Release(status=status, error=error, progress=progress, entry=entry))
        logger.warning("[BGWorker] Task %s %s: %s", self.held.task.id, status.value, error.code)


def _entry_of_mail(mail: Mail, session: Session) -> tuple[EntryKind, dict[str, Any]]:
    """A message is the answer when somebody was asked, and a note otherwise."""
    said = {"text": mail.text, "by": mail.by}
    if session.question is None:
        return EntryKind.NOTE, said
    decision = "reply" if mail.kind == "text" else mail.kind
    return EntryKind.ANSWER, {**said, "decision": decision}


def _failure_of(turn: ModelTurn) -> TaskError | None:
    """Why a turn without tool calls is no final answer; None = it is one."""
    if turn.stop_reason is StopReason.REFUSAL:
        return TaskError(ErrorCode.AGENT_FAILED, "The model refused to answer")
    if not turn.text:
        return TaskError(ErrorCode.EMPTY_OUTPUT, "The model ended with an empty answer")
    if turn.stop_reason is StopReason.MAX_TOKENS:
        cut = f"The answer was cut at {MAX_OUTPUT_TOKENS} tokens"
        return TaskError(ErrorCode.AGENT_FAILED, cut)
    return None


def _usage_of(turn: ModelTurn) -> dict[str, int | bool]:
    usage = turn.usage
    return {
        "estimated": usage.estimated,
        "input": usage.input,
        "output": usage.output,
        "cacheRead": usage.cache_read,
        "cacheWrite": usage.cache_write,
    }
