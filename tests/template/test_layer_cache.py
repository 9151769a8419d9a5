"""Built dependencies are kept in a folder that several builds may use at once."""

import importlib.util
import marshal
from pathlib import Path
from types import ModuleType

import pytest

from tests.template.stack import ROOT


@pytest.fixture(scope="module")
def build_layer() -> ModuleType:
    path = ROOT / "layers" / "nightdesk" / "build_layer.py"
    specification = importlib.util.spec_from_file_location("build_layer", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def make(folder: Path, text: str = "first") -> None:
    folder.mkdir()
    (folder / "a.py").write_text(text)


def test_what_was_made_once_is_copied_the_next_time(
    build_layer: ModuleType, tmp_path: Path
) -> None:
    kept = tmp_path / "cache" / "recipe"

    build_layer.copy_of(kept, tmp_path / "one", make=make)
    build_layer.copy_of(kept, tmp_path / "two", make=lambda folder: make(folder, "second"))

    assert (tmp_path / "one" / "a.py").read_text() == "first"
    assert (tmp_path / "two" / "a.py").read_text() == "first"


def test_of_two_builds_at_once_the_slower_takes_what_the_quicker_made(
    build_layer: ModuleType, tmp_path: Path
) -> None:
    kept = tmp_path / "cache" / "recipe"

    def slowly(folder: Path) -> None:
        build_layer.copy_of(kept, tmp_path / "quicker", make=make)
        make(folder, "slower")

    build_layer.copy_of(kept, tmp_path / "target", make=slowly)

    assert (tmp_path / "target" / "a.py").read_text() == "first"
    assert sorted(path.name for path in kept.parent.iterdir()) == ["recipe"]


def test_a_build_that_fails_leaves_nothing_in_the_cache(
    build_layer: ModuleType, tmp_path: Path
) -> None:
    kept = tmp_path / "cache" / "recipe"

    def fails(folder: Path) -> None:
        make(folder)
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        build_layer.copy_of(kept, tmp_path / "target", make=fails)

    assert list(kept.parent.iterdir()) == []


def test_tracebacks_name_files_as_they_lie_on_lambda(
    build_layer: ModuleType, tmp_path: Path
) -> None:
    module = tmp_path / "python" / "nightdesk" / "domain" / "task.py"
    module.parent.mkdir(parents=True)
    module.write_text("STATES = 6\n")

    build_layer.compile_tree(tmp_path / "python" / "nightdesk", tmp_path / "python")

    (compiled,) = module.parent.glob("__pycache__/*.pyc")
    code = marshal.loads(compiled.read_bytes()[16:])
    assert code.co_filename == "/opt/python/nightdesk/domain/task.py"
