"""CPU of the a2a function's cold start against plain boto3 and the API's, in the same run.

    PYTHONPATH=.:layers/nightdesk .venv/bin/python -m bench.cold_start.a2a [--rounds 9]

Measured as cold_start.py does; the a2a function has a layer of its own beside the shared one.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.cold_start import cold_start
from bench.cold_start.cold_start import BOTO3, DYNAMODB, HANDLER, ROOT

#: Over boto3 and one DynamoDB client: the API's 1.1, and what the SDK's types and protobuf cost.
TARGET = 1.4
SETTINGS = {"CONVERSATIONS_TABLE": "conversations", "POWERTOOLS_SERVICE_NAME": "a2a"}


def build_a2a(python: str, uv: str, folder: Path, shared: Path) -> list[Path]:
    """The function without bytecode and its two layers, where Lambda has them."""
    builder = ROOT / "layers" / "a2a" / "build_a2a_layer.py"
    subprocess.run([python, str(builder), str(folder), "--host", "--uv", uv], check=True)
    function = folder / "function"
    shutil.copytree(
        ROOT / "functions" / "a2a", function, ignore=shutil.ignore_patterns("__pycache__")
    )
    return [function, shared, folder / "python"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--python", default=sys.executable, help="the interpreter to measure with")
    options = parser.parse_args()
    python = shutil.which(options.python) or options.python
    uv = next(str(p) for p in (ROOT / ".venv-uv/bin/uv", ROOT / ".venv/bin/uv") if p.exists())
    cold_start.SETTINGS.update(SETTINGS)
    with tempfile.TemporaryDirectory() as folder:
        theirs = cold_start.install_theirs(python, uv, Path(folder) / "theirs")
        api = cold_start.build_ours(python, uv, Path(folder) / "shared")
        a2a = build_a2a(python, uv, Path(folder) / "a2a", api[1])
        cases: dict[str, tuple[str, list[Path]]] = {
            "boto3 and a DynamoDB client (pip)": (BOTO3, theirs),
            "the API: imports, DynamoDB": (HANDLER + DYNAMODB, api),
            "a2a: imports": (HANDLER, a2a),
            "a2a: imports, DynamoDB": (HANDLER + DYNAMODB, a2a),
        }
        times: dict[str, list[float]] = {name: [] for name in cases}
        for counted in range(-1, options.rounds):
            for name, (code, paths) in cases.items():
                seconds = cold_start.cpu_seconds(python, code, paths)
                if counted >= 0:
                    times[name].append(seconds)
    medians = {name: statistics.median(measured) for name, measured in times.items()}
    plain = next(iter(medians.values()))
    for name, seconds in medians.items():
        print(f"{name:36}{seconds * 1000:7.0f} ms{seconds / plain:8.2f}")
    ratio = medians["a2a: imports, DynamoDB"] / plain
    print(f"ratio {ratio:.2f}, target {TARGET}")
    return 0 if ratio <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
