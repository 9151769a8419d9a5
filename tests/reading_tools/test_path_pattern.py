"""Globs mean what people expect of them, and no pattern takes long."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightdesk.domain.path_pattern import PathPattern


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.py", "a.py", True),
        ("*.py", "src/deep/a.py", True),
        ("*.py", "a.pyc", False),
        ("src/*.py", "src/a.py", True),
        ("src/*.py", "src/deep/a.py", False),
        ("src/**/*.py", "src/a.py", True),
        ("src/**/*.py", "src/x/y/a.py", True),
        ("**/*.py", "a.py", True),
        ("**", "any/thing", True),
        ("src/**", "src/a/b", True),
        ("src/**", "lib/a", False),
        ("src", "src/a/b.py", True),
        ("src/", "src/a/b.py", True),
        ("./src/a", "src/a/b.py", True),
        ("/src", "src/a.py", True),
        ("/src", "lib/src/a.py", False),
        ("src/*", "src/a/b.py", False),
        ("*.{ts,tsx}", "app/a.tsx", True),
        ("*.{ts,tsx}", "app/a.js", False),
        ("{src,lib}/*.[ch]", "lib/a.h", True),
        ("{src,lib}/*.[ch]", "lib/a.o", False),
        ("a?.py", "ab.py", True),
        ("a?.py", "a/.py", False),
        ("README.md", "docs/README.md", True),
        ("A.py", "a.py", False),
    ],
)
def test_a_glob_matches_like_git_and_shells_do(pattern: str, path: str, expected: bool) -> None:
    assert PathPattern.parse(pattern).matches(path) is expected


@given(st.text(alphabet="*?a/[]{},!.b", max_size=40), st.text(alphabet="ab/.", max_size=60))
def test_no_pattern_fails(pattern: str, path: str) -> None:
    assert PathPattern.parse(pattern).matches(path) in {True, False}


@pytest.mark.parametrize(
    "pattern", ["*a" * 100 + "b", "**/" * 90 + "b", "{a,b}" * 60, "{" * 100, "?*" * 80 + "b"]
)
def test_no_pattern_takes_long(pattern: str) -> None:
    begun = time.process_time()
    parsed = PathPattern.parse(pattern[:300])
    for path in ("a" * 900, "a/" * 400 + "a"):
        assert not parsed.matches(path)
    assert time.process_time() - begun < 1
