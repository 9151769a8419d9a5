"""The same cuts where they happen: to the requests of the deployed adapters, on moto.

What only shows here: botocore's and our own repetitions, request tokens, and conditions that a
repetition of one's own write fails. `make test` tries some of the cuts, and every other one of the
shortest scenario; `make prove` tries all.
"""

from collections.abc import Callable, Iterator

import pytest

from tests.aws import moto_cloud
from tests.fakes.region import Fault, Region
from tests.faults.cuts import DELIVER_AGAIN, Cut, cuts_of, play
from tests.faults.scenarios import SCENARIOS, event
from tests.faults.wire import wired

KINDS: tuple[Cut, ...] = (*Fault, DELIVER_AGAIN)
SAMPLE = 40
Make = Callable[[], Region]


@pytest.fixture(scope="module")
def make_region() -> Iterator[Make]:
    with pytest.MonkeyPatch.context() as patch, moto_cloud(patch), wired() as make:
        yield make


def failures_of(name: str, make: Make, *, each: int) -> list[str]:
    scenario = SCENARIOS[name]
    calls = play(scenario, {}, make)
    cuts = [(number, cut) for number, call in enumerate(calls) for cut in cuts_of(call, KINDS)]
    failures: list[str] = []
    for number, cut in cuts[::each]:
        try:
            play(scenario, {number: cut}, make)
        except AssertionError as error:
            failures.append(f"{cut} at call {number} ({calls[number]}): {error.__cause__ or error}")
    return failures


def test_every_other_single_cut_of_the_shortest_scenario_on_the_wire(make_region: Make) -> None:
    failures = failures_of("a_short_answer", make_region, each=2)

    assert not failures, "\n".join(failures[:10])


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name != "a_short_answer"])
def test_a_sample_of_single_cuts_on_the_wire(name: str, make_region: Make) -> None:
    failures = failures_of(name, make_region, each=SAMPLE)

    assert not failures, "\n".join(failures[:10])


@pytest.mark.prove
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_single_cut_anywhere_on_the_wire_loses_and_repeats_nothing(
    name: str, make_region: Make
) -> None:
    failures = failures_of(name, make_region, each=1)

    assert not failures, "\n".join(failures[:10])


def test_one_message_delivered_twice_at_the_same_moment_makes_one_session(
    make_region: Make,
) -> None:
    region = make_region()
    event(region)
    message = region.queue.visible()[0]
    executors = [region.deliver(message), region.deliver(message)]

    for pauses in ({"dynamodb.TransactWriteItems"}, {"model.converse", "clock.sleep"}):
        for executor in executors:
            while not executor.ended and executor.at not in pauses:
                region.step(executor)
    owners = [executor for executor in executors if executor.at == "model.converse"]
    region.close()

    assert len(owners) == 1, f"{owners} run the same session"
