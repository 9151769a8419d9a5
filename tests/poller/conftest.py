"""Fixtures of the poller's tests."""

import pytest

from tests.poller.world import PollerWorld


@pytest.fixture
def world() -> PollerWorld:
    return PollerWorld()
