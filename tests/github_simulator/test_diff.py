from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.github_simulator.diff import LARGEST_PATCH_LINES, anchors, changed_files
from local.github_simulator.git_repository import GitError, GitRepository
from tests.github_simulator.conftest import commit, git

TEXTS = st.lists(st.sampled_from(["a", "b", "+", "-", "@@ -1 +1 @@", "\\ no", ""]), max_size=40)


@pytest.fixture
def scratch(tmp_path: Path) -> tuple[Path, GitRepository]:
    folder, objects = tmp_path / "repository", tmp_path / "objects"
    folder.mkdir()
    objects.mkdir()
    git(folder, "init", "-q", "-b", "main")
    return folder, GitRepository(folder, created_objects=objects)


@given(before=TEXTS, after=TEXTS, ends=st.booleans())
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_line_that_takes_a_comment_says_what_the_file_says_there(
    scratch: tuple[Path, GitRepository], before: list[str], after: list[str], ends: bool
) -> None:
    folder, repository = scratch
    shas = []
    for lines in (before, after):
        content = "\n".join(lines) + ("\n" if ends and lines else "")
        (folder / "f").write_text(content)
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "--allow-empty", "-m", "x")
        shas.append(git(folder, "rev-parse", "HEAD"))

    changes = changed_files(repository, shas[0], shas[1])

    for change in changes:
        patch = change.patch or ""
        rows = patch.split("\n")
        for (side, number), anchor in anchors(patch).items():
            lines = before if side == "LEFT" else after
            assert rows[anchor.position][1:] == lines[number - 1]
            assert anchor.hunk.split("\n")[-1] == rows[anchor.position]
        marks = [row[:1] for row in rows]
        assert marks.count("+") == change.additions
        assert marks.count("-") == change.deletions


def test_a_very_large_patch_is_left_out(scratch: tuple[Path, GitRepository]) -> None:
    folder, repository = scratch
    empty = commit(folder, {"a": "", "b": ""}, "x")
    full = commit(
        folder, {"a": "x\n" * LARGEST_PATCH_LINES, "b": "x\n" * (LARGEST_PATCH_LINES + 1)}, "y"
    )

    small, large = changed_files(repository, empty, full)

    assert small.patch is not None
    assert large.patch is None
    assert large.additions == LARGEST_PATCH_LINES + 1


def test_a_changed_mode_is_a_change_without_a_patch(scratch: tuple[Path, GitRepository]) -> None:
    folder, repository = scratch
    before = commit(folder, {"run.sh": "true\n"}, "x")
    (folder / "run.sh").chmod(0o755)
    after = commit(folder, {}, "y")

    (change,) = changed_files(repository, before, after)

    assert (change.status, change.patch, change.additions) == ("modified", None, 0)


def test_the_repositorys_own_configuration_runs_no_program(
    scratch: tuple[Path, GitRepository], tmp_path: Path
) -> None:
    folder, repository = scratch
    proof = tmp_path / "ran"
    git(folder, "config", "diff.evil.command", f"touch {proof}")
    git(folder, "config", "diff.evil.textconv", f"touch {proof};")
    before = commit(folder, {".gitattributes": "* diff=evil\n", "f": "a\n"}, "x")
    after = commit(folder, {"f": "b\n"}, "y")

    (change,) = changed_files(repository, before, after)

    assert change.patch == "@@ -1 +1 @@\n-a\n+b"
    assert not proof.exists()


def test_a_folder_without_a_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GitError):
        GitRepository(tmp_path, created_objects=tmp_path)


@pytest.mark.parametrize("revision", ["--all", "a..b", "HEAD@{1}", "HEAD^", "main:f", "", "a b"])
def test_revision_syntax_names_no_commit(
    scratch: tuple[Path, GitRepository], revision: str
) -> None:
    folder, repository = scratch
    commit(folder, {"f": "a\n"}, "x")

    assert repository.resolve(revision) is None
    assert repository.resolve("main") is not None


def test_a_commit_message_may_hold_anything(scratch: tuple[Path, GitRepository]) -> None:
    folder, repository = scratch
    message = "subject\n\n\x1e body \x1f ü\n\nlast"
    sha = commit(folder, {"f": "a\n"}, message)
    commit(folder, {"f": "b\n"}, "next")

    newest, oldest = repository.commits("main", limit=5)

    assert (newest.message, newest.parents) == ("next", (sha,))
    assert (oldest.sha, oldest.message) == (sha, message)
