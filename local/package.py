"""Turn the template's folders into zip files, for the Python that runs here."""

import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.errors import LocalRunError

FUNCTION = "AWS::Serverless::Function"
LAYER = "AWS::Serverless::LayerVersion"


def package(template: Mapping[str, Any], *, root: Path, folder: Path) -> dict[str, Path]:
    """Zip the code of each function and layer; the key is the logical id.

    Layers are built by their own Makefile, as `sam build` does.

    Raises:
        LocalRunError: a folder of the template is missing or a layer does not build.
    """
    archives = {}
    for name, resource in template["Resources"].items():
        if resource["Type"] == FUNCTION:
            code = root / resource["Properties"]["CodeUri"]
        elif resource["Type"] == LAYER:
            code = _built_layer(name, root / resource["Properties"]["ContentUri"], root, folder)
        else:
            continue
        if not code.is_dir():
            raise LocalRunError(f"template.yaml names {code}, which does not exist.")
        archives[name] = zip_folder(code, folder / f"{name}.zip")
    return archives


def zip_folder(source: Path, target: Path) -> Path:
    """Store a folder in a zip file, uncompressed: it is unpacked again on the same machine."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(source.rglob("*")):
            inside = path.relative_to(source)
            if path.is_file() and not _is_bytecode_of_a_function(source, inside):
                archive.write(path, inside)
    return target


def _is_bytecode_of_a_function(source: Path, inside: Path) -> bool:
    """Bytecode beside a handler is some editor's; in a layer it is ours."""
    return "__pycache__" in inside.parts and (source / "handler.py").exists()


def _built_layer(name: str, content: Path, root: Path, folder: Path) -> Path:
    target = folder / name
    command = [
        "make", "--no-print-directory", "-f", str(content / "Makefile"), f"build-{name}",
        f"ARTIFACTS_DIR={target}",
        f"PYTHON={sys.executable}",
        f"UV={root / '.venv-uv' / 'bin' / 'uv'}",
        f"LAYER_OPTIONS=--host --cache '{root / '.cache' / 'layer'}'",
    ]  # fmt: skip
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if result.returncode:
        raise LocalRunError(f"Building {name} failed: {(result.stderr or result.stdout).strip()}")
    return target
