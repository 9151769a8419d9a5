"""Answer the endpoints of reviews and of comments on lines of a diff."""

from __future__ import annotations

from typing import Any

from local.github_simulator.answers import Answer, GithubError
from local.github_simulator.calls import LONGEST_BODY, Call, checked_text
from local.github_simulator.pull_changes import (
    DraftComment,
    ReviewState,
    UnresolvableLineError,
    submit_review,
)
from local.github_simulator.pull_shapes import review_comment_shape, review_shape
from local.github_simulator.records import Issue, PullDetails, Review, ReviewComment

RESOURCE = "PullRequestReviewComment"
STATES: dict[str | None, ReviewState] = {
    "APPROVE": "APPROVED",
    "REQUEST_CHANGES": "CHANGES_REQUESTED",
    "COMMENT": "COMMENTED",
    None: "PENDING",
}


def unprocessable(*errors: str) -> GithubError:
    """Refuse a review; GitHub gives these errors as plain texts."""
    return GithubError(422, "Unprocessable Entity", errors=errors)


def list_reviews(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews; only its author sees a pending one."""
    issue, _ = call.pull()
    found = [
        review
        for review in call.repository.reviews.values()
        if review.pull_number == issue.number
        and (review.submitted_at is not None or review.author.login == call.token.login)
    ]
    return call.page(found, lambda review: review_shape(call.state, call.repository, review))


def create_review(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/pulls/{pull_number}/reviews; a bad line refuses all of it."""
    issue, pull = call.pull()
    fields = call.fields()
    event = fields.get("event")
    if event not in STATES:
        raise unprocessable(f"Event {event!r} is invalid")
    comments = [_draft(item) for item in fields.get("comments", [])]
    body = fields.get("body") or ""
    if len(body) > LONGEST_BODY:
        raise unprocessable(f"Body is too long (maximum is {LONGEST_BODY} characters)")
    if event in {"COMMENT", "REQUEST_CHANGES"} and not body.strip() and not comments:
        raise unprocessable("Body can't be blank")
    if event in {"APPROVE", "REQUEST_CHANGES"} and issue.author.id == call.user.id:
        verb = "approve" if event == "APPROVE" else "request changes on"
        raise unprocessable(f"Can not {verb} your own pull request")
    commit_id = _commit(call, pull, fields)
    review = _submitted(call, issue, body=body, event=event, commit_id=commit_id, comments=comments)
    return Answer(body=review_shape(call.state, call.repository, review))


def _submitted(
    call: Call,
    issue: Issue,
    *,
    body: str,
    event: str | None,
    commit_id: str,
    comments: list[DraftComment],
) -> Review:
    try:
        return submit_review(
            call.state,
            call.repository,
            issue,
            author=call.user,
            body=body,
            review_state=STATES[event],
            commit_id=commit_id,
            comments=comments,
        )
    except UnresolvableLineError as error:
        raise unprocessable(error.message) from error


def _commit(call: Call, pull: PullDetails, fields: dict[str, Any]) -> str:
    commit_id = fields.get("commit_id") or pull.head_sha
    if not isinstance(commit_id, str) or not call.repository.git.has(commit_id, "commit"):
        raise unprocessable("commit_id is not part of the pull request")
    return commit_id


def _draft(item: Any) -> DraftComment:
    if not isinstance(item, dict) or not isinstance(item.get("path"), str):
        raise unprocessable("Path is missing")
    return DraftComment(
        path=item["path"],
        body=checked_text(item.get("body"), resource=RESOURCE),
        line=item.get("line"),
        side=item.get("side") or "RIGHT",
        start_line=item.get("start_line"),
        start_side=item.get("start_side"),
        position=item.get("position"),
    )


def create_review_comment(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/pulls/{pull_number}/comments: one comment, a review of its own."""
    issue, pull = call.pull()
    fields = call.fields()
    draft = _draft(fields)
    commit_id = _commit(call, pull, fields)
    try:
        review = submit_review(
            call.state,
            call.repository,
            issue,
            author=call.user,
            body="",
            review_state="COMMENTED",
            commit_id=commit_id,
            comments=[draft],
        )
    except UnresolvableLineError as error:
        field_name = "pull_request_review_thread.line"
        message = f"{field_name} must be part of the diff"
        problem = {"resource": RESOURCE, "code": "custom", "field": field_name, "message": message}
        raise GithubError(422, "Validation Failed", errors=[problem]) from error
    comments = call.repository.review_comments.values()
    comment = next(item for item in comments if item.review_id == review.id)
    shape = review_comment_shape(call.state, call.repository, comment)
    return Answer(status=201, body=shape, headers={"Location": shape["url"]})


def list_review_comments(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/pulls/{pull_number}/comments."""
    issue, _ = call.pull()
    return _page(call, [item for item in _visible(call) if item.pull_number == issue.number])


def list_repository_review_comments(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/pulls/comments."""
    return _page(call, _visible(call))


def _visible(call: Call) -> list[ReviewComment]:
    since = call.since(resource=RESOURCE)
    sort = call.choice("sort", ("created", "updated", "created_at"), resource=RESOURCE)
    direction = call.choice("direction", ("asc", "desc"), resource=RESOURCE)
    found = [
        comment
        for comment in call.repository.review_comments.values()
        if call.repository.reviews[comment.review_id].submitted_at is not None
        and (since is None or comment.updated_at >= since)
    ]
    found.sort(
        key=lambda item: (item.updated_at if sort == "updated" else item.created_at, item.id),
        reverse=direction == "desc",
    )
    return found


def _page(call: Call, found: list[ReviewComment]) -> Answer:
    return call.page(found, lambda item: review_comment_shape(call.state, call.repository, item))
