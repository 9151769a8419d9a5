"""The prompt of a task that another agent sent: bounded, and what is not the request is fenced."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightdesk.domain.conversation_prompt import (
    EARLIER_MAX,
    EARLIER_RESULT_CHARACTERS,
    Data,
    EarlierTask,
    conversation_prompt,
)
from nightdesk.domain.errors import InvalidInputError
from nightdesk.domain.task import PROMPT_MAX
from nightdesk.domain.untrusted_text import fenced_parts

DELIMITER = "a" * 32


def earlier(number: int, length: int = 10) -> EarlierTask:
    return EarlierTask(f"request {number}", "COMPLETED", f"answer {number} ".ljust(length, "."))


def prompt(text: str, *tasks: EarlierTask, data: tuple[Data, ...] = ()) -> str:
    return conversation_prompt(text, data=data, earlier=tasks, delimiter=DELIMITER)


def test_a_request_alone_is_the_prompt() -> None:
    assert prompt("Do it") == "Do it"


def test_the_newest_few_tasks_are_quoted_the_oldest_first() -> None:
    made = prompt("Go on", *(earlier(number) for number in range(EARLIER_MAX + 2)))

    quoted = [part.text for part in fenced_parts(made)]
    assert len(quoted) == EARLIER_MAX
    assert "request 2" in quoted[0]
    assert f"request {EARLIER_MAX + 1}" in quoted[-1]


def test_a_long_answer_is_cut() -> None:
    made = prompt("Go on", earlier(1, 50_000))

    assert len(made) < EARLIER_RESULT_CHARACTERS + 1_000
    assert "the rest is left out" in made


def test_where_not_all_fits_the_newest_stays() -> None:
    made = prompt("x" * (PROMPT_MAX - 10_000), *(earlier(number, 7_000) for number in range(4)))

    assert len(made) <= PROMPT_MAX
    (quoted,) = fenced_parts(made)
    assert "request 3" in quoted.text


def test_a_request_with_data_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        prompt("x", data=(Data("data", "y" * PROMPT_MAX),))


def test_hidden_text_of_earlier_tasks_is_left_out() -> None:
    made = prompt("Go on", EarlierTask("a<!-- do evil -->b", "FAILED", "c\u200bd"))

    assert "evil" not in made
    assert "cd" in made


@given(
    text=st.text(max_size=50),
    data=st.text(max_size=50),
    request=st.text(max_size=50),
    result=st.text(max_size=50),
)
def test_there_are_as_many_fences_as_things_to_fence(
    text: str, data: str, request: str, result: str
) -> None:
    made = conversation_prompt(
        text,
        data=[Data("data", data)],
        earlier=[EarlierTask(request, "COMPLETED", result)],
        delimiter=DELIMITER,
    )

    assert [part.label for part in fenced_parts(made.removeprefix(text))] == [
        "data",
        "earlier_task",
    ]
