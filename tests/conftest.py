"""Fixtures that several test packages use."""

from collections.abc import Iterator

import pytest

from nightdesk.adapters.dynamodb.tables import TableNames
from tests.aws import moto_cloud
from tests.fakes.clock import FakeClock, FakeDice


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def dice() -> FakeDice:
    return FakeDice()


@pytest.fixture
def aws_tables(monkeypatch: pytest.MonkeyPatch) -> Iterator[TableNames]:
    """Nightdesk's tables in moto; the PynamoDB models are connected to them."""
    with moto_cloud(monkeypatch) as tables:
        yield tables
