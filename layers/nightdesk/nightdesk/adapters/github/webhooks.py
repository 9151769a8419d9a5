"""Read the payload of a webhook: the event in the feed's form, and the issue as it is now.

A webhook's payload holds all that the feed's holds and more, so both are read by the same code
and get the same natural key.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nightdesk.adapters.github.shapes import account_of, issue_of, moment_of_json, repository_of
from nightdesk.domain.errors import UnavailableError
from nightdesk.domain.github_ports import Delivery, FeedEvent

#: The feed's name of an event, and where its payload has the issue or pull request.
_KNOWN = {
    "issues": ("IssuesEvent", "issue"),
    "issue_comment": ("IssueCommentEvent", "issue"),
    "pull_request": ("PullRequestEvent", "pull_request"),
}


def read_delivery(event: str, guid: str, payload: Mapping[str, Any]) -> Delivery | None:
    """The delivery; None without a repository. What else is missing is missing in the answer."""
    try:
        repo = repository_of(payload.get("repository"))
    except UnavailableError:
        return None
    kind, subject_name = _KNOWN.get(event, ("", ""))
    subject = payload.get(subject_name)
    if not isinstance(subject, dict):
        return Delivery(repo=repo)
    try:
        facts = issue_of(subject)
    except UnavailableError:
        return Delivery(repo=repo)
    item = FeedEvent(
        id=guid,
        type=kind,
        created_at=moment_of_json(subject.get("updated_at")),
        actor=account_of(payload.get("sender")),
        repo_id=repo.id,
        payload=payload,
    )
    is_pull_request = facts.is_pull_request or event == "pull_request"
    facts = replace(facts, repo=repo.full_name, is_pull_request=is_pull_request)
    return Delivery(repo=repo, item=item, facts=facts)
