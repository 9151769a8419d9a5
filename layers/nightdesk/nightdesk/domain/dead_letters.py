"""Wake-ups that the queue has given up on. The adapter and the fake pass the same tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """`task_id` None = it names none; `handle` is the queue's own, for deleting it."""

    task_id: str | None
    handle: str


class DeadLetters(Protocol):
    """The dead-letter queue of the wake-ups."""

    def take(self) -> Sequence[DeadLetter]:
        """A few; empty = there are no more, as far as the queue shows. What is not deleted comes
        again after its visibility timeout.
        """
        ...

    def delete(self, letter: DeadLetter) -> None: ...
