"""Steer the simulator from outside: act as people do, disturb it, and look at what it was asked.

All paths are below `/_simulator`, which GitHub does not have. Bodies and answers are JSON; a
request without the JSON content type is refused, so that no web page can send one in secret.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.github_simulator.auth import App, Token
from local.github_simulator.events_feed import Irregularity
from local.github_simulator.faults import Fault
from local.github_simulator.git_repository import GitError
from local.github_simulator.people import PEOPLE_ACTIONS
from local.github_simulator.shapes import timestamp
from local.github_simulator.state import GithubState
from local.github_simulator.wishes import ControlError, Wish

Action = Callable[[Wish], Any]


def add_user(wish: Wish) -> Any:
    """POST /users {login, type?}."""
    user = wish.state.user(wish.text("login"), wish.fields.get("type"))
    return {"id": user.id, "login": user.login, "type": user.kind}


def add_repository(wish: Wish) -> Any:
    """POST /repositories {name: "owner/name", path, private?}."""
    try:
        repository = wish.state.add_repository(
            wish.text("name"), Path(wish.text("path")), private=bool(wish.fields.get("private"))
        )
    except GitError as error:
        raise ControlError(str(error)) from error
    return {"id": repository.id, "default_branch": repository.default_branch}


def rename_repository(wish: Wish) -> Any:
    """POST /repos/{owner}/{repo}/rename {name}; the old name redirects."""
    repository = wish.repository
    wish.state.rename(repository, wish.text("name"))
    return {"full_name": repository.full_name}


def add_token(wish: Wish) -> Any:
    """POST /tokens {token, login, permissions, repositories?: ["owner/name"], kind?, expires_at?}.

    `kind` is `personal` or `installation`: it decides how a refusal is worded, and who may check.
    """
    fields = wish.fields
    wish.state.user(wish.text("login"), fields.get("type"))
    expires_at = fields.get("expires_at")
    token = Token(
        value=wish.text("token"),
        login=wish.text("login"),
        kind=fields.get("kind", "personal"),
        permissions=dict(fields.get("permissions", {})),
        repositories=wish.repository_ids(),
        expires_at=None if expires_at is None else datetime.fromisoformat(expires_at),
    )
    wish.state.add_token(token)
    return {"login": token.login}


def remove_token(wish: Wish) -> Any:
    """DELETE /tokens {token}: it is revoked."""
    wish.state.tokens.pop(wish.text("token"), None)
    return {}


def add_app(wish: Wish) -> Any:
    """POST /apps {id, slug, public_key (PEM), permissions, repositories, owner?}, installed."""
    app = App(
        id=int(wish.fields["id"]),
        slug=wish.text("slug"),
        owner_login=wish.fields.get("owner", "octo-org"),
        installation_id=wish.state.next_id(),
        permissions=dict(wish.fields.get("permissions", {})),
        repositories=wish.repository_ids() or frozenset(),
        public_key=wish.text("public_key"),
        created_at=wish.state.now(),
    )
    wish.state.apps[app.id] = app
    wish.state.user(app.bot_login)
    return {"installation_id": app.installation_id, "bot_login": app.bot_login}


def change_app(wish: Wish) -> Any:
    """PATCH /apps/{app_id} {permissions?, repositories?, suspended?, installed?}.

    `installed` false removes the installation and its tokens; true makes a new one.
    """
    app = wish.state.apps[int(wish.path["app_id"])]
    app.permissions = dict(wish.fields.get("permissions", app.permissions))
    app.repositories = wish.repository_ids() or app.repositories
    if "suspended" in wish.fields:
        app.suspended_at = wish.state.now() if wish.fields["suspended"] else None
    if "installed" in wish.fields:
        app.is_installed = bool(wish.fields["installed"])
        app.installation_id = wish.state.next_id()
        tokens = wish.state.tokens
        for value in [value for value, token in tokens.items() if token.app_id == app.id]:
            del tokens[value]
    return {"installation_id": app.installation_id}


def list_requests(wish: Wish) -> Any:
    """GET /requests?method=&path=&login=&after=: the log, oldest first; `path` is a substring."""
    query = wish.query
    after = int(query.get("after", "0"))
    return [
        dataclasses.asdict(entry) | {"at": timestamp(entry.at)}
        for entry in wish.state.requests.entries
        if entry.number > after
        and query.get("method") in (None, entry.method)
        and query.get("path", "") in entry.path
        and query.get("login") in (None, entry.login)
    ]


def clear_requests(wish: Wish) -> Any:
    """DELETE /requests."""
    wish.state.requests.entries.clear()
    return {}


def add_fault(wish: Wish) -> Any:
    """POST /faults: the fields of `Fault` but its id."""
    try:
        fault = Fault(id=wish.state.next_id(), **wish.fields)
    except (TypeError, re.error) as error:
        raise ControlError(f"no such fault: {error}") from error
    wish.state.faults.append(fault)
    return dataclasses.asdict(fault)


def list_faults(wish: Wish) -> Any:
    """GET /faults: `count` is what is left of each."""
    return [dataclasses.asdict(fault) for fault in wish.state.faults]


def clear_faults(wish: Wish) -> Any:
    """DELETE /faults {id?}: one or all."""
    wanted = wish.fields.get("id")
    state = wish.state
    state.faults = [item for item in state.faults if wanted not in (None, item.id)]
    return {}


def change_settings(wish: Wish) -> Any:
    """PATCH /settings: fields of `Settings`."""
    for name, value in wish.fields.items():
        if not hasattr(wish.state.settings, name):
            raise ControlError(f"no setting {name!r}")
        setattr(wish.state.settings, name, value)
    return dataclasses.asdict(wish.state.settings)


def advance_clock(wish: Wish) -> Any:
    """POST /clock {seconds}: move the simulated time forwards."""
    wish.state.advance(timedelta(seconds=float(wish.fields["seconds"])))
    return {"now": timestamp(wish.state.now())}


def list_feed(wish: Wish) -> Any:
    """GET /repos/{owner}/{repo}/events: every event, also those that the API does not show yet."""
    return [
        {
            "id": str(event.id),
            "type": event.type,
            "created_at": timestamp(event.created_at),
            "visible_at": None if event.visible_at is None else timestamp(event.visible_at),
            "payload": event.payload,
        }
        for event in wish.repository.events.events
    ]


def add_event(wish: Wish) -> Any:
    """POST /repos/{owner}/{repo}/events {type, actor, payload}: any event at all."""
    event = wish.repository.events.add(
        wish.text("type"),
        actor=wish.state.user(wish.text("actor")),
        payload=wish.fields.get("payload", {}),
        now=wish.state.now(),
    )
    return {"id": None if event is None else str(event.id)}


def disturb_feed(wish: Wish) -> Any:
    """POST /repos/…/events/irregularity {count?, delay_seconds?, hold?, drop?, ids?}."""
    fields = dict(wish.fields)
    delay = timedelta(seconds=float(fields.pop("delay_seconds", 0)))
    try:
        rule = Irregularity(delay=delay, **fields)
    except TypeError as error:
        raise ControlError(f"no such irregularity: {error}") from error
    wish.repository.events.irregularities.append(rule)
    return {"count": rule.count}


def release_events(wish: Wish) -> Any:
    """POST /repos/{owner}/{repo}/events/release {ids?}: show what is held back or late."""
    ids = wish.fields.get("ids")
    chosen = None if ids is None else frozenset(int(item) for item in ids)
    return {"released": wish.repository.events.release(wish.state.now(), chosen)}


def reorder_events(wish: Wish) -> Any:
    """POST /repos/{owner}/{repo}/events/reorder {ids}: newest first, among equal timestamps."""
    wish.repository.events.reorder([int(item) for item in wish.fields["ids"]])
    return {}


def list_actions(wish: Wish) -> Any:
    """GET /: what can be asked for."""
    del wish
    lines = (action.__doc__ or "" for _, _, action in ACTIONS)
    return [" ".join(line.split()) for line in lines]


def reset(wish: Wish) -> Any:
    """POST /reset: forget everything."""
    wish.state.reset()
    return {}


ACTIONS: tuple[tuple[str, str, Action], ...] = (
    ("GET", "", list_actions),
    ("POST", "/reset", reset),
    ("POST", "/users", add_user),
    ("POST", "/repositories", add_repository),
    ("POST", "/tokens", add_token),
    ("DELETE", "/tokens", remove_token),
    ("POST", "/apps", add_app),
    ("PATCH", "/apps/{app_id}", change_app),
    ("GET", "/requests", list_requests),
    ("DELETE", "/requests", clear_requests),
    ("POST", "/faults", add_fault),
    ("GET", "/faults", list_faults),
    ("DELETE", "/faults", clear_faults),
    ("PATCH", "/settings", change_settings),
    ("POST", "/clock", advance_clock),
    ("POST", "/repos/{owner}/{repo}/rename", rename_repository),
    ("GET", "/repos/{owner}/{repo}/events", list_feed),
    ("POST", "/repos/{owner}/{repo}/events", add_event),
    ("POST", "/repos/{owner}/{repo}/events/irregularity", disturb_feed),
    ("POST", "/repos/{owner}/{repo}/events/release", release_events),
    ("POST", "/repos/{owner}/{repo}/events/reorder", reorder_events),
    *PEOPLE_ACTIONS,
)


def control_routes(state: GithubState) -> list[Route]:
    """Serve the actions below `/_simulator`."""
    return [
        Route(f"/_simulator{path}", _endpoint(state, action), methods=[method])
        for method, path, action in ACTIONS
    ]


def _endpoint(state: GithubState, action: Action) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        content = await request.body()
        media = request.headers.get("content-type", "").partition(";")[0]
        if request.method != "GET" and media != "application/json":
            return JSONResponse({"error": "send Content-Type: application/json"}, status_code=415)

        def act() -> Response:
            with state.lock:
                try:
                    wish = Wish(
                        state=state,
                        path=request.path_params,
                        query=dict(request.query_params),
                        fields=json.loads(content or b"{}"),
                    )
                    return JSONResponse(action(wish))
                except (ControlError, KeyError, ValueError) as error:
                    return JSONResponse({"error": str(error)}, status_code=400)

        return await run_in_threadpool(act)

    return endpoint
