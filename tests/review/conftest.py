"""Fixtures of the review's tests."""

import pytest

from tests.review.world import ReviewWorld


@pytest.fixture
def world() -> ReviewWorld:
    return ReviewWorld()
