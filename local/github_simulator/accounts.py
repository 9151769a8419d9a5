"""Answer the endpoints of users, permissions, repositories and the API itself."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from local.github_simulator.answers import Answer, GithubError, not_found
from local.github_simulator.calls import Call
from local.github_simulator.rate_limits import limit_of, window
from local.github_simulator.records import User
from local.github_simulator.repository_shape import full_repository_shape
from local.github_simulator.shapes import timestamp, user_shape

#: GitHub's older word for each role.
LEGACY_PERMISSION = {"maintain": "write", "triage": "read"}
RANKS = ("none", "read", "triage", "write", "maintain", "admin")


def get_repository(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}."""
    return Answer(body=full_repository_shape(call.state, call.repository))


def get_user(call: Call) -> Answer:
    """GET /users/{username}."""
    user = call.state.users.get(call.parameters["username"].lower())
    if user is None:
        raise not_found()
    return Answer(body=public_user_shape(call, user))


def get_authenticated_user(call: Call) -> Answer:
    """GET /user; an installation is no user."""
    if call.token.kind == "installation":
        raise GithubError(403, "Resource not accessible by integration")
    return Answer(body=public_user_shape(call, call.user))


def public_user_shape(call: Call, user: User) -> dict[str, Any]:
    """GitHub's `public-user`."""
    unknown = ("name", "company", "location", "email", "hireable", "bio", "twitter_username")
    return user_shape(call.state, user) | {
        **dict.fromkeys(unknown),
        "blog": "",
        **dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0),
        "created_at": timestamp(user.created_at),
        "updated_at": timestamp(user.created_at),
    }


def get_permission(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/collaborators/{username}/permission."""
    user = call.state.users.get(call.parameters["username"].lower())
    if user is None:
        raise GithubError(404, f"{call.parameters['username']} is not a user")
    role = call.repository.permission_of(user)
    rank = RANKS.index(role)
    return Answer(
        body={
            "permission": LEGACY_PERMISSION.get(role, role),
            "role_name": role,
            "user": user_shape(call.state, user)
            | {
                "permissions": {
                    "pull": rank >= RANKS.index("read"),
                    "triage": rank >= RANKS.index("triage"),
                    "push": rank >= RANKS.index("write"),
                    "maintain": rank >= RANKS.index("maintain"),
                    "admin": role == "admin",
                },
                "role_name": role,
            },
        }
    )


def get_rate_limit(call: Call) -> Answer:
    """GET /rate_limit; it costs nothing."""
    core = window(call.token, limit_of(call.state.settings, call.token), call.now)
    unused = core | {"used": 0, "remaining": core["limit"]}
    resources = {"core": core, "search": unused, "graphql": unused}
    return Answer(body={"resources": resources, "rate": core})


def get_meta(call: Call) -> Answer:
    """GET /meta; the only address of this GitHub is the loopback one."""
    host = urlsplit(call.state.base_url).hostname
    own = [f"{host}/32"]
    networks = dict.fromkeys(("hooks", "web", "api", "git", "packages", "pages", "importer"), own)
    return Answer(body={"verifiable_password_authentication": False, **networks})
