from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightdesk.adapters.models.failures import (
    DEFAULT_WAIT,
    code_and_message,
    error_in_body,
    failure_in_stream,
    shortened,
    wait_asked_for,
)
from nightdesk.domain.model import (
    ModelAuthError,
    ModelRequestError,
    ModelThrottledError,
    ModelUnavailableError,
)
from tests.fakes.clock import NOON

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after-ms": "2500"}, 2.5 * SECOND),
        ({"retry-after-ms": "2500", "retry-after": "60"}, 2.5 * SECOND),
        ({"retry-after-ms": "-1", "retry-after": "60"}, 60 * SECOND),
        ({"retry-after": "1.5"}, 1.5 * SECOND),
        ({"x-ratelimit-reset-tokens": "6m0s"}, 360 * SECOND),
        ({"x-ratelimit-reset-tokens": "2m59.5s"}, 179.5 * SECOND),
        ({"x-ratelimit-reset-requests": "20ms"}, SECOND),
        ({"x-ratelimit-reset-requests": "1h"}, 900 * SECOND),
        ({"x-ratelimit-reset-requests": "soon"}, DEFAULT_WAIT),
        (
            {
                "x-ratelimit-reset-requests": "5s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "50s",
                "x-ratelimit-remaining-tokens": "100",
            },
            5 * SECOND,
        ),
        (
            {
                "anthropic-ratelimit-input-tokens-remaining": "0",
                "anthropic-ratelimit-input-tokens-reset": "2026-11-21T12:00:40Z",
                "anthropic-ratelimit-requests-remaining": "9",
                "anthropic-ratelimit-requests-reset": "2026-11-21T12:09:00Z",
            },
            40 * SECOND,
        ),
    ],
)
def test_the_wait_is_found_wherever_the_provider_says_it(
    headers: dict[str, str], wait: timedelta
) -> None:
    assert wait_asked_for(headers, NOON) == wait


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "retry-after",
                "retry-after-ms",
                "x-ratelimit-reset-tokens",
                "x-ratelimit-remaining-tokens",
                "anthropic-ratelimit-tokens-reset",
            ]
        ),
        st.one_of(
            st.text(max_size=12),
            st.integers().map(str),
            st.tuples(st.integers(0, 10**400), st.sampled_from(["ms", "s", "m", "h"])).map(
                lambda pair: f"{pair[0]}{pair[1]}"
            ),
            st.datetimes().map(lambda moment: moment.isoformat()),
        ),
    )
)
def test_no_header_makes_the_wait_unbounded(headers: dict[str, str]) -> None:
    assert SECOND <= wait_asked_for(headers, NOON) <= timedelta(minutes=15)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("overloaded_error", ModelThrottledError),
        ("rate_limit_exceeded", ModelThrottledError),
        ("throttlingException", ModelThrottledError),
        ("authentication_error", ModelAuthError),
        ("invalid_request_error", ModelRequestError),
        ("validationException", ModelRequestError),
        ("api_error", ModelUnavailableError),
        ("modelStreamErrorException", ModelUnavailableError),
        ("429", ModelThrottledError),
        ("502", ModelUnavailableError),
        ("", ModelUnavailableError),
    ],
)
def test_an_error_inside_a_stream_is_told_by_its_code(code: str, error: type[Exception]) -> None:
    assert isinstance(failure_in_stream({"code": code, "message": "m"}, now=NOON), error)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"error": {"type": "api_error", "message": "m"}}', ("api_error", "m")),
        (b'{"error": {"code": 429, "message": "m"}}', ("429", "m")),
        (b'{"object": "error", "message": "m", "type": "BadRequest"}', ("BadRequest", "m")),
        (b'{"error": "model not found"}', ("", "model not found")),
        (
            b'{"error": {"type": "t", "message": "m", "details": {"error_code": "spent"}}}',
            ("spent", "m"),
        ),
        (b"[1]", ("", "[1]")),
        (b"upstream \xff timeout", ("", "upstream \ufffd timeout")),
        (b"", ("", "")),
    ],
)
def test_the_words_of_any_server_are_found(body: bytes, found: tuple[str, str]) -> None:
    assert code_and_message(error_in_body(body)) == found


def test_a_message_is_one_short_line_without_the_key() -> None:
    text = shortened("bad key sk-1\n\n" + "x" * 1_000, secret="sk-1")

    assert text.startswith("bad key [key] xxx")
    assert len(text) == 301
