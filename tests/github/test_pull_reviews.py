"""Pull requests over HTTP: what a session reads, and the review that the publisher writes."""

from dataclasses import replace
from typing import Any

import pytest

from nightdesk.adapters.github.client import GithubClient
from nightdesk.adapters.github.credentials.personal import PersonalWriteToken
from nightdesk.adapters.github.publishing import GithubPublishing
from nightdesk.adapters.github.pulls import GithubPullReader
from nightdesk.adapters.github.shapes import pull_comment_of
from nightdesk.domain.errors import UnavailableError
from nightdesk.domain.github_ports import GithubNotFoundError
from nightdesk.domain.pull_ports import HeadMovedError
from nightdesk.domain.task import Target
from nightdesk.services.outbox_rows import Outcome
from nightdesk.services.publish_intents import publish_row
from tests.fakes.secrets import FakeTaskTokens
from tests.github.conftest import Recorder, disturb
from tests.github.test_publishing import NotedTokens
from tests.github_simulator.conftest import NOON, REPO, Github, git
from tests.publisher.world import TASK
from tests.review.examples import finding
from tests.review.world import REVIEW_ROW, ReviewWorld

NAME = "octo-org/widgets"


class Scene:
    """A pull request of the simulated repository, and a session's findings about it."""

    def __init__(self, github: Github, api: GithubClient, token: str) -> None:
        self.github = github
        self.number = github.open_pull()
        self.pull = f"{REPO}/pulls/{self.number}"
        self.reader = GithubPullReader(api, FakeTaskTokens(**{TASK: token}))
        self.publishing = GithubPublishing(api, PersonalWriteToken(api, read=lambda: token))
        self.client = github.client("onlooker")
        head = self.client.get(self.pull)["head"]["sha"]
        self.target = Target(
            repo=NAME,
            repo_id=github.repository.id,
            number=self.number,
            kind="pull_request",
            head_sha=head,
        )
        self.world = ReviewWorld()
        self.world.origin(target=self.target, created_at=NOON)

    def found(self, *findings: dict[str, Any], row: str = REVIEW_ROW) -> None:
        self.world.found(*(one | {"head": self.target.head_sha} for one in findings), row=row)

    def push(self) -> str:
        """Somebody moves the branch on."""
        sha = git(self.github.repository.git.path, "rev-parse", "feature-2")
        self.github.control("PATCH", self.pull, {"actor": "ann", "head": sha})
        return sha

    def publish(self, row: str = REVIEW_ROW) -> Outcome:
        ports = replace(self.world.ports(), github=self.publishing)
        return publish_row(TASK, row, ports)

    def reviews(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.get(f"{self.pull}/reviews")
        return found

    def comments(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.get(f"{self.pull}/comments")
        return found


@pytest.fixture
def scene(github: Github, api: GithubClient, token: str) -> Scene:
    return Scene(github, api, token)


HERE = finding(path="src/app.py", line=5)


# Reading --------------------------------------------------------------------------------------


def test_the_diff_of_the_tasks_head_comes_with_all_its_files(scene: Scene) -> None:
    diff = scene.reader.diff(TASK, scene.target)

    assert {(file.path, file.status) for file in diff.files} == {
        ("src/app.py", "modified"),
        ("src/new.py", "added"),
        ("new name.txt", "renamed"),
        ("logo.png", "modified"),
        ("docs/über.md", "removed"),
    }
    changed = diff.file("src/app.py")
    assert changed is not None
    assert changed.text_of(5) == "line five"
    renamed, picture = diff.file("new name.txt"), diff.file("logo.png")
    assert renamed is not None
    assert renamed.previous_path == "old name.txt"
    assert picture is not None
    assert picture.patch is None
    assert (diff.head_sha, diff.left_out) == (scene.target.head_sha, 0)


def test_files_of_another_head_are_never_given(scene: Scene) -> None:
    scene.push()
    with pytest.raises(HeadMovedError):
        scene.reader.diff(TASK, scene.target)


def test_a_push_while_the_files_are_read_is_noticed(scene: Scene, recorder: Recorder) -> None:
    class Pushed(list[Any]):
        def append(self, request: Any) -> None:
            super().append(request)
            if request.url.partition("?")[0].endswith("/files"):
                scene.push()

    recorder.sent = Pushed()
    with pytest.raises(HeadMovedError):
        scene.reader.diff(TASK, scene.target)


def test_the_history_of_a_path_ends_at_the_tasks_head(scene: Scene) -> None:
    found = scene.reader.history(TASK, scene.target, path="src/app.py", limit=10)
    assert [commit.message.split("\n")[0] for commit in found] == ["Change things", "Begin"]
    assert found[0].author == "Ann"
    assert scene.reader.history(TASK, scene.target, path="src/app.py", limit=1) == found[:1]
    assert scene.reader.history(TASK, scene.target, path="none", limit=10) == []


def test_reviews_and_comments_say_who_wrote_them(scene: Scene, github: Github) -> None:
    comment = {"path": "src/app.py", "line": 5, "body": "Why?"}
    for author, association in (("eve", "NONE"), ("ann", "MEMBER")):
        body = {"author": author, "association": association, "body": "Hm", "comments": [comment]}
        github.control("POST", f"{scene.pull}/reviews", body)

    found = scene.reader.comments(TASK, scene.target)

    assert [(one.body, one.path, one.line, one.is_trusted) for one in found] == [
        ("Hm", "", None, False),
        ("Hm", "", None, True),
        ("Why?", "src/app.py", 5, False),
        ("Why?", "src/app.py", 5, True),
    ]


def test_an_answer_to_a_comment_says_to_which() -> None:
    answer = {
        "id": 7,
        "user": {"id": 3, "login": "app[bot]", "type": "Bot"},
        "author_association": "NONE",
        "path": "src/app.py",
        "line": None,
        "in_reply_to_id": 5,
        "body": None,
    }
    found = pull_comment_of(answer)
    assert (found.in_reply_to, found.line, found.body, found.is_trusted) == (5, None, "", True)
    nonsense: list[Any] = [None, [], {"id": "7"}]
    for strange in nonsense:
        with pytest.raises(UnavailableError):
            pull_comment_of(strange)


# Writing --------------------------------------------------------------------------------------


def test_a_review_is_one_call_at_the_commit_it_is_about(scene: Scene, recorder: Recorder) -> None:
    scene.found(HERE, finding(path="src/app.py", line=8, start_line=6, title="Three lines"))

    assert scene.publish() is Outcome.DONE

    (review,) = scene.reviews()
    assert review["state"] == "COMMENTED"
    assert review["commit_id"] == scene.target.head_sha
    assert review["user"]["login"] == "nightdesk-bot"
    assert scene.world.publication == review["html_url"]
    assert [(c["start_line"], c["line"], c["side"]) for c in scene.comments()] == [
        (None, 5, "RIGHT"),
        (6, 8, "RIGHT"),
    ]
    assert recorder.of("POST") == [f"{scene.pull}/reviews"]


def test_a_line_that_only_github_refuses_puts_all_into_the_body(scene: Scene) -> None:
    scene.found(HERE)
    disturb(scene.github, kind="status", method="POST", path="/reviews$", status=422)

    assert scene.publish() is Outcome.DONE
    (review,) = scene.reviews()
    assert "Adding a string adds its letters" in review["body"]
    assert scene.comments() == []


def test_a_review_needs_no_more_than_to_review(scene: Scene, api: GithubClient, token: str) -> None:
    tokens = NotedTokens(api, token)
    scene.publishing = GithubPublishing(api, tokens)
    scene.found(HERE)
    assert scene.publish() is Outcome.DONE

    needs = {"pull_requests": "write", "contents": "read"}
    asked = [permissions for _, repo_id, permissions in tokens.asked if repo_id]
    assert asked
    assert all(permissions == needs for permissions in asked)


def test_a_push_gets_a_review_without_the_findings_of_the_first(scene: Scene) -> None:
    scene.found(HERE)
    assert scene.publish() is Outcome.DONE
    again = "github#0002#review#1"
    scene.found(HERE, finding(path="src/new.py", line=1, title="It prints to nobody"), row=again)

    assert scene.publish(again) is Outcome.DONE

    assert [comment["path"] for comment in scene.comments()] == ["src/app.py", "src/new.py"]
    assert "1 more finding was reported here before" in scene.reviews()[1]["body"]


def test_a_review_of_an_older_head_is_never_posted(scene: Scene) -> None:
    scene.found(HERE)
    scene.push()
    assert scene.publish() is Outcome.DONE
    assert str(scene.world.publication).startswith("discarded: the head of the pull request")
    assert scene.reviews() == []


def test_a_review_of_a_merged_pull_request_is_never_posted(scene: Scene) -> None:
    scene.found(HERE)
    scene.github.control("PATCH", scene.pull, {"actor": "ann", "merged": True})
    assert scene.publish() is Outcome.DONE
    assert scene.world.publication == "discarded: the pull request is closed"
    assert scene.reviews() == []


def test_a_pull_request_that_was_moved_is_not_there(scene: Scene) -> None:
    location = f"{scene.github.server.url}/repos/octo-org/elsewhere/pulls/9"
    disturb(
        scene.github,
        kind="status",
        status=301,
        path=f"/pulls/{scene.number}$",
        headers={"Location": location},
        body={"message": "Moved Permanently"},
    )
    with pytest.raises(GithubNotFoundError):
        scene.publishing.pull(NAME, scene.number)
