"""Sessions are watched by the tests, and thousands of lost executors are not logged."""

import logging
from collections.abc import Iterator

import pytest

from tests.fakes.region import hand_watched


@pytest.fixture(autouse=True)
def _test_watches_sessions() -> Iterator[None]:
    logger = logging.getLogger("nightdesk")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    with hand_watched():
        yield
    logger.setLevel(level)
