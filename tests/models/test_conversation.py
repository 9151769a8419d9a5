from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from nightdesk.adapters.models.conversation import normalised, result_text

RESULT = {"toolResult": {"toolUseId": "t", "content": [{"text": "x"}]}}
MINE = {"reasoningContent": {"provider": "mine", "block": {"thinking": "hm"}}}
FOREIGN = {"reasoningContent": {"provider": "another", "block": {"thinking": "hm"}}}


def message(role: str, *content: dict[str, Any]) -> dict[str, Any]:
    return {"role": role, "content": list(content)}


def test_results_come_before_what_a_person_says() -> None:
    note = {"text": "A note."}

    assert normalised([message("user", note, RESULT)], provider="mine") == [
        message("user", RESULT, note)
    ]


def test_messages_of_one_role_in_a_row_become_one() -> None:
    first, second = {"text": "a"}, {"text": "b"}

    assert normalised([message("user", first), message("user", second)], provider="mine") == [
        message("user", first, second)
    ]


def test_a_message_of_which_nothing_is_left_is_left_out() -> None:
    said = [
        message("user", {"text": "a"}),
        message("assistant", FOREIGN, {"text": " \n"}),
        message("user", {"text": "b"}),
    ]

    assert normalised(said, provider="mine") == [message("user", {"text": "a"}, {"text": "b"})]


def test_ones_own_reasoning_stays_where_it_was() -> None:
    said = [message("assistant", MINE, {"text": "a"})]

    assert normalised(said, provider="mine") == said


def test_a_result_is_never_blank() -> None:
    assert result_text({"toolUseId": "t", "content": []}) == "(no output)"


BLOCKS = st.sampled_from([{"text": "a"}, {"text": " "}, RESULT, MINE, FOREIGN])
TURNS = st.lists(st.lists(BLOCKS, min_size=1, max_size=3), max_size=6)


@settings(deadline=None)
@given(TURNS)
def test_what_was_said_before_an_answer_never_changes(turns: list[list[dict[str, Any]]]) -> None:
    """Or signed reasoning would be refused, and no cache would ever be hit."""
    said = [
        message("assistant" if number % 2 else "user", *content)
        for number, content in enumerate(turns)
    ]
    answer = message("assistant", MINE)

    before = normalised([*said, answer], provider="mine")
    after = normalised(
        [*said, answer, message("user", RESULT), message("user", {"text": "more"})],
        provider="mine",
    )

    assert after[: len(before)] == before


@settings(deadline=None)
@given(TURNS)
def test_the_roles_take_turns(turns: list[list[dict[str, Any]]]) -> None:
    said = [
        message("assistant" if number % 3 else "user", *content)
        for number, content in enumerate(turns)
    ]

    roles = [each["role"] for each in normalised(said, provider="mine")]

    assert all(first != second for first, second in pairwise(roles))
