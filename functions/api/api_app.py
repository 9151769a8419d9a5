"""The routes of the REST API: authenticate, read the request, call one service, answer."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from api_errors import INTERNAL, ErrorAnswer, MethodNotAllowedError, answer_to
from api_rendering import event as rendered
from api_rendering import instant, specialist_list, summary, whole_task, workspace
from api_requests import (
    BulkBody,
    CreateBody,
    EditBody,
    MessageBody,
    Request,
    WorkspaceBody,
    body_as,
    choice,
    event_number,
    flag,
    issue_number,
    list_cursor,
    page_limit,
    required,
)
from api_router import Answer, Router
from aws_lambda_powertools.logging import Logger
from msgspec import UNSET

from nightdesk.domain.api_key import ApiKey, Operation
from nightdesk.domain.errors import InvalidInputError, NightdeskError
from nightdesk.domain.task import MAX_ATTEMPTS_DEFAULT, Priority, Task, TaskStatus, TriggerSource
from nightdesk.domain.version import VERSION
from nightdesk.services.api_ports import ApiPorts
from nightdesk.services.authenticate import authenticate
from nightdesk.services.delete_task import delete_by_status, delete_task
from nightdesk.services.edit_task import TaskEdit, edit_task
from nightdesk.services.list_tasks import list_tasks
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

logger = Logger()

TASKS = "/api/background-tasks"
TASK = "/api/background-tasks/<task_id>"
WORKSPACE = "/api/workspaces/<workspace_id>"

Handler = Callable[[Mapping[str, Any], Any], dict[str, Any]]


class Api:
    """One deployment's REST API."""

    def __init__(self, ports: ApiPorts) -> None:
        self._ports = ports
        self._router = Router(
            {
                ("GET", "/api/health"): self._health,
                ("GET", TASKS): self._list,
                ("POST", TASKS): self._post,
                # Before the routes with an id, which it would fit.
                ("POST", f"{TASKS}/process"): self._process,
                ("GET", TASK): self._show,
                ("PATCH", TASK): self._edit,
                ("DELETE", TASK): self._delete,
                ("POST", f"{TASK}/retry"): self._retry,
                ("POST", f"{TASK}/messages"): self._message,
                ("GET", f"{TASK}/events"): self._events,
                ("GET", WORKSPACE): self._workspace,
                ("PATCH", WORKSPACE): self._change_workspace,
                ("POST", "/api/dead-letters/redrive"): self._redrive,
                ("GET", "/api/polling/check"): self._polling_status,
                ("POST", "/api/polling/check"): self._polling_check,
                ("GET", "/api/github/decisions"): self._decisions,
                ("GET", "/api/specialists"): self._specialists,
            }
        )

    def __call__(self, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        """Answer one event of API Gateway; whatever happens, the answer is an HTTP answer."""
        try:
            request = Request(event)
            found = self._router.match(request)
            logger.append_keys(route=found.name)
            answer = found.route(request, **found.parts)
        except Exception as error:  # noqa: BLE001 - the last one to catch it
            answer = _failure(error, context)
        # Never the path, the query, the body or a header: those may hold secrets.
        logger.info("answered", status=answer.status.value)
        return answer.for_gateway()

    def _caller(self, request: Request, operation: Operation) -> ApiKey:
        """Who calls, if the key is good and may do this."""
        key = authenticate(
            request.header("Authorization"), access=self._ports.access, clock=self._ports.clock
        )
        logger.append_keys(key_id=key.id, workspace_id=key.workspace_id)
        key.demand(operation)
        return key

    # Tasks -----------------------------------------------------------------------------------

    def _list(self, request: Request) -> Answer:
        key = self._caller(request, Operation.READ)
        query = request.query("workspaceId", "status", "limit", "cursor")
        page = list_tasks(
            required("workspaceId", query.get("workspaceId")),
            status=choice("status", query.get("status"), TaskStatus),
            limit=page_limit(query.get("limit")),
            cursor=list_cursor(query.get("cursor")),
            key=key,
            tasks=self._ports.tasks,
        )
        body: dict[str, Any] = {"tasks": [summary(task) for task in page.tasks]}
        if page.cursor is not None:
            body["nextCursor"] = page.cursor
        return Answer(HTTPStatus.OK, body)

    def _post(self, request: Request) -> Answer:
        key = self._caller(request, Operation.WRITE)
        given = request.json_object()
        match given.get("action"):
            case None:
                given.pop("action", None)
                return self._create(request, key, body_as(CreateBody, given))
            case "deleteByStatus":
                return self._delete_by_status(key, body_as(BulkBody, given))
            case "retryByStatus":
                return self._retry_by_status(key, body_as(BulkBody, given))
            case _:
                known = "deleteByStatus, retryByStatus"
                raise InvalidInputError("action", f"action must be {known}, or absent")

    def _create(self, request: Request, key: ApiKey, body: CreateBody) -> Answer:
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
            key=key,
            idempotency_key=request.idempotency_key(),
            ports=self._ports,
        )
        if not submitted.woken:
            logger.warning("no wake-up was sent; the sweeper will", task_id=submitted.task.id)
        if submitted.created:
            view = TaskView(submitted.task, submitted.origin)
            return Answer(HTTPStatus.CREATED, {"task": whole_task(view)})
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
        answer: dict[str, Any] = {
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
        answer: dict[str, Any] = {"success": True, "retried": done.retried, "more": done.more}
        if done.cursor is not None:
            answer["nextCursor"] = done.cursor
        return Answer(HTTPStatus.OK, answer)

    def _show(self, request: Request, task_id: str) -> Answer:
        key = self._caller(request, Operation.READ)
        view = show_task(task_id, key=key, tasks=self._ports.tasks)
        place = place_in_line(view.task, tasks=self._ports.tasks, clock=self._ports.clock)
        return Answer(HTTPStatus.OK, {"task": whole_task(view, place)})

    def _events(self, request: Request, task_id: str) -> Answer:
        key = self._caller(request, Operation.READ)
        query = request.query("after", "limit")
        page = read_events(
            task_id,
            after=event_number(query.get("after")),
            limit=page_limit(query.get("limit")),
            key=key,
            tasks=self._ports.tasks,
        )
        body = {
            "run": page.task.run,
            "status": page.task.status.value,
            "events": [rendered(shown) for shown in page.events],
            "more": page.more,
        }
        return Answer(HTTPStatus.OK, body)

    def _message(self, request: Request, task_id: str) -> Answer:
        key = self._caller(request, Operation.WRITE)
        body = body_as(MessageBody, request.json_object())
        task = message_task(
            task_id,
            body.action or MessageAction.TEXT,
            body.text or "",
            key=key,
            ports=self._ports,
        )
        return self._whole(task, HTTPStatus.ACCEPTED)

    def _edit(self, request: Request, task_id: str) -> Answer:
        key = self._caller(request, Operation.WRITE)
        body = body_as(EditBody, request.json_object())
        edit = TaskEdit(
            title=body.title,
            prompt=body.prompt,
            agent_id=None if body.agent_id is None else required("agentId", body.agent_id),
            priority=body.priority,
        )
        return self._whole(edit_task(task_id, edit, key=key, ports=self._ports))

    def _delete(self, request: Request, task_id: str) -> Answer:
        """`force` is accepted and changes nothing: what runs is stopped first, always."""
        key = self._caller(request, Operation.WRITE)
        flag("force", request.query("force").get("force"))
        task = delete_task(task_id, key=key, tasks=self._ports.tasks, clock=self._ports.clock)
        if task is None:
            return Answer(HTTPStatus.OK, {"success": True})
        stopped = task.status is TaskStatus.CANCELLED
        return self._whole(task, HTTPStatus.OK if stopped else HTTPStatus.ACCEPTED)

    def _retry(self, request: Request, task_id: str) -> Answer:
        key = self._caller(request, Operation.WRITE)
        return self._whole(retry_task(task_id, key=key, ports=self._ports))

    def _whole(self, task: Task, status: HTTPStatus = HTTPStatus.OK) -> Answer:
        return Answer(status, {"task": whole_task(view_of(task, self._ports.tasks))})

    # Workspaces ------------------------------------------------------------------------------

    def _workspace(self, request: Request, workspace_id: str) -> Answer:
        key = self._caller(request, Operation.ADMIN)
        settings = read_workspace(workspace_id, key=key, tasks=self._ports.tasks)
        return Answer(HTTPStatus.OK, {"workspace": workspace(workspace_id, settings)})

    def _change_workspace(self, request: Request, workspace_id: str) -> Answer:
        key = self._caller(request, Operation.ADMIN)
        body = body_as(WorkspaceBody, request.json_object())
        change = WorkspaceChange(
            paused=None if body.paused is UNSET else body.paused,
            tasks_per_day=None if body.tasks_per_day is UNSET else body.tasks_per_day,
            cost_usd_per_day=None if body.cost_usd_per_day is UNSET else body.cost_usd_per_day,
            clear_tasks=body.tasks_per_day is None,
            clear_cost=body.cost_usd_per_day is None,
        )
        settings = change_workspace(
            workspace_id,
            change,
            key=key,
            tasks=self._ports.tasks,
            wake_ups=self._ports.wake_ups,
            clock=self._ports.clock,
        )
        return Answer(HTTPStatus.OK, {"workspace": workspace(workspace_id, settings)})

    # The rest --------------------------------------------------------------------------------

    def _process(self, request: Request) -> Answer:
        self._caller(request, Operation.WRITE)
        swept = self._ports.functions.invoke(
            self._ports.settings.sweeper_function, {"action": "sweep"}
        )
        return Answer(HTTPStatus.OK, {"ok": True, "dispatched": True, "swept": swept})

    def _redrive(self, request: Request) -> Answer:
        """Wake-ups are of every workspace; sending one again tells and changes nothing."""
        self._caller(request, Operation.ADMIN)
        done = self._ports.functions.invoke(
            self._ports.settings.sweeper_function, {"action": "redrive"}
        )
        return Answer(HTTPStatus.OK, {"redriven": done.get("redriven", 0)})

    def _polling_status(self, request: Request) -> Answer:
        self._caller(request, Operation.READ)
        return self._ask_poller("status")

    def _polling_check(self, request: Request) -> Answer:
        self._caller(request, Operation.WRITE)
        return self._ask_poller("check")

    def _ask_poller(self, action: str) -> Answer:
        poller = self._ports.settings.github_poller_function
        return Answer(HTTPStatus.OK, self._ports.functions.invoke(poller, {"action": action}))

    def _decisions(self, request: Request) -> Answer:
        """The poller is asked, because it may read the table of GitHub's events."""
        key = self._caller(request, Operation.READ)
        query = request.query("repo", "number")
        asked = {
            "action": "decisions",
            "repo": required("repo", query.get("repo")),
            "number": issue_number(query.get("number")),
            "workspaceId": key.workspace_id,
        }
        poller = self._ports.settings.github_poller_function
        found = dict(self._ports.functions.invoke(poller, asked))
        shown = found.get("decisions", [])
        found["decisions"] = [
            d for d in shown if "specialist" not in d or key.covers_agent(d["specialist"])
        ]
        return Answer(HTTPStatus.OK, found)

    def _specialists(self, request: Request) -> Answer:
        key = self._caller(request, Operation.READ)
        listed = specialist_list(self._ports.specialists.load())
        listed["specialists"] = [s for s in listed["specialists"] if key.covers_agent(s["id"])]
        return Answer(HTTPStatus.OK, listed)

    def _health(self, request: Request) -> Answer:  # noqa: ARG002 - as all routes
        """Open to everybody and asks nobody: it says that the function runs, and no more."""
        now = instant(self._ports.clock.now())
        return Answer(HTTPStatus.OK, {"status": "ok", "version": VERSION, "timestamp": now})


def _status_of(body: BulkBody) -> TaskStatus:
    if body.status is None:
        raise InvalidInputError("status", f"status is required for {body.action} action")
    return body.status


def _failure(error: Exception, context: Any) -> Answer:
    """Say what the caller can do about it; what only we can do is said in the log."""
    answer = answer_to(error) if isinstance(error, NightdeskError) else INTERNAL
    if answer is INTERNAL:
        logger.error("request failed", exc_info=error)
    elif answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.warning("request could not be served", reason=str(error))
    body = {
        "code": answer.code,
        "message": answer.message or str(error),
        "requestId": getattr(context, "aws_request_id", None),
    }
    if isinstance(error, InvalidInputError):
        body["field"] = error.field
    return Answer(answer.status, {"error": body}, _headers(error, answer))


def _headers(error: Exception, answer: ErrorAnswer) -> dict[str, str]:
    headers = {}
    if answer.retry_after is not None:
        headers["Retry-After"] = str(answer.retry_after)
    if answer.status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, MethodNotAllowedError):
        headers["Allow"] = ", ".join(error.allowed)
    return headers


def build_app(ports: ApiPorts) -> Handler:
    """The API on these ports, as a function from event and context to an answer."""
    return Api(ports)
