from __future__ import annotations

import http.client
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.github_simulator.conftest import REPO, CheckedClient, Github

ISSUES = f"{REPO}/issues"


def test_a_request_without_user_agent_is_refused_as_html(github: Github) -> None:
    connection = http.client.HTTPConnection(urlsplit(github.server.url).netloc, timeout=10)
    connection.request("GET", REPO)
    answer = connection.getresponse()

    assert answer.status == 403
    assert answer.getheader("Content-Type", "").startswith("text/html")
    assert b"User-Agent" in answer.read()
    connection.close()
    # The gate that stands around the simulator in all tests has seen it too.
    assert "no User-Agent" in github.gate.take_violations()[0]


@pytest.mark.parametrize("header", ["Bearer nothing", "token nothing", "Basic eDp5", "Bearer", "x"])
def test_an_unknown_credential_is_bad(github: Github, header: str) -> None:
    answer = github.anonymous().send("GET", REPO, headers={"Authorization": header})

    assert answer.status_code == 401
    assert answer.json() == {
        "message": "Bad credentials",
        "documentation_url": "https://docs.github.com/rest",
        "status": "401",
    }


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "token"])
def test_a_token_is_taken_from_either_scheme(
    github: Github, bot: CheckedClient, scheme: str
) -> None:
    header = {"Authorization": f"{scheme} {bot.token}"}

    assert github.anonymous().send("GET", "/user", headers=header).json()["login"] == (
        "nightdesk[bot]"
    )


def test_an_expired_or_revoked_token_is_bad(github: Github) -> None:
    github.control(
        "POST",
        "/tokens",
        {"token": "t", "login": "ann", "expires_at": "2026-03-01T12:01:00+00:00"},
    )
    client = CheckedClient(github.server.url, "t")
    assert client.send("GET", "/user").status_code == 200

    github.clock.tick(minutes=1)
    assert client.send("GET", "/user").status_code == 401
    other = github.client()
    github.control("DELETE", "/tokens", {"token": other.token})
    assert other.send("GET", "/user").status_code == 401


def test_everybody_reads_a_public_repository(github: Github) -> None:
    github.open_issue()

    for client in (github.anonymous(), github.client(permissions={}, repositories=frozenset())):
        assert client.send("GET", f"{ISSUES}/1").status_code == 200
        assert client.send("GET", f"{REPO}/contents/README.md").status_code == 200


def test_nobody_writes_without_a_credential(github: Github) -> None:
    answer = github.anonymous().send("POST", ISSUES, body={"title": "x"})

    assert answer.status_code == 401
    assert answer.json()["message"] == "Requires authentication"


WRITES: list[tuple[str, str, Any, str]] = [
    ("POST", ISSUES, {"title": "x"}, "issues"),
    ("POST", f"{ISSUES}/1/comments", {"body": "x"}, "issues"),
    ("PATCH", f"{ISSUES}/1", {"title": "x"}, "issues"),
    ("POST", f"{ISSUES}/1/labels", {"labels": ["bug"]}, "issues"),
    ("POST", f"{REPO}/pulls/2/reviews", {"event": "COMMENT", "body": "x"}, "pull_requests"),
    ("POST", f"{ISSUES}/2/comments", {"body": "x"}, "pull_requests"),
    ("POST", f"{REPO}/git/blobs", {"content": "x"}, "contents"),
    ("POST", f"{REPO}/statuses/SHA", {"state": "success"}, "statuses"),
]


@pytest.mark.parametrize(("method", "path", "body", "permission"), WRITES)
def test_a_write_needs_its_permission(
    github: Github, method: str, path: str, body: Any, permission: str
) -> None:
    github.open_issue(author="ann")
    github.open_pull(author="bob")
    path = path.replace("SHA", github.repository.resolve("main") or "")
    reader = github.client("ann", permissions={permission: "read", "metadata": "read"})
    writer = github.client("ann", permissions={permission: "write"})

    refused = reader.send(method, path, body=body)

    assert refused.status_code == 403
    assert refused.json()["message"] == "Resource not accessible by personal access token"
    assert f"{permission}=write" in refused.headers["X-Accepted-GitHub-Permissions"]
    assert writer.send(method, path, body=body).ok


def test_the_permission_for_pull_requests_is_none_for_issues(github: Github) -> None:
    github.open_issue()
    client = github.client("ann", permissions={"pull_requests": "write"})

    assert client.send("POST", f"{ISSUES}/1/comments", body={"body": "x"}).status_code == 403


def test_a_token_writes_to_its_own_repositories_only(github: Github) -> None:
    other = github.client(repositories=frozenset({github.repository.id + 1}))
    own = github.client(repositories=frozenset({github.repository.id}))

    assert other.send("POST", ISSUES, body={"title": "x"}).status_code == 403
    assert own.send("POST", ISSUES, body={"title": "x"}).status_code == 201


def test_a_private_repository_does_not_exist_for_others(github: Github) -> None:
    github.open_issue()
    github.repository.private = True
    own = frozenset({github.repository.id})

    for client in (github.anonymous(), github.client(repositories=frozenset())):
        assert client.send("GET", REPO).status_code == 404
        assert client.send("POST", ISSUES, body={"title": "x"}).status_code == 404
    blind = github.client(permissions={"contents": "read"}, repositories=own)
    assert blind.send("GET", REPO).status_code == 200
    assert blind.send("GET", f"{ISSUES}/1").status_code == 403
    assert blind.send("GET", f"{REPO}/contents/README.md").status_code == 200


def test_the_case_of_a_repositorys_name_does_not_matter(bot: CheckedClient) -> None:
    assert bot.get("/repos/Octo-Org/WIDGETS")["full_name"] == "octo-org/widgets"


def test_a_renamed_repository_redirects_and_keeps_its_id(
    github: Github, bot: CheckedClient
) -> None:
    github.open_issue()
    github.control("POST", f"{REPO}/rename", {"name": "gadgets"})

    read = bot.send("GET", f"{ISSUES}/1")
    write = bot.send("POST", f"{ISSUES}/1/comments", body={"body": "x"})

    assert (read.status_code, write.status_code) == (301, 307)
    path = read.headers["Location"].removeprefix(bot.url)
    assert path == f"/repositories/{github.repository.id}/issues/1"
    assert bot.get(path)["number"] == 1
    assert bot.get("/repos/octo-org/gadgets")["id"] == github.repository.id
    assert github.anonymous().send("GET", f"{ISSUES}/1").status_code == 301
    github.repository.private = True
    assert github.anonymous().send("GET", f"{ISSUES}/1").status_code == 404


def test_an_unknown_api_version_is_a_bad_request(bot: CheckedClient) -> None:
    headers = {"X-GitHub-Api-Version": "2019-01-01"}

    assert bot.send("GET", REPO, headers=headers, proper=False).status_code == 400


def test_the_roles_of_a_repository_follow_what_people_are_to_it(
    github: Github, bot: CheckedClient
) -> None:
    def permission(user: str) -> Any:
        found = bot.get(f"{REPO}/collaborators/{user}/permission")
        levels = found["user"]["permissions"]
        may = " ".join(level for level in levels if levels[level])
        return found["permission"], found["role_name"], may

    github.open_issue(author="ann", association="MEMBER")
    github.open_issue(author="eve")
    for role in ("maintain", "triage", "none"):
        github.control("PUT", f"{REPO}/collaborators", {"user": role, "permission": role})

    assert permission("octo-org") == ("admin", "admin", "pull triage push maintain admin")
    assert permission("ann") == ("write", "write", "pull triage push")
    assert permission("eve") == ("read", "read", "pull")
    assert permission("maintain") == ("write", "maintain", "pull triage push maintain")
    assert permission("triage") == ("read", "triage", "pull triage")
    assert permission("none") == ("none", "none", "")
    github.repository.private = True
    assert permission("eve") == ("none", "none", "")
    assert bot.send("GET", f"{REPO}/collaborators/who/permission").status_code == 404


def test_users_are_known_by_login_and_type(github: Github, bot: CheckedClient) -> None:
    assert bot.get("/users/nightdesk%5Bbot%5D")["type"] == "Bot"
    assert bot.get("/users/octo-org")["type"] == "User"
    assert bot.send("GET", "/users/nobody").status_code == 404


def test_the_api_describes_itself(bot: CheckedClient) -> None:
    assert bot.get("/meta")["hooks"] == ["127.0.0.1/32"]


@pytest.mark.parametrize("version", ["2022-11-28", "2026-03-10"])
def test_the_hour_is_counted_for_each_token(github: Github, version: str) -> None:
    github.control("PATCH", "/settings", {"token_limit_an_hour": 2})
    client, other = github.client(version=version), github.client("other")
    left = [client.send("GET", REPO).headers["X-RateLimit-Remaining"] for _ in range(2)]

    refused = client.send("GET", REPO)

    assert left == ["1", "0"]
    assert refused.status_code == 403
    assert refused.json()["message"].startswith("API rate limit exceeded")
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    assert int(refused.headers["X-RateLimit-Reset"]) == github.clock.time.timestamp() + 3600
    assert client.get("/rate_limit")["resources"]["core"]["remaining"] == 0
    assert ("rate" in client.get("/rate_limit")) is (version == "2022-11-28")
    assert other.send("GET", REPO).status_code == 200
    github.clock.tick(hours=1)
    assert client.send("GET", REPO).status_code == 200


def test_without_a_credential_there_are_sixty_requests_an_hour(github: Github) -> None:
    assert github.anonymous().send("GET", REPO).headers["X-RateLimit-Limit"] == "60"


def test_an_unchanged_answer_is_free_only_with_a_credential(github: Github) -> None:
    client = github.anonymous()
    etag = client.send("GET", REPO).headers["ETag"]

    answer = client.send("GET", REPO, headers={"If-None-Match": etag})

    assert answer.status_code == 304
    assert answer.headers["X-RateLimit-Remaining"] == "58"
