"""Every place that calls GitHub is reached by a scenario, and so has seen each fault."""

import ast
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nightdesk.adapters import github as adapters
from nightdesk.adapters.github.client import GithubClient
from tests.github_faults.test_faults import ALL, fresh, undisturbed
from tests.github_simulator.conftest import Github

FOLDER = Path(str(adapters.__file__)).parent
METHODS = ("get", "post", "patch", "download")
#: How the adapters name what they call GitHub with.
CALLERS = ("client", "self._client", "self._reads")
Site = tuple[str, int]


def sites() -> dict[Site, range]:
    """Every call of GitHub in the adapters: (file, line), and the lines at which it is made.

    The pages of a list are read as they are used: by the rest of the function that asks for them.
    """
    found: dict[Site, range] = {}
    for path in FOLDER.rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef):
                continue
            for call in ast.walk(function):
                end = _last_line(call, function)
                if isinstance(call, ast.Call) and end:
                    site = str(path.relative_to(FOLDER)), call.lineno
                    found[site] = range(call.lineno, end + 1)
    return found


def _last_line(call: ast.AST, function: ast.FunctionDef) -> int:
    """0 for anything but a call of GitHub."""
    if not isinstance(call, ast.Call):
        return 0
    if not isinstance(call.func, ast.Attribute):
        return (function.end_lineno or 0) if ast.unparse(call.func) == "all_items" else 0
    receiver = ast.unparse(call.func.value).partition("(")[0]
    is_github = call.func.attr in METHODS and receiver in CALLERS
    return (call.end_lineno or 0) if is_github else 0


def test_every_call_of_github_is_made_by_a_scenario(
    github: Github, repository_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: set[tuple[str, int]] = set()

    def noting(method: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*given: Any, **named: Any) -> Any:
            frame = sys._getframe(1)
            while frame.f_back is not None:
                path = Path(frame.f_code.co_filename)
                if path.is_relative_to(FOLDER):
                    lines.add((str(path.relative_to(FOLDER)), frame.f_lineno))
                frame = frame.f_back
            return method(*given, **named)

        return noted

    for name in METHODS:
        monkeypatch.setattr(GithubClient, name, noting(getattr(GithubClient, name)))
    for scenario in ALL:
        undisturbed(fresh(github, repository_path), scenario)

    known = sites()
    assert len(known) > 20
    missed = [
        site
        for site, span in sorted(known.items())
        if not any((site[0], line) in lines for line in span)
    ]
    assert missed == [], "written in the adapters, and in no scenario"
