"""Take one API request through GitHub's rules: user agent, version, credential, limit, permission.

What answers depends on nothing but the request and the state, so it runs in a worker thread
under the state's lock.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode

from local.github_simulator import rate_limits
from local.github_simulator.answers import Answer, GithubError, not_found
from local.github_simulator.auth import App, Token, app_of_jwt, bad_credentials, bearer, demand
from local.github_simulator.calls import DEFAULT_VERSION, LATER_VERSION, Call
from local.github_simulator.request_log import LoggedRequest
from local.github_simulator.routes import Route, find_route
from local.github_simulator.state import GithubState, Repository

VERSIONS = (DEFAULT_VERSION, LATER_VERSION)
#: Fields that the later version took away, wherever they stood.
RETIRED = frozenset({"assignee", "merge_commit_sha", "has_downloads", "rate"})
NO_USER_AGENT = (
    "Request forbidden by administrative rules. Please make sure your request has a User-Agent"
    " header (https://docs.github.com/en/rest/overview/resources-in-the-rest-api"
    "#user-agent-required). Check https://developer.github.com for other possible causes."
)
REDIRECT_PAGE = (
    "https://docs.github.com/rest/guides/best-practices-for-using-the-rest-api#follow-redirects"
)
BY_ID = re.compile(r"/repositories/(\d+)(/.*)?")


@dataclass(frozen=True, kw_only=True)
class RawRequest:
    """A request as it came; `path` is decoded, header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    content: bytes


def answer_request(state: GithubState, request: RawRequest, entry: LoggedRequest) -> Answer:
    """Answer one API request and say in the log whose it was."""
    with state.lock:
        if not request.headers.get("user-agent"):
            return Answer(
                status=403, body=NO_USER_AGENT.encode(), media_type="text/html; charset=utf-8"
            )
        version = request.headers.get("x-github-api-version", DEFAULT_VERSION)
        token = state.anonymous
        route: Route | None = None
        try:
            if version not in VERSIONS:
                raise _unknown_version(version)
            token, app = _identify(state, request)
            entry.login = token.login or (app.slug if app else None)
            request = replace(request, path=_by_name(state, request.path))
            found = find_route(request.method, request.path)
            if found is None or not found[0].free:
                limit = rate_limits.limit_of(state.settings, token)
                rate_limits.spend(token, limit, state.now())
            if found is None:
                raise not_found()
            route = found[0]
            answer = _answer_route(state, request, found, token=token, app=app)
        except GithubError as error:
            answer = error.answer(*([route.documentation_url] if route else []))
        answer = _versioned(answer, version)
        answer = _conditional(request, token, answer)
        return _with_headers(state, token, version, answer)


def _unknown_version(version: str) -> GithubError:
    return GithubError(
        400,
        f"The version of the API you requested, {version}, is not supported by this API."
        f" Supported versions: {', '.join(VERSIONS)}",
    )


def _identify(state: GithubState, request: RawRequest) -> tuple[Token, App | None]:
    credential = bearer(request.headers.get("authorization"))
    if credential is None:
        return state.anonymous, None
    token = state.tokens.get(credential)
    if token is not None:
        if token.expires_at is not None and token.expires_at <= state.now():
            raise bad_credentials()
        return token, None
    if credential.startswith("eyJ") and credential.count(".") == 2:  # noqa: PLR2004 - a JWT
        return state.anonymous, app_of_jwt(credential, state.apps, state.now())
    raise bad_credentials()


def _by_name(state: GithubState, path: str) -> str:
    """Rewrite `/repositories/{id}/…`, the form of links and redirects."""
    match = BY_ID.fullmatch(path)
    repository = state.repositories.get(int(match[1])) if match else None
    if match is None or repository is None:
        return path
    return f"/repos/{repository.full_name}{match[2] or ''}"


def _answer_route(
    state: GithubState,
    request: RawRequest,
    found: tuple[Route, dict[str, str]],
    *,
    token: Token,
    app: App | None,
) -> Answer:
    route, parameters = found
    repository: Repository | None = None
    if "repo" in parameters:
        full_name = f"{parameters['owner']}/{parameters['repo']}"
        repository = state.repository(full_name)
        if repository is None:
            return _moved(state, request, token, full_name)
        if route.permissions:
            demand(
                token,
                repository_id=repository.id,
                private=repository.private,
                permissions=route.permissions,
            )
    call = Call(
        state=state,
        method=request.method,
        path=request.path,
        parameters=parameters,
        query=request.query,
        headers=request.headers,
        content=request.content,
        token=token,
        now=state.now(),
        app=app,
        known_repository=repository,
        permissions=route.permissions,
    )
    return route.handler(call)


def _moved(state: GithubState, request: RawRequest, token: Token, full_name: str) -> Answer:
    """Redirect from a repository's former name, if the caller may know of it."""
    repository = state.repositories.get(state.former_names.get(full_name.lower(), 0))
    if repository is None or (repository.private and not token.covers(repository.id)):
        raise not_found()
    rest = "/".join(request.path.split("/")[4:])
    query = f"?{urlencode(request.query)}" if request.query else ""
    tail = f"/{rest}" if rest else ""
    address = f"{state.base_url}/repositories/{repository.id}{tail}{query}"
    permanent = request.method == "GET"
    message = "Moved Permanently" if permanent else "Temporary Redirect"
    return Answer(
        status=301 if permanent else 307,
        body={"message": message, "url": address, "documentation_url": REDIRECT_PAGE},
        headers={"Location": address},
    )


def _versioned(answer: Answer, version: str) -> Answer:
    if version != LATER_VERSION or isinstance(answer.body, bytes):
        return answer
    return replace(answer, body=_without_retired(answer.body))


def _without_retired(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_retired(item) for item in value]
    if not isinstance(value, dict):
        return value
    result = {key: _without_retired(item) for key, item in value.items() if key not in RETIRED}
    link = result.get("pull_request")
    if isinstance(link, dict) and "id" not in link and link.get("merged_at", "") is None:
        del link["merged_at"]  # an issue's link to its pull request may be null no longer
    return result


def _conditional(request: RawRequest, token: Token, answer: Answer) -> Answer:
    """Give a 200 its ETag, or turn it into 304 if the caller has it already.

    The tag differs by page and by credential, and a comparison without the quotes fails.
    """
    if request.method != "GET" or answer.status != 200:  # noqa: PLR2004 - OK
        return answer
    content = answer.body
    if not isinstance(content, bytes):
        content = json.dumps(content, sort_keys=True).encode()
    digest = hashlib.sha256(content + b"\0" + token.value.encode()).hexdigest()
    headers = {
        **answer.headers,
        "ETag": f'W/"{digest}"',
        "Cache-Control": f"{'private' if token.login else 'public'}, max-age=60, s-maxage=60",
        "Vary": "Accept, Authorization, Cookie, X-GitHub-OTP",
    }
    known = request.headers.get("if-none-match", "").split(",")
    if f'"{digest}"' not in {tag.strip().removeprefix("W/") for tag in known}:
        return replace(answer, headers=headers)
    if token.kind != "anonymous":
        rate_limits.refund(token)
    return Answer(status=304, headers=headers)


def _with_headers(state: GithubState, token: Token, version: str, answer: Answer) -> Answer:
    limits = rate_limits.headers(token, rate_limits.limit_of(state.settings, token), state.now())
    selected = version if version in VERSIONS else DEFAULT_VERSION
    common = {
        "Date": format_datetime(state.now(), usegmt=True),
        "X-GitHub-Request-Id": ":".join(secrets.token_hex(2).upper() for _ in range(5)),
        "X-GitHub-Media-Type": "github.v3; format=json",
        "X-GitHub-Api-Version-Selected": selected,
    }
    return replace(answer, headers={**common, **limits, **answer.headers})
