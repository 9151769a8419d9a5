import io
import logging
from collections.abc import Iterator

import pytest

from nightdesk.api.app import logger
from tests.api.caller import Caller


@pytest.fixture
def api() -> Caller:
    return Caller()


@pytest.fixture
def logged(api: Caller) -> Iterator[io.StringIO]:
    """Everything that the function logs, as it would stand in CloudWatch."""
    handler = logging.StreamHandler(written := io.StringIO())
    handler.setFormatter(logger.registered_handler.formatter)
    logger.addHandler(handler)
    yield written
    logger._logger.removeHandler(handler)
