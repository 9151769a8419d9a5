"""Shorten the engine's clocks, in the processes of this bench only.

Imported before anything else of Nightdesk by the process that the others are forked from: the
services take the constants as they are when they are imported. Nothing but the lengths changes,
and their order stays: heartbeat < lease < visibility, renewal < visibility.
"""

from datetime import timedelta

from nightdesk.domain import task

LEASE = timedelta(seconds=2)
HEARTBEAT_AFTER = timedelta(seconds=0.4)
VISIBILITY = timedelta(seconds=3)  # SQS counts whole seconds
VISIBILITY_RENEWAL = timedelta(seconds=0.7)


def shorten() -> None:
    """Idempotent."""
    task.LEASE = LEASE
    task.HEARTBEAT_AFTER = HEARTBEAT_AFTER
    task.VISIBILITY = VISIBILITY
    task.VISIBILITY_RENEWAL = VISIBILITY_RENEWAL


shorten()
