"""The branch and the draft pull request: one each, bounded, and never over anybody else's work."""

from contextlib import suppress
from typing import Any

import pytest

from nightdesk.domain.errors import UnavailableError
from nightdesk.domain.outbox import OutboxState
from nightdesk.domain.task import Target
from nightdesk.services.outbox_rows import Outcome
from tests.fakes.github import HEAD
from tests.fakes.kill import Kill, KillSwitch
from tests.publisher.world import TASK, PublisherWorld

ROW = "github#0001#pull_request#1"
BRANCH = "nightdesk/issue-enricher-12-1b4e28ba"
PATH = "src/cache.py"
CHANGE: dict[str, Any] = {"path": PATH, "old": "return None", "new": "return 1"}


class PullWorld(PublisherWorld):
    def __init__(self) -> None:
        super().__init__()
        self.origin(intents=(("pull_request", 1),))
        self.github.files = {
            PATH: ("100755", "def get():\n    return None\n"),
            "docs/link.md": ("120000", "../README.md"),
            "vendor/lib": ("160000", ""),
        }

    def proposes(self, *changes: dict[str, Any], **fields: Any) -> None:
        intent = {"title": "Return one", "body": "Closes #12, @ann.", "base": HEAD, **fields}
        self.intends({"changes": list(changes or [CHANGE]), **intent}, row=ROW)

    def opened(self) -> dict[str, str]:
        ((_, _, fields),) = self.github.drafts
        return fields


@pytest.fixture
def pulls() -> PullWorld:
    return PullWorld()


def test_changes_become_one_commit_on_a_branch_and_a_draft_pull_request(pulls: PullWorld) -> None:
    pulls.proposes(CHANGE, {"path": "src/new.py", "new": "ONE = 1\n"})
    assert pulls.publish(ROW) is Outcome.DONE

    (commit,) = pulls.github.commits.values()
    assert commit == {
        PATH: ("100755", "def get():\n    return 1\n"),
        "src/new.py": ("100644", "ONE = 1\n"),
    }
    assert list(pulls.github.branches) == [BRANCH]
    assert pulls.opened()["title"] == "Return one"
    assert pulls.opened()["body"].startswith("Closes `#12`, `@ann.`\n\nRefs #12\n\n___")
    assert pulls.row(ROW).result_url.endswith("/pull/100")


@pytest.mark.parametrize("after_effect", [False, True])
def test_a_publisher_killed_anywhere_opens_one_pull_request(*, after_effect: bool) -> None:
    for calls in range(20):
        pulls = PullWorld()
        pulls.proposes()
        with suppress(Kill):
            pulls.publish(ROW, KillSwitch(calls, after_effect=after_effect))
        pulls.publish_until_quiet()
        counts = (len(pulls.github.drafts), len(pulls.github.branches), len(pulls.github.commits))
        assert counts == (1, 1, 1), calls
        assert pulls.row(ROW).state is OutboxState.DONE


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_lost_answers_open_one_pull_request(pulls: PullWorld, lost: int) -> None:
    pulls.proposes()
    pulls.github.fails_after = [UnavailableError("GitHub: ReadTimeout")] * lost
    pulls.publish_until_quiet()
    assert (len(pulls.github.drafts), len(pulls.github.commits)) == (1, 1)


def test_a_branch_with_other_commits_is_left_alone(pulls: PullWorld) -> None:
    pulls.github.branches[BRANCH] = "2" * 40
    pulls.proposes()
    assert pulls.publish(ROW) is Outcome.DEAD
    assert "exists already, with other commits" in pulls.row(ROW).last_error
    assert pulls.github.branches == {BRANCH: "2" * 40}
    assert pulls.github.drafts == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"path": ".github/workflows/ci.yml", "new": "x"}, "protected"),
        ({"path": ".GitHub/Workflows/ci.yml", "new": "x"}, "protected"),
        ({"path": "docs/CODEOWNERS", "new": "x"}, "protected"),
        ({"path": "a/.git/hooks/pre-commit", "new": "x"}, "protected"),
        ({"path": "a/GIT~1/config", "new": "x"}, "protected"),
        ({"path": ".gitmodules", "new": "x"}, "protected"),
        ({"path": ".travis.yml", "new": "x"}, "protected"),
        ({"path": ".Buildkite/pipeline.yml", "new": "x"}, "protected"),
        ({"path": "ci/Jenkinsfile.prod", "new": "x"}, "protected"),
        ({"path": "bitbucket-pipelines.yml", "new": "x"}, "protected"),
        ({"path": ".devcontainer/devcontainer.json", "new": "x"}, "protected"),
        ({"path": "web/.yarnrc.yml", "new": "x"}, "protected"),
        ({"path": ".env", "new": "x"}, "protected"),
        ({"path": "nightdesk.yml", "new": "x"}, "protected"),
        ({"path": "../x", "new": "x"}, "is no path"),
        ({"path": "/etc/passwd", "new": "x"}, "is no path"),
        ({"path": "a\\b", "new": "x"}, "is no path"),
        ({"path": "src/\u202ey.py", "new": "x"}, "is no path"),
        ({"path": "src/./y.py", "new": "x"}, "is no path"),
        ({"path": "docs/link.md", "old": "../README.md", "new": "/etc/passwd"}, "no plain file"),
        ({"path": "docs/link.md/x", "new": "x"}, "is no folder"),
        ({"path": "vendor/lib/x", "new": "x"}, "is no folder"),
        ({"path": "src", "new": "x"}, "is a folder"),
        ({"path": PATH, "new": "x"}, "exists already"),
        ({"path": PATH, "old": "nothing", "new": "x"}, "occurs 0 times"),
        ({"path": PATH, "old": "e", "new": "x"}, "occurs 3 times"),
        ({"path": "none.py", "old": "a", "new": "x"}, "does not exist"),
        ({"path": "k.py", "new": f"T = 'ghp_{'a1B2' * 9}'"}, "looks like a secret"),
        ({"path": "k.py", "new": "x" * 120_001}, "larger than"),
        ({"path": "k.py", "new": 3}, "malformed"),
        ({"path": PATH, "old": "", "new": "x"}, "malformed"),
    ],
    ids=lambda value: str(value.get("path"))[:24] if isinstance(value, dict) else "",
)
def test_what_must_not_be_changed_is_refused_with_its_reason(
    pulls: PullWorld, change: dict[str, Any], reason: str
) -> None:
    pulls.proposes(CHANGE, change)
    assert pulls.publish(ROW) is Outcome.DEAD
    assert reason in pulls.row(ROW).last_error
    assert (pulls.github.branches, pulls.github.drafts) == ({}, [])
    assert (pulls.tasks.tasks[TASK].publication or "").startswith("failed: ")


def test_only_the_paths_that_the_origin_allows_are_changed(pulls: PullWorld) -> None:
    pulls.origin(allowed_paths=("src/**",))
    pulls.proposes(CHANGE, {"path": "setup.py", "new": "x"})
    assert pulls.publish(ROW) is Outcome.DEAD
    assert "may be changed: src/**" in pulls.row(ROW).last_error


@pytest.mark.parametrize("base", ["", "main", "../../../git", None])
def test_the_base_is_a_commit_and_nothing_else(pulls: PullWorld, base: object) -> None:
    pulls.proposes(base=base)
    assert pulls.publish(ROW) is Outcome.DEAD
    assert pulls.github.branches == {}


@pytest.mark.parametrize("changes", [[], None, [CHANGE] * 41, ["x"]])
def test_a_malformed_list_of_changes_is_refused(pulls: PullWorld, changes: object) -> None:
    pulls.intends({"title": "x", "body": "", "base": HEAD, "changes": changes}, row=ROW)
    assert pulls.publish(ROW) is Outcome.DEAD


def test_a_pull_request_gets_no_pull_request(pulls: PullWorld) -> None:
    target = Target(repo="octo-org/widgets", repo_id=501, number=12, kind="pull_request")
    pulls.origin(target=target)
    pulls.proposes()
    assert pulls.publish(ROW) is Outcome.DEAD


def test_without_the_intent_there_is_none(pulls: PullWorld) -> None:
    pulls.origin(intents=(("comment", 1),))
    pulls.proposes()
    assert pulls.publish(ROW) is Outcome.DEAD
