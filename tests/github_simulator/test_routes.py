from __future__ import annotations

import re

import pytest

from local.github_simulator.routes import ROUTES, Route, find_route
from tests.github_openapi.operations import OPERATIONS
from tests.github_openapi.paths import find_operation


def concrete(template: str) -> str:
    """Fill every parameter with a number, which every kind of parameter accepts."""
    return re.sub(r"\{\w+\}", "7", template)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_the_simulator_answers_every_operation_that_we_keep(method: str, path: str) -> None:
    found = find_route(method.upper(), concrete(path))

    assert found is not None
    assert concrete(found[0].template) == concrete(path)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.template}")
def test_the_simulator_answers_nothing_that_github_does_not(route: Route) -> None:
    assert find_operation(route.method, concrete(route.template), "2022-11-28").name


def test_every_route_about_a_repository_names_a_permission() -> None:
    free = [
        route.template for route in ROUTES if "{repo}" in route.template and not route.permissions
    ]

    assert free == ["/repos/{owner}/{repo}/installation"]


def test_every_write_to_a_repository_needs_a_permission_to_write() -> None:
    for route in ROUTES:
        if "{repo}" in route.template and route.method != "GET":
            assert all(permission.endswith(":write") for permission in route.permissions)
