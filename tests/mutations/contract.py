"""Runs a module's contract tests on DynamoDB (moto), fast enough to do so once for each mutant.

The tests are the very functions that pytest runs. Each gets an empty set of tables: one moto
backend is shared and its items are cleared, because creating tables and clients is what is slow.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import signature, unwrap
from itertools import product
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

from moto.dynamodb.models import dynamodb_backends
from pynamodb.expressions.operand import Path as AttributePath

from tests.aws import REGION
from tests.mutations.conditions import ALWAYS, NEVER, Mutant, helpers_of, mutants_of

_ACCOUNT = "123456789012"


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One test function with the values of its parameters."""

    function: Callable[..., None]
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def expects_a_refusal(self) -> bool:
        """Whether the test says that something raises: those are what kills most mutants."""
        return "raises" in self.function.__code__.co_names

    def __str__(self) -> str:
        values = ", ".join(map(str, self.arguments.values()))
        return f"{self.function.__name__}[{values}]" if values else self.function.__name__


@dataclass(frozen=True, slots=True)
class Contract:
    """The tests of an adapter, which may be several modules. `fixtures` makes, for each test, all
    that tests may ask for by name; `subject` is the one that only tests of the adapter ask for.
    """

    modules: tuple[ModuleType, ...]
    tests: tuple[ModuleType, ...]
    subject: str
    fixtures: Callable[[], Mapping[str, object]]

    def mutants(self) -> list[tuple[ModuleType, Mutant]]:
        """Every mutant of every module of the adapter."""
        paths = {module: Path(str(module.__file__)) for module in self.modules}
        helpers = frozenset[str]().union(*map(helpers_of, paths.values()))
        return [
            (module, mutant)
            for module, path in paths.items()
            for mutant in mutants_of(path, helpers=helpers)
        ]

    def cases(self) -> list[Case]:
        """All tests of the adapter that need nothing else than `fixtures` and their parameters."""
        clear_tables()
        offered = self.fixtures().keys()
        found = [
            value
            for module in self.tests
            for name, value in vars(module).items()
            if name.startswith("test_") and self.subject in signature(value).parameters
        ]
        cases = [Case(test, arguments) for test in found for arguments in _parameters(test)]
        return [
            case
            for case in cases
            if signature(case.function).parameters.keys() <= offered | case.arguments.keys()
        ]

    def fails(self, case: Case) -> bool:
        """Run one test on empty tables; whether it fails."""
        clear_tables()
        asked = signature(case.function).parameters
        given = {name: made for name, made in self.fixtures().items() if name in asked}
        try:
            case.function(**given, **case.arguments)
        except Exception:  # noqa: BLE001 - a mutant may break in any way; each is a failed test
            return True
        # `pytest.raises` reports a missing exception as a failure outside of Exception.
        except BaseException as error:
            if type(error).__name__ != "Failed":
                raise
            return True
        return False

    def called_by(self, case: Case) -> frozenset[tuple[str, str]]:
        """File and qualified name of the adapter's functions that the test calls."""
        files, called = {module.__file__ for module in self.modules}, set()

        def note(frame: FrameType, event: str, _argument: object) -> None:
            if event == "call" and frame.f_code.co_filename in files:
                called.add((frame.f_code.co_filename, frame.f_code.co_qualname))

        sys.setprofile(note)
        try:
            failed = self.fails(case)
        finally:
            sys.setprofile(None)
        assert not failed, f"{case} fails on the unchanged adapter"
        return frozenset(called)


def _parameters(test: Callable[..., None]) -> list[dict[str, Any]]:
    """The values of `pytest.mark.parametrize`, all combinations."""
    axes: list[list[dict[str, Any]]] = []
    for mark in getattr(test, "pytestmark", []):
        assert mark.name == "parametrize", f"{test.__name__}: cannot run mark {mark.name}"
        names, values = mark.args
        names = [n.strip() for n in names.split(",")] if isinstance(names, str) else list(names)
        if len(names) == 1:
            axes.append([{names[0]: value} for value in values])
        else:
            axes.append([dict(zip(names, row, strict=True)) for row in values])
    merged = [{k: v for part in parts for k, v in part.items()} for parts in product(*axes)]
    return merged or [{}]


def clear_tables() -> None:
    """Remove all items of all tables, as if they had just been created."""
    for table in dynamodb_backends[_ACCOUNT][REGION].tables.values():
        table.items.clear()


@contextmanager
def mutated(module: ModuleType, mutant: Mutant) -> Iterator[None]:
    """Give the mutant's code to the module's function, for everybody who holds it already."""
    namespace: dict[str, Any] = vars(module)
    never_there = AttributePath("never_there")
    namespace[ALWAYS], namespace[NEVER] = never_there.does_not_exist(), never_there.exists()
    function = _function(module, mutant.function)
    original = function.__code__
    function.__code__ = _codes(mutant.module)[mutant.function]
    try:
        yield
    finally:
        function.__code__ = original


def _function(module: ModuleType, qualified_name: str) -> FunctionType:
    found: Any = module
    for name in qualified_name.split("."):
        found = getattr(found, name)
    function = unwrap(found)
    assert isinstance(function, FunctionType)
    return function


def _codes(code: CodeType) -> dict[str, CodeType]:
    """The code of each function and method by qualified name."""
    found: dict[str, CodeType] = {}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found[constant.co_qualname] = constant
            found.update(_codes(constant))
    return found
