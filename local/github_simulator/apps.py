"""Answer the endpoints of GitHub Apps: who the app is, its installation, and tokens for it."""

from __future__ import annotations

from typing import Any

from local.github_simulator.answers import Answer, GithubError, not_found
from local.github_simulator.auth import (
    INSTALLATION_TOKEN_LIFE,
    LEVELS,
    App,
    Token,
    new_installation_token,
)
from local.github_simulator.calls import Call
from local.github_simulator.repository_shape import repository_shape
from local.github_simulator.shapes import app_shape, timestamp, user_shape

STATELESS_HEADER = "x-github-stateless-s2s-token"


def _app(call: Call) -> App:
    if call.app is None:
        raise GithubError(401, "A JSON web token could not be decoded")
    return call.app


def get_app(call: Call) -> Answer:
    """GET /app."""
    app = _app(call)
    return Answer(body=app_shape(call.state, app) | {"installations_count": 1})


def get_repository_installation(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/installation."""
    app = _app(call)
    if call.repository.id not in app.repositories or not app.is_installed:
        raise not_found()
    owner = call.state.user(app.owner_login)
    base = f"{call.state.base_url}/app/installations/{app.installation_id}"
    shape = {
        "id": app.installation_id,
        "account": user_shape(call.state, owner),
        "repository_selection": "selected",
        "access_tokens_url": f"{base}/access_tokens",
        "repositories_url": f"{call.state.base_url}/installation/repositories",
        "html_url": f"{call.state.base_url}/settings/installations/{app.installation_id}",
        "app_id": app.id,
        "app_slug": app.slug,
        "target_id": owner.id,
        "target_type": owner.kind,
        "permissions": app.permissions,
        "events": app.events,
        "created_at": timestamp(app.created_at),
        "updated_at": timestamp(app.created_at),
        "single_file_name": None,
        "suspended_by": None,
        "suspended_at": timestamp(app.suspended_at) if app.suspended_at else None,
    }
    return Answer(body=shape)


def create_access_token(call: Call) -> Answer:
    """POST /app/installations/{installation_id}/access_tokens.

    `repositories` (names) or `repository_ids` and `permissions` narrow the token down; asking for
    more than the installation has is 422.
    """
    app = _app(call)
    if call.number("installation_id") != app.installation_id or not app.is_installed:
        raise not_found()
    if app.suspended_at:
        raise GithubError(403, "This installation has been suspended")
    fields = call.fields()
    chosen = _repositories(call, app, fields)
    permissions = _permissions(app, fields)
    value = new_installation_token(app)
    if call.headers.get(STATELESS_HEADER) == "disabled":  # the form used until April 2026
        value = f"ghs_{value[-36:].replace('-', 'x').replace('_', 'x')}"
    expires_at = call.now + INSTALLATION_TOKEN_LIFE
    token = Token(
        value=value,
        login=app.bot_login,
        kind="installation",
        permissions=permissions,
        repositories=chosen or app.repositories,
        expires_at=expires_at,
        app_id=app.id,
    )
    call.state.add_token(token)
    body: dict[str, Any] = {
        "token": value,
        "expires_at": timestamp(expires_at),
        "permissions": permissions,
        "repository_selection": "selected",
    }
    if chosen:
        repositories = (call.state.repositories[identifier] for identifier in sorted(chosen))
        body["repositories"] = [repository_shape(call.state, item) for item in repositories]
    return Answer(status=201, body=body)


def _repositories(call: Call, app: App, fields: dict[str, Any]) -> frozenset[int]:
    names = {str(name).lower() for name in fields.get("repositories", [])}
    wanted = set(fields.get("repository_ids", []))
    installed = [call.state.repositories[identifier] for identifier in app.repositories]
    wanted |= {item.id for item in installed if item.name.lower() in names}
    if names - {item.name.lower() for item in installed} or wanted - app.repositories:
        raise GithubError(
            422,
            "There is at least one repository that does not exist or is not accessible to the"
            " parent installation.",
        )
    return frozenset(wanted)


def _permissions(app: App, fields: dict[str, Any]) -> dict[str, str]:
    wanted: dict[str, str] = fields.get("permissions") or app.permissions
    for name, level in wanted.items():
        if LEVELS.get(level, 9) > LEVELS[app.permissions.get(name, "none")] and name != "metadata":
            raise GithubError(
                422, "The permissions requested are not granted to this installation."
            )
    return {"metadata": "read", **wanted}


def revoke_access_token(call: Call) -> Answer:
    """DELETE /installation/token; the token is worth nothing from now on."""
    if call.token.kind != "installation":
        raise GithubError(403, "Resource not accessible by personal access token")
    del call.state.tokens[call.token.value]
    return Answer(status=204)
