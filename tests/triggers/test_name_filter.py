"""Patterns as GitHub's documentation of workflow filters explains them, and against an oracle."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightdesk.domain.name_filter import (
    PATTERN_MAX,
    NameFilter,
    NamePatternError,
    check_patterns,
)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("feature/*", ["feature/my-branch", "feature/your-branch"]),
        ("feature/**", ["feature/beta-a/my-branch", "feature/your-branch", "feature/"]),
        ("main", ["main"]),
        ("releases/mona-the-octocat", ["releases/mona-the-octocat"]),
        ("*", ["main", "releases"]),
        ("**", ["all/the/branches", "every/tag", "x"]),
        ("*feature", ["mona-feature", "feature", "ver-10-feature"]),
        ("v2*", ["v2", "v2.0", "v2.9"]),
        ("v[12].[0-9]+.[0-9]+", ["v1.10.1", "v2.0.0"]),
        ("*.jsx?", ["page.js", "page.jsx"]),
        ("**.js", ["index.js", "js/index.js", "src/js/app.js"]),
        ("docs/*", ["docs/README.md", "docs/file.txt"]),
        ("docs/**", ["docs/README.md", "docs/mona/octocat.txt"]),
        ("docs/**/*.md", ["docs/README.md", "docs/mona/hello-world.md", "docs/a/markdown/file.md"]),
        ("**/docs/**", ["docs/hello.md", "dir/docs/my-file.txt", "space/docs/plan/space.doc"]),
        ("**/README.md", ["README.md", "js/README.md"]),
        ("**/*src/**", ["a/src/app.js", "my-src/code/js/app.js"]),
        ("**/*-post.md", ["my-post.md", "path/their-post.md"]),
        (
            "**/migrate-*.sql",
            ["migrate-10909.sql", "db/migrate-v1.0.sql", "db/sept/migrate-v1.sql"],
        ),
        ("[CB]at", ["Cat", "Bat"]),
        ("[1-2]00", ["100", "200"]),
        (r"literal\*\?\[", ["literal*?["]),
    ],
)
def test_githubs_examples_match(pattern: str, names: list[str]) -> None:
    assert [name for name in names if not NameFilter((pattern,)).admits(name)] == []


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("feature/*", "feature/a/b"),
        ("*", "a/b"),
        ("*.js", "src/app.js"),
        ("*.jsx?", "page.jsxx"),
        ("docs/*", "docs/a/b"),
        ("docs/**", "my/docs/a"),
        ("**/README.md", "xREADME.md"),
        ("v[12].[0-9]+", "v1."),
        ("main", "Main"),
        ("a.c", "abc"),
        ("[CB]at", "CBat"),
    ],
)
def test_names_that_only_look_alike_do_not(pattern: str, name: str) -> None:
    assert not NameFilter((pattern,)).admits(name)


@pytest.mark.parametrize(
    ("patterns", "admitted"),
    [
        (("**", "!docs/**"), {"src/a.py", "README.md"}),
        (("**", "!docs/**", "docs/api/**"), {"src/a.py", "README.md", "docs/api/x.md"}),
        (("docs/api/**", "!docs/**"), set()),
        (("!docs/**", "**"), {"src/a.py", "README.md", "docs/a.md", "docs/api/x.md"}),
    ],
)
def test_the_last_pattern_that_matches_decides(
    patterns: tuple[str, ...], admitted: set[str]
) -> None:
    names = ("src/a.py", "README.md", "docs/a.md", "docs/api/x.md")
    found = NameFilter(patterns)
    assert {name for name in names if found.admits(name)} == admitted
    assert found.admits_any(names) == bool(admitted)


@pytest.mark.parametrize(
    "pattern", ["", "?", "+x", "**?", "a??", "a++", "[", "[]", "[abc", "[z-a]", "[é-ü]", "\\", "!"]
)
def test_a_pattern_that_cannot_be_read_is_refused(pattern: str) -> None:
    with pytest.raises(NamePatternError):
        check_patterns([pattern])
    with pytest.raises(NamePatternError):
        check_patterns(["main", "x" * (PATTERN_MAX + 1)])


def oracle(pattern: str) -> re.Pattern[str]:
    """The same by Python's regular expressions, which can take for ever."""
    tokens = {"*": "[^/]*", "**": ".*", "?": "?", "+": "+"}
    pieces = re.findall(r"(?:(?<=/)|^)\*\*+/|\*\*+|\*|\[[^\]]+\]|.", pattern)
    read = []
    for piece in pieces:
        if piece.startswith("**"):
            read.append("(?:.*/)?" if piece.endswith("/") else ".*")
        elif piece in tokens or piece.startswith("["):
            read.append(tokens.get(piece, piece))
        else:
            read.append(re.escape(piece))
    return re.compile("".join(read), re.DOTALL)


PIECES = st.sampled_from(
    ["a", "b", "/", "*", "**", "**/", "a?", "b+", "[ab]", "[ab]+", ".", "/**/"]
)


@given(
    pattern=st.lists(PIECES, min_size=1, max_size=8).map("".join),
    name=st.text(alphabet="ab/.", max_size=12),
)
def test_it_matches_what_the_oracle_matches(pattern: str, name: str) -> None:
    assert NameFilter((pattern,)).admits(name) == bool(oracle(pattern).fullmatch(name))


def test_a_hostile_pattern_takes_no_longer_than_another() -> None:
    hostile = NameFilter(("**a" * 60 + "b", "*a" * 90 + "b", "a+" * 90 + "b"))
    began = time.perf_counter()
    assert not hostile.admits("a" * 4_000)
    assert time.perf_counter() - began < 2
