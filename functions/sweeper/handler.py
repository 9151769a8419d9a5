"""Find what is due and nobody else looks after: lost wake-ups, expired leases, timeouts.

Trigger: EventBridge Scheduler, each minute; also invoked by the API's `process` route. Two sweeps
at once are harmless; one that fails is made good by the next.
"""

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from nightdesk import bootstrap
from nightdesk.services.recover_tasks import sweep

logger = Logger()
bootstrap.share_logger(logger)


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Entry point named in template.yaml; answers what the sweep did, by number."""
    return {"ok": True, **asdict(sweep(bootstrap.sweeper()))}
