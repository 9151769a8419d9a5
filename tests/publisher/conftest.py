"""Fixtures of the publisher's tests."""

import pytest

from tests.publisher.world import PublisherWorld


@pytest.fixture
def world() -> PublisherWorld:
    return PublisherWorld()
