"""`DeadLetters` in memory."""

from collections.abc import Sequence

from nightdesk.domain.dead_letters import DeadLetter


class FakeDeadLetters:
    """Holds the letters that a test puts; what was taken stays hidden, as in SQS."""

    def __init__(self) -> None:
        self.letters: dict[str, str | None] = {}
        self._taken: set[str] = set()

    def put(self, *task_ids: str | None) -> None:
        for task_id in task_ids:
            self.letters[f"r-{len(self.letters)}-{task_id}"] = task_id

    def take(self) -> Sequence[DeadLetter]:
        shown = [h for h in self.letters if h not in self._taken][:10]
        self._taken.update(shown)
        return [DeadLetter(self.letters[handle], handle) for handle in shown]

    def delete(self, letter: DeadLetter) -> None:
        self.letters.pop(letter.handle, None)
