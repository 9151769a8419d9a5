"""Fixtures of the notifier's tests."""

import pytest

from tests.notifier.world import NotifierWorld


@pytest.fixture
def world() -> NotifierWorld:
    return NotifierWorld()
