"""Answer the endpoint of a repository's events, with its `X-Poll-Interval` and its limits."""

from __future__ import annotations

from typing import Any

from local.github_simulator.answers import Answer, GithubError, Page
from local.github_simulator.calls import Call
from local.github_simulator.events_feed import LONGEST_FEED, Event
from local.github_simulator.shapes import actor_shape, api_url, timestamp


def list_events(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/events; 422 for a page beyond the 300th event."""
    page = Page.of(call.query)
    if (page.number - 1) * page.size >= LONGEST_FEED:
        raise GithubError(
            422,
            "In order to keep the API fast for everyone, pagination is limited for this resource.",
        )
    answer = call.page(
        call.repository.events.visible(call.now), lambda event: event_shape(call, event)
    )
    interval = str(call.state.settings.poll_interval_seconds)
    return Answer(body=answer.body, headers={**answer.headers, "X-Poll-Interval": interval})


def event_shape(call: Call, event: Event) -> dict[str, Any]:
    """GitHub's `event`: the id is a string, the repository's name is `owner/name`."""
    return {
        "id": str(event.id),
        "type": event.type,
        "actor": actor_shape(call.state, event.actor),
        "repo": {
            "id": call.repository.id,
            "name": call.repository.full_name,
            "url": api_url(call.state, call.repository),
        },
        "payload": event.payload,
        "public": not call.repository.private,
        "created_at": timestamp(event.created_at),
    }
