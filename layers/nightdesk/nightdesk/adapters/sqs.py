"""The queue of wake-ups, over SQS."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from nightdesk.domain.errors import UnavailableError
from nightdesk.domain.task import VISIBILITY, VISIBILITY_RENEWAL

_CONFIG = Config(
    connect_timeout=1,
    read_timeout=3,
    retries={"total_max_attempts": 3, "mode": "standard"},
)
#: An SQS limit.
_MAX_DELAY = timedelta(minutes=15)


class SqsWakeUps:
    """`WakeUps` on one SQS queue. The client is made on first use."""

    def __init__(self, queue_url: str, *, region: str | None = None) -> None:
        self._queue_url = queue_url
        self._region = region
        self._client: Any = None

    def send(self, task_id: str, *, delay: timedelta = timedelta(0)) -> None:
        """Raises UnavailableError when SQS does not take it; the sweeper will wake the task."""
        try:
            self._sqs().send_message(
                QueueUrl=self._queue_url,
                MessageBody=json.dumps({"taskId": task_id}),
                DelaySeconds=int(min(delay, _MAX_DELAY).total_seconds()),
            )
        except (BotoCoreError, ClientError) as error:
            raise UnavailableError(f"SQS: {type(error).__name__}") from error

    @contextmanager
    def kept_invisible(self, receipt_handle: str) -> Iterator[None]:
        ended = Event()
        self._hide(receipt_handle)
        renewal = Thread(target=self._renew, args=(receipt_handle, ended), daemon=True)
        renewal.start()
        try:
            yield
        finally:
            ended.set()
            renewal.join(timeout=VISIBILITY_RENEWAL.total_seconds())

    def _renew(self, receipt_handle: str, ended: Event) -> None:
        while not ended.wait(VISIBILITY_RENEWAL.total_seconds()):
            self._hide(receipt_handle)

    def _hide(self, receipt_handle: str) -> None:
        """A failure is harmless: the message comes again, finds its task alive, and waits."""
        try:
            self._sqs().change_message_visibility(
                QueueUrl=self._queue_url,
                ReceiptHandle=receipt_handle,
                VisibilityTimeout=int(VISIBILITY.total_seconds()),
            )
        except (BotoCoreError, ClientError):
            return

    def _sqs(self) -> Any:
        if self._client is None:
            session = botocore.session.get_session()
            self._client = session.create_client("sqs", region_name=self._region, config=_CONFIG)
        return self._client
