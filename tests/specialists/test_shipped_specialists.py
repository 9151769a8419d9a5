"""The specialists that are shipped: valid, distinct, and free of promises that nothing keeps."""

import re
from pathlib import Path

import pytest

from nightdesk.adapters.specialist_files import SpecialistFiles
from nightdesk.domain.intents.names import PROPOSED_BY
from nightdesk.domain.specialist import READING_TOOLS, Specialist

FOLDER = Path(__file__).parents[2] / "specialists"
SHIPPED = SpecialistFiles(FOLDER).load()

each = pytest.mark.parametrize("specialist", SHIPPED.by_id.values(), ids=SHIPPED.ids)


def test_all_shipped_files_are_valid() -> None:
    assert SHIPPED.broken == ()
    assert {"developer", "issue-enricher", "pr-reviewer"} <= set(SHIPPED.ids)


def test_the_enricher_is_left_to_the_default_triggers() -> None:
    """DefaultTriggers starts only what has no `on:` of its own."""
    assert SHIPPED.by_id["issue-enricher"].triggers == ()


@each
def test_a_shipped_specialist_has_bounds_and_proposes_little(specialist: Specialist) -> None:
    assert specialist.limits.cost_micros is not None
    says = "review" if specialist.id == "pr-reviewer" else "comment"
    more = (("pull_request", 1),) if specialist.id == "developer" else ()
    assert specialist.intents == ((says, 1), *more)
    assert specialist.notices == ()


@each
def test_a_prompt_names_no_tool_that_its_specialist_lacks(specialist: Specialist) -> None:
    named = set(re.findall(r"`(\w+_\w+)`", specialist.prompt))

    assert named
    proposing = {PROPOSED_BY[n] for n, count in specialist.intents if count and n in PROPOSED_BY}
    if proposing:
        proposing.add("propose_change")
    assert named <= {*specialist.tools, *proposing}
    assert set(specialist.tools) <= set(READING_TOOLS)


def test_prompts_share_no_lines() -> None:
    """What all specialists are told is said once, by the session."""
    lines = [
        line.strip()
        for specialist in SHIPPED.by_id.values()
        for line in specialist.prompt.splitlines()
        if len(line.strip()) > 25
    ]

    assert len(lines) == len(set(lines))
