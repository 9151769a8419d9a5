"""Run the best runnable task for each wake-up.

Trigger: the wake-up queue, one message at a time. A message whose executor dies comes again by
itself (its visibility lapses) and finds its task; only a message that could not even be looked at
is returned as failed.
"""

from datetime import timedelta
from functools import partial
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from nightdesk import bootstrap
from nightdesk.services.answer_wake_up import answer_wake_up
from nightdesk.services.claim_task import WakeUp

logger = Logger()
bootstrap.share_logger(logger)
batch = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


def wake_up_of(record: SQSRecord) -> WakeUp:
    """The wake-up in a message; one that names no task is still a wake-up."""
    try:
        body = record.json_body
    except ValueError:
        body = {}
    task_id = body.get("taskId", "") if isinstance(body, dict) else ""
    receives = int(record.attributes.approximate_receive_count or 1)
    return WakeUp(str(task_id), record.message_id, receives)


def answer(record: SQSRecord, context: LambdaContext) -> None:
    """Claim one task and run its session until it ends, waits or must be handed over."""
    ports = bootstrap.executor()
    left = timedelta(milliseconds=context.get_remaining_time_in_millis())
    with ports.wake_ups.kept_invisible(record.receipt_handle):
        answer_wake_up(wake_up_of(record), ports=ports, deadline=ports.clock.now() + left)


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Entry point named in template.yaml."""
    return process_partial_response(event, partial(answer, context=context), batch, context)
