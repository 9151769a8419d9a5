"""AWS's own tools accept the template, also as CloudFormation gets it, and build it."""

import ast
import importlib.util
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.template.stack import ROOT, load, translate

SAM = ROOT / ".venv-sam" / "bin" / "sam"
CFN_LINT = Path(sys.executable).parent / "cfn-lint"
REGION = "eu-west-1"
#: Flags in the header of a .pyc (PEP 552): hash-based, and never checked against the source.
UNCHECKED_HASH = 0b01


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ  # noqa: TID251 - the tools' own settings
        | {
            "SAM_CLI_TELEMETRY": "0",
            "AWS_DEFAULT_REGION": REGION,
            "UV": str(ROOT / ".venv-uv" / "bin" / "uv"),
        },
    )


@pytest.fixture(scope="module")
def sam() -> Path:
    assert SAM.exists(), "the SAM CLI is not installed: make .venv-sam/.done"
    return SAM


def test_sam_accepts_the_template(sam: Path) -> None:
    result = run(sam, "validate", "--lint")

    assert result.returncode == 0, result.stdout + result.stderr


def test_cfn_lint_accepts_the_translated_template(tmp_path: Path) -> None:
    translated = tmp_path / "translated.json"
    translated.write_text(json.dumps(translate(load()), default=str))

    result = run(CFN_LINT, "-t", translated, "--region", REGION)

    assert result.returncode == 0, result.stdout + result.stderr


def test_cfn_lint_would_see_a_fault_in_the_translated_template(tmp_path: Path) -> None:
    template = load()
    template["Resources"]["ExecutorFunction"]["Properties"]["Timeout"] = 1000
    translated = tmp_path / "translated.json"
    translated.write_text(json.dumps(translate(template), default=str))

    assert run(CFN_LINT, "-t", translated, "--region", REGION).returncode != 0


def test_samconfig_is_valid_toml_and_asks_for_no_named_roles() -> None:
    settings = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))

    assert settings["default"]["deploy"]["parameters"]["capabilities"] == ["CAPABILITY_IAM"]


@pytest.fixture(scope="module")
def built(sam: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template, built as for AWS."""
    folder = tmp_path_factory.mktemp("sam") / "build"
    result = run(sam, "build", "--build-dir", folder)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


def test_sam_builds_every_function(built: Path) -> None:
    functions = {
        name
        for name, resource in load()["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }

    assert {name for name in functions if not (built / name / "handler.py").exists()} == set()


@pytest.mark.parametrize("layer", ["NightdeskLayer", "A2aLayer"])
def test_a_layer_serves_both_architectures(built: Path, layer: str) -> None:
    modules = {path.name for path in (built / layer).rglob("*.so")}

    assert modules
    assert {name for name in modules if "aarch64" not in name} == {
        name.replace("aarch64", "x86_64") for name in modules if "aarch64" in name
    }


def test_the_layer_is_precompiled_for_lambda(built: Path) -> None:
    package = built / "NightdeskLayer" / "python"
    sources = {path for path in package.rglob("*.py") if path.is_relative_to(package / "nightdesk")}
    compiled = {
        path: next(path.parent.glob(f"__pycache__/{path.stem}.cpython-313.pyc"), None)
        for path in sources
    }

    assert sources
    for source, bytecode in compiled.items():
        assert bytecode is not None, source
        assert int.from_bytes(bytecode.read_bytes()[4:8], "little") == UNCHECKED_HASH, source


def test_the_layer_is_small(built: Path) -> None:
    files = [path for path in (built / "NightdeskLayer").rglob("*") if path.is_file()]

    assert sum(path.stat().st_size for path in files) < 35 * 1024 * 1024


def imported_names(folder: Path) -> Iterator[str]:
    """Top-level names of every import in a folder, also of those inside functions."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                yield node.module.partition(".")[0]


def test_the_layer_holds_everything_that_is_imported(built: Path) -> None:
    package = built / "NightdeskLayer" / "python"
    # What two functions have for themselves: a layer, and requirements beside the handler.
    others = (built / "A2aLayer" / "python", built / "A2aStreamFunction")
    shipped = {
        path.name.partition(".")[0] for folder in (package, *others) for path in folder.iterdir()
    }
    beside_handlers = {path.stem for path in (ROOT / "functions").rglob("*.py")}
    imported = {*imported_names(package / "nightdesk"), *imported_names(ROOT / "functions")}

    assert imported - shipped - beside_handlers - sys.stdlib_module_names == set()


def test_the_pruned_botocore_still_makes_every_client(built: Path) -> None:
    code = """
import sys, botocore.session, boto3
session = botocore.session.Session()
for service in sys.argv[1:]:
    session.create_client(service, region_name="eu-west-1")
    session.create_client(service, region_name="us-gov-west-1")
"""
    package = built / "NightdeskLayer" / "python"
    result = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(package)!r})\n{code}",
         *layer_services()],
        capture_output=True, text=True, check=False,
        env={"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x" },
    )  # fmt: skip

    assert result.returncode == 0, result.stderr


def test_the_specialists_are_mounted_where_the_setting_says(built: Path) -> None:
    shipped = {path.name for path in (ROOT / "specialists").glob("*.md")}
    mounted = built / "SpecialistsLayer" / "specialists"

    assert load()["Parameters"]["SpecialistsDir"]["Default"] == "/opt/specialists"
    assert {path.name for path in mounted.iterdir()} == shipped
    assert shipped


def test_a_missing_python_is_said_in_one_line(tmp_path: Path) -> None:
    result = run(
        "make", "-s", "-f", ROOT / "layers/nightdesk/Makefile", "build-NightdeskLayer",
        f"ARTIFACTS_DIR={tmp_path}", "PYTHON=python3.13-that-is-not-there",
    )  # fmt: skip

    assert result.returncode != 0
    assert "install Python 3.13" in result.stderr.splitlines()[0]


def layer_services() -> tuple[str, ...]:
    path = ROOT / "layers" / "nightdesk" / "build_layer.py"
    specification = importlib.util.spec_from_file_location("build_layer", path)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    services: tuple[str, ...] = module.SERVICES
    return services
