"""Without a language model a pull request gets mechanical checks, and is told so."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightdesk.domain.diff.checks import AddedLines, checked
from nightdesk.domain.diff.pull_diff import FileDiff
from nightdesk.services.reading_tools import reading_tools
from tests.fakes.pulls import NEXT_HEAD, FakePull
from tests.models_offline.conversation import Conversation
from tests.reading_tools.memory_snapshot import MemorySnapshot
from tests.review.test_tools import DELIMITER, Reviewing

TOKEN = "ghp_" + "A1b2" * 9


def added(path: str, *lines: str, status: str = "modified") -> FileDiff:
    body = "\n".join(f"+{line}" for line in lines)
    patch = f"@@ -9,0 +10,{len(lines)} @@\n{body}"
    return FileDiff(path=path, status=status, additions=len(lines), patch=patch)


class OfflineReview:
    """The offline model in a session about a pull request."""

    def __init__(self, *files: FileDiff, **pull: Any) -> None:
        self.reviewing = Reviewing(FakePull(files=files, **pull))
        session_tools = reading_tools(
            MemorySnapshot({}), None, self.reviewing.changes, delimiter=DELIMITER
        )
        reporting = self

        class Journalling:
            """The tool as a session runs it."""

            spec = self.reviewing.tool.spec
            idempotent = True

            def activity(self, arguments: Any) -> str:
                return reporting.reviewing.tool.activity(arguments)

            def run(self, arguments: Any) -> Any:
                result = reporting.reviewing.tool.run(arguments)
                if not result.is_error:
                    intent = reporting.reviewing.tool.intent_of(arguments)
                    reporting.reviewing.intents.append(intent)
                return result

        self.conversation = Conversation([*session_tools, Journalling()])

    def run(self) -> str:
        return self.conversation.ask("Review it.")

    @property
    def reported(self) -> list[tuple[str, str, int]]:
        return [(i["severity"], i["path"], i["line"]) for i in self.reviewing.intents]


def test_leftovers_are_reported_at_their_lines_the_gravest_first() -> None:
    review = OfflineReview(
        added("src/a.py", "x = 1", "    breakpoint()", "# FIXME: not yet"),
        added("src/b.py", "<<<<<<< HEAD", "y", "=======", "z", ">>>>>>> other"),
        added("src/settings.py", f'TOKEN = "{TOKEN}"'),
        added("web/a.test.js", "it.only('works', () => {"),
        added("yarn.lock", "<<<<<<< HEAD"),
    )

    answer = review.run()

    assert review.reported == [
        ("critical", "src/b.py", 10),
        ("critical", "src/settings.py", 10),
        ("warning", "src/a.py", 11),
        ("warning", "web/a.test.js", 10),
        ("suggestion", "src/a.py", 12),
    ]
    assert answer.startswith("**5 findings** in 11 added lines of 5 files.")
    assert "No language model was used" in answer
    assert TOKEN not in answer + str(review.reviewing.intents)


def test_a_clean_change_is_left_alone() -> None:
    review = OfflineReview(added("src/a.py", "x = 1"), added("tests/test_a.py", "assert x"))
    assert review.run().startswith("**Nothing was found** in 2 added lines of 2 files.")
    assert review.reported == []
    assert review.conversation.called == ["read_diff"]


def test_code_without_a_test_is_told_once() -> None:
    files = [AddedLines(f"src/{n}.py", "modified", ((3, "x"),) * (10 + n)) for n in range(3)]
    (found,) = checked(files)
    assert (found.severity, found.path, found.line) == ("suggestion", "src/2.py", 3)
    assert checked([*files, AddedLines("tests/test_x.py", "modified", ((1, "x"),))]) == ()
    assert checked(files[:1]) == ()


def test_files_that_did_not_fit_are_read_one_by_one() -> None:
    filler = ["x = 'a long line that fills the first answer until nothing more fits into it'"] * 250
    review = OfflineReview(
        added("src/a.py", *filler), added("src/b.py", *filler, "breakpoint()"),
        added("tests/test_a.py", "x"),
    )  # fmt: skip
    review.run()
    assert review.conversation.called[:2] == ["read_diff", "read_diff"]
    assert review.reported == [("warning", "src/b.py", 260)]


def test_a_moved_head_ends_the_review_without_a_finding() -> None:
    review = OfflineReview(added("src/a.py", "breakpoint()"), head_sha=NEXT_HEAD)
    assert "could not be read" in review.run()
    assert review.reported == []


@pytest.mark.parametrize(
    "line",
    ["=======", "breakpoints = 3", "fit(model)", "# TODO later", "debugger_enabled = True", "x<<7"],
)
def test_ordinary_lines_are_no_findings(line: str) -> None:
    found = checked([AddedLines("src/a.py", "modified", ((1, line),))])
    assert [one.title for one in found] == []


@given(st.lists(st.text(max_size=60), max_size=30), st.text(min_size=1, max_size=30))
def test_any_lines_can_be_checked(lines: list[str], path: str) -> None:
    for finding in checked([AddedLines(path, "added", tuple(enumerate(lines, 1)))]):
        assert 1 <= finding.line <= len(lines)
