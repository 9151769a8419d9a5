"""Answer the endpoints of issue comments, which are also the conversation of pull requests."""

from __future__ import annotations

from local.github_simulator.answers import Answer, GithubError
from local.github_simulator.calls import Call, checked_text
from local.github_simulator.changes import add_comment, delete_comment, edit_comment
from local.github_simulator.records import Comment
from local.github_simulator.shapes import comment_shape

RESOURCE = "IssueComment"


def list_issue_comments(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/issues/{issue_number}/comments, oldest first."""
    issue, since = call.issue(), call.since(resource=RESOURCE)
    found = [
        comment
        for comment in call.repository.comments.values()
        if comment.issue_number == issue.number and (since is None or comment.updated_at >= since)
    ]
    return _page(call, sorted(found, key=lambda comment: comment.id))


def list_repository_comments(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/issues/comments; `direction` counts only with `sort`."""
    since = call.since(resource=RESOURCE)
    found = [
        comment
        for comment in call.repository.comments.values()
        if since is None or comment.updated_at >= since
    ]
    if "sort" not in call.query:
        return _page(call, sorted(found, key=lambda comment: comment.id))
    sort = call.choice("sort", ("created", "updated"), resource=RESOURCE)
    direction = call.choice("direction", ("desc", "asc"), resource=RESOURCE)
    found.sort(
        key=lambda item: (item.updated_at if sort == "updated" else item.created_at, item.id),
        reverse=direction == "desc",
    )
    return _page(call, found)


def _page(call: Call, found: list[Comment]) -> Answer:
    return call.page(found, lambda comment: comment_shape(call.state, call.repository, comment))


def get_comment(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/issues/comments/{comment_id}."""
    return Answer(body=comment_shape(call.state, call.repository, call.comment()))


def create_comment(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/issues/{issue_number}/comments."""
    issue = call.issue()
    body = checked_text(call.fields().get("body"), resource=RESOURCE)
    permission = call.repository.permission_of(call.user)
    if issue.locked and permission not in {"admin", "maintain", "write"}:
        raise GithubError(403, "Unable to create comment because issue is locked.")
    comment = add_comment(call.state, call.repository, issue, author=call.user, body=body)
    shape = comment_shape(call.state, call.repository, comment)
    return Answer(status=201, body=shape, headers={"Location": shape["url"]})


def update_comment(call: Call) -> Answer:
    """PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}; only its author may."""
    comment = _own_comment(call)
    body = checked_text(call.fields().get("body"), resource=RESOURCE)
    edit_comment(call.state, call.repository, comment, body=body)
    return Answer(body=comment_shape(call.state, call.repository, comment))


def remove_comment(call: Call) -> Answer:
    """DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}; only its author may."""
    delete_comment(call.state, call.repository, _own_comment(call))
    return Answer(status=204)


def _own_comment(call: Call) -> Comment:
    comment = call.comment()
    if comment.author.id != call.user.id:
        raise GithubError(403, "Must have admin rights to Repository.")
    return comment
