"""Answer the endpoints of git refs; what the API changes is kept beside the repository on disk."""

from __future__ import annotations

from typing import Any

from local.github_simulator.answers import Answer, GithubError, not_found, not_supplied
from local.github_simulator.calls import Call
from local.github_simulator.changes import record_event
from local.github_simulator.git_repository import REVISION
from local.github_simulator.pull_changes import push, push_to_pull
from local.github_simulator.shapes import api_url, node_id


def ref_shape(call: Call, name: str, sha: str) -> dict[str, Any]:
    """GitHub's `git-ref`; `name` is full, such as `refs/heads/main`."""
    base = api_url(call.state, call.repository)
    return {
        "ref": name,
        "node_id": node_id("REF", int(sha[:8], 16)),
        "url": f"{base}/git/{name}",
        "object": {"sha": sha, "type": "commit", "url": f"{base}/git/commits/{sha}"},
    }


def get_ref(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/git/ref/{ref}; the name must be whole."""
    name, sha = _existing(call)
    return Answer(body=ref_shape(call, name, sha))


def _existing(call: Call) -> tuple[str, str]:
    name = f"refs/{call.parameters['ref']}"
    sha = call.repository.ref(name)
    if sha is None:
        raise not_found()
    return name, sha


def create_ref(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/git/refs."""
    fields = call.fields()
    name, sha = fields.get("ref"), fields.get("sha")
    if not isinstance(name, str):
        raise not_supplied("ref")
    if not isinstance(sha, str):
        raise not_supplied("sha")
    if not name.startswith(("refs/heads/", "refs/tags/")) or not REVISION.fullmatch(name):
        raise GithubError(422, f"{name} is not a valid ref name")
    if not call.repository.git.has(sha, "commit"):
        raise GithubError(422, "Object does not exist")
    if call.repository.ref(name) is not None:
        raise GithubError(422, "Reference already exists")
    call.repository.own_refs[name] = sha
    _record(call, "CreateEvent", name, {"master_branch": call.repository.default_branch,
                                        "description": call.repository.description})  # fmt: skip
    shape = ref_shape(call, name, sha)
    return Answer(status=201, body=shape, headers={"Location": shape["url"]})


def update_ref(call: Call) -> Answer:
    """PATCH /repos/{owner}/{repo}/git/refs/{ref}: forwards only, unless forced."""
    name, before = _existing(call)
    fields = call.fields()
    sha = fields.get("sha")
    git = call.repository.git
    if not isinstance(sha, str) or not git.has(sha, "commit"):
        raise GithubError(422, "Object does not exist")
    if not fields.get("force", False) and git.merge_base(before, sha) != before:
        raise GithubError(422, "Update is not a fast forward")
    call.repository.own_refs[name] = sha
    branch = name.removeprefix("refs/heads/")
    pulls = [
        issue
        for issue in call.repository.issues.values()
        if issue.pull is not None
        and issue.state == "open"
        and issue.pull.fork_owner is None
        and issue.pull.head_ref == branch
    ]
    for issue in pulls:
        push_to_pull(call.state, call.repository, issue, actor=call.user, head_sha=sha)
    if not pulls:
        push(call.state, call.repository, actor=call.user, branch=branch, before=before, head=sha)
    return Answer(body=ref_shape(call, name, sha))


def delete_ref(call: Call) -> Answer:
    """DELETE /repos/{owner}/{repo}/git/refs/{ref}."""
    name = f"refs/{call.parameters['ref']}"
    if call.repository.ref(name) is None:
        raise GithubError(422, "Reference does not exist")
    call.repository.own_refs[name] = None
    _record(call, "DeleteEvent", name, {})
    return Answer(status=204)


def _record(call: Call, kind: str, name: str, more: dict[str, Any]) -> None:
    _, folder, short = name.split("/", 2)
    payload = {
        "ref": short,
        "ref_type": "branch" if folder == "heads" else "tag",
        "full_ref": name,
        "pusher_type": "user",
        **more,
    }
    record_event(call.state, call.repository, kind, call.user, payload)
