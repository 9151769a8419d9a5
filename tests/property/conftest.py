"""Hypothesis profiles: a bounded, repeatable one for `make test`, a long one for `make prove`.

`pytest -m prove --hypothesis-seed=N` repeats a long run; `make prove` prints the seed.
"""

import logging
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.fakes.region import hand_watched

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
settings.register_profile(
    "bounded",
    max_examples=250,
    stateful_step_count=60,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=_SLOW,
)
settings.register_profile(
    "prove",
    max_examples=5_000,
    stateful_step_count=120,
    deadline=None,
    print_blob=True,
    suppress_health_check=_SLOW,
)


@pytest.fixture(autouse=True)
def _test_watches_sessions() -> Iterator[None]:
    logger = logging.getLogger("nightdesk")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # thousands of lost executors are nothing to read about
    with hand_watched():
        yield
    logger.setLevel(level)
