"""Answer the endpoints of issues; lists include pull requests, as GitHub's do."""

from __future__ import annotations

from typing import Any

from local.github_simulator.answers import Answer, not_supplied
from local.github_simulator.calls import Call, checked_text
from local.github_simulator.changes import edit_issue, open_issue, set_labels, set_state
from local.github_simulator.labels import label_names
from local.github_simulator.records import Issue
from local.github_simulator.shapes import issue_html_url, issue_shape

RESOURCE = "Issue"
LONGEST_TITLE = 256


def list_issues(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/issues."""
    wanted = call.choice("state", ("open", "closed", "all"), resource=RESOURCE)
    sort = call.choice("sort", ("created", "updated", "comments"), resource=RESOURCE)
    direction = call.choice("direction", ("desc", "asc"), resource=RESOURCE)
    since = call.since(resource=RESOURCE)
    labels = {name.lower() for name in call.query.get("labels", "").split(",") if name}
    creator = call.query.get("creator")
    found = [
        issue
        for issue in call.repository.issues.values()
        if not issue.deleted
        and wanted in (issue.state, "all")
        and (since is None or issue.updated_at >= since)
        and labels <= {label.name.lower() for label in issue.labels}
        and (creator is None or issue.author.login.lower() == creator.lower())
    ]
    found.sort(key=lambda issue: _sort_key(call, issue, sort), reverse=direction == "desc")
    return call.page(found, lambda issue: issue_shape(call.state, call.repository, issue))


def _sort_key(call: Call, issue: Issue, sort: str) -> tuple[Any, int]:
    if sort == "updated":
        return issue.updated_at, issue.number
    if sort == "comments":
        comments = call.repository.comments.values()
        return sum(c.issue_number == issue.number for c in comments), issue.number
    return issue.created_at, issue.number


def get_issue(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/issues/{issue_number}."""
    return Answer(body=issue_shape(call.state, call.repository, call.issue()))


def create_issue(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/issues. Labels of callers without push access are dropped."""
    fields = call.fields()
    if "title" not in fields:
        raise not_supplied("title")
    title = checked_text(
        fields["title"], resource=RESOURCE, field_name="title", longest=LONGEST_TITLE
    )
    names = label_names(fields.get("labels", []))
    issue = open_issue(
        call.state,
        call.repository,
        author=call.user,
        title=title,
        body=_body(fields),
        labels=names if _may_label(call) else (),
    )
    return Answer(
        status=201,
        body=issue_shape(call.state, call.repository, issue),
        headers={"Location": issue_html_url(call.state, call.repository, issue)},
    )


def update_issue(call: Call) -> Answer:
    """PATCH /repos/{owner}/{repo}/issues/{issue_number}: title, body, state, labels."""
    issue, fields = call.issue(), call.fields()
    if not _may_label(call) and issue.author.id != call.user.id:
        raise call.forbidden()
    state_after = fields.get("state", issue.state)
    if state_after not in ("open", "closed"):
        raise not_supplied("state")
    edit_texts(call, issue, fields)
    if "labels" in fields and _may_label(call):
        names = label_names(fields["labels"])
        set_labels(call.state, call.repository, issue, actor=call.user, names=names)
    set_state(
        call.state,
        call.repository,
        issue,
        actor=call.user,
        to=state_after,
        reason=fields.get("state_reason"),
    )
    return Answer(body=issue_shape(call.state, call.repository, issue))


def edit_texts(call: Call, issue: Issue, fields: dict[str, Any]) -> None:
    """Change title and body where the request has them; an empty body is none.

    Raises:
        GithubError: 422, the title is blank or either is too long.
    """
    title = fields.get("title")
    if title is not None:
        title = checked_text(title, resource=RESOURCE, field_name="title", longest=LONGEST_TITLE)
    body = _body(fields) if "body" in fields else issue.body
    edit_issue(call.state, issue, title=title or issue.title, body=body)


def _body(fields: dict[str, Any]) -> str | None:
    body = fields.get("body")
    return None if body in (None, "") else checked_text(body, resource=RESOURCE)


def _may_label(call: Call) -> bool:
    """Whether the caller has push or triage access; an installation has what its token says."""
    if call.token.kind == "installation":
        return True
    return call.repository.permission_of(call.user) in {"admin", "maintain", "write", "triage"}
