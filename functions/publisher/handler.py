"""Write to GitHub what the tasks have put into the outbox.

Trigger: the stream of the Outbox table (new rows whose name begins with `github#`); also invoked by
the sweeper with {"rows": [{"taskId", "row"}]}. A record only says which row to look at. No row
stops another, and nothing is ever reported as failed: the sweeper drives what is left over.
"""

from collections import Counter
from datetime import timedelta
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from nightdesk import bootstrap
from nightdesk.services.outbox_rows import Outcome, rows_of
from nightdesk.services.publish_intents import publish_row
from nightdesk.services.publisher_ports import PublisherPorts

logger = Logger()
bootstrap.share_logger(logger)

PREFIX = "github#"
#: One row may take this long; with less time left it is better begun by the next invocation.
ROW_TIME = timedelta(seconds=25)


def publish_safely(task_id: str, row: str, ports: PublisherPorts) -> str:
    """Publish one row; a defect in one must not keep the others waiting."""
    try:
        return publish_row(task_id, row, ports).value
    except Exception:
        logger.exception("[Publisher] %s %s: not published, the sweeper tries again", task_id, row)
        return "error"


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Entry point named in template.yaml; the stream wants {"batchItemFailures": []}."""
    ports = bootstrap.publisher()
    outcomes: Counter[str] = Counter()
    for task_id, row in rows_of(event, PREFIX):
        left = timedelta(milliseconds=context.get_remaining_time_in_millis())
        outcome = publish_safely(task_id, row, ports) if left > ROW_TIME else Outcome.LEFT.value
        outcomes[outcome] += 1
    return {"batchItemFailures": [], "ok": True, "outcomes": dict(outcomes)}
