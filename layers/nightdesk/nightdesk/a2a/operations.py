"""A2A's eleven operations on the services that all of the API uses.

One method for each method of the SDK's `RequestHandler`, with the caller in place of its context:
`request_handler` makes the one out of the other, for the SDK's own server.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, timedelta
from typing import TypeAlias

from a2a.types import (
    AgentCard,
    CancelTaskRequest,
    DeleteTaskPushNotificationConfigRequest,
    GetExtendedAgentCardRequest,
    GetTaskPushNotificationConfigRequest,
    GetTaskRequest,
    ListTaskPushNotificationConfigsRequest,
    ListTaskPushNotificationConfigsResponse,
    ListTasksRequest,
    ListTasksResponse,
    Message,
    SendMessageRequest,
    SubscribeToTaskRequest,
    TaskPushNotificationConfig,
    TaskState,
)
from a2a.types import Task as WireTask
from a2a.utils.errors import (
    ExtensionSupportRequiredError,
    InvalidParamsError,
    TaskNotCancelableError,
    UnsupportedOperationError,
)
from a2a.utils.proto_utils import validate_proto_required_fields
from a2a.utils.task import apply_history_length, validate_history_length, validate_page_size

from nightdesk.a2a.card import agent_card
from nightdesk.a2a.errors import AgentDisabledError, AgentNotFoundError
from nightdesk.a2a.wire import (
    STATUSES,
    check_output_modes,
    context_of,
    decision_in,
    kept_message,
    push_config,
    text_and_data,
    wire_push_config,
    wire_task,
)
from nightdesk.domain.api_key import ApiKey, Operation
from nightdesk.domain.conversation_prompt import Data
from nightdesk.domain.conversations import SentTask
from nightdesk.domain.errors import ConflictError, InvalidInputError, TaskNotFoundError
from nightdesk.domain.push_configs import PushConfig
from nightdesk.domain.specialist import Specialist
from nightdesk.domain.task import Task, TaskStatus
from nightdesk.services.cancel_task import cancel_task
from nightdesk.services.conversation_ports import ConversationPorts
from nightdesk.services.list_sent_tasks import SentFilter, list_sent_tasks
from nightdesk.services.manage_push_configs import (
    add_push_config,
    delete_push_config,
    list_push_configs,
    show_push_config,
)
from nightdesk.services.message_task import MessageAction, message_task
from nightdesk.services.send_task import Ask, send_task
from nightdesk.services.show_question import show_question
from nightdesk.services.show_task import TaskView, view_of
from nightdesk.services.task_access import visible_task
from nightdesk.services.wait_for_task import wait_for_task

#: API Gateway gives up after 30 s and the function after 28.
BLOCKING_WAIT = timedelta(seconds=25)
#: A running session stops within 5 s of a cancel; the SDK's client gives up after 5.
CANCEL_WAIT = timedelta(seconds=3)
PAGE_SIZE_DEFAULT = 50

Request: TypeAlias = (
    SendMessageRequest
    | GetTaskRequest
    | ListTasksRequest
    | CancelTaskRequest
    | SubscribeToTaskRequest
    | TaskPushNotificationConfig
    | GetTaskPushNotificationConfigRequest
    | ListTaskPushNotificationConfigsRequest
    | DeleteTaskPushNotificationConfigRequest
    | GetExtendedAgentCardRequest
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Who asks which agent. `base_url` is where the asked front can be reached."""

    key: ApiKey
    agent_id: str
    base_url: str
    idempotency_key: str | None = None
    extensions: frozenset[str] = field(default_factory=frozenset)


class Operations:
    """The operations of every agent of a deployment."""

    def __init__(
        self,
        ports: ConversationPorts,
        *,
        streaming: bool,
        blocking_wait: timedelta = BLOCKING_WAIT,
    ) -> None:
        self.ports = ports
        self.streaming = streaming
        self.blocking_wait = blocking_wait

    # Agents ----------------------------------------------------------------------------------

    def specialist(self, agent_id: str) -> Specialist:
        """The specialist behind an agent.

        Raises:
            AgentNotFoundError, AgentDisabledError: there is none, or it is switched off.
        """
        known = self.ports.api.specialists.load()
        found = known.by_id.get(agent_id)
        if found is not None:
            return found
        if known.why_off(agent_id) is not None:
            raise AgentDisabledError(f"Agent '{agent_id}' is disabled")
        raise AgentNotFoundError("Agent not found")

    def card(self, agent_id: str, base_url: str) -> AgentCard:
        """The public card.

        Raises:
            AgentNotFoundError, AgentDisabledError: as `specialist`.
        """
        specialist = self.specialist(agent_id)
        return agent_card(specialist, base_url=base_url, streaming=self.streaming)

    def check_extensions(self, call: Call) -> None:
        """Raise ExtensionSupportRequiredError when the card demands what the client lacks."""
        card = self.card(call.agent_id, call.base_url)
        required = {e.uri for e in card.capabilities.extensions if e.required}
        if missing := required - call.extensions:
            raise ExtensionSupportRequiredError(f"Required: {', '.join(sorted(missing))}")

    def get_extended_agent_card(self, _: GetExtendedAgentCardRequest, call: Call) -> AgentCard:
        call.key.demand(Operation.READ)
        call.key.demand_agent(call.agent_id)
        return agent_card(
            self.specialist(call.agent_id),
            base_url=call.base_url,
            streaming=self.streaming,
            extended=True,
        )

    # Tasks -----------------------------------------------------------------------------------

    def send_message(self, request: SendMessageRequest, call: Call) -> WireTask:
        """The task, settled if that took no longer than the gateway waits."""
        api = self.ports.api
        until = api.clock.now() + self.blocking_wait
        task, sent = self.begin(request, call)
        configuration = request.configuration
        if not configuration.return_immediately:
            task = wait_for_task(task, until=until, tasks=api.tasks, clock=api.clock)
        return apply_history_length(self.shown(task, sent), configuration)

    def begin(self, request: SendMessageRequest, call: Call) -> tuple[Task, SentTask | None]:
        """Take the message in: a new task, or an answer to one that waits."""
        validate_proto_required_fields(request)
        call.key.demand(Operation.WRITE)
        self.specialist(call.agent_id)
        validate_history_length(request.configuration)
        check_output_modes(request.configuration.accepted_output_modes)
        text, data = text_and_data(request.message)
        if request.message.task_id:
            return self._answer(request, text, data, call)
        ask = Ask(
            agent_id=call.agent_id,
            text=text,
            data=data,
            message=kept_message(request),
            context_id=request.message.context_id or None,
            references=tuple(request.message.reference_task_ids),
            push=self._inline_push(request),
        )
        sent = send_task(ask, key=call.key, idempotency_key=call.idempotency_key, ports=self.ports)
        return sent.task, sent.conversation

    def get_task(self, request: GetTaskRequest, call: Call) -> WireTask:
        validate_proto_required_fields(request)
        validate_history_length(request)
        call.key.demand(Operation.READ)
        task = self.visible(request.id, call)
        shown = self.shown(task, self.ports.conversations.get(task.id))
        return apply_history_length(shown, request)

    def list_tasks(self, request: ListTasksRequest, call: Call) -> ListTasksResponse:
        """Without a history unless its length is given: that is one more request for each task."""
        validate_history_length(request)
        size = request.page_size if request.HasField("page_size") else PAGE_SIZE_DEFAULT
        validate_page_size(size)
        page = list_sent_tasks(
            call.agent_id,
            _filter(request),
            limit=size,
            cursor=request.page_token or None,
            key=call.key,
            ports=self.ports,
        )
        conversations, tasks = self.ports.conversations, self.ports.api.tasks
        shown = []
        for listed in page.tasks:
            sent = conversations.get(listed.task.id) if request.history_length else None
            bare = SentTask(
                task_id=listed.task.id,
                workspace_id=listed.task.workspace_id,
                agent_id=listed.task.agent_id,
                context_id=listed.context_id,
                created_at=listed.task.created_at,
            )
            view = TaskView(listed.task, None)
            if request.include_artifacts:
                view = view_of(listed.task, tasks)
            wire = wire_task(view, sent or bare)
            shown.append(apply_history_length(wire, request))
        return ListTasksResponse(
            tasks=shown,
            next_page_token=page.cursor or "",
            page_size=size,
            total_size=page.total,
        )

    def cancel_task(self, request: CancelTaskRequest, call: Call) -> WireTask:
        """The task, CANCELED if it stopped soon; else still WORKING, and stopping."""
        validate_proto_required_fields(request)
        call.key.demand(Operation.WRITE)
        self.visible(request.id, call)
        task = self.stop(request.id, call.key)
        return self.shown(task, self.ports.conversations.get(task.id))

    def stop(self, task_id: str, key: ApiKey) -> Task:
        """Cancel the task and give its session a moment to stop.

        Raises:
            TaskNotCancelableError: it had ended already.
        """
        api = self.ports.api
        try:
            task = cancel_task(task_id, key=key, tasks=api.tasks, clock=api.clock)
        except ConflictError as error:
            raise TaskNotCancelableError(str(error)) from error
        until = api.clock.now() + CANCEL_WAIT
        return wait_for_task(task, until=until, tasks=api.tasks, clock=api.clock)

    def subscription(self, request: SubscribeToTaskRequest, call: Call) -> Task:
        """The task that is to be followed.

        Raises:
            UnsupportedOperationError: this front cannot stream, or the task has ended.
        """
        if not self.streaming:
            raise UnsupportedOperationError("This agent does not stream")
        validate_proto_required_fields(request)
        call.key.demand(Operation.READ)
        task = self.visible(request.id, call)
        if task.status.is_terminal:
            raise UnsupportedOperationError(f"The task has ended: {task.status.value}")
        return task

    # Callbacks -------------------------------------------------------------------------------

    def create_push_config(
        self, request: TaskPushNotificationConfig, call: Call
    ) -> TaskPushNotificationConfig:
        if not request.task_id:
            raise InvalidInputError("taskId", "taskId is required")
        validate_proto_required_fields(request)
        call.key.demand(Operation.WRITE)
        self.visible(request.task_id, call)
        config = self._push(request)
        return wire_push_config(add_push_config(config, key=call.key, ports=self.ports))

    def get_push_config(
        self, request: GetTaskPushNotificationConfigRequest, call: Call
    ) -> TaskPushNotificationConfig:
        validate_proto_required_fields(request)
        self.visible(request.task_id, call)
        config = show_push_config(request.task_id, request.id, key=call.key, ports=self.ports)
        return wire_push_config(config)

    def list_push_configs(
        self, request: ListTaskPushNotificationConfigsRequest, call: Call
    ) -> ListTaskPushNotificationConfigsResponse:
        """All of them: a task has a few at most."""
        validate_proto_required_fields(request)
        self.visible(request.task_id, call)
        found = list_push_configs(request.task_id, key=call.key, ports=self.ports)
        shown = [wire_push_config(config) for config in found]
        return ListTaskPushNotificationConfigsResponse(configs=shown)

    def delete_push_config(
        self, request: DeleteTaskPushNotificationConfigRequest, call: Call
    ) -> None:
        validate_proto_required_fields(request)
        self.visible(request.task_id, call)
        delete_push_config(request.task_id, request.id, key=call.key, ports=self.ports)

    # Parts -----------------------------------------------------------------------------------

    def visible(self, task_id: str, call: Call) -> Task:
        """The task, if it is this agent's and the key may see it; else there is no such task."""
        task = visible_task(task_id, key=call.key, tasks=self.ports.api.tasks)
        if task.agent_id != call.agent_id:
            raise TaskNotFoundError(task_id)
        return task

    def shown(self, task: Task, sent: SentTask | None) -> WireTask:
        """The task as A2A shows it; what was asked is in its conversation, if it has one."""
        tasks = self.ports.api.tasks
        question = show_question(task, tasks=tasks)
        if sent is not None and task.status is not TaskStatus.COMPLETED:
            return wire_task(TaskView(task, None), sent, question=question)
        return wire_task(view_of(task, tasks), sent, question=question)

    def _answer(
        self, request: SendMessageRequest, text: str, data: tuple[Data, ...], call: Call
    ) -> tuple[Task, SentTask | None]:
        """Hand a message to a task that runs or waits."""
        message: Message = request.message
        task = self.visible(message.task_id, call)
        sent = self.ports.conversations.get(task.id)
        if message.context_id and message.context_id != context_of(task, sent):
            raise InvalidParamsError("contextId is not the task's")
        if task.status.is_terminal:
            raise UnsupportedOperationError(
                f"The task has ended: {task.status.value}; send its contextId without a taskId"
            )
        action = decision_in(data)
        if action is MessageAction.TEXT:
            text = "\n\n".join((text, *(item.text for item in data)))
        ports = self.ports
        told = message_task(task.id, action, text, key=call.key, ports=ports.api)
        push = self._inline_push(request)
        if push is not None:
            add_push_config(replace(push, task_id=task.id), key=call.key, ports=ports)
        if sent is not None:
            ports.conversations.add_message(
                task.id, kept_message(request), at=ports.api.clock.now()
            )
            sent = ports.conversations.get(task.id)
        return told, sent

    def _inline_push(self, request: SendMessageRequest) -> PushConfig | None:
        configuration = request.configuration
        if not configuration.HasField("task_push_notification_config"):
            return None
        return self._push(configuration.task_push_notification_config)

    def _push(self, wire: TaskPushNotificationConfig) -> PushConfig:
        api = self.ports.api
        return push_config(wire, new_id=api.dice.token(), now=api.clock.now())


def _filter(request: ListTasksRequest) -> SentFilter:
    wanted = SentFilter(context_id=request.context_id or None)
    if request.status != TaskState.TASK_STATE_UNSPECIFIED:
        statuses = STATUSES.get(request.status, frozenset())
        begun = {
            TaskState.TASK_STATE_SUBMITTED: False,
            TaskState.TASK_STATE_WORKING: True,
        }.get(request.status)
        wanted = replace(wanted, statuses=statuses, begun=begun)
    if request.HasField("status_timestamp_after"):
        try:
            after = request.status_timestamp_after.ToDatetime(UTC)
        except (ValueError, OverflowError) as error:
            raise InvalidInputError(
                "statusTimestampAfter", "statusTimestampAfter is not a time"
            ) from error
        wanted = replace(wanted, changed_after=after)
    return wanted


__all__ = ["Call", "Operations", "Request"]
