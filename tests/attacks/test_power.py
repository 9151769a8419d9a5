"""The attacks would do harm if nothing stood in their way: each case can fail."""

from typing import Any

import pytest

from nightdesk.domain import publication
from nightdesk.domain.publication import COMMENT_MAX
from tests.attacks.breaks_out import breaks_out
from tests.attacks.corpus import SPEECH, Attack
from tests.attacks.test_attacks import assert_written_within_bounds, world
from tests.attacks.world import AttackWorld

__all__ = ["world"]


@pytest.mark.parametrize("attack", SPEECH, ids=[a.name for a in SPEECH])
def test_each_answer_breaks_out_if_it_is_published_as_it_is(attack: Attack) -> None:
    assert breaks_out(attack.answer[:COMMENT_MAX])


@pytest.mark.parametrize("world", SPEECH[:1], indirect=True, ids=["unsanitised"])
def test_a_publisher_without_its_sanitiser_is_found_out(
    world: AttackWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_it_is(text: str, *_: Any) -> str:
        return text

    monkeypatch.setattr(publication, "sanitise", as_it_is)
    world.strike()

    with pytest.raises(AssertionError):
        assert_written_within_bounds(world)
