"""An SQS standard queue in virtual time: messages come late, again, or beside a live receiver.

It does nothing by itself. A test decides which of the messages that may be delivered now is
delivered, and delivers any other a second time, as a standard queue may.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

from nightdesk.domain.ports import Clock
from nightdesk.domain.task import VISIBILITY

#: SQS limits a delay to this.
MAX_DELAY = timedelta(minutes=15)
#: What template.yaml gives the queue.
QUEUE_VISIBILITY = timedelta(seconds=5400)
MAX_RECEIVES = 10


@dataclass(slots=True)
class Message:
    """One wake-up in the queue. `visible_at` is when it may be received (again)."""

    id: str
    task_id: str
    visible_at: datetime
    receives: int = 0

    def handle(self) -> str:
        """The receipt of the newest delivery."""
        return f"{self.id}/{self.receives}"


class SimulatedQueue:
    """Messages by id; `dead` is the dead-letter queue, `gone` what was deleted."""

    def __init__(
        self,
        clock: Clock,
        *,
        max_receives: int = MAX_RECEIVES,
        visibility: timedelta = QUEUE_VISIBILITY,
    ) -> None:
        self.messages: dict[str, Message] = {}
        self.dead: dict[str, Message] = {}
        self.gone: dict[str, Message] = {}
        #: Whether the receipt of an earlier delivery still deletes (SQS promises neither).
        self.old_receipts_delete = True
        self._clock = clock
        self._max_receives = max_receives
        self._visibility = visibility
        self._ids = count(1)

    def send(self, task_id: str, *, delay: timedelta = timedelta(0)) -> Message:
        visible_at = self._clock.now() + min(max(delay, timedelta(0)), MAX_DELAY)
        message = Message(f"m-{next(self._ids)}", task_id, visible_at)
        self.messages[message.id] = message
        return message

    def visible(self) -> list[Message]:
        """What may be delivered now; what was received too often moves to `dead` first."""
        now = self._clock.now()
        found = [m for m in self.messages.values() if m.visible_at <= now]
        for message in found:
            if message.receives >= self._max_receives:
                self.dead[message.id] = self.messages.pop(message.id)
        return [m for m in found if m.id in self.messages]

    def receive(self, message: Message) -> str:
        """Deliver the message, also one that is in flight or deleted; answers the receipt."""
        message.receives += 1
        if message.id in self.messages:
            message.visible_at = self._clock.now() + self._visibility
        return message.handle()

    def hide(self, handle: str, *, visibility: timedelta = VISIBILITY) -> None:
        """ChangeMessageVisibility; it does nothing for a receipt that is not the newest."""
        message = self._held_by(handle)
        if message is not None and message.handle() == handle:
            message.visible_at = self._clock.now() + visibility

    def delete(self, handle: str) -> None:
        message = self._held_by(handle)
        if message is not None and (message.handle() == handle or self.old_receipts_delete):
            self.gone[message.id] = self.messages.pop(message.id)

    def lose(self, message: Message) -> None:
        """Somebody purges the queue; SQS itself loses nothing."""
        self.gone[message.id] = self.messages.pop(message.id)

    def redrive(self) -> None:
        """Put everything from the dead-letter queue back, as people do."""
        for message in self.dead.values():
            message.receives = 0
            message.visible_at = self._clock.now()
            self.messages[message.id] = message
        self.dead.clear()

    def _held_by(self, handle: str) -> Message | None:
        return self.messages.get(handle.partition("/")[0])
