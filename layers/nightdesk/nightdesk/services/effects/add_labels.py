"""Labels on the task's issue or pull request."""

import logging

from nightdesk.domain.publication import allowed_labels
from nightdesk.services.effects.work import Work
from nightdesk.services.publisher_ports import PublisherPorts

logger = logging.getLogger(__name__)


def add_labels(work: Work, ports: PublisherPorts) -> str:
    """Adding a label twice changes nothing, so nothing is looked for."""
    allowed = work.origin.allowed_labels or tuple(ports.github.labels_of_repository(work.repo))
    wanted = work.row.payload.get("labels")
    labels = allowed_labels(wanted, allowed)
    logger.info("[Publisher] %s: labels %s of the proposed %s", work.row.task_id, labels, wanted)
    ports.github.add_labels(work.repo, work.target.number, labels)
    return ""
