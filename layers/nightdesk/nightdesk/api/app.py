"""The routes of the REST API: authenticate, read the request, call one service, answer."""

from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.logging import Logger
from msgspec import UNSET, UnsetType

from nightdesk.api.errors import INTERNAL, ErrorAnswer, MethodNotAllowedError, answer_to
from nightdesk.api.parameters import list_cursor
from nightdesk.api.rendering import (
    api_key,
    delivery,
    poll_started,
    specialist_list,
    whole_task,
    workspace,
)
from nightdesk.api.rendering import event as rendered
from nightdesk.api.requests import (
    BulkBody,
    CallbackBody,
    CreateBody,
    EditBody,
    KeyBody,
    MessageBody,
    Request,
    RotateBody,
    WorkspaceBody,
    required,
    seconds,
)
from nightdesk.api.router import Answer, Page, Router
from nightdesk.api.routes import ROUTES, Route
from nightdesk.domain.api_key import ApiKey
from nightdesk.domain.errors import InvalidInputError, NightdeskError
from nightdesk.domain.functions import FunctionStillRunningError
from nightdesk.domain.ports import WorkspaceSettings
from nightdesk.domain.push_configs import OF_WORKSPACE, PushConfig
from nightdesk.domain.rate_limit import PER_MINUTE_DEFAULT, RateLimitedError
from nightdesk.domain.task import MAX_ATTEMPTS_DEFAULT, Priority, Task, TaskStatus, TriggerSource
from nightdesk.domain.version import VERSION
from nightdesk.services.api_ports import ApiPorts
from nightdesk.services.authenticate import authenticate
from nightdesk.services.delete_task import delete_by_status, delete_task
from nightdesk.services.edit_task import TaskEdit, edit_task
from nightdesk.services.list_tasks import list_tasks
from nightdesk.services.manage_callbacks import (
    list_dead_deliveries,
    list_deliveries,
    new_signing_secret,
    resend_delivery,
    set_workspace_callback,
    workspace_callback,
)
from nightdesk.services.manage_keys import (
    DEFAULT_OPERATIONS,
    GRACE_DEFAULT,
    NewKey,
    create_key,
    list_keys,
    revoke_key,
    rotate_key,
)
from nightdesk.services.manage_workspace import (
    WorkspaceChange,
    change_workspace,
    read_workspace,
)
from nightdesk.services.message_task import MessageAction, message_task
from nightdesk.services.place_in_line import place_in_line
from nightdesk.services.read_events import read_events
from nightdesk.services.retry_task import retry_by_status, retry_task
from nightdesk.services.show_task import TaskView, show_task, view_of
from nightdesk.services.submit_task import NewTask, submit_task
from nightdesk.services.task_fields import instant, summary

if TYPE_CHECKING:  # for the cold start
    from nightdesk.api.answers import (
        BulkDeleted,
        BulkRetried,
        CallbackSecret,
        DeliveryAnswer,
        DeliveryList,
        Done,
        ErrorBody,
        ErrorDetails,
        EventList,
        Health,
        KeyAnswer,
        KeyList,
        NewKeyAnswer,
        Redriven,
        TaskAnswer,
        TaskList,
        WorkspaceAnswer,
    )

logger = Logger()

Handler = Callable[[Mapping[str, Any], Any], dict[str, Any]]


class Api:
    """One deployment's REST API."""

    def __init__(self, ports: ApiPorts) -> None:
        self._ports = ports
        self._router = Router(ROUTES)

    def __call__(self, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        """Answer one event of API Gateway; whatever happens, the answer is an HTTP answer."""
        quota: Mapping[str, str] = {}
        try:
            request = Request(event)
            found = self._router.match(request)
            route = found.route
            logger.append_keys(route=f"{route.method} {route.path}")
            request.key_or_none = key = self._caller(request, route)
            quota = _quota_of(key)
            if key is not None and route.operation is not None:
                key.demand(route.operation)
            request.expect(
                query=route.query, bodies=route.bodies, may_lack_body=route.may_lack_body
            )
            answer: Answer | Page = getattr(self, f"_{route.name}")(request, **found.parts)
            assert answer.status in route.answers, f"{route}: {answer.status} is not documented"
        except Exception as error:  # noqa: BLE001 - the last one to catch it
            answer = _failure(error, context)
        # Never the path, the query, the body or a header: those may hold secrets.
        logger.info("answered", status=answer.status.value)
        return answer.for_gateway(quota)

    def _caller(self, request: Request, route: Route) -> ApiKey | None:
        """Who calls, if the key is good; None where nobody needs a key."""
        if route.operation is None:
            return None
        key = authenticate(
            request.header("Authorization"), access=self._ports.access, clock=self._ports.clock
        )
        logger.append_keys(key_id=key.id, workspace_id=key.workspace_id)
        return key

    # Tasks -----------------------------------------------------------------------------------

    def _list(self, request: Request) -> Answer:
        page = list_tasks(
            request.query["workspaceId"],
            status=request.query["status"],
            limit=request.query["limit"],
            cursor=request.query["cursor"],
            key=request.key,
            tasks=self._ports.tasks,
        )
        body: TaskList = {"tasks": [summary(task) for task in page.tasks]}
        if page.cursor is not None:
            body["nextCursor"] = page.cursor
        return Answer(HTTPStatus.OK, body)

    def _post(self, request: Request) -> Answer:
        given = request.json_object()
        match given.get("action"):
            case None:
                given.pop("action", None)
                return self._create(request, request.body_as(CreateBody, given))
            case "deleteByStatus":
                return self._delete_by_status(request.key, request.body_as(BulkBody, given))
            case "retryByStatus":
                return self._retry_by_status(request.key, request.body_as(BulkBody, given))
            case _:
                known = "deleteByStatus, retryByStatus"
                raise InvalidInputError("action", f"action must be {known}, or absent")

    def _create(self, request: Request, body: CreateBody) -> Answer:
        required("prompt", body.prompt)
        new = NewTask(
            prompt=body.prompt or "",
            agent_id=required("agentId", body.agent_id),
            workspace_id=required("workspaceId", body.workspace_id),
            title=body.title,
            trigger_source=body.trigger_source or TriggerSource.MANUAL,
            triggered_by=body.triggered_by,
            priority=body.priority or Priority.NORMAL,
            max_attempts=MAX_ATTEMPTS_DEFAULT if body.max_attempts is None else body.max_attempts,
            timeout_ms=body.timeout_ms,
            run_after=body.run_after,
            depends_on=None if body.depends_on is None else tuple(body.depends_on),
            on_dependency_failure=body.on_dependency_failure,
            quotes_outputs=body.quote_outputs,
            concurrency_group=body.concurrency_group,
            on_conflict=body.on_conflict,
        )
        submitted = submit_task(
            new,
            key=request.key,
            idempotency_key=request.idempotency_key(),
            ports=self._ports,
        )
        if not submitted.woken:
            logger.warning("no wake-up was sent; the sweeper will", task_id=submitted.task.id)
        if submitted.created:
            view = TaskView(submitted.task, submitted.origin)
            answer: TaskAnswer = {"task": whole_task(view)}
            return Answer(HTTPStatus.CREATED, answer)
        return self._whole(submitted.task)

    def _delete_by_status(self, key: ApiKey, body: BulkBody) -> Answer:
        status = _status_of(body)
        done = delete_by_status(
            required("workspaceId", body.workspace_id),
            status,
            trigger_source=body.trigger_source,
            cursor=list_cursor(body.cursor),
            key=key,
            tasks=self._ports.tasks,
            clock=self._ports.clock,
        )
        message = f"Deleted {done.deleted} {status} tasks"
        answer: BulkDeleted = {
            "success": True,
            "deleted": done.deleted,
            "message": f"{message}; there may be more" if done.more else message,
            "more": done.more,
        }
        if done.cursor is not None:
            answer["nextCursor"] = done.cursor
        return Answer(HTTPStatus.OK, answer)

    def _retry_by_status(self, key: ApiKey, body: BulkBody) -> Answer:
        done = retry_by_status(
            required("workspaceId", body.workspace_id),
            _status_of(body),
            trigger_source=body.trigger_source,
            cursor=list_cursor(body.cursor),
            key=key,
            ports=self._ports,
        )
        answer: BulkRetried = {"success": True, "retried": done.retried, "more": done.more}
        if done.cursor is not None:
            answer["nextCursor"] = done.cursor
        return Answer(HTTPStatus.OK, answer)

    def _show(self, request: Request, task_id: str) -> Answer:
        view = show_task(task_id, key=request.key, tasks=self._ports.tasks)
        place = place_in_line(view.task, tasks=self._ports.tasks, clock=self._ports.clock)
        body: TaskAnswer = {"task": whole_task(view, place)}
        return Answer(HTTPStatus.OK, body)

    def _events(self, request: Request, task_id: str) -> Answer:
        page = read_events(
            task_id,
            after=request.query["after"],
            limit=request.query["limit"],
            key=request.key,
            tasks=self._ports.tasks,
        )
        body: EventList = {
            "run": page.task.run,
            "status": page.task.status,
            "events": [rendered(shown) for shown in page.events],
            "more": page.more,
        }
        return Answer(HTTPStatus.OK, body)

    def _message(self, request: Request, task_id: str) -> Answer:
        body = request.body_as(MessageBody)
        task = message_task(
            task_id,
            body.action or MessageAction.TEXT,
            body.text or "",
            key=request.key,
            ports=self._ports,
        )
        return self._whole(task, HTTPStatus.ACCEPTED)

    def _edit(self, request: Request, task_id: str) -> Answer:
        body = request.body_as(EditBody)
        edit = TaskEdit(
            title=body.title,
            prompt=body.prompt,
            agent_id=None if body.agent_id is None else required("agentId", body.agent_id),
            priority=body.priority,
        )
        return self._whole(edit_task(task_id, edit, key=request.key, ports=self._ports))

    def _delete(self, request: Request, task_id: str) -> Answer:
        """`force` is accepted and changes nothing: what runs is stopped first, always."""
        task = delete_task(
            task_id, key=request.key, tasks=self._ports.tasks, clock=self._ports.clock
        )
        if task is None:
            body: Done = {"success": True}
            return Answer(HTTPStatus.OK, body)
        stopped = task.status is TaskStatus.CANCELLED
        return self._whole(task, HTTPStatus.OK if stopped else HTTPStatus.ACCEPTED)

    def _retry(self, request: Request, task_id: str) -> Answer:
        return self._whole(retry_task(task_id, key=request.key, ports=self._ports))

    def _whole(self, task: Task, status: HTTPStatus = HTTPStatus.OK) -> Answer:
        body: TaskAnswer = {"task": whole_task(view_of(task, self._ports.tasks))}
        return Answer(status, body)

    # Workspaces ------------------------------------------------------------------------------

    def _workspace(self, request: Request, workspace_id: str) -> Answer:
        settings = read_workspace(workspace_id, key=request.key, tasks=self._ports.tasks)
        return self._as_set(workspace_id, settings, request.key)

    def _change_workspace(self, request: Request, workspace_id: str) -> Answer:
        body = request.body_as(WorkspaceBody)
        change = WorkspaceChange(
            paused=None if body.paused is UNSET else body.paused,
            tasks_per_day=None if body.tasks_per_day is UNSET else body.tasks_per_day,
            cost_usd_per_day=None if body.cost_usd_per_day is UNSET else body.cost_usd_per_day,
            clear_tasks=body.tasks_per_day is None,
            clear_cost=body.cost_usd_per_day is None,
        )
        if not isinstance(body.callback, UnsetType):
            self._set_callback(body.callback, workspace_id, request.key)
        if change == WorkspaceChange() and body.callback is not UNSET:
            settings = read_workspace(workspace_id, key=request.key, tasks=self._ports.tasks)
        else:
            settings = change_workspace(
                workspace_id,
                change,
                key=request.key,
                tasks=self._ports.tasks,
                wake_ups=self._ports.wake_ups,
                clock=self._ports.clock,
            )
        return self._as_set(workspace_id, settings, request.key)

    def _as_set(self, workspace_id: str, settings: WorkspaceSettings, key: ApiKey) -> Answer:
        config = None
        if settings.calls_back:
            config = workspace_callback(workspace_id, key=key, callbacks=self._ports.callbacks)
        body: WorkspaceAnswer = {"workspace": workspace(workspace_id, settings, config)}
        return Answer(HTTPStatus.OK, body)

    # Callbacks -------------------------------------------------------------------------------

    def _set_callback(self, wanted: CallbackBody | None, workspace_id: str, key: ApiKey) -> None:
        config = None if wanted is None else _config(wanted, self._ports.clock.now())
        set_workspace_callback(
            workspace_id,
            config,
            key=key,
            tasks=self._ports.tasks,
            callbacks=self._ports.callbacks,
        )

    def _callback_secret(self, request: Request, workspace_id: str) -> Answer:
        secret = new_signing_secret(
            workspace_id,
            key=request.key,
            tasks=self._ports.tasks,
            callbacks=self._ports.callbacks,
            clock=self._ports.clock,
        )
        body: CallbackSecret = {"secret": secret}
        return Answer(HTTPStatus.CREATED, body)

    def _dead_callbacks(self, request: Request, workspace_id: str) -> Answer:
        found = list_dead_deliveries(
            workspace_id,
            key=request.key,
            tasks=self._ports.tasks,
            callbacks=self._ports.callbacks,
        )
        body: DeliveryList = {"callbacks": [delivery(one) for one in found]}
        return Answer(HTTPStatus.OK, body)

    def _callbacks(self, request: Request, task_id: str) -> Answer:
        found = list_deliveries(
            task_id, key=request.key, tasks=self._ports.tasks, callbacks=self._ports.callbacks
        )
        body: DeliveryList = {"callbacks": [delivery(one) for one in found]}
        return Answer(HTTPStatus.OK, body)

    def _resend(self, request: Request, task_id: str, delivery_id: str) -> Answer:
        sent = resend_delivery(
            task_id,
            delivery_id,
            key=request.key,
            tasks=self._ports.tasks,
            callbacks=self._ports.callbacks,
            clock=self._ports.clock,
        )
        body: DeliveryAnswer = {"callback": delivery(sent)}
        return Answer(HTTPStatus.ACCEPTED, body)

    # Keys ------------------------------------------------------------------------------------

    def _keys(self, request: Request) -> Answer:
        found = list_keys(by=request.key, access=self._ports.access)
        body: KeyList = {"keys": [api_key(key) for key in found]}
        return Answer(HTTPStatus.OK, body)

    def _make_key(self, request: Request) -> Answer:
        body, ports = request.body_as(KeyBody), self._ports
        new = create_key(
            workspace_id=body.workspace_id or request.key.workspace_id,
            agents=request.key.agents if body.agents is None else body.agents,
            operations=DEFAULT_OPERATIONS if body.operations is None else body.operations,
            description=body.description or "",
            requests_per_minute=_rate(body, request.key),
            by=request.key,
            access=ports.access,
            clock=ports.clock,
            dice=ports.dice,
        )
        return _shown_once(HTTPStatus.CREATED, new)

    def _rotate_key(self, request: Request, key_id: str) -> Answer:
        body, ports = request.body_as(RotateBody), self._ports
        grace = GRACE_DEFAULT if body.grace_seconds is None else seconds(body.grace_seconds)
        new = rotate_key(
            key_id,
            grace=grace,
            by=request.key,
            access=ports.access,
            clock=ports.clock,
            dice=ports.dice,
        )
        return _shown_once(HTTPStatus.OK, new)

    def _revoke_key(self, request: Request, key_id: str) -> Answer:
        ports = self._ports
        key = revoke_key(key_id, by=request.key, access=ports.access, clock=ports.clock)
        body: KeyAnswer = {"key": api_key(key)}
        return Answer(HTTPStatus.OK, body)

    # The rest --------------------------------------------------------------------------------

    def _process(self, request: Request) -> Answer:  # noqa: ARG002
        swept = self._ports.functions.invoke(
            self._ports.settings.sweeper_function, {"action": "sweep"}
        )
        return Answer(HTTPStatus.OK, {"ok": True, "dispatched": True, "swept": swept})

    def _redrive(self, request: Request) -> Answer:  # noqa: ARG002
        """Wake-ups are of every workspace; sending one again tells and changes nothing."""
        done = self._ports.functions.invoke(
            self._ports.settings.sweeper_function, {"action": "redrive"}
        )
        body: Redriven = {"redriven": done.get("redriven", 0)}
        return Answer(HTTPStatus.OK, body)

    def _polling_status(self, request: Request) -> Answer:  # noqa: ARG002
        return self._ask_poller("status")

    def _polling_check(self, request: Request) -> Answer:  # noqa: ARG002
        """A long poll goes on without us."""
        try:
            return self._ask_poller("check")
        except FunctionStillRunningError:
            return Answer(HTTPStatus.ACCEPTED, poll_started(self._ports.clock.now()))

    def _ask_poller(self, action: str) -> Answer:
        poller = self._ports.settings.github_poller_function
        return Answer(HTTPStatus.OK, self._ports.functions.invoke(poller, {"action": action}))

    def _decisions(self, request: Request) -> Answer:
        """The poller is asked, because it may read the table of GitHub's events."""
        asked = {
            "action": "decisions",
            "repo": request.query["repo"],
            "number": request.query["number"],
            "workspaceId": request.key.workspace_id,
        }
        poller = self._ports.settings.github_poller_function
        found = dict(self._ports.functions.invoke(poller, asked))
        shown = found.get("decisions", [])
        found["decisions"] = [
            d for d in shown if "specialist" not in d or request.key.covers_agent(d["specialist"])
        ]
        return Answer(HTTPStatus.OK, found)

    def _specialists(self, request: Request) -> Answer:
        listed = specialist_list(self._ports.specialists.load(), self._ports.clock.now())
        listed["specialists"] = [
            s for s in listed["specialists"] if request.key.covers_agent(s["id"])
        ]
        return Answer(HTTPStatus.OK, listed)

    def _document(self, request: Request) -> Page:  # noqa: ARG002
        return Page("openapi.json", "application/json")

    def _docs(self, request: Request) -> Page:  # noqa: ARG002
        """A page without scripts; its one style sheet is part of it."""
        return Page("docs.html", "text/html; charset=utf-8")

    def _health(self, request: Request) -> Answer:  # noqa: ARG002
        """Open to everybody and asks nobody: it says that the function runs, and no more."""
        now = instant(self._ports.clock.now())
        body: Health = {"status": "ok", "version": VERSION, "timestamp": now}
        return Answer(HTTPStatus.OK, body)


def _shown_once(status: HTTPStatus, new: NewKey) -> Answer:
    body: NewKeyAnswer = {"key": api_key(new.key), "apiKey": new.text}
    return Answer(status, body)


def _rate(body: KeyBody, by: ApiKey) -> int:
    """Left out: the usual, or less if the caller has less."""
    asked = body.requests_per_minute
    return min(PER_MINUTE_DEFAULT, by.requests_per_minute) if asked is None else asked


def _config(body: CallbackBody, now: datetime) -> PushConfig:
    """The workspace's callback as it is kept; unchecked."""
    given = body.authentication
    return PushConfig(
        task_id="",
        id=OF_WORKSPACE,
        url=body.url,
        created_at=now,
        format=body.format,
        token=body.token,
        scheme="" if given is None else given.scheme,
        credentials="" if given is None else given.credentials,
    )


def _status_of(body: BulkBody) -> TaskStatus:
    if body.status is None:
        raise InvalidInputError("status", f"status is required for {body.action} action")
    return body.status


def _quota_of(key: ApiKey | None) -> Mapping[str, str]:
    return {} if key is None or key.quota is None else key.quota.headers


def _failure(error: Exception, context: Any) -> Answer:
    """Say what the caller can do about it; what only we can do is said in the log."""
    answer = answer_to(error) if isinstance(error, NightdeskError) else INTERNAL
    if answer is INTERNAL:
        logger.error("request failed", exc_info=error)
    elif answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.warning("request could not be served", reason=str(error))
    details: ErrorDetails = {
        "code": answer.code,
        "message": answer.message or str(error),
        "requestId": getattr(context, "aws_request_id", None),
    }
    if isinstance(error, InvalidInputError):
        details["field"] = error.field
    body: ErrorBody = {"error": details}
    return Answer(answer.status, body, _headers(error, answer))


def _headers(error: Exception, answer: ErrorAnswer) -> dict[str, str]:
    headers = {}
    if answer.retry_after is not None:
        headers["Retry-After"] = str(answer.retry_after)
    if answer.status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, RateLimitedError):
        headers |= error.headers
    if isinstance(error, MethodNotAllowedError):
        headers["Allow"] = ", ".join(error.allowed)
    return headers


def build_app(ports: ApiPorts) -> Handler:
    """The API on these ports, as a function from event and context to an answer."""
    return Api(ports)
