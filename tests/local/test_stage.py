"""The repository and the issue that the main job is shown on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.errors import LocalRunError
from local.stage import SAMPLE_BRANCH, make_sample_repository, read_issue, repository_at, set_scene


def git(folder: Path, *arguments: str) -> str:
    settings = {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "A",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "A",
        "GIT_COMMITTER_EMAIL": "a@example.org",
    }
    return subprocess.run(
        ["git", "-C", str(folder), *arguments],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | settings,  # noqa: TID251 - where git is
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit and a dirty work tree."""
    path = tmp_path / "shop"
    path.mkdir()
    git(path, "init", "-q", "-b", "trunk")
    (path / "a.py").write_text("a = 1\n")
    git(path, "add", "-A")
    git(path, "commit", "-q", "-m", "one")
    (path / "a.py").write_text("a = 2\n")
    return path


def test_the_sample_repository_is_the_same_each_time(tmp_path: Path) -> None:
    first = make_sample_repository(tmp_path / "one")
    second = make_sample_repository(tmp_path / "two")

    assert git(first, "rev-parse", "HEAD") == git(second, "rev-parse", "HEAD")
    assert int(git(first, "rev-list", "--count", "HEAD")) == 6
    assert git(first, "status", "--porcelain") == ""
    assert git(first, "log", "--format=%s", f"main..{SAMPLE_BRANCH}") == (
        "Pay everything back when we cancel"
    )
    assert git(first, "rev-parse", SAMPLE_BRANCH) == git(second, "rev-parse", SAMPLE_BRANCH)


def test_the_sample_issue_is_about_the_sample_repository(tmp_path: Path) -> None:
    scene = set_scene(repo=None, issue=None, folder=tmp_path)

    assert scene.issue.title == "Wrong refund when we stop a sailing"
    assert "late cancellation" in scene.issue.body
    assert "late cancellation" in git(scene.path, "show", "HEAD:quayside/notifications.py")


def test_the_tests_of_the_sample_repository_pass(tmp_path: Path) -> None:
    path = make_sample_repository(tmp_path / "quayside")

    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("text", "title", "body"),
    [
        ("# Crash on start\n\nIt crashes.\n", "Crash on start", "It crashes."),
        ("Seen today.\n\n## Crash on start ##\nIt crashes.", "Crash on start",
         "Seen today.\n\n\nIt crashes."),
        ("Crash on start\nIt crashes.", "Crash on start", "It crashes."),
        ("#hashtag is no heading\nmore", "#hashtag is no heading", "more"),
    ],
)  # fmt: skip
def test_the_first_heading_is_the_title(tmp_path: Path, text: str, title: str, body: str) -> None:
    file = tmp_path / "issue.md"
    file.write_text(text)

    issue = read_issue(file)

    assert (issue.title, issue.body) == (title, body)


def test_an_unreadable_or_empty_issue_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "empty.md").write_text(" \n")

    with pytest.raises(LocalRunError, match=r"missing\.md cannot be read"):
        read_issue(tmp_path / "missing.md")
    with pytest.raises(LocalRunError, match=r"empty\.md is empty"):
        read_issue(tmp_path / "empty.md")


def test_a_repository_is_taken_as_committed_from_any_folder_in_it(repository: Path) -> None:
    (repository / "deep").mkdir()

    assert repository_at(repository) == repository
    assert repository_at(repository / "deep") == repository


def test_a_bare_repository_is_taken_as_it_is(repository: Path, tmp_path: Path) -> None:
    bare = tmp_path / "shop.git"
    git(tmp_path, "clone", "-q", "--bare", str(repository), str(bare))
    issue = tmp_path / "issue.md"
    issue.write_text("# It fails")

    scene = set_scene(repo=bare, issue=issue, folder=tmp_path)

    assert (scene.path, scene.name, scene.commits) == (bare, "local/shop", 1)


def test_what_is_no_repository_is_said_in_one_line(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "-q")
    plain = tmp_path / "plain"
    plain.mkdir()

    for path, said in (
        (tmp_path / "missing", "is no folder"),
        (plain, "is no git repository"),
        (empty, "has no commit yet"),
    ):
        with pytest.raises(LocalRunError, match=said) as raised:
            repository_at(path)
        assert "\n" not in str(raised.value)


def test_a_repository_without_an_issue_says_what_is_missing(repository: Path) -> None:
    with pytest.raises(LocalRunError, match="ISSUE=<markdown file"):
        set_scene(repo=repository, issue=None, folder=repository)
