"""Answer the endpoints of pull requests and their files."""

from __future__ import annotations

from datetime import datetime

from local.github_simulator.answers import Answer, GithubError, invalid, not_supplied
from local.github_simulator.calls import Call, checked_text
from local.github_simulator.changes import set_state
from local.github_simulator.issues import LONGEST_TITLE, edit_texts
from local.github_simulator.pull_changes import open_pull
from local.github_simulator.pull_shapes import (
    file_shape,
    files_of,
    pull_shape,
    pull_simple_shape,
)
from local.github_simulator.records import Issue, PullDetails

RESOURCE = "PullRequest"
MOST_FILES = 3_000
DIFF_MEDIA = "application/vnd.github.diff"


def list_pulls(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/pulls; there is no `since`."""
    wanted = call.choice("state", ("open", "closed", "all"), resource=RESOURCE)
    sort = call.choice(
        "sort", ("created", "updated", "popularity", "long-running"), resource=RESOURCE
    )
    # Ascending is the default of every other order.
    words = ("desc", "asc") if sort == "created" else ("asc", "desc")
    direction = call.choice("direction", words, resource=RESOURCE)
    found = [
        (issue, issue.pull)
        for issue in call.repository.issues.values()
        if issue.pull is not None
        and wanted in (issue.state, "all")
        and call.query.get("base") in (None, issue.pull.base_ref)
        and call.query.get("head") in (None, _head_label(call, issue.pull))
    ]
    found.sort(key=lambda pair: _sort_key(pair[0], sort), reverse=direction == "desc")
    return call.page(found, lambda pair: pull_simple_shape(call.state, call.repository, *pair))


def _head_label(call: Call, pull: PullDetails) -> str:
    owner = pull.fork_owner or call.repository.owner
    return f"{owner.login}:{pull.head_ref}"


def _sort_key(issue: Issue, sort: str) -> tuple[datetime, int]:
    return (issue.updated_at if sort == "updated" else issue.created_at), issue.number


def get_pull(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/pulls/{pull_number}, as JSON or as a diff."""
    issue, pull = call.pull()
    if call.headers.get("accept", "").startswith(DIFF_MEDIA):
        git = call.repository.git
        base = git.merge_base(pull.base_sha, pull.head_sha)
        options = ("diff", "-M", "--no-ext-diff", "--no-textconv", "--no-color")
        diff = git.output(*options, base, pull.head_sha)
        return Answer(body=diff, media_type=f"{DIFF_MEDIA}; charset=utf-8")
    return Answer(body=pull_shape(call.state, call.repository, issue, pull))


def list_files(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/pulls/{pull_number}/files, 3,000 at most."""
    _, pull = call.pull()
    files = files_of(call.repository, pull)[:MOST_FILES]
    return call.page(
        files, lambda change: file_shape(call.state, call.repository, change, pull.head_sha)
    )


def create_pull(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/pulls from a branch of the repository itself."""
    fields, repository = call.fields(), call.repository
    for name in ("head", "base"):
        if not isinstance(fields.get(name), str):
            raise not_supplied(name)
    title = checked_text(
        fields.get("title"), resource=RESOURCE, field_name="title", longest=LONGEST_TITLE
    )
    head_ref = fields["head"].removeprefix(f"{repository.owner.login}:")
    head_sha = repository.ref(f"refs/heads/{head_ref}")
    base_sha = repository.ref(f"refs/heads/{fields['base']}")
    if head_sha is None:
        raise invalid(RESOURCE, "head")
    if base_sha is None:
        raise invalid(RESOURCE, "base")
    _refuse_pointless(call, head_ref, head_sha, fields["base"], base_sha)
    issue = open_pull(
        call.state,
        repository,
        author=call.user,
        title=title,
        body=fields.get("body"),
        head_ref=head_ref,
        head_sha=head_sha,
        base_ref=fields["base"],
        base_sha=base_sha,
        draft=bool(fields.get("draft", False)),
    )
    assert issue.pull is not None
    shape = pull_shape(call.state, repository, issue, issue.pull)
    return Answer(status=201, body=shape, headers={"Location": shape["url"]})


def _refuse_pointless(
    call: Call, head_ref: str, head_sha: str, base_ref: str, base_sha: str
) -> None:
    repository = call.repository
    if repository.git.count_commits(base_sha, head_sha) == 0:
        message = f"No commits between {base_ref} and {head_ref}"
        raise invalid(RESOURCE, "head", "custom", message)
    for issue in repository.issues.values():
        pull = issue.pull
        if pull is not None and issue.state == "open" and pull.fork_owner is None:  # noqa: SIM102
            if (pull.head_ref, pull.base_ref) == (head_ref, base_ref):
                label = f"{repository.owner.login}:{head_ref}"
                message = f"A pull request already exists for {label}."
                raise invalid(RESOURCE, "head", "custom", message)


def update_pull(call: Call) -> Answer:
    """PATCH /repos/{owner}/{repo}/pulls/{pull_number}: title, body, state."""
    issue, pull = call.pull()
    fields = call.fields()
    if fields.get("state", "open") not in ("open", "closed"):
        raise invalid(RESOURCE, "state")
    if pull.merged_at is not None and fields.get("state") == "open":
        raise GithubError(422, "Validation Failed", errors=[
            {"resource": RESOURCE, "field": "state", "code": "invalid"}])  # fmt: skip
    edit_texts(call, issue, fields)
    set_state(
        call.state, call.repository, issue, actor=call.user, to=fields.get("state", issue.state)
    )
    return Answer(body=pull_shape(call.state, call.repository, issue, pull))
