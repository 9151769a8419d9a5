"""Look for new events in the configured repositories and create the tasks that they start.

Trigger: EventBridge Scheduler, every GITHUB_POLLING_INTERVAL_MINUTES; also invoked by the API with
{"action": "check"}, "status" or "decisions" (of "repo" and "number", for a "workspaceId"). A poll
that fails or is cut short is made good by the next: events are marked as seen only after their
tasks exist. Events that the webhook had to leave are tried first, at each run.
"""

from datetime import timedelta
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from nightdesk import bootstrap
from nightdesk.services.explain_event import explain
from nightdesk.services.poll_repositories import poll_repositories, poll_status

logger = Logger()
bootstrap.share_logger(logger)

#: What one event may still take when the time is up, and storing the state after it.
MARGIN = timedelta(seconds=60)


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Entry point named in template.yaml; answers {"ok", "checkedAt", "summary", "results"}."""
    ports = bootstrap.poller()
    if event.get("action") == "status":
        return poll_status(ports)
    if event.get("action") == "decisions":
        is_ours = event["workspaceId"] == ports.settings.workspace_id
        return explain(event["repo"], event["number"], ports.decisions if is_ours else None)
    left = timedelta(milliseconds=context.get_remaining_time_in_millis())
    return poll_repositories(ports, deadline=ports.clock.now() + left - MARGIN)
