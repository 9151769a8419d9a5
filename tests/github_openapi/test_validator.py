"""Prove that the validator accepts what GitHub documents, and can refuse."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from tests.github_openapi.document import VERSIONS, extract_document, schema_document
from tests.github_openapi.extract import references
from tests.github_openapi.operations import OPERATIONS
from tests.github_openapi.paths import find_operation
from tests.github_openapi.validator import (
    assert_request_conforms,
    assert_response_conforms,
)

JSON = {"Content-Type": "application/json; charset=utf-8"}
HEADERS = {
    "User-Agent": "nightdesk",
    "Accept": "application/vnd.github+json",
    "X-GitHub-Api-Version": "2022-11-28",
    "Content-Type": "application/json",
}
COMMENTS = "/repos/o/r/issues/1/comments"
REVIEWS = "/repos/o/r/pulls/1/reviews"
EVENTS = "/repos/o/r/events"


def actor() -> dict[str, Any]:
    url = "http://127.0.0.1/users/ann"
    return {"id": 1, "login": "ann", "gravatar_id": "", "url": url, "avatar_url": url}


def push_event() -> dict[str, Any]:
    payload = {"repository_id": 1, "push_id": 2, "ref": "refs/heads/x", "head": "a", "before": "b"}
    return {
        "id": "4712145307",
        "type": "PushEvent",
        "actor": actor(),
        "repo": {"id": 1, "name": "o/r", "url": "http://127.0.0.1/repos/o/r"},
        "payload": payload,
        "public": True,
        "created_at": "2026-03-01T12:00:00Z",
    }


def changed(value: dict[str, Any], path: str, to: Any) -> dict[str, Any]:
    """Copy a value with one member changed; `...` removes it. `path` is dotted."""
    result = copy.deepcopy(value)
    *parents, last = path.split(".")
    target = result
    for name in parents:
        target = target[name]
    if to is ...:
        del target[last]
    else:
        target[last] = to
    return result


def refused_request(*arguments: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        assert_request_conforms(*arguments)
    return str(caught.value)


def refused_response(*arguments: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        assert_response_conforms(*arguments)
    return str(caught.value)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_proper_request_conforms(version: str) -> None:
    headers = HEADERS | {"X-GitHub-Api-Version": version}

    assert_request_conforms("POST", COMMENTS, {}, headers, b'{"body": "x"}')
    assert_request_conforms("POST", COMMENTS, {}, headers, {"body": "x"})
    assert_request_conforms("GET", EVENTS, {"per_page": "100", "page": "2"}, headers, None)
    assert_request_conforms("get", "/repositories/12/issues", {"since": "2026-03-01T12:00:00Z"},
                            headers, None)  # fmt: skip


@pytest.mark.parametrize("missing", ["User-Agent", "Accept", "X-GitHub-Api-Version"])
def test_a_request_needs_the_headers_that_github_asks_for(missing: str) -> None:
    headers = {key.lower(): value for key, value in HEADERS.items() if key != missing}

    assert missing in refused_request("GET", EVENTS, {}, headers, None)


@pytest.mark.parametrize("version", ["2019-01-01", "", "2022-11-28 "])
def test_a_request_needs_a_version_that_exists(version: str) -> None:
    headers = HEADERS | {"X-GitHub-Api-Version": version}

    assert "X-GitHub-Api-Version" in refused_request("GET", EVENTS, {}, headers, None)


@pytest.mark.parametrize(
    ("path", "query", "reason"),
    [
        (EVENTS, {"per-page": "5"}, "unknown query parameter 'per-page'"),
        (EVENTS, {"per_page": "many"}, "per_page"),
        ("/repos/o/r/issues", {"state": "opened"}, "state"),
        ("/repos/o/r/issues", {"since": "yesterday"}, "since"),
        ("/repos/o/r/issues", {"since": "2026-03-01"}, "since"),
        ("/repos/o/r/issues/one", {}, "issue_number"),
        ("/repos/o/r/issue/1", {}, "no operation"),
        ("/repos/o/r/", {}, "no operation"),
        (EVENTS + "/", {}, "no operation"),
    ],
)
def test_a_wrong_path_or_query_is_refused(path: str, query: dict[str, str], reason: str) -> None:
    assert reason in refused_request("GET", path, query, HEADERS, None)


@pytest.mark.parametrize(
    ("method", "path", "body", "reason"),
    [
        ("POST", COMMENTS, None, "needs a body"),
        ("POST", COMMENTS, {}, "'body' is a required property"),
        ("POST", COMMENTS, {"body": 1}, "not of type 'string'"),
        ("POST", COMMENTS, {"body": None}, "not of type 'string'"),
        ("POST", COMMENTS, {"body": "x", "text": "y"}, "'text' was unexpected"),
        ("POST", COMMENTS, b"{", "not JSON"),
        ("GET", COMMENTS, {"body": "x"}, "takes no body"),
        ("POST", REVIEWS, {"event": "APPROVED"}, "not one of"),
        ("POST", REVIEWS, {"comments": [{"path": "x"}]}, "'body' is a required"),
        ("POST", REVIEWS, {"comments": [{"path": "x", "body": "y", "lines": 1}]}, "'lines'"),
        ("POST", "/repos/o/r/issues", {"title": "x", "labels": [{"nam": "bug"}]}, "labels"),
        ("POST", "/repos/o/r/check-runs", {"name": "x"}, "head_sha"),
        ("POST", "/repos/o/r/statuses/abc", {"state": "ok"}, "not one of"),
    ],
)
def test_a_wrong_body_is_refused(method: str, path: str, body: Any, reason: str) -> None:
    assert reason in refused_request(method, path, {}, HEADERS, body)


def test_a_body_needs_its_content_type() -> None:
    headers = HEADERS | {"Content-Type": "application/x-www-form-urlencoded"}

    assert "Content-Type" in refused_request("POST", COMMENTS, {}, headers, {"body": "x"})


def test_a_check_run_says_what_it_is_about() -> None:
    path = "/repos/o/r/check-runs"
    fields = {"name": "x", "head_sha": "a"}

    assert_request_conforms("POST", path, {}, HEADERS, {**fields, "status": "in_progress"})
    completed = {**fields, "status": "completed"}
    assert_request_conforms("POST", path, {}, HEADERS, {**completed, "conclusion": "success"})


def test_an_event_conforms() -> None:
    assert_response_conforms("GET", EVENTS, 200, JSON, [push_event()])
    assert_response_conforms("GET", EVENTS, 200, JSON, json.dumps([push_event()]))


@pytest.mark.parametrize(
    ("path", "to"),
    [
        ("id", 4712145307),
        ("id", ...),
        ("type", "CheckRunEvent"),
        ("type", "IssuesEvent"),
        ("payload.before", ...),
        ("payload.size", 3),
        ("payload.push_id", "2"),
        ("payload", {}),
        ("actor.login", None),
        ("actor.url", "not an address"),
        ("repo.name", None),
        ("created_at", "2026-03-01"),
        ("created_at", "2026-03-01T25:00:00Z"),
        ("created_at", 1_772_366_400),
        ("invented", True),
    ],
)
def test_an_event_that_is_not_as_documented_is_refused(path: str, to: Any) -> None:
    event = changed(push_event(), path, to)

    assert "activity/list-repo-events" in refused_response("GET", EVENTS, 200, JSON, [event])


@pytest.mark.parametrize("path", ["actor.gravatar_id", "created_at"])
def test_null_is_accepted_where_it_is_documented(path: str) -> None:
    event = changed(push_event(), path, None)

    assert_response_conforms("GET", EVENTS, 200, JSON, [event])


def test_null_is_accepted_among_documented_words() -> None:
    state_reason = schema_document("2022-11-28")["components"]["schemas"]["issue"]["properties"][
        "state_reason"
    ]

    assert state_reason["type"] == ["string", "null"]
    assert None in state_reason["enum"]


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (201, [], "not documented"),
        (204, b"", "not documented"),
        (418, {"message": "x"}, "not documented"),
        (404, {"error": "x"}, "answer 404"),
        (404, [], "answer 404"),
        (422, {"message": "x", "documentation_url": 1}, "answer 422"),
        (304, b"{}", "must have no body"),
        (301, {"message": "x"}, "without Location"),
    ],
)
def test_an_answer_with_a_wrong_status_or_error_is_refused(
    status: int, body: Any, reason: str
) -> None:
    assert reason in refused_response("GET", EVENTS, status, JSON, body)


@pytest.mark.parametrize("status", [401, 403, 404, 429])
def test_the_general_errors_are_accepted_everywhere(status: int) -> None:
    body = {"message": "x", "documentation_url": "https://docs.github.com/rest", "status": "1"}

    assert_response_conforms("GET", EVENTS, status, JSON, body)
    assert_response_conforms("DELETE", "/repos/o/r/issues/comments/1", status, JSON, body)


def test_an_answer_of_another_content_type_is_refused() -> None:
    html = {"Content-Type": "text/html"}

    assert "Content-Type" in refused_response("GET", EVENTS, 200, html, [])
    assert "Content-Type" in refused_response("GET", EVENTS, 404, html, {"message": "x"})
    assert "Content-Type" in refused_response("GET", EVENTS, 200, {}, [])


def test_the_later_version_knows_no_single_assignee() -> None:
    for version, expected in (("2022-11-28", True), ("2026-03-10", False)):
        issue = schema_document(version)["components"]["schemas"]["issue"]
        assert ("assignee" in issue["properties"]) is expected
        assert ("assignee" in issue["required"]) is expected


def test_the_version_of_an_answer_decides_what_it_must_hold() -> None:
    limit = {"limit": 1, "remaining": 1, "reset": 1, "used": 0}
    resources = {"core": limit, "search": limit}
    both = {"resources": resources, "rate": limit}
    later = JSON | {"X-GitHub-Api-Version-Selected": "2026-03-10"}

    assert_response_conforms("GET", "/rate_limit", 200, JSON, both)
    assert "'rate'" in refused_response("GET", "/rate_limit", 200, later, both)
    assert_response_conforms("GET", "/rate_limit", 200, later, {"resources": resources})
    assert "'rate'" in refused_response("GET", "/rate_limit", 200, JSON, {"resources": resources})


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/repos/o/r/issues/comments", "issues/list-comments-for-repo"),
        ("/repos/o/r/issues/7", "issues/get"),
        ("/repos/o/r/pulls/comments", "pulls/list-review-comments-for-repo"),
        ("/repos/o/r/contents/a/b%20c.py", "repos/get-content"),
        ("/repos/o/r/contents/", "repos/get-content"),
        ("/repos/o/r/tarball/refs/heads/main", "repos/download-tarball-archive"),
        ("/repos/o/r/git/ref/heads/a/b", "git/get-ref"),
        ("/repos/o/r/tarball", "repos/download-tarball-archive"),
        ("/repos/o/r/contents", "repos/get-content"),
        ("/repos/o/r/git/ref/heads%2Fa%2Fb", "git/get-ref"),
        ("/repositories/12", "repos/get"),
    ],
)
def test_a_path_belongs_to_the_operation_that_github_answers(path: str, name: str) -> None:
    assert find_operation("GET", path, "2022-11-28").name == name


def test_the_extract_holds_our_operations_and_all_that_they_refer_to() -> None:
    document = extract_document()

    held = {(method, path) for path, item in document["paths"].items() for method in item}
    assert held == set(OPERATIONS)
    for reference in references(document):
        _, _, kind, name = reference.split("/", 3)
        assert name in document["components"][kind]


def test_the_extract_names_its_source_and_licence() -> None:
    info = extract_document()["info"]

    assert info["x-source"] == f"npm package @octokit/openapi {info['version']}"
    assert info["license"]["name"].startswith("MIT")
