"""Show one task as it goes on, until its result is published or it has failed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local.api_client import TERMINAL, ApiClient
from local.errors import LocalRunError
from local.screen import Screen

POLL_SECONDS = 0.4
#: A publisher that was cut is driven by the sweeper, which comes each minute.
PUBLISH_SECONDS = 150.0
#: A lost wake-up is made good by the sweeper within the minute; longer means a broken executor.
START_SECONDS = 90.0
FAILED_PUBLICATION = "failed:"

Sleep = Callable[[float], None]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A finished task and where its result was published."""

    task: dict[str, Any]
    url: str


def follow_task(api: ApiClient, task_id: str, screen: Screen, *, within_seconds: float) -> Outcome:
    """Show each change of the task; returns once its comment is there.

    Raises:
        LocalRunError: it ended otherwise or the time is up; the message says why.
    """
    begun = time.monotonic()
    end = begun + within_seconds
    shown = ""
    published_by: float | None = None
    while True:
        task = api.task(task_id)
        if task["status"] != shown:
            shown = task["status"]
            screen.step("task", f"{shown}{_details(task)}")
        screen.now(_activity(task))
        if shown in TERMINAL:
            published_by = published_by or time.monotonic() + PUBLISH_SECONDS
            url = _published(task)
            if url:
                screen.quiet()
                return Outcome(task=task, url=url)
            _check_end(task, late=time.monotonic() > published_by)
        elif task["startedAt"] is None and time.monotonic() > begun + START_SECONDS:
            raise LocalRunError(
                f"No executor has taken the task within {START_SECONDS:.0f} s; cloud.log says why."
            )
        elif time.monotonic() > end:
            raise LocalRunError(
                f"The task is still {shown} after {within_seconds:.0f} s: {_activity(task)}"
            )
        time.sleep(POLL_SECONDS)


def _details(task: dict[str, Any]) -> str:
    if task["status"] == "COMPLETED":
        tokens = task["inputTokens"] + task["outputTokens"]
        spent = f", {tokens} tokens, ${task['costUsd']:.4f}" if tokens else ""
        return f" after {task['toolCallCount']} tool calls{spent}"
    if task["status"] == "RUNNING" and task["attempts"] > 1:
        return f", attempt {task['attempts']} of {task['maxAttempts']}"
    return ""


def _activity(task: dict[str, Any]) -> str:
    if task["status"] in TERMINAL:
        return "waiting for the comment to be published"
    if task["status"] == "PENDING":
        return "waiting for an executor"
    doing = task["currentActivity"] or "at work"
    return f"{doing} ({task['toolCallCount']} tool calls)"


def _published(task: dict[str, Any]) -> str:
    publication = task["publication"] or ""
    if publication.startswith(FAILED_PUBLICATION):
        raise LocalRunError(f"The task ended, but publishing its comment {publication}")
    return str(publication)


def _check_end(task: dict[str, Any], *, late: bool) -> None:
    if task["status"] != "COMPLETED":
        error = task["error"] or {"code": "no error", "message": ""}
        raise LocalRunError(
            f"The task ended {task['status']}: {error['code']} {error['message']}".rstrip()
        )
    if late:
        raise LocalRunError(
            f"The task is COMPLETED, but no comment was published within {PUBLISH_SECONDS:.0f} s."
        )
