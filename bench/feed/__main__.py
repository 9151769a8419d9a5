"""Events lost and tasks doubled on a feed like GitHub's: three usual ways to poll it, and ours.

    python -m bench.feed [--seeds 10]

The feed is `model.py`'s, polled each minute, and for two hours more after its end. The usual ways
run undisturbed; ours is killed in every tenth poll and lied to. Exit status 1: ours has lost or
doubled something.
"""

import argparse
import sys
from collections.abc import Callable
from datetime import timedelta

from bench.feed.model import LENGTH, Happening, feed, happenings
from bench.feed.ways import (
    MINUTE,
    Outcome,
    followed,
    higher_ids,
    later_times,
    ours,
    stop_at_last_id,
)
from tests.fakes.clock import NOON

#: The latest event is shown an hour after the end; a lie ends an hour after its beginning.
UNTIL = NOON + LENGTH + timedelta(hours=2)

Way = Callable[[list[Happening], int], Outcome]
WAYS: dict[str, Way] = {
    "stop at the last id, 1 x 30": lambda found, _: followed(found, stop_at_last_id, UNTIL),
    "id > last, 1 x 100": lambda found, _: followed(found, higher_ids, UNTIL),
    "created_at > last, 3 x 100": lambda found, _: followed(found, later_times, UNTIL),
    "ours, the feed alone, killed and lied to": lambda found, seed: ours(
        found, seed, UNTIL, lists=False
    ),
    "ours, killed and lied to": lambda found, seed: ours(found, seed, UNTIL, lists=True),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    seeds = parser.parse_args().seeds
    good = True
    print(f"{'':44}{'events':>8}{'lost':>8}{'':>8}{'doubled':>9}")
    for name, way in WAYS.items():
        outcomes = [way(happenings(seed, NOON), seed) for seed in range(seeds)]
        happened = sum(o.happened for o in outcomes)
        lost, doubled = sum(o.lost for o in outcomes), sum(o.doubled for o in outcomes)
        print(f"{name:44}{happened:8}{lost:8}{lost / happened:8.1%}{doubled:9}", flush=True)
        if name == "ours, killed and lied to":
            good = not lost and not doubled
    never = sum(_never_shown(happenings(seed, NOON)) for seed in range(seeds))
    print(f"never shown by the feed, because 300 newer ones had come: {never}")
    return 0 if good else 1


def _never_shown(found: list[Happening]) -> int:
    shown: set[int] = set()
    now = NOON
    while now < UNTIL:
        shown |= {h.number for h in feed(found, now)}
        now += MINUTE
    return len(found) - len(shown)


if __name__ == "__main__":
    sys.exit(main())
