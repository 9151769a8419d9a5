"""Fixtures of the engine's tests."""

from datetime import timedelta

import pytest

from nightdesk.adapters.dynamodb.task_store import DynamoTaskStore
from nightdesk.domain.ports import TaskStore
from tests.engine.world import World
from tests.fakes.task_store import FakeTaskStore


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(params=["fake", "dynamodb"])
def store(request: pytest.FixtureRequest) -> TaskStore:
    if request.param == "fake":
        return FakeTaskStore()
    request.getfixturevalue("aws_tables")
    return DynamoTaskStore(slot_count=2, retention=timedelta(days=90))
