"""What a row that tells of a task's state becomes: its tracking comment, its commit status."""

from nightdesk.services.effects.show_status import show_status
from nightdesk.services.effects.tracking_comment import show_task
from nightdesk.services.effects.work import Work
from nightdesk.services.publisher_ports import PublisherPorts


def show_progress(work: Work, ports: PublisherPorts) -> str:
    """Neither is a result, so that there is no URL to tell."""
    if work.origin.tracking:
        show_task(work, ports)
    show_status(work, ports)
    return ""
