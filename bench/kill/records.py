"""A flight recorder: what each process did last, in one file that outlives any SIGKILL.

One event is one line, appended by one write: {"at": epoch seconds, "pid", "what", ...}. `what` is
`received` (messageId), `claimed` (task, fence), `model` (task, step), `left` (task, fence, status).
A process killed between a commit and its line leaves no line: whoever reads must allow for that.
"""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class Recorder:
    """The writing side; one for each process."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(self, what: str, **fields: object) -> None:
        line = {"at": time.time(), "pid": os.getpid(), "what": what, **fields}
        os.write(self._file, (json.dumps(line) + "\n").encode())


@dataclass
class Records:
    """The reading side: `events` grows with each `refresh`."""

    path: Path
    events: list[dict[str, Any]] = field(default_factory=list)
    _offset: int = 0

    def refresh(self) -> Iterator[dict[str, Any]]:
        """What was written since the last time; half a line is left for the next."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            event = json.loads(line)
            self.events.append(event)
            yield event
