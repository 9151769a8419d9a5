import pytest

from tests.a2a.world import World
from tests.api.caller import Caller


@pytest.fixture
def api() -> Caller:
    return Caller()


@pytest.fixture
def world() -> World:
    return World()
