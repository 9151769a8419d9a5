"""What a model passes is checked against the schema, and refused in words that help it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightdesk.domain.errors import InvalidInputError
from nightdesk.domain.tool_arguments import checked_arguments

SCHEMA = {
    "type": "object",
    "properties": {
        "path": {"type": "string", "minLength": 1, "maxLength": 20},
        "limit": {"type": "integer", "minimum": 1, "maximum": 50, "default": 10},
        "regex": {"type": "boolean", "default": False},
        "kind": {"type": "string", "enum": ["a", "b"]},
        "names": {"type": "array", "maxItems": 2, "items": {"type": "string", "maxLength": 3}},
    },
    "required": ["path"],
    "additionalProperties": False,
}


def test_defaults_are_filled_in_and_null_means_not_given() -> None:
    assert checked_arguments(SCHEMA, {"path": "a.py", "limit": None, "regex": None}) == {
        "path": "a.py",
        "limit": 10,
        "regex": False,
        "kind": None,
        "names": None,
    }


def test_a_whole_number_may_be_written_with_a_point() -> None:
    limit = checked_arguments(SCHEMA, {"path": "a", "limit": 7.0})["limit"]
    assert (limit, type(limit)) == (7, int)


@pytest.mark.parametrize(
    ("arguments", "field", "said"),
    [
        ({}, "path", "path is missing; allowed: a string of 1 to 20 characters"),
        ({"path": None}, "path", "path is missing"),
        ({"path": ""}, "path", "path: '' is not allowed"),
        ({"path": "x" * 21}, "path", "a string of 1 to 20 characters"),
        ({"path": 7}, "path", "path: 7 is not allowed"),
        ({"path": ["a"]}, "path", r"path: \['a'\] is not allowed"),
        ({"path": "a", "limit": "10"}, "limit", "limit: '10' .* an integer from 1 to 50"),
        ({"path": "a", "limit": 0}, "limit", "from 1 to 50"),
        ({"path": "a", "limit": 51}, "limit", "from 1 to 50"),
        ({"path": "a", "limit": True}, "limit", "limit: True is not allowed"),
        ({"path": "a", "limit": 1.5}, "limit", "limit: 1.5 is not allowed"),
        ({"path": "a", "limit": float("nan")}, "limit", "nan is not allowed"),
        ({"path": "a", "regex": "yes"}, "regex", "allowed: true or false"),
        ({"path": "a", "kind": "c"}, "kind", "one of a, b"),
        ({"path": "a", "names": ["a", "b", "c"]}, "names", "a list of at most 2 items"),
        ({"path": "a", "names": ["abcd"]}, "names", "0 to 3 characters"),
        ({"path": "a", "repo": "evil/x"}, "repo", "'repo' is unknown; allowed: path, limit"),
    ],
)
def test_a_refusal_names_the_field_the_value_and_what_is_allowed(
    arguments: dict[str, Any], field: str, said: str
) -> None:
    with pytest.raises(InvalidInputError, match=said) as raised:
        checked_arguments(SCHEMA, arguments)
    assert raised.value.field == field


def test_a_long_value_is_shown_shortened() -> None:
    with pytest.raises(InvalidInputError) as raised:
        checked_arguments(SCHEMA, {"path": "x" * 100_000})
    assert len(str(raised.value)) < 300


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["path", "limit", "regex", "kind", "names", "x"]), VALUES))
def test_any_arguments_fit_or_are_refused(arguments: dict[str, Any]) -> None:
    try:
        checked = checked_arguments(SCHEMA, arguments)
    except InvalidInputError as refused:
        assert_names(refused, arguments)
    else:
        assert 1 <= len(checked["path"]) <= 20
        assert 1 <= checked["limit"] <= 50
        json.dumps(checked)


def assert_names(refused: InvalidInputError, arguments: dict[str, Any]) -> None:
    assert refused.field in {*arguments, "path"}
    assert refused.field in str(refused)
