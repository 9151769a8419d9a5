"""Fixtures of the webhook's tests."""

import pytest

from tests.webhook.world import WebhookWorld


@pytest.fixture
def world() -> WebhookWorld:
    return WebhookWorld()
