"""Put the simulator together: API, control paths and pages, with the gateway before them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from local.github_simulator.answers import Answer
from local.github_simulator.contents import archive_of
from local.github_simulator.control import control_routes
from local.github_simulator.dispatch import RawRequest, answer_request
from local.github_simulator.gateway import Gateway, Hangup
from local.github_simulator.pages import POLICY, index_page, issue_page
from local.github_simulator.state import GithubState

Endpoint = Callable[[Request], Any]
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def create_application(state: GithubState, hang_up: Hangup) -> Gateway:
    """Serve a state over ASGI; `hang_up` closes a client's connection."""
    routes = [
        *control_routes(state),
        Route("/", _index(state)),
        Route("/_codeload/{owner}/{repo}/legacy.tar.gz/{ref:path}", _archive(state)),
        # Before the pages, because `/repositories/1/issues/2` looks like one.
        Route("/repos/{rest:path}", _api(state), methods=METHODS),
        Route("/repositories/{rest:path}", _api(state), methods=METHODS),
        Route("/{owner}/{repo}/issues/{number:int}", _page(state)),
        Route("/{owner}/{repo}/pull/{number:int}", _page(state)),
        Route("/{rest:path}", _api(state), methods=METHODS),
    ]
    return Gateway(Starlette(routes=routes), state, hang_up)


def _response(answer: Answer) -> Response:
    headers = dict(answer.headers)
    if answer.body is None:
        return Response(status_code=answer.status, headers=headers)
    body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
    return Response(body, answer.status, headers, answer.media_type)


def _api(state: GithubState) -> Endpoint:
    async def api(request: Request) -> Response:
        raw = RawRequest(
            method=request.method,
            path=request.scope["path"].rstrip("/") or "/",
            query=dict(request.query_params),
            headers={key.lower(): value for key, value in request.headers.items()},
            content=await request.body(),
        )
        entry = request.scope["nightdesk.entry"]
        return _response(await run_in_threadpool(answer_request, state, raw, entry))

    return api


def _archive(state: GithubState) -> Endpoint:
    async def archive(request: Request) -> Response:
        def opened() -> Response:
            with state.lock:
                parameters = request.path_params
                repository = state.repository(f"{parameters['owner']}/{parameters['repo']}")
                token = request.query_params.get("token", "")
                ref = parameters["ref"]
                found = archive_of(state, repository, ref, token) if repository else None
            if found is None:
                return Response("404: Not Found", 404, media_type="text/plain")
            folder, chunks = found
            disposition = {"Content-Disposition": f"attachment; filename={folder}.tar.gz"}
            return StreamingResponse(chunks, headers=disposition, media_type="application/x-gzip")

        return await run_in_threadpool(opened)

    return archive


def _page(state: GithubState) -> Endpoint:
    def page(request: Request) -> Response:
        parameters = request.path_params
        with state.lock:
            repository = state.repository(f"{parameters['owner']}/{parameters['repo']}")
            issue = repository.issues.get(parameters["number"]) if repository else None
            if repository is None or issue is None or issue.deleted:
                return HTMLResponse("<h1>404: not found</h1>", 404)
            content = issue_page(state, repository, issue)
        return HTMLResponse(content, headers={"Content-Security-Policy": POLICY})

    return page


def _index(state: GithubState) -> Endpoint:
    def index(request: Request) -> Response:
        del request
        with state.lock:
            content = index_page(state)
        return HTMLResponse(content, headers={"Content-Security-Policy": POLICY})

    return index
