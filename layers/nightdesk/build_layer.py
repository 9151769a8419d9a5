"""Build the shared layer: dependencies, the nightdesk package, less botocore, and bytecode.

Run by the Makefile beside it, for `sam build` and for the local run. What it does beyond `pip
install --target` is measured: without bytecode a function imports 2.5 times as long (Lambda mounts
layers read-only, so it can never be written there), and most of botocore describes services that
are never called.
"""

from __future__ import annotations

import argparse
import compileall
import hashlib
import json
import platform
import py_compile
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCK = HERE.parent.parent / "locks" / "runtime.txt"

#: Descriptions that are kept of botocore: the services that the code or botocore's credential
#: providers call. `tests/template/` compares them with the clients that the package creates.
SERVICES = ("bedrock-runtime", "dynamodb", "lambda", "s3", "secretsmanager", "sqs", "ssm", "sts")
#: Extension modules carry the platform in their file names, so one layer serves both architectures.
LAMBDA_MACHINES = ("aarch64", "x86_64")
#: Where the layer is mounted, hence the file names in tracebacks.
MOUNTED_AT = "/opt/python"


def installer(machine: str, python_version: str, target: Path, uv: str) -> list[str]:
    """The command that installs the locked wheels for one machine; pip where there is no uv."""
    if uv:
        return [
            uv, "pip", "install", "--quiet", "--python", sys.executable, "--require-hashes",
            "--no-deps", "--only-binary", ":all:", "--python-platform", f"{machine}-manylinux_2_28",
            "--python-version", python_version, "--target", str(target), "-r", str(LOCK),
        ]  # fmt: skip
    return [
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
        "--require-hashes", "--no-deps", "--only-binary", ":all:",
        "--platform", f"manylinux2014_{machine}", "--platform", f"manylinux_2_28_{machine}",
        "--python-version", python_version, "--implementation", "cp",
        "--target", str(target), "-r", str(LOCK),
    ]  # fmt: skip


def install(machines: tuple[str, ...], target: Path, uv: str) -> None:
    """Install the lock for each machine and lay the results over each other.

    Raises:
        SystemExit: the installer failed, and has said why.
    """
    python_version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for machine in machines:
        with tempfile.TemporaryDirectory() as folder:
            one = Path(folder) / "python"
            command = installer(machine, python_version, one, uv)
            if subprocess.run(command, check=False).returncode:  # noqa: S603 - ours
                sys.exit(f"The dependencies of the layer could not be installed for {machine}.")
            shutil.copytree(one, target, dirs_exist_ok=True)


def prune(packages: Path) -> None:
    """Drop what no function reads: scripts, boto3's resources, descriptions of other services."""
    shutil.rmtree(packages / "bin", ignore_errors=True)
    shutil.rmtree(packages / "boto3" / "data", ignore_errors=True)
    data = packages / "botocore" / "data"
    for service in [folder for folder in data.iterdir() if folder.is_dir()]:
        if service.name not in SERVICES:
            shutil.rmtree(service)
            continue
        for old in sorted(service.iterdir())[:-1]:
            shutil.rmtree(old)
        for example in service.glob("*/examples-1.json*"):
            example.unlink()
    endpoints = data / "endpoints.json"
    content = json.loads(endpoints.read_text(encoding="utf-8"))
    for partition in content["partitions"]:
        partition["services"] = {
            name: entry
            for name, entry in partition["services"].items()
            if name in SERVICES or name == "bedrock"
        }
    endpoints.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")


def compile_tree(folder: Path, packages: Path) -> None:
    """Write bytecode that stays valid when zipping and extracting changes the files' times.

    `packages` is what becomes MOUNTED_AT: tracebacks name the files as they lie on Lambda.

    Raises:
        SystemExit: a module of ours does not compile.
    """
    compiled = compileall.compile_dir(
        folder,
        quiet=2,
        workers=2,
        stripdir=str(packages),
        prependdir=MOUNTED_AT,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    if folder.name == "nightdesk" and not compiled and not compileall.compile_dir(folder, quiet=1):
        sys.exit("the nightdesk package does not compile")


def dependencies(machines: tuple[str, ...], target: Path, uv: str, cache: Path | None) -> None:
    """Put the pruned and compiled dependencies into `target`, out of the cache where possible."""
    if cache is None:
        install(machines, target, uv)
        prune(target)
        compile_tree(target, target)
        return
    recipe = b"|".join(
        (
            LOCK.read_bytes(),
            Path(__file__).read_bytes(),
            repr((machines, sys.version_info)).encode(),
        )
    )
    kept = cache / hashlib.sha256(recipe).hexdigest()[:16]
    copy_of(kept, target, make=lambda made: dependencies(machines, made, uv, None))


def copy_of(kept: Path, target: Path, *, make: Callable[[Path], None]) -> None:
    """Copy the folder out of the cache; make it first where it is missing.

    It appears in the cache whole or not at all. Of two builds at once the slower one throws its own
    away.
    """
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            made = Path(folder) / "python"
            make(made)
            try:
                made.rename(kept)
            except OSError:
                if not kept.exists():
                    raise
    shutil.copytree(kept, target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("artifacts", type=Path, help="folder that becomes /opt")
    parser.add_argument("--uv", default="", help="the uv to install with; pip when not given")
    parser.add_argument("--host", action="store_true", help="for this machine instead of Lambda's")
    parser.add_argument("--cache", type=Path, help="folder that keeps built dependencies")
    arguments = parser.parse_args()
    machines = (platform.machine(),) if arguments.host else LAMBDA_MACHINES
    packages = arguments.artifacts / "python"
    dependencies(machines, packages, arguments.uv, arguments.cache)
    shutil.copytree(
        HERE / "nightdesk",
        packages / "nightdesk",
        ignore=shutil.ignore_patterns("__pycache__", "*.pyc"),
    )
    compile_tree(packages / "nightdesk", packages)


if __name__ == "__main__":
    main()
