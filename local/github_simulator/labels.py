"""Answer the endpoints of labels."""

from __future__ import annotations

from typing import Any

from local.github_simulator.answers import Answer, GithubError, invalid
from local.github_simulator.calls import Call, checked_text
from local.github_simulator.changes import set_labels
from local.github_simulator.records import Issue, Label
from local.github_simulator.shapes import label_shape

RESOURCE = "Label"
LONGEST_NAME = 50


def label_names(given: Any) -> list[str]:
    """Read label names from `["bug", {"name": "bug"}]`.

    Raises:
        GithubError: 422, something else is given.
    """
    if not isinstance(given, list):
        raise invalid(RESOURCE, "labels")
    names = [item.get("name") if isinstance(item, dict) else item for item in given]
    return [
        checked_text(name, resource=RESOURCE, field_name="name", longest=LONGEST_NAME)
        for name in names
    ]


def list_repository_labels(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/labels."""
    labels = sorted(call.repository.labels.values(), key=lambda label: label.name.lower())
    return call.page(labels, lambda label: label_shape(call.state, call.repository, label))


def list_issue_labels(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/issues/{issue_number}/labels."""
    return call.page(
        call.issue().labels, lambda item: label_shape(call.state, call.repository, item)
    )


def add_issue_labels(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/issues/{issue_number}/labels; unknown labels are made."""
    issue, content = call.issue(), call.json()
    given = content.get("labels", []) if isinstance(content, dict) else content
    present = [label.name for label in issue.labels]
    names = [*present, *label_names(given)]
    set_labels(call.state, call.repository, issue, actor=call.user, names=names)
    return _labels_of(call, issue)


def remove_issue_label(call: Call) -> Answer:
    """DELETE /repos/{owner}/{repo}/issues/{issue_number}/labels/{name}."""
    issue, name = call.issue(), call.parameters["name"].lower()
    kept: list[Label] = [label for label in issue.labels if label.name.lower() != name]
    if len(kept) == len(issue.labels):
        raise GithubError(404, "Label does not exist")
    names = [label.name for label in kept]
    set_labels(call.state, call.repository, issue, actor=call.user, names=names)
    return _labels_of(call, issue)


def _labels_of(call: Call, issue: Issue) -> Answer:
    return Answer(body=[label_shape(call.state, call.repository, item) for item in issue.labels])
