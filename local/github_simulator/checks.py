"""Answer the endpoints of check runs and commit statuses."""

from __future__ import annotations

from typing import Any

from local.github_simulator.answers import Answer, invalid, not_found, not_supplied
from local.github_simulator.calls import Call
from local.github_simulator.pull_shapes import pull_minimal_shape
from local.github_simulator.records import CheckRun, CommitStatus
from local.github_simulator.shapes import (
    api_url,
    app_shape,
    html_url,
    node_id,
    optional_timestamp,
    timestamp,
    user_shape,
)

RESOURCE = "CheckRun"
STATUSES = ("queued", "in_progress", "completed")
CONCLUSIONS = (
    "action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out",
)  # fmt: skip
STATES = ("error", "failure", "pending", "success")
LONGEST_DESCRIPTION = 140


def check_run_shape(call: Call, run: CheckRun) -> dict[str, Any]:
    """GitHub's `check-run`."""
    url = f"{api_url(call.state, call.repository)}/check-runs/{run.id}"
    page = f"{html_url(call.state, call.repository)}/runs/{run.id}"
    output = run.fields.get("output") or {}
    app = call.state.apps.get(run.app_id or 0)
    pulls = [
        pull_minimal_shape(call.state, call.repository, issue, issue.pull)
        for issue in call.repository.issues.values()
        if issue.pull is not None and issue.pull.head_sha == run.head_sha
    ]
    return {
        "id": run.id,
        "node_id": node_id("CR", run.id),
        "name": run.name,
        "head_sha": run.head_sha,
        "external_id": run.fields.get("external_id", ""),
        "url": url,
        "html_url": page,
        "details_url": run.fields.get("details_url", page),
        "status": run.fields.get("status", "queued"),
        "conclusion": run.fields.get("conclusion"),
        "started_at": timestamp(run.started_at),
        "completed_at": optional_timestamp(run.completed_at),
        "output": {
            "title": output.get("title"),
            "summary": output.get("summary"),
            "text": output.get("text"),
            "annotations_count": len(output.get("annotations", [])),
            "annotations_url": f"{url}/annotations",
        },
        "check_suite": {"id": run.id},
        "app": None if app is None else app_shape(call.state, app),
        "pull_requests": pulls,
    }


def create_check_run(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/check-runs; on GitHub only apps may."""
    if call.token.kind != "installation":
        raise call.forbidden()
    fields = call.fields()
    for name in ("name", "head_sha"):
        if not isinstance(fields.get(name), str):
            raise not_supplied(name)
    if not call.repository.git.has(fields["head_sha"], "commit"):
        raise invalid(
            RESOURCE, "head_sha", "custom", f"No commit found for SHA: {fields['head_sha']}"
        )
    run = CheckRun(
        id=call.state.next_id(),
        name=fields["name"],
        head_sha=fields["head_sha"],
        app_id=call.token.app_id,
        fields={},
        started_at=call.now,
    )
    _apply(call, run, fields)
    call.repository.check_runs[run.id] = run
    shape = check_run_shape(call, run)
    return Answer(status=201, body=shape, headers={"Location": shape["url"]})


def get_check_run(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/check-runs/{check_run_id}."""
    return Answer(body=check_run_shape(call, _existing(call)))


def update_check_run(call: Call) -> Answer:
    """PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}; only the app that made it may."""
    run = _existing(call)
    if call.token.kind != "installation" or call.token.app_id != run.app_id:
        raise call.forbidden()
    _apply(call, run, call.fields())
    return Answer(body=check_run_shape(call, run))


def _existing(call: Call) -> CheckRun:
    run = call.repository.check_runs.get(call.number("check_run_id"))
    if run is None:
        raise not_found()
    return run


def _apply(call: Call, run: CheckRun, fields: dict[str, Any]) -> None:
    conclusion = fields.get("conclusion")
    if conclusion is not None and conclusion not in CONCLUSIONS:
        raise invalid(RESOURCE, "conclusion")
    if fields.get("status", "queued") not in STATUSES:
        raise invalid(RESOURCE, "status")
    if fields.get("status") == "completed" and conclusion is None:
        raise invalid(RESOURCE, "conclusion", "missing_field")
    run.name = fields.get("name", run.name)
    run.fields |= fields
    if conclusion is not None:  # a conclusion completes the run, whatever the status says
        run.fields["status"] = "completed"
        run.completed_at = call.now


def create_status(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/statuses/{sha}."""
    fields, sha = call.fields(), call.parameters["sha"]
    if fields.get("state") not in STATES:
        raise invalid("Status", "state")
    if not call.repository.git.has(sha, "commit"):
        raise invalid("Status", "sha", "custom", f"No commit found for SHA: {sha}")
    description = fields.get("description")
    if description is not None and len(description) > LONGEST_DESCRIPTION:
        message = f"description is too long (maximum is {LONGEST_DESCRIPTION} characters)"
        raise invalid("Status", "description", "custom", message)
    status = CommitStatus(
        id=call.state.next_id(),
        sha=sha,
        state=fields["state"],
        context=fields.get("context", "default"),
        description=description,
        target_url=fields.get("target_url"),
        creator=call.user,
        created_at=call.now,
    )
    call.repository.statuses.append(status)
    shape = status_shape(call, status)
    return Answer(status=201, body=shape, headers={"Location": shape["url"]})


def status_shape(call: Call, status: CommitStatus) -> dict[str, Any]:
    """GitHub's `status`."""
    creator = user_shape(call.state, status.creator)
    return {
        "url": f"{api_url(call.state, call.repository)}/statuses/{status.sha}",
        "avatar_url": creator["avatar_url"],
        "id": status.id,
        "node_id": node_id("SC", status.id),
        "state": status.state,
        "description": status.description,
        "target_url": status.target_url,
        "context": status.context,
        "created_at": timestamp(status.created_at),
        "updated_at": timestamp(status.created_at),
        "creator": creator,
    }
