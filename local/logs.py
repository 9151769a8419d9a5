"""Copy what the functions log in the embedded cloud into files, one for each function."""

import threading
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

POLL_SECONDS = 0.5


class LogTail:
    """Follows every log group of the stack until it is stopped."""

    def __init__(self, client: Any, *, prefix: str, folder: Path) -> None:
        self._client = client
        self._prefix = prefix
        self._folder = folder
        self._seen: set[str] = set()
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
                self._copy()
            except (BotoCoreError, ClientError):
                continue

    def _copy(self) -> None:
        groups = self._client.describe_log_groups(logGroupNamePrefix=self._prefix)["logGroups"]
        for group in groups:
            name = group["logGroupName"]
            pages = self._client.get_paginator("filter_log_events").paginate(logGroupName=name)
            lines = [
                event["message"].rstrip("\n")
                for page in pages
                for event in page["events"]
                if self._is_new(event["eventId"])
            ]
            if lines:
                target = self._folder / f"{name.rsplit('/', 1)[-1]}.log"
                with target.open("a", encoding="utf-8") as log:
                    log.write("\n".join(lines) + "\n")

    def _is_new(self, event_id: str) -> bool:
        if event_id in self._seen:
            return False
        self._seen.add(event_id)
        return True
