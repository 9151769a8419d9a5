"""`CallbackKey` and `CallbackSender` in memory, and receivers that answer as a test says."""

from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from nightdesk.domain.callbacks import CallbackAnswer, CallbackRequest
from nightdesk.services.callback_ports import CallbackPorts
from tests.fakes.conversations import FakePushConfigs
from tests.fakes.outbox_store import FakeOutboxStore

CANARY_KEY = "canary-callback-key-of-32-characters"


@dataclass
class FakeCallbackKey:
    """`CallbackKey`."""

    key: str = CANARY_KEY

    def read(self) -> str:
        return self.key


@dataclass
class FakeReceivers:
    """`CallbackSender`: keeps what was sent; `answers` has what each host says, in turn."""

    got: list[CallbackRequest] = field(default_factory=list)
    answers: dict[str, list[int | CallbackAnswer | Exception]] = field(default_factory=dict)
    otherwise: Callable[[CallbackRequest], CallbackAnswer] = lambda _request: CallbackAnswer(204)

    def send(self, request: CallbackRequest) -> CallbackAnswer:
        self.got.append(request)
        waiting = self.answers.get(urlsplit(request.url).hostname or "", [])
        answer = waiting.pop(0) if waiting else self.otherwise(request)
        if isinstance(answer, Exception):
            raise answer
        return CallbackAnswer(answer) if isinstance(answer, int) else answer


def callback_ports(
    *,
    outbox: FakeOutboxStore | None = None,
    push_configs: FakePushConfigs | None = None,
    key: FakeCallbackKey | None = None,
    allow_http: bool = False,
) -> CallbackPorts:
    return CallbackPorts(
        push_configs=push_configs or FakePushConfigs(),
        outbox=outbox or FakeOutboxStore(),
        key=key or FakeCallbackKey(),
        allow_http=allow_http,
    )
