"""Hunks as git writes them, and where a comment can stand."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightdesk.domain.diff.listing import files_shown, heading_of, lines_of
from nightdesk.domain.diff.patch import LineKind, parse_patch
from nightdesk.domain.diff.pull_diff import Anchor, FileDiff, PullDiff, refusal_of
from tests.review.examples import CART, LOGO, patch_of_git

# Lines that look like parts of a patch, end in a carriage return, or are very long.
LINES = st.sampled_from(
    [
        "", "a", "b", "-", "+", " ", "-- a/x", "++ b/x", "@@ -1,1 +1,1 @@", "\\ No newline",
        "x\r", "\ttab", "\u2028", "é", "y" * 5_000,
    ]
)  # fmt: skip
FILES = st.builds(
    lambda lines, ending: "\n".join(lines) + ending,
    st.lists(LINES, max_size=12),
    st.sampled_from(["", "\n"]),
)


@settings(max_examples=120, deadline=None)
@given(before=FILES, after=FILES)
def test_a_patch_of_git_says_for_every_line_where_it_is_in_both_files(
    before: str, after: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        patch = patch_of_git(Path(folder), before.encode(), after.encode())
    if patch is None:
        assert before == after
        return
    old, new = before.split("\n"), after.split("\n")
    lines = [line for hunk in parse_patch(patch) for line in hunk.lines]

    for line in lines:
        assert line.old is None or old[line.old - 1] == line.text
        assert line.new is None or new[line.new - 1] == line.text
    removed = [line.old for line in lines if line.kind is LineKind.REMOVED and line.old]
    added = [line.new for line in lines if line.kind is LineKind.ADDED and line.new]
    kept_old = [text for number, text in enumerate(_whole(before), 1) if number not in removed]
    kept_new = [text for number, text in enumerate(_whole(after), 1) if number not in added]
    assert kept_old == kept_new, "what is neither removed nor added is the same in both"


def _whole(text: str) -> list[str]:
    """Lines with what ends them, as git compares them: a missing last line break is a change."""
    return text.removesuffix("\n").split("\n") if text.endswith("\n") else _unended(text)


def _unended(text: str) -> list[str]:
    *lines, last = text.split("\n")
    return [*lines, f"{last}\\"] if text else []


@settings(max_examples=60, deadline=None)
@given(before=FILES, after=FILES)
def test_what_a_session_reads_names_the_lines_that_take_a_comment(before: str, after: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        patch = patch_of_git(Path(folder), before.encode(), after.encode())
    file = FileDiff(path="src/a b.py", previous_path="old.py", patch=patch)

    listing = "\n".join([heading_of(file), *lines_of(file), "", heading_of(LOGO)])
    shown = list(files_shown(listing))

    assert [(status, path) for status, path, _ in shown] == [
        ("modified", "src/a b.py"),
        ("added", "logo.png"),
    ]
    assert [number for number, _, _ in shown[0][2]] == list(file.commentable)
    added = [number for number, kind, _ in shown[0][2] if kind is LineKind.ADDED]
    assert added == [number for number, _ in file.added]


@given(st.text(max_size=300))
def test_what_is_no_patch_gives_hunks_without_lines_and_no_error(text: str) -> None:
    for hunk in parse_patch(text):
        assert len(hunk.lines) <= text.count("\n")


def test_a_patch_that_was_cut_gives_what_is_there() -> None:
    (hunk,) = parse_patch("@@ -1,9 +1,9 @@ def f\n a\n-b\n+c")
    assert [(line.old, line.new) for line in hunk.lines] == [(1, 1), (2, None), (None, 2)]
    assert hunk.section == "def f"


def test_a_new_and_a_removed_file_have_lines_on_one_side_only() -> None:
    new = FileDiff(path="a", status="added", patch="@@ -0,0 +1,2 @@\n+x\n+y")
    gone = FileDiff(path="b", status="removed", patch="@@ -1,2 +0,0 @@\n-x\n-y")
    assert (list(new.commentable), list(gone.commentable)) == ([1, 2], [])
    assert new.text_of(2) == "y"


DIFF = PullDiff("f" * 40, (CART, LOGO))


@pytest.mark.parametrize(
    ("anchor", "refusal"),
    [
        (Anchor("src/cart.py", 3), ""),
        (Anchor("src/cart.py", 5), ""),
        (Anchor("src/cart.py", 4, 3), ""),
        (Anchor("src/cart.py", 4, 4), ""),
        (
            Anchor("src/cart.py", 12),
            (
                "line: 12 of src/cart.py is not in the diff; the nearest lines that take a comment "
                "are 2, 3, 4, 5, 21, 22"
            ),
        ),
        (Anchor("src/cart.py", 3, 4), "start_line: 4 is after line 3"),
        (
            Anchor("src/cart.py", 22, 3),
            "start_line: 3 is not in the hunk of line 22, whose lines are 21 to 24",
        ),
        (
            Anchor("lib/cart.py", 3),
            (
                "path: lib/cart.py is not changed by this pull request; changed are: src/cart.py, "
                "logo.png"
            ),
        ),
    ],
    ids=lambda value: value.shown if isinstance(value, Anchor) else "",
)
def test_a_comment_stands_inside_of_one_hunk_or_the_refusal_says_where_it_could(
    anchor: Anchor, refusal: str
) -> None:
    assert refusal_of(anchor, DIFF) == refusal
