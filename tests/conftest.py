"""Fixtures that several test packages use."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nightdesk.adapters.dynamodb.tables import TableNames
from tests.aws import moto_cloud
from tests.fakes.clock import FakeClock, FakeDice

ROOT = Path(__file__).parent
#: Folders whose tests share something of which the machine has one: a port, a folder, a cloud.
TOGETHER = {
    "local": "machine",
    "ministack": "machine",
    "template": "template",
    "mutations": "mutations",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep such tests on one worker; all others go to whichever is free."""
    for item in items:
        folder = item.path.relative_to(ROOT).parts[0]
        if folder in TOGETHER:
            item.add_marker(pytest.mark.xdist_group(TOGETHER[folder]))


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
