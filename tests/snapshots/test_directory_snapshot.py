"""A folder as a snapshot: links lead nowhere."""

import os
from pathlib import Path

import pytest

from nightdesk.adapters.snapshots.directory import DirectorySnapshot, EmptySnapshot
from nightdesk.domain.workspace_files import PathRefusedError, Snapshot


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text("canary")
    root = tmp_path / "repository"
    (root / "src").mkdir(parents=True)
    (root / "src" / "a.py").write_text("a = 1\n")
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("url = canary")
    (root / "link.txt").symlink_to(tmp_path / "secret.txt")
    (root / "up").symlink_to(tmp_path)
    os.mkfifo(root / "pipe")
    return root


def test_links_special_files_and_git_are_not_listed(root: Path) -> None:
    snapshot = DirectorySnapshot(root, commit="c" * 40)
    assert [(file.path, file.size) for file in snapshot.files()] == [("src/a.py", 6)]
    assert snapshot.notices == ("3 links, special files and unsafe names were left out",)
    assert snapshot.commit == "c" * 40


@pytest.mark.parametrize(
    "path", ["link.txt", "up/secret.txt", "../secret.txt", "/etc/passwd", ".git/config", "pipe"]
)
def test_what_is_not_listed_is_not_read(root: Path, path: str) -> None:
    with pytest.raises(PathRefusedError):
        DirectorySnapshot(root).read_text(path, max_bytes=100)


def test_a_file_that_became_a_link_is_not_followed(root: Path, tmp_path: Path) -> None:
    snapshot = DirectorySnapshot(root)
    (root / "src" / "a.py").unlink()
    (root / "src" / "a.py").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(PathRefusedError):
        snapshot.read_text("src/a.py", max_bytes=100)


def test_a_folder_that_became_a_link_is_not_followed(root: Path, tmp_path: Path) -> None:
    snapshot = DirectorySnapshot(root)
    (root / "src").rename(root / "old")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.py").write_text("canary")
    (root / "src").symlink_to(outside)
    with pytest.raises(PathRefusedError, match="leads out"):
        snapshot.read_text("src/a.py", max_bytes=100)


def test_a_folder_with_too_many_files_is_cut_with_a_notice(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.txt").write_text("x")
    snapshot = DirectorySnapshot(tmp_path, max_files=3)
    assert [file.path for file in snapshot.files()] == ["0.txt", "1.txt", "2.txt"]
    assert snapshot.notices == ("2 files over the limit of 3 were left out",)


def test_the_empty_snapshot_has_no_files_and_says_why() -> None:
    snapshot: Snapshot = EmptySnapshot()
    assert list(snapshot.files()) == []
    assert snapshot.commit == ""
    assert snapshot.notices == ("This task has no repository",)
    with pytest.raises(PathRefusedError, match="no repository"):
        snapshot.read_text("a.py", max_bytes=1)
