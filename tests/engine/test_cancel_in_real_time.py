"""A cancel stops a model call that streams for minutes, and one that hangs, within five seconds.

The clock, the watch and the sockets are real; only the provider is ours, on loopback.
"""

import time
from dataclasses import replace
from datetime import timedelta
from threading import Thread

import pytest

from nightdesk.adapters.models.openai_compatible import OpenAICompatibleModel
from nightdesk.adapters.system import SystemClock
from nightdesk.domain.model import ModelTier
from nightdesk.domain.task import TaskStatus
from nightdesk.services.claim_task import WakeUp, claim_next
from nightdesk.services.run_session import run_session
from tests.engine.examples import a_task
from tests.engine.test_run_session import ORIGIN
from tests.engine.world import World
from tests.models.provider_server import (
    Answer,
    ProviderServer,
    drips,
    hangs_after,
    hangs_before_the_headers,
)

STREAM = "text/event-stream"
CHUNK = b'data: {"choices": [{"index": 0, "delta": {"content": "word "}}]}\n\n'
#: The promise of the design (section 4, rule 9).
WITHIN_SECONDS = 5.0


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(drips(CHUNK * 600, every_seconds=0.01, content_type=STREAM), id="streams"),
        pytest.param(hangs_before_the_headers, id="hangs at once"),
        pytest.param(hangs_after([CHUNK], content_type=STREAM), id="hangs in the middle"),
    ],
)
def test_a_cancel_stops_the_model_call_within_five_seconds(world: World, answer: Answer) -> None:
    clock = SystemClock()
    with ProviderServer() as server:
        server.script(answer)
        model = OpenAICompatibleModel(
            models=dict.fromkeys(ModelTier, "a-model"), clock=clock, base_url=f"{server.url}/v1"
        )
        ports = replace(world.executor(), clock=clock, model=model, price_of=lambda *_: 0)
        now = clock.now()
        assert world.tasks.create(a_task(at=now), ORIGIN)
        claimed = claim_next(WakeUp("t-1", "m"), ports=ports, give_up_at=now + timedelta(hours=1))
        assert claimed is not None
        session = Thread(
            target=run_session,
            args=(claimed.task, claimed.origin),
            kwargs={"ports": ports, "hand_over_at": now + timedelta(hours=1)},
        )
        session.start()
        assert server.asked.wait(10), "the model was never asked"

        world.tasks.request_cancel(world.task(), now=clock.now())
        asked = time.monotonic()
        session.join(30)
        took = time.monotonic() - asked

        assert not session.is_alive()
        assert took < WITHIN_SECONDS
    assert world.task().status is TaskStatus.CANCELLED
    assert len(server.requests) == 1
