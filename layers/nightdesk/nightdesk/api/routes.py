"""Every route of the API: the router, the check of the key and the OpenAPI document are made of it.

Whoever adds a route adds a row here, a method to `Api` (nightdesk.api.app), a line to docs/api.md,
and runs `make openapi`; tests say what is missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from nightdesk.api import parameters
from nightdesk.api.parameters import Parameter
from nightdesk.api.requests import (
    BulkBody,
    CreateBody,
    EditBody,
    KeyBody,
    MessageBody,
    RotateBody,
    WorkspaceBody,
)
from nightdesk.domain.api_key import Operation

TASKS = "/api/background-tasks"
TASK = "/api/background-tasks/<task_id>"
WORKSPACE = "/api/workspaces/<workspace_id>"
KEYS = "/api/keys"
KEY = "/api/keys/<key_id>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path; `<name>` in the path stands for one part that is not empty."""

    method: str
    path: str
    #: The method of `Api` that answers, without its underscore.
    name: str
    summary: str
    #: What the key must be allowed to do; None = the route is open to everybody.
    operation: Operation | None
    #: Status of each success, and the types of its body: names in nightdesk.api.answers, which is
    #: never imported on Lambda, since only the type checker and the OpenAPI document need it.
    #: "" = text.
    answers: Mapping[int, str]
    #: The body is one of these; none = there is no body.
    bodies: tuple[type, ...] = ()
    #: Whether no body at all means an empty one.
    may_lack_body: bool = False
    query: tuple[Parameter, ...] = ()
    #: Statuses of errors that do not follow from the rest (see `error_statuses`).
    errors: tuple[int, ...] = ()
    #: Whether it takes an Idempotency-Key.
    is_idempotent_by_key: bool = False
    #: Of its successes.
    media_type: str = "application/json"
    #: One of those in local/openapi/document.py.
    tag: str = "Tasks"

    @property
    def error_statuses(self) -> tuple[int, ...]:
        """Every error status that the route answers with."""
        found = {500, *self.errors}
        if self.operation is not None:
            found |= {401, 403, 429, 503}
        if self.bodies:
            found |= {400, 413, 415}
        if self.query:
            found.add(400)
        if "<task_id>" in self.path or "<key_id>" in self.path:
            found.add(404)
        return tuple(sorted(found))


READ, WRITE, ADMIN = Operation.READ, Operation.WRITE, Operation.ADMIN

#: The first that fits answers, so a fixed path comes before the one with an id that it would fit.
ROUTES = (
    Route(
        method="GET",
        path="/api/health",
        name="health",
        summary="Whether the function runs",
        operation=None,
        answers={200: "Health"},
        tag="Service",
    ),
    Route(
        method="GET",
        path="/api/openapi.json",
        name="document",
        summary="This document",
        operation=None,
        answers={200: "Document"},
        tag="Service",
    ),
    Route(
        method="GET",
        path="/api/docs",
        name="docs",
        summary="This document, for people",
        operation=None,
        answers={200: ""},
        media_type="text/html",
        tag="Service",
    ),
    Route(
        method="GET",
        path=TASKS,
        name="list",
        summary="List tasks, newest first",
        operation=READ,
        query=(parameters.WORKSPACE_ID, parameters.STATUS, parameters.LIMIT, parameters.CURSOR),
        answers={200: "TaskList"},
    ),
    Route(
        method="POST",
        path=TASKS,
        name="post",
        summary="Create a task; or delete or retry many, with an `action`",
        operation=WRITE,
        bodies=(CreateBody, BulkBody),
        answers={
            200: "TaskAnswer | BulkDeleted | BulkRetried",
            201: "TaskAnswer",
        },
        errors=(409, 422),
        is_idempotent_by_key=True,
    ),
    Route(
        method="POST",
        path=f"{TASKS}/process",
        name="process",
        summary="Sweep now instead of within the minute",
        operation=WRITE,
        answers={200: "Processed"},
        tag="Service",
    ),
    Route(
        method="GET",
        path=TASK,
        name="show",
        summary="One task, with prompt, trigger and output",
        operation=READ,
        answers={200: "TaskAnswer"},
    ),
    Route(
        method="PATCH",
        path=TASK,
        name="edit",
        summary="Change a PENDING task",
        operation=WRITE,
        bodies=(EditBody,),
        answers={200: "TaskAnswer"},
        errors=(409,),
    ),
    Route(
        method="DELETE",
        path=TASK,
        name="delete",
        summary="Delete a task, or cancel it when it runs or waits",
        operation=WRITE,
        query=(parameters.FORCE,),
        answers={200: "Done | TaskAnswer", 202: "TaskAnswer"},
        errors=(409,),
    ),
    Route(
        method="POST",
        path=f"{TASK}/retry",
        name="retry",
        summary="Begin a new run of a FAILED or CANCELLED task",
        operation=WRITE,
        answers={200: "TaskAnswer"},
        errors=(409,),
    ),
    Route(
        method="POST",
        path=f"{TASK}/messages",
        name="message",
        summary="Send its agent a message, or the approval that it waits for",
        operation=WRITE,
        bodies=(MessageBody,),
        answers={202: "TaskAnswer"},
        errors=(409,),
    ),
    Route(
        method="GET",
        path=f"{TASK}/events",
        name="events",
        summary="What its session did",
        operation=READ,
        query=(parameters.AFTER, parameters.LIMIT),
        answers={200: "EventList"},
    ),
    Route(
        method="GET",
        path=WORKSPACE,
        name="workspace",
        summary="Pause and budgets of the key's own workspace",
        operation=ADMIN,
        answers={200: "WorkspaceAnswer"},
        tag="Workspaces",
    ),
    Route(
        method="PATCH",
        path=WORKSPACE,
        name="change_workspace",
        summary="Change pause and budgets",
        operation=ADMIN,
        bodies=(WorkspaceBody,),
        answers={200: "WorkspaceAnswer"},
        tag="Workspaces",
    ),
    Route(
        method="GET",
        path=KEYS,
        name="keys",
        summary="List keys, without their secrets",
        operation=ADMIN,
        answers={200: "KeyList"},
        tag="Keys",
    ),
    Route(
        method="POST",
        path=KEYS,
        name="make_key",
        summary="Make a key, and show it once",
        operation=ADMIN,
        bodies=(KeyBody,),
        answers={201: "NewKeyAnswer"},
        tag="Keys",
    ),
    Route(
        method="POST",
        path=f"{KEY}/rotate",
        name="rotate_key",
        summary="Give a key a new secret; the old one is accepted for a while",
        operation=ADMIN,
        bodies=(RotateBody,),
        may_lack_body=True,
        answers={200: "NewKeyAnswer"},
        errors=(409,),
        tag="Keys",
    ),
    Route(
        method="DELETE",
        path=KEY,
        name="revoke_key",
        summary="Revoke a key; its next request is refused",
        operation=ADMIN,
        answers={200: "KeyAnswer"},
        tag="Keys",
    ),
    Route(
        method="POST",
        path=f"{WORKSPACE}/callback-secret",
        name="callback_secret",
        summary="Make a new secret that signs callbacks; the one before is good for a day",
        operation=ADMIN,
        answers={201: "CallbackSecret"},
        errors=(409,),
        tag="Workspaces",
    ),
    Route(
        method="GET",
        path=f"{WORKSPACE}/dead-callbacks",
        name="dead_callbacks",
        summary="Callbacks that were given up, the newest first",
        operation=READ,
        answers={200: "DeliveryList"},
        tag="Workspaces",
    ),
    Route(
        method="GET",
        path=f"{TASK}/callbacks",
        name="callbacks",
        summary="Callbacks about the task, and what became of them",
        operation=READ,
        answers={200: "DeliveryList"},
    ),
    Route(
        method="POST",
        path=f"{TASK}/callbacks/<delivery_id>/resend",
        name="resend",
        summary="Send a dead callback again",
        operation=WRITE,
        answers={202: "DeliveryAnswer"},
        errors=(409,),
    ),
    Route(
        method="POST",
        path="/api/dead-letters/redrive",
        name="redrive",
        summary="Send again the wake-ups that the queue has given up on",
        operation=ADMIN,
        answers={200: "Redriven"},
        tag="Service",
    ),
    Route(
        method="GET",
        path="/api/polling/check",
        name="polling_status",
        summary="What polling is configured to do and did last",
        operation=READ,
        answers={200: "PollStatus"},
        tag="GitHub",
    ),
    Route(
        method="POST",
        path="/api/polling/check",
        name="polling_check",
        summary="Poll GitHub now",
        operation=WRITE,
        answers={200: "PollReport", 202: "PollStarted"},
        tag="GitHub",
    ),
    Route(
        method="GET",
        path="/api/github/decisions",
        name="decisions",
        summary="Why something, or nothing, happened on an issue or pull request",
        operation=READ,
        query=(parameters.REPO, parameters.NUMBER),
        answers={200: "DecisionList"},
        tag="GitHub",
    ),
    Route(
        method="GET",
        path="/api/specialists",
        name="specialists",
        summary="Who there is, and which files are broken",
        operation=READ,
        answers={200: "SpecialistList"},
        tag="Service",
    ),
)
