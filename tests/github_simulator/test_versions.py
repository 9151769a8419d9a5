from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.github_simulator.conftest import REPO, Github, git

VERSIONS = pytest.mark.parametrize("version", ["2022-11-28", "2026-03-10"])


def populate(github: Github) -> tuple[int, int]:
    """Fill the repository with one of everything; return the issue's and the pull's number."""
    state = github.server.state
    state.settings.events_for_labels = True
    issue = github.open_issue(association="MEMBER", labels=["bug"])
    pull = github.open_pull(fork_owner="eve", author="eve")
    github.control("POST", f"{REPO}/issues/{issue}/comments", {"author": "bob", "body": "Hm."})
    line = {"path": "src/new.py", "body": "Why?", "line": 1}
    github.control("POST", f"{REPO}/pulls/{pull}/reviews", {"author": "bob", "comments": [line]})
    github.control("PATCH", f"{REPO}/issues/{issue}", {"actor": "bob", "state": "closed"})
    return issue, pull


@VERSIONS
def test_everything_that_can_be_read_conforms_to_the_version(github: Github, version: str) -> None:
    issue, pull = populate(github)
    bot = github.client(version=version)
    comment = bot.get(f"{REPO}/issues/comments")[0]["id"]

    answers = [
        bot.send("GET", path)
        for path in (
            "/meta",
            "/rate_limit",
            "/user",
            "/users/eve",
            REPO,
            f"{REPO}/events",
            f"{REPO}/labels",
            f"{REPO}/issues",
            f"{REPO}/issues/{issue}",
            f"{REPO}/issues/{pull}",
            f"{REPO}/issues/{issue}/comments",
            f"{REPO}/issues/{issue}/labels",
            f"{REPO}/issues/comments/{comment}",
            f"{REPO}/pulls",
            f"{REPO}/pulls/{pull}",
            f"{REPO}/pulls/{pull}/files",
            f"{REPO}/pulls/{pull}/reviews",
            f"{REPO}/pulls/{pull}/comments",
            f"{REPO}/pulls/comments",
            f"{REPO}/commits",
            f"{REPO}/commits/feature",
            f"{REPO}/contents/",
            f"{REPO}/contents/README.md",
            f"{REPO}/contents/link",
            f"{REPO}/git/ref/heads/main",
            f"{REPO}/collaborators/bob/permission",
        )
    ]

    assert {answer.status_code for answer in answers} == {200}
    selected = {answer.headers["X-GitHub-Api-Version-Selected"] for answer in answers}
    assert selected == {version}
    assert ('"assignee"' in "".join(answer.text for answer in answers)) is (version == "2022-11-28")


@VERSIONS
def test_everything_that_can_be_written_conforms_to_the_version(
    github: Github, version: str
) -> None:
    issue, pull = populate(github)
    bot = github.client("octo-org", version=version)
    sha = bot.get(f"{REPO}/commits/main")["sha"]

    bot.post(f"{REPO}/issues", {"title": "x"})
    comment = bot.post(f"{REPO}/issues/{issue}/comments", {"body": "x"})["id"]
    bot.post(f"{REPO}/issues/{issue}/labels", {"labels": ["ui"]}, status=200)
    bot.post(f"{REPO}/pulls", {"title": "x", "head": "feature-2", "base": "main"})
    review = {"event": "COMMENT", "body": "x"}
    bot.post(f"{REPO}/pulls/{pull}/reviews", review, status=200)
    bot.post(f"{REPO}/git/refs", {"ref": "refs/tags/v2", "sha": sha})
    bot.post(f"{REPO}/statuses/{sha}", {"state": "success"})
    patches = {
        f"{REPO}/issues/{issue}": {"body": "x", "labels": []},
        f"{REPO}/pulls/{pull}": {"title": "y", "state": "closed"},
        f"{REPO}/issues/comments/{comment}": {"body": "y"},
    }
    for path, body in patches.items():
        assert bot.send("PATCH", path, body=body).status_code == 200

    assert bot.get(f"{REPO}/issues/{issue}")["labels"] == []
    assert bot.get(f"{REPO}/pulls/{pull}")["title"] == "y"
    assert bot.get(f"{REPO}/pulls/{pull}")["state"] == "closed"


@pytest.mark.parametrize(("version", "kind"), [("2022-11-28", "file"), ("2026-03-10", "submodule")])
def test_a_submodule_is_listed_as_a_file_before_the_later_version(
    github: Github, repository_path: Path, tmp_path: Path, version: str, kind: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(repository_path, copy, symlinks=True)
    address = "https://example.org/lib.git"
    (copy / ".gitmodules").write_text(
        f'[submodule "lib"]\n\tpath = vendor/lib\n\turl = {address}\n'
    )
    git(copy, "add", ".gitmodules")
    git(copy, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},vendor/lib")
    git(copy, "commit", "-q", "-m", "Borrow a library")
    github.server.state.add_repository("octo-org/borrower", copy)
    bot = github.client(version=version)
    contents = "/repos/octo-org/borrower/contents"

    assert [entry["type"] for entry in bot.get(f"{contents}/vendor")] == [kind]
    alone = bot.get(f"{contents}/vendor/lib")
    assert (alone["type"], alone["submodule_git_url"]) == ("submodule", address)
