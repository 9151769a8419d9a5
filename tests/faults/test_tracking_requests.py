"""A tracking comment costs the engine no request: its rows ride in transactions that there are."""

import pytest

from tests.fakes.region import Invocation, Region, reads
from tests.faults.scenarios import answers, event, publish, turns, work


def calls_of_the_executor(tracking: str) -> list[str]:
    region, made = Region(), []

    def count(strand: Invocation) -> None:
        if strand.name.startswith("executor"):
            made.append(strand.at)

    region.plan = count
    region.script = turns(reads, reads, answers)
    event(region, tracking=tracking)
    work(region)
    publish(region)
    region.close()
    return made


@pytest.mark.parametrize("tracking", ["task", "sticky"])
def test_a_tracked_task_makes_the_same_calls_as_any_other(tracking: str) -> None:
    assert calls_of_the_executor(tracking) == calls_of_the_executor("")
