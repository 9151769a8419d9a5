"""Call back whoever wants to know how tasks ended, or that they wait.

Trigger: the stream of the Outbox table (new rows whose name begins with `notify#`); also invoked by
the sweeper with {"rows": [{"taskId", "row"}]}. A record only says which row to look at. No row
stops another: a few are tried at once, so that receivers that hang cost the others no time, and
nothing is ever reported as failed, because the sweeper drives what is left over.
"""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from nightdesk import bootstrap
from nightdesk.domain.notices import NOTIFY
from nightdesk.services.notify import NotifierPorts, notify_row
from nightdesk.services.outbox_rows import Outcome, rows_of

logger = Logger()
bootstrap.share_logger(logger)

#: One row may take this long; with less time left it is better begun by the next invocation.
ROW_TIME = timedelta(seconds=30)
AT_ONCE = 8


def notify_safely(
    task_id: str, row: str, ports: NotifierPorts, left: Callable[[], timedelta]
) -> str:
    """Try one row; a defect in one must not keep the others waiting."""
    if left() <= ROW_TIME:
        return Outcome.LEFT.value
    try:
        return notify_row(task_id, row, ports).value
    except Exception:
        logger.exception("[Notifier] %s %s: not tried, the sweeper tries again", task_id, row)
        return "error"


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Entry point named in template.yaml; the stream wants {"batchItemFailures": []}."""
    ports = bootstrap.notifier()

    def left() -> timedelta:
        return timedelta(milliseconds=context.get_remaining_time_in_millis())

    with ThreadPoolExecutor(AT_ONCE) as pool:
        tried = [
            pool.submit(notify_safely, task_id, row, ports, left)
            for task_id, row in rows_of(event, NOTIFY)
        ]
        outcomes = Counter(one.result() for one in tried)
    return {"batchItemFailures": [], "ok": True, "outcomes": dict(outcomes)}
