"""Count requests by the hour for each token, as GitHub's primary rate limit does."""

from __future__ import annotations

from datetime import datetime, timedelta

from local.github_simulator.answers import GithubError
from local.github_simulator.auth import Token
from local.github_simulator.state import Settings

WINDOW = timedelta(hours=1)


def limit_of(settings: Settings, token: Token) -> int:
    """Say how many requests an hour a token has."""
    if token.kind == "anonymous":
        return settings.anonymous_limit_an_hour
    return settings.token_limit_an_hour


def window(token: Token, limit: int, now: datetime) -> dict[str, int]:
    """Describe the running hour; a finished one is forgotten. `reset` is in epoch seconds."""
    if token.window_started_at is None or now >= token.window_started_at + WINDOW:
        token.window_started_at, token.used = now, 0
    return {
        "limit": limit,
        "used": token.used,
        "remaining": max(0, limit - token.used),
        "reset": int((token.window_started_at + WINDOW).timestamp()),
    }


def spend(token: Token, limit: int, now: datetime) -> None:
    """Count one request.

    Raises:
        GithubError: 403, nothing is left of the hour.
    """
    if window(token, limit, now)["remaining"] == 0:
        whose = f"user ID {token.login}" if token.login else "127.0.0.1"
        raise GithubError(403, f"API rate limit exceeded for {whose}.")
    token.used += 1


def refund(token: Token) -> None:
    """Take back one request: a 304 to a caller with a credential is free."""
    token.used = max(0, token.used - 1)


def headers(token: Token, limit: int, now: datetime) -> dict[str, str]:
    """Write the headers that every answer carries."""
    state = window(token, limit, now)
    named = {f"X-RateLimit-{name.capitalize()}": str(value) for name, value in state.items()}
    return named | {"X-RateLimit-Resource": "core"}
