"""Copy what the functions log in the embedded cloud into files, one for each function."""

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

POLL_SECONDS = 2.0
#: Timestamp in milliseconds, stream, message.
Event = tuple[int, str, str]


class LogTail:
    """Follows every log group of the stack until it is stopped."""

    def __init__(self, client: Any, *, prefix: str, folder: Path) -> None:
        self._client = client
        self._prefix = prefix
        self._folder = folder
        self._seen: dict[str, Counter[Event]] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="log-tail", daemon=True)

    def start(self) -> None:
        """Begin; the files are `<folder>/<function>.log`."""
        self._thread.start()

    def stop(self) -> None:
        """Copy the last lines and end. The cloud may be gone already."""
        self._stopped.set()
        self._thread.join(timeout=5)

    def _follow(self) -> None:
        last = False
        while not last:
            last = self._stopped.wait(POLL_SECONDS)
            try:
                self.copy()
            except (BotoCoreError, ClientError):
                continue

    def copy(self) -> None:
        """Append what is new since the last time."""
        groups = self._client.describe_log_groups(logGroupNamePrefix=self._prefix)["logGroups"]
        for group in groups:
            name = group["logGroupName"]
            lines = list(self._new_lines(name))
            if lines:
                target = self._folder / f"{name.rsplit('/', 1)[-1]}.log"
                with target.open("a", encoding="utf-8") as log:
                    log.write("\n".join(lines) + "\n")

    def _new_lines(self, group: str) -> Iterator[str]:
        """Events from the newest known time on. Equal ones are told apart by their number."""
        seen = self._seen.get(group, Counter())
        since = max((timestamp for timestamp, _, _ in seen), default=0)
        pages = self._client.get_paginator("filter_log_events").paginate(
            logGroupName=group, startTime=since
        )
        found: Counter[Event] = Counter()
        for page in pages:
            for entry in page["events"]:
                event = (entry["timestamp"], entry["logStreamName"], entry["message"])
                found[event] += 1
                if found[event] > seen[event]:
                    yield entry["message"].rstrip("\n")
        self._seen[group] = found
