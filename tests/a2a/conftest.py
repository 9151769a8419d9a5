import pytest

from tests.a2a.world import World


@pytest.fixture
def world() -> World:
    return World()
