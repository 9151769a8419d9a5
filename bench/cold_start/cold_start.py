"""CPU of the API's cold start against plain boto3 with one DynamoDB client, in the same run.

    .venv/bin/python bench/cold_start/cold_start.py [--rounds 9] [--python python3.13]

Each figure is the median CPU time (user and system) of fresh processes, of imports and clients
only: the interpreter's own start is the same for both. Theirs is the locked boto3 as pip installs
it, with bytecode. Ours is what is deployed: the layer as it is built, the function's folder
without bytecode (as `sam build` ships it), its own handler and wiring. Target: at most 1.1
(design, section 9).
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
TARGET = 1.1

TIMED = """
import json, sys, time
sys.path[:0] = json.loads(sys.argv[1])
started = time.process_time()
{code}
print(time.process_time() - started)
"""
BOTO3 = """
import boto3
boto3.client("dynamodb")
"""
HANDLER = """
import handler
"""
DYNAMODB = """
from nightdesk.adapters.dynamodb.tables import AccessItem
AccessItem._get_connection().connection.client
"""
SQS = """
import botocore.session
botocore.session.get_session().create_client("sqs")
"""
#: As the template gives it to the function; no request is made.
SETTINGS = {
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "TASKS_TABLE": "tasks",
    "ORIGINS_TABLE": "origins",
    "SESSION_LOG_TABLE": "session-log",
    "OUTBOX_TABLE": "outbox",
    "CONVERSATIONS_TABLE": "conversations",
    "ACCESS_TABLE": "access",
    "LIMITS_TABLE": "limits",
    "WAKE_UP_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/000000000000/wake-ups",
    "SWEEPER_FUNCTION": "sweeper",
    "GITHUB_POLLER_FUNCTION": "github_poller",
    "SPECIALISTS_DIR": str(ROOT / "specialists"),
    "POWERTOOLS_SERVICE_NAME": "api",
}


def cpu_seconds(python: str, code: str, paths: list[Path]) -> float:
    """Run the code in a fresh process that sees the packages in `paths` and no others."""
    command = [python, "-B", "-I", "-S", "-c", TIMED.format(code=code)]
    answer = subprocess.run(
        [*command, json.dumps([str(path) for path in paths])],
        env={"PATH": os.environ["PATH"], **SETTINGS},  # noqa: TID251 - to find the interpreter
        check=True,
        capture_output=True,
        text=True,
    )
    return float(answer.stdout.split()[-1])


def build_ours(python: str, uv: str, folder: Path) -> list[Path]:
    """The layer for this machine and the function without bytecode; where Lambda has them."""
    builder = ROOT / "layers" / "nightdesk" / "build_layer.py"
    subprocess.run([python, str(builder), str(folder), "--host", "--uv", uv], check=True)
    function = folder / "function"
    shutil.copytree(
        ROOT / "functions" / "api", function, ignore=shutil.ignore_patterns("__pycache__")
    )
    return [function, folder / "python"]


def install_theirs(python: str, uv: str, folder: Path) -> list[Path]:
    """boto3 in the version of the lock, with bytecode, as pip leaves it."""
    lock = (ROOT / "locks" / "runtime.txt").read_text()
    wanted = re.findall(r"^((?:boto3|botocore)==\S+)", lock, re.MULTILINE)
    install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python]
    subprocess.run([*install, "--target", str(folder), *wanted], check=True)
    return [folder]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--python", default=sys.executable, help="the interpreter to measure with")
    options = parser.parse_args()
    python, rounds = shutil.which(options.python) or options.python, options.rounds
    uv = next(str(p) for p in (ROOT / ".venv-uv/bin/uv", ROOT / ".venv/bin/uv") if p.exists())
    with tempfile.TemporaryDirectory() as folder:
        installed = install_theirs(python, uv, Path(folder) / "theirs")
        deployed = build_ours(python, uv, Path(folder) / "ours")
        cases: dict[str, tuple[str, list[Path]]] = {
            "boto3 and a DynamoDB client (pip)": (BOTO3, installed),
            "the API: imports": (HANDLER, deployed),
            "the API: imports, DynamoDB": (HANDLER + DYNAMODB, deployed),
            "the API: imports, DynamoDB, SQS": (HANDLER + DYNAMODB + SQS, deployed),
        }
        times: dict[str, list[float]] = {name: [] for name in cases}
        # Side by side, so that whatever else the machine does falls on all alike; the first
        # round fills the disk cache and does not count.
        for counted in range(-1, rounds):
            for name, (code, paths) in cases.items():
                seconds = cpu_seconds(python, code, paths)
                if counted >= 0:
                    times[name].append(seconds)
    medians = {name: statistics.median(measured) for name, measured in times.items()}
    theirs = next(iter(medians.values()))
    version = subprocess.run([python, "--version"], check=True, capture_output=True, text=True)
    print(f"{version.stdout.strip()}, {rounds} rounds, median CPU")
    for name, seconds in medians.items():
        print(f"{name:36}{seconds * 1000:7.0f} ms{seconds / theirs:8.2f}")
    ratio = medians["the API: imports, DynamoDB"] / theirs
    print(f"ratio {ratio:.2f}, target {TARGET}")
    return 0 if ratio <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
