# ruff: noqa: INP001 - a script, run by the Makefile beside it
"""Build the layer of the a2a function: the SDK's types and error tables, and protobuf.

It is a layer of its own because no other function should unpack it, and it holds two of the SDK's
packages only: the rest brings a web server and the clients of another cloud (reference: 34 MB, and
400 ms of CPU at a cold start, against 3 MB and 60 ms).
"""

from __future__ import annotations

import argparse
import hashlib
import platform
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "layers" / "nightdesk"))

import build_layer as shared  # noqa: E402 - beside us only after the line before

LOCK = ROOT / "locks" / "a2a.txt"
#: What is kept of the SDK; nightdesk.a2a imports nothing else of it.
KEPT = frozenset({"types", "utils", "extensions"})


def install(machines: tuple[str, ...], target: Path, uv: str) -> None:
    """Install the lock for each machine, with machine-bound names for protobuf's extension module.

    Its wheel is for every Python (`abi3`), so its module has the same name on every machine; named
    as this Python names its own, one layer serves both.
    """
    shared.LOCK = LOCK
    tag = f"cpython-{sys.version_info.major}{sys.version_info.minor}"
    for machine in machines:
        with tempfile.TemporaryDirectory() as folder:
            one = Path(folder) / "python"
            shared.install((machine,), one, uv)
            for module in one.rglob("*.abi3.so"):
                name = module.name.removesuffix(".abi3.so")
                module.rename(module.with_name(f"{name}.{tag}-{machine}-linux-gnu.so"))
            shutil.copytree(one, target, dirs_exist_ok=True)


def prune(packages: Path) -> None:
    """Drop what the function never imports."""
    shutil.rmtree(packages / "bin", ignore_errors=True)
    for path in (packages / "a2a").iterdir():
        if path.is_dir() and path.name not in KEPT:
            shutil.rmtree(path)


def build(machines: tuple[str, ...], target: Path, uv: str, cache: Path | None) -> None:
    """Put the pruned and compiled packages into `target`, out of the cache where possible."""
    if cache is None:
        install(machines, target, uv)
        prune(target)
        shared.compile_tree(target, target)
        return
    recipe = LOCK.read_bytes() + Path(__file__).read_bytes()
    recipe += repr((machines, sys.version_info)).encode()
    kept = cache / f"a2a-{hashlib.sha256(recipe).hexdigest()[:16]}"
    shared.copy_of(kept, target, make=lambda made: build(machines, made, uv, None))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("artifacts", type=Path, help="folder that becomes /opt")
    parser.add_argument("--uv", default="", help="the uv to install with; pip when not given")
    parser.add_argument("--host", action="store_true", help="for this machine instead of Lambda's")
    parser.add_argument("--cache", type=Path, help="folder that keeps built dependencies")
    arguments = parser.parse_args()
    machines = (platform.machine(),) if arguments.host else shared.LAMBDA_MACHINES
    build(machines, arguments.artifacts / "python", arguments.uv, arguments.cache)


if __name__ == "__main__":
    main()
