"""How long a poll of hundreds of unchanged repositories takes, and what it asks of GitHub and AWS.

    python -m bench.polling [--repositories 800] [--credentials 1]

Without arguments: 800 repositories with one credential, then 1,600 with two. The GitHub simulator
runs in a process of its own and answers after 100 ms; the tables are the embedded cloud's. The
real handler polls once to get to know the repositories, waits until its minute is over, and polls
again while nothing has changed: that poll is measured. Exit status 1: it took more than a minute,
a credential sent more than 900 requests in some minute, or the poll wrote something for each
repository.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import requests

from bench.kill.stage import ROOT, Stage, embedded_stage
from bench.requests.meter import Made, Meter, bill_of, operations
from nightdesk import bootstrap
from nightdesk.domain.rate_limits import POINTS_PER_MINUTE, WINDOW
from nightdesk.services.poll_repositories import poll_repositories

LATENCY_SECONDS = 0.1
TARGET_SECONDS = 60.0
#: Requests to AWS in an unchanged poll: a batch read of each hundred; the round and the token.
MOST_AWS_EACH, MOST_AWS_ONCE = 0.01, 20
READ_TOKEN = "/bench/github/read-token"
_RUNS = ((800, 1), (1_600, 2))


@dataclass(frozen=True)
class Simulator:
    """The simulator's process, over its control paths."""

    url: str

    def control(self, method: str, path: str, body: Any = None) -> Any:
        answer = requests.request(
            method, f"{self.url}/_simulator{path}", json=body or {}, timeout=60
        )
        answer.raise_for_status()
        return answer.json()


@contextmanager
def simulator(
    folder: Path, repositories: Sequence[str], tokens: Sequence[str]
) -> Iterator[Simulator]:
    """One git repository under all the names; each token is another account's."""
    for command in (["init", "-q", "-b", "main"], ["commit", "-q", "--allow-empty", "-m", "Begin"]):
        who = ["-c", "user.name=bench", "-c", "user.email=bench@example.org"]
        subprocess.run(["git", "-C", str(folder), *who, *command], check=True)
    command = [sys.executable, "-m", "local.github_simulator", "--repo", str(folder)]
    command += ["--name", repositories[0], "--poll-interval", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = Simulator(process.stdout.readline().strip())
            for name in repositories[1:]:
                found.control("POST", "/repositories", {"name": name, "path": str(folder)})
            for number, token in enumerate(tokens):
                body = {"token": token, "login": f"reader{number}", "permissions": {}}
                found.control("POST", "/tokens", body)
            found.control("PATCH", "/settings", {"latency_seconds": LATENCY_SECONDS})
            yield found
        finally:
            process.terminate()


@dataclass(frozen=True, kw_only=True)
class Poll:
    """One poll, from without."""

    seconds: float
    cpu_seconds: float
    summary: dict[str, int]
    errors: Counter[str]
    made: list[Made]


def poll(meter: Meter) -> Poll:
    ports = bootstrap.poller()
    began, cpu = time.monotonic(), time.process_time()
    with meter.measuring() as made:
        answer = poll_repositories(ports, deadline=ports.clock.now() + timedelta(minutes=4))
    return Poll(
        seconds=time.monotonic() - began,
        cpu_seconds=time.process_time() - cpu,
        summary=answer["summary"],
        errors=Counter(result.get("error", "") for result in answer["results"]),
        made=made,
    )


def most_in_a_minute(log: Sequence[dict[str, Any]]) -> int:
    """Of any credential, in any sixty seconds. The log's times are whole seconds."""
    most = 0
    for login in {entry["login"] for entry in log}:
        times = [datetime.fromisoformat(e["at"]) for e in log if e["login"] == login]
        for first in set(times):
            most = max(most, sum(first <= at < first + WINDOW for at in times))
    return most


def run(repositories: int, credentials: int, meter: Meter) -> bool:
    names = [f"bench/repository-{number}" for number in range(repositories)]
    tokens = [f"ghp_bench{number:031d}" for number in range(credentials)]
    with (
        tempfile.TemporaryDirectory() as folder,
        simulator(Path(folder), names, tokens) as github,
        embedded_stage(settings=_settings(github, names)) as stage,
    ):
        _wire(stage, tokens)
        first = poll(meter)
        _print("first sight", first, repositories)
        time.sleep(WINDOW.total_seconds() + 1)
        github.control("DELETE", "/requests")
        second = poll(meter)
        log = github.control("GET", "/requests")
        _print("unchanged", second, repositories)
        return _judge(second, log, repositories)


def _settings(github: Simulator, names: Sequence[str]) -> dict[str, str]:
    return {
        "GITHUB_API_URL": github.url,
        "GITHUB_POLLING_REPOS": ",".join(names),
        "GITHUB_POLLING_INTERVAL_MINUTES": "1",
        "GITHUB_READ_TOKEN_PARAMETER": READ_TOKEN,
    }


def _wire(stage: Stage, tokens: Sequence[str]) -> None:
    secrets = stage.client("ssm")
    secrets.put_parameter(Name=READ_TOKEN, Value=",".join(tokens), Type="SecureString")
    stage.store()
    for part in vars(bootstrap).values():  # another deployment than that of the run before
        if hasattr(part, "cache_clear"):
            part.cache_clear()


def _print(what: str, made: Poll, repositories: int) -> None:
    bill = bill_of(made.made)
    print(f"  {what}: {made.seconds:.1f} s, {made.cpu_seconds:.1f} s of CPU; {made.summary}")
    print(f"    AWS: {operations(made.made)}: {len(made.made) / repositories:.3f} a repository;")
    print(f"    {bill.reads:.0f} read units, {bill.writes:.0f} write units")
    if wrong := {error: count for error, count in made.errors.items() if error}:
        print(f"    errors: {wrong}")


def _judge(made: Poll, log: Sequence[dict[str, Any]], repositories: int) -> bool:
    statuses = Counter(str(entry["status"]) for entry in log)
    most = most_in_a_minute(log)
    print(f"    GitHub: {dict(statuses)}; most in a minute by one credential: {most}")
    targets = {
        f"{repositories} repositories in {TARGET_SECONDS:.0f} s": made.seconds < TARGET_SECONDS
        and made.summary["reposChecked"] == repositories
        and statuses.keys() == {"304"},
        f"at most {POINTS_PER_MINUTE} requests a minute": most <= POINTS_PER_MINUTE,
        "no request to AWS for each": len(made.made)
        <= MOST_AWS_EACH * repositories + MOST_AWS_ONCE,
    }
    for target, is_met in targets.items():
        print(f"    {'met' if is_met else 'MISSED'}: {target}")
    return all(targets.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repositories", type=int)
    parser.add_argument("--credentials", type=int, default=1)
    arguments = parser.parse_args()
    runs: Sequence[tuple[int, int]] = _RUNS
    if arguments.repositories:
        runs = ((arguments.repositories, arguments.credentials),)
    meter, good = Meter.installed(), True
    for repositories, credentials in runs:
        print(f"{repositories} repositories, {credentials} credential(s)")
        good &= run(repositories, credentials, meter)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
