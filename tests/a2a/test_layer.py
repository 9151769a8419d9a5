"""The layer of the a2a function holds what the function imports, and for both architectures."""

import importlib.util
import subprocess
import sys
from types import ModuleType

import pytest

from tests.handlers import ROOT

IMPORTED = """
import sys
import nightdesk.a2a.app
print(*sorted({".".join(name.split(".")[:2]) for name in sys.modules if name.startswith("a2a.")}))
"""


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    path = ROOT / "layers" / "a2a" / "build_a2a_layer.py"
    spec = importlib.util.spec_from_file_location("build_a2a_layer", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_function_imports_only_what_the_layer_keeps_of_the_sdk(builder: ModuleType) -> None:
    result = subprocess.run(
        [sys.executable, "-c", IMPORTED],
        env={"PYTHONPATH": str(ROOT / "layers" / "nightdesk"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )

    packages = set(result.stdout.split()) - {"a2a._base"}
    assert packages == {f"a2a.{name}" for name in builder.KEPT}


def test_the_lock_of_the_layer_names_the_versions_that_are_tested() -> None:
    def pinned(name: str) -> set[str]:
        lines = (ROOT / "locks" / f"{name}.txt").read_text().splitlines()
        return {line.split(" ")[0] for line in lines if "==" in line and line[0] not in " #"}

    assert pinned("a2a")
    assert pinned("a2a") <= pinned("dev")
