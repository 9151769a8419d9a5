"""What the functions behind the API answer, in their real shapes."""

from typing import Any

POLLED: dict[str, Any] = {
    "ok": True,
    "checkedAt": "2026-11-21T12:00:00.000Z",
    "summary": {
        "reposChecked": 1,
        "totalEventsFound": 3,
        "totalEventsProcessed": 1,
        "totalEventsSkipped": 2,
    },
    "results": [],
}
STATUS: dict[str, Any] = {
    "ok": True,
    "enabled": True,
    "isRunning": False,
    "intervalSeconds": 60,
    "lastCheckedAt": "2026-11-21T12:00:00.000Z",
    "lastEventIds": {"o/r": "7", "o/s": None},
    "repositories": [],
    "malformed": [],
    "deferredEvents": 0,
}
DECISIONS: dict[str, Any] = {"repo": "o/r", "number": 1, "decisions": []}
