"""The publisher on GitHub's own terms: our service and adapter against the simulator over HTTP."""

import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from nightdesk.adapters.github.client import GithubClient
from nightdesk.adapters.github.credentials.personal import PersonalWriteToken
from nightdesk.adapters.github.publishing import GithubPublishing
from nightdesk.domain.errors import NightdeskError
from nightdesk.domain.github_ports import (
    GithubCredentialsError,
    GithubNotFoundError,
    Permissions,
    RepositoryToken,
)
from nightdesk.domain.outbox import OutboxState
from nightdesk.domain.task import Target, TaskStatus
from nightdesk.services.outbox_rows import Outcome
from nightdesk.services.publish_intents import publish_row
from nightdesk.services.publisher_ports import PublisherPorts
from tests.github.conftest import disturb
from tests.github_simulator.conftest import NOON, REPO, Github
from tests.publisher.world import COMMENT_ROW, LABELS_ROW, TASK, PublisherWorld

NAME = "octo-org/widgets"
ISSUE = f"{REPO}/issues/1"


class Scene:
    """A finished task about issue 1 of the simulated repository."""

    def __init__(self, github: Github, api: GithubClient, token: str) -> None:
        self.github = github
        self.world = PublisherWorld()
        self.world.clock.advance(timedelta(0))
        assert github.open_issue() == 1
        self.publishing = GithubPublishing(api, PersonalWriteToken(api, read=lambda: token))
        repo_id = github.repository.id
        target = Target(repo=NAME, repo_id=repo_id, number=1, kind="issue")
        self.world.origin(target=target, created_at=NOON)
        self.reader = github.client("reader")

    def publish(self, row: str = COMMENT_ROW) -> Outcome:
        ports = PublisherPorts(
            outbox=self.world.outbox,
            tasks=self.world.tasks,
            github=self.publishing,
            tracked=self.world.tracked,
            clock=self.world.clock,
        )
        return publish_row(TASK, row, ports)

    def publish_until_quiet(self) -> int:
        tries = 0
        while self.world.row().state is OutboxState.PENDING:
            self.world.clock.advance(timedelta(hours=2))
            self.publish()
            self.let_github_finish()
            tries += 1
        return tries

    def let_github_finish(self) -> None:
        """A request that we gave up on still runs there; the next try comes seconds later."""
        entries = self.github.server.state.requests.entries
        while any(entry.fault == "delay" and entry.status is None for entry in entries):
            time.sleep(0.01)

    def comments(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.reader.get(f"{ISSUE}/comments")
        return found


@pytest.fixture
def scene(github: Github, api: GithubClient, token: str) -> Scene:
    return Scene(github, api, token)


def test_a_comment_and_labels_reach_the_issue(scene: Scene) -> None:
    scene.world.intends({"body": "Look at **src/app.py**."})
    scene.world.intends({"labels": ["BUG", "nonsense"]}, row=LABELS_ROW)

    assert scene.publish() is Outcome.DONE
    assert scene.publish(LABELS_ROW) is Outcome.DONE

    (comment,) = scene.comments()
    assert comment["user"]["login"] == "nightdesk-bot"
    assert comment["body"].startswith("Look at **src/app.py**.")
    assert scene.world.row().result_url == comment["html_url"]
    labels = scene.reader.get(ISSUE)["labels"]
    assert [label["name"] for label in labels] == ["bug"]


def test_the_result_takes_the_place_of_the_progress(scene: Scene) -> None:
    started = "github#0001#started#1"
    scene.world.origin(tracking="sticky")
    known = scene.world.tasks.tasks[TASK]
    scene.world.tasks.tasks[TASK] = replace(known, status=TaskStatus.RUNNING, attempts=1)
    scene.world.intends({}, row=started)
    assert scene.publish(started) is Outcome.DONE
    (shown,) = scene.comments()
    assert "is working on this" in shown["body"]

    scene.world.tasks.tasks[TASK] = known
    scene.world.intends({"body": "Look at **src/app.py**."})
    assert scene.publish() is Outcome.DONE
    (comment,) = scene.comments()
    assert comment["id"] == shown["id"]
    assert comment["body"].startswith("Look at **src/app.py**.")


def test_proposed_changes_become_a_draft_pull_request(scene: Scene) -> None:
    row = "github#0001#pull_request#1"
    head = scene.github.repository.ref("refs/heads/main")
    assert head is not None
    entry = next(e for e in scene.github.repository.git.children(head, "") if e.kind == "blob")
    text = scene.github.repository.git.blob(entry.sha).decode()
    first = text.splitlines()[0]
    assert text.count(first) == 1
    changes = [
        {"path": entry.path, "old": first, "new": f"{first} (changed)"},
        {"path": "docs/new/notes.md", "new": "Hällo\n"},
    ]
    scene.world.origin(intents=(("pull_request", 1),))
    scene.world.intends(
        {"title": "Change it", "body": "Why.", "changes": changes, "base": head}, row=row
    )
    assert scene.publish(row) is Outcome.DONE, scene.world.row(row).last_error

    (pull,) = scene.reader.get(f"{REPO}/pulls")
    assert pull["draft"] is True
    assert pull["base"]["ref"] == "main"
    assert pull["head"]["ref"] == "nightdesk/issue-enricher-1-1b4e28ba"
    assert pull["body"].startswith("Why.\n\nRefs #1\n")
    files = scene.reader.get(f"{REPO}/pulls/{pull['number']}/files")
    assert {file["filename"]: file["status"] for file in files} == {
        entry.path: "modified",
        "docs/new/notes.md": "added",
    }
    assert scene.world.row(row).result_url == pull["html_url"]


CALLS = [
    ("GET", "/repos/octo-org/widgets$"),
    ("GET", "/user$"),
    ("GET", "/comments$"),
    ("POST", "/comments$"),
]


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "drop_before"},
        {"kind": "drop_after"},
        {"kind": "status", "status": 502, "body": "<h1>"},
        {"kind": "status", "status": 502, "after": True},
        {"kind": "status", "status": 429, "headers": {"Retry-After": "11"}},
        {"kind": "status", "status": 403, "headers": {"Retry-After": "60"}, "after": True},
        {"kind": "status", "status": 401},
        {"kind": "delay", "seconds": 1.2},
    ],
    ids=lambda fault: "-".join(str(v) for v in fault.values())[:28],
)
def test_what_may_pass_never_costs_or_doubles_the_comment(
    scene: Scene, method: str, path: str, fault: dict[str, Any]
) -> None:
    scene.world.intends()
    disturb(scene.github, path=path, method=method, **fault)

    assert scene.publish_until_quiet() == 2
    assert scene.world.row().state is OutboxState.DONE
    assert len(scene.comments()) == 1


@pytest.mark.parametrize("status", [404, 410, 422, 403])
def test_what_will_not_pass_ends_the_row_at_once(scene: Scene, status: int) -> None:
    scene.world.intends()
    disturb(scene.github, kind="status", path="/comments$", method="POST", status=status)

    assert scene.publish() is Outcome.DEAD
    assert str(status) in scene.world.row().last_error
    assert scene.comments() == []


def test_a_deleted_issue_ends_the_row(scene: Scene) -> None:
    scene.github.control("PATCH", f"{REPO}/issues/1", {"actor": "ann", "deleted": True})
    scene.world.intends()
    assert scene.publish() is Outcome.DEAD


def test_a_renamed_repository_is_found_by_its_id(scene: Scene) -> None:
    scene.github.control("POST", f"{REPO}/rename", {"name": "gadgets"})
    scene.world.intends()

    assert scene.publish() is Outcome.DONE
    assert len(scene.reader.get("/repos/octo-org/gadgets/issues/1/comments")) == 1


def test_our_comment_is_found_among_hundreds(scene: Scene) -> None:
    scene.world.intends()
    disturb(scene.github, kind="drop_after", method="POST", path="/comments$")
    for number in range(130):
        scene.github.control("POST", f"{ISSUE}/comments", {"author": "bob", "body": f"{number}"})
    assert scene.publish() is Outcome.TRY_AGAIN
    for number in range(30):
        scene.github.control("POST", f"{ISSUE}/comments", {"author": "bob", "body": f"{number}"})

    scene.publish_until_quiet()
    own = [
        comment
        for page in ("1", "2")
        for comment in scene.reader.get(f"{ISSUE}/comments", per_page="100", page=page)
        if comment["user"]["login"] == "nightdesk-bot"
    ]
    assert len(own) == 1


def test_without_a_write_token_it_waits_for_a_person(api: GithubClient, scene: Scene) -> None:
    scene.publishing = GithubPublishing(api, PersonalWriteToken(api, read=lambda: ""))
    scene.world.intends()
    assert scene.publish() is Outcome.TRY_AGAIN
    assert "no write token is set" in scene.world.row().last_error


def test_a_transferred_issue_receives_nothing(scene: Scene, github: Github) -> None:
    location = f"{github.server.url}/repos/octo-org/elsewhere/issues/9/comments"
    disturb(
        github,
        kind="status",
        status=301,
        path="/issues/1/comments$",
        headers={"Location": location},
        body={"message": "Moved Permanently"},
    )
    with pytest.raises(GithubNotFoundError):
        scene.publishing.comments_since(NAME, 1, NOON)


def test_who_we_are_is_asked_once_for_each_token(api: GithubClient, github: Github) -> None:
    first, second = github.client("one").token, github.client("two").token
    now = [first]
    publishing = GithubPublishing(api, PersonalWriteToken(api, read=lambda: now[0] or ""))
    logins = [publishing.own_account().login, publishing.own_account().login]
    now[0] = second
    logins.append(publishing.own_account().login)

    assert logins == ["one", "one", "two"]
    asked = [r for r in github.control("GET", "/requests") if r["path"] == "/user"]
    assert len(asked) == 2


def test_a_revoked_token_is_the_credentials_fault(
    api: GithubClient, github: Github, token: str
) -> None:
    github.control("DELETE", "/tokens", {"token": token})
    error: NightdeskError
    with pytest.raises(GithubCredentialsError) as raised:
        GithubPublishing(api, PersonalWriteToken(api, read=lambda: token)).own_account()
    error = raised.value
    assert token not in str(error)


class NotedTokens(PersonalWriteToken):
    """Write tokens that remember what they were asked for."""

    def __init__(self, client: GithubClient, token: str) -> None:
        super().__init__(client, read=lambda: token)
        self.asked: list[tuple[str, int, dict[str, str]]] = []

    def token_for(self, repo: str, repo_id: int, permissions: Permissions) -> RepositoryToken:
        self.asked.append((repo, repo_id, dict(permissions)))
        return super().token_for(repo, repo_id, permissions)


def test_every_call_says_which_repository_and_what_it_needs(
    scene: Scene, api: GithubClient, token: str
) -> None:
    tokens = NotedTokens(api, token)
    publishing = GithubPublishing(api, tokens)

    publishing.comment(NAME, 1, "Hello.")
    publishing.labels_of_repository(NAME)

    discuss = {"issues": "write", "pull_requests": "write"}
    repo_id = scene.github.repository.id
    assert tokens.asked == [
        (NAME, 0, {"metadata": "read"}),
        (NAME, repo_id, discuss),
        (NAME, repo_id, discuss),
    ]
