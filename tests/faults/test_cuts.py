"""Each scenario is cut at every call that it makes, in every way that a call can go wrong.

Whatever single thing goes wrong, every task ends as it should, every effect is there once, and the
invariants of the engine hold at every moment in between. `make prove` tries pairs.
"""

import pytest

from tests.fakes.region import Fault, Region
from tests.faults.cuts import DELIVER_AGAIN, Cut, cuts_of, play
from tests.faults.scenarios import SCENARIOS, Scenario

KINDS: tuple[Cut, ...] = (*Fault, DELIVER_AGAIN)
#: A second thing goes wrong while the first is being recovered from.
KINDS_OF_PAIRS: tuple[Cut, ...] = (Fault.KILL_BEFORE, Fault.KILL_AFTER, Fault.LOST_ANSWER)
WITHIN_CALLS = 20


def failure_of(scenario: Scenario, cuts: dict[int, Cut], calls: list[str]) -> str | None:
    """What a play with these cuts breaks, in words; None = nothing."""
    try:
        play(scenario, cuts, Region)
    except AssertionError as error:
        where = "; ".join(
            f"{cut} at call {k} ({calls[k] if k < len(calls) else 'while recovering'})"
            for k, cut in cuts.items()
        )
        return f"{where}: {error.__cause__ or error}"
    return None


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_single_cut_anywhere_loses_and_repeats_nothing(name: str) -> None:
    scenario = SCENARIOS[name]
    calls = play(scenario, {}, Region)

    failures = [
        failure
        for number, call in enumerate(calls)
        for cut in cuts_of(call, KINDS)
        if (failure := failure_of(scenario, {number: cut}, calls)) is not None
    ]

    assert not failures, f"{len(failures)} of {len(calls)} calls:\n" + "\n".join(failures[:10])


@pytest.mark.prove
@pytest.mark.parametrize("name", [name for name, s in SCENARIOS.items() if s.is_short])
def test_two_cuts_lose_and_repeat_nothing(name: str) -> None:
    scenario = SCENARIOS[name]
    calls = play(scenario, {}, Region)

    failures = [
        failure
        for number, call in enumerate(calls)
        for first in cuts_of(call, KINDS_OF_PAIRS)
        for second_number in range(number + 1, number + 1 + WITHIN_CALLS)
        for second in KINDS_OF_PAIRS
        if (failure := failure_of(scenario, {number: first, second_number: second}, calls))
        is not None
    ]

    assert not failures, f"{len(failures)} failures:\n" + "\n".join(failures[:10])
