"""SIGKILL executors at random during tasks of many steps, an effect at each, and count.

    make prove, or: python -m bench.kill --campaign [--kills 1000] [--seed N]
                    python -m bench.kill --defaults [--kills 60]

`--campaign` shortens lease, heartbeat and visibility and uses more slots, so that many kills fit
into half an hour. `--defaults` runs the engine's own clocks, slots and the sweeper's minute. What
is real: the handlers of executor, sweeper and publisher, the store, the queue, SIGKILL. What is
not: the model is a script, GitHub counts on loopback, and the processes are forked instead of
started by Lambda. Exit status 1: something was repeated, lost or left hanging.
"""

import argparse
import json
import os
import secrets
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bench.kill.audit import percentile
from bench.kill.campaign import Campaign, Plan, Result
from bench.kill.github import CountingGithub
from bench.kill.pool import PROCESSES, SHORT_LEASE, Pool, python_version, zygote
from bench.kill.stage import embedded_stage

RECOVERY_LIMIT_SECONDS = 60.0
#: They go for the same rows, so that leases count; one is too slow for six executors.
PUBLISHERS = 2


@dataclass(frozen=True, kw_only=True)
class Mode:
    kills: int
    slots: int
    steps: int
    think_seconds: float
    mean_gap_seconds: float
    at_work: float
    sweep_every_seconds: float
    kill_seconds: float
    preload: tuple[str, ...]


CAMPAIGN = Mode(
    kills=1000,
    slots=6,
    steps=6,
    think_seconds=0.15,
    mean_gap_seconds=0.5,
    at_work=0.9,
    sweep_every_seconds=4.0,  # as the minute is to the lease of 30 s
    kill_seconds=1_800.0,
    preload=(SHORT_LEASE, PROCESSES),
)
DEFAULTS = Mode(
    kills=60,
    slots=2,
    steps=12,
    think_seconds=0.5,
    mean_gap_seconds=4.0,
    at_work=1.0,
    sweep_every_seconds=60.0,
    kill_seconds=3_600.0,
    preload=(PROCESSES,),
)


def main() -> int:
    options = _options()
    mode = CAMPAIGN if options.campaign else DEFAULTS
    mode = replace(mode, slots=options.slots or mode.slots)
    kills = options.kills or mode.kills
    seed = options.seed if options.seed is not None else secrets.randbelow(2**32)
    name = "campaign (lease 2 s)" if options.campaign else "defaults (lease 30 s)"
    print(f"{name}: {kills} kills, {mode.slots} slots, seed {seed}", flush=True)
    result, errors = _run(mode, kills=kills, seed=seed)
    _print(result, errors)
    if options.json:
        Path(options.json).write_text(json.dumps(_as_json(result, name, seed), indent=1) + "\n")
    late = not options.campaign and _p99(result) >= RECOVERY_LIMIT_SECONDS
    return 0 if _holds(result, mode) and not late else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.kill")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--campaign", action="store_true", help="short lease, more slots")
    which.add_argument("--defaults", action="store_true", help="the engine as deployed")
    parser.add_argument("--kills", type=int, help="kills that hit an executor with a task")
    parser.add_argument("--slots", type=int, help="slots and executors; by default the mode's")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--json", help="write the figures to this file too")
    return parser.parse_args()


def _run(mode: Mode, *, kills: int, seed: int) -> tuple[Result, list[str]]:
    plan = Plan(
        kills=kills,
        mean_gap_seconds=mode.mean_gap_seconds,
        at_work=mode.at_work,
        steps=mode.steps,
        seed=seed,
        kill_seconds=mode.kill_seconds,
        rest_seconds=900.0,
    )
    context = zygote(mode.preload)
    from bench.kill import processes  # noqa: PLC0415 - names for the pools; nothing runs here

    with (
        tempfile.TemporaryDirectory(prefix="nightdesk-kill-") as name,
        CountingGithub() as github,
        embedded_stage(slots=mode.slots, settings={"GITHUB_API_URL": github.url}) as stage,
    ):
        stage.put_write_token()
        folder = Path(name)
        setup = processes.Setup(
            environment=stage.environment,
            folder=folder,
            steps=mode.steps,
            think_seconds=mode.think_seconds,
            sweep_every_seconds=mode.sweep_every_seconds,
        )
        publisher = Pool(context, processes.run_publisher, setup, PUBLISHERS)
        campaign = Campaign(
            plan,
            stage=stage,
            github=github,
            executors=Pool(context, processes.run_executor, setup, mode.slots),
            others=(Pool(context, processes.run_sweeper, setup, 1),),
            publisher=publisher,
            folder=folder,
        )
        result = campaign.run()
        return result, processes.log_of_errors(folder)


def _holds(result: Result, mode: Mode) -> bool:
    return (
        result.verdict.holds
        and result.tally.came_to_rest
        and not result.recovery.never
        and result.tally.most_running <= mode.slots
        and result.slots_left == 0
        and result.undelivered_rows == 0
    )


def _p99(result: Result) -> float:
    return percentile(result.recovery.seconds, 0.99) if result.recovery.seconds else float("inf")


def _print(result: Result, errors: list[str]) -> None:
    tally, verdict = result.tally, result.verdict
    ended = [*verdict.otherwise_ended, *verdict.not_ended]
    seconds = result.recovery.seconds
    rows = [
        ("kills of an executor with a task", len(tally.kills)),
        ("kills of one without", tally.kills_without_task),
        ("kills of the publisher", tally.publisher_kills),
        ("tasks", verdict.tasks),
        ("  completed", verdict.completed),
        ("  FAILED EXECUTOR_LOST after 10 attempts", verdict.executor_lost),
        ("  not completed otherwise", len(ended)),
        ("effects repeated", f"{verdict.effects_repeated} of {verdict.effects_expected}"),
        ("effects lost", f"{verdict.effects_lost} of {verdict.effects_expected}"),
        ("effects of tasks that failed", verdict.effects_of_failed_tasks),
        ("journal steps repeated", f"{verdict.steps_repeated} of {verdict.steps_expected}"),
        ("journal steps lost", f"{verdict.steps_lost} of {verdict.steps_expected}"),
        ("journals with a gap or a zombie", len(verdict.journals_broken)),
        ("label requests repeated (no effect)", verdict.harmless_requests_repeated),
        ("model calls made again", result.model_calls - result.turns),
        ("most tasks RUNNING at once (sampled)", tally.most_running),
        ("kills never recovered from", len(result.recovery.never)),
        ("slots left taken", result.slots_left),
        ("rows left unpublished", result.undelivered_rows),
        ("dead letters", result.dead_letters),
        ("seconds of killing", round(tally.kill_seconds)),
        ("seconds until rest", round(tally.rest_seconds)),
    ]
    if seconds:
        rows.append(("recovery p50 (s)", f"{percentile(seconds, 0.5):.1f}"))
        rows.append(("recovery p99 (s)", f"{percentile(seconds, 0.99):.1f}"))
        rows.append(("recovery longest (s)", f"{seconds[-1]:.1f}"))
    for what, value in rows:
        print(f"{what:42} {value}")
    for line in [*ended[:10], *verdict.journals_broken[:10], *errors[:10]]:
        print(f"  ! {line}")
    print(f"errors logged: {len(errors)}; Python {python_version()}, {os.cpu_count()} cores")


def _as_json(result: Result, name: str, seed: int) -> dict[str, object]:
    figures = asdict(result)
    figures["tally"]["kills"] = len(result.tally.kills)
    figures["tally"]["tasks"] = len(result.tally.tasks)
    return {"mode": name, "seed": seed, **figures}


if __name__ == "__main__":
    sys.exit(main())
