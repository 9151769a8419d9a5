"""The queue of wake-ups, over SQS."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Lock, Thread
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from nightdesk.domain.dead_letters import DeadLetter
from nightdesk.domain.errors import UnavailableError
from nightdesk.domain.task import VISIBILITY, VISIBILITY_RENEWAL

_CONFIG = Config(
    connect_timeout=1,
    read_timeout=3,
    retries={"total_max_attempts": 3, "mode": "standard"},
)
#: An SQS limit.
_MAX_DELAY = timedelta(minutes=15)
_MAX_RECEIVED = 10
#: Asking all servers of the queue (long polling) finds what a short poll may miss.
_LONG_POLL_SECONDS = 1


class SqsWakeUps:
    """`WakeUps` on one SQS queue. The client is made on first use."""

    def __init__(self, queue_url: str, *, region: str | None = None) -> None:
        self._queue_url = queue_url
        self._region = region
        self._client: Any = None
        self._lock = Lock()

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
        with self._lock:  # the poller's threads may want it at the same moment
            if self._client is None:
                self._client = _client(self._region)
        return self._client


class SqsDeadLetters:
    """`DeadLetters` on the dead-letter queue of the wake-ups."""

    def __init__(self, queue_url: str, *, region: str | None = None) -> None:
        self._queue_url = queue_url
        self._client = _client(region)

    def take(self) -> Sequence[DeadLetter]:
        """Raises UnavailableError when SQS does not answer."""
        try:
            answer = self._client.receive_message(
                QueueUrl=self._queue_url,
                MaxNumberOfMessages=_MAX_RECEIVED,
                WaitTimeSeconds=_LONG_POLL_SECONDS,
                VisibilityTimeout=int(VISIBILITY.total_seconds()),
            )
        except (BotoCoreError, ClientError) as error:
            raise UnavailableError(f"SQS: {type(error).__name__}") from error
        return [
            DeadLetter(_task_id(message["Body"]), message["ReceiptHandle"])
            for message in answer.get("Messages", ())
        ]

    def delete(self, letter: DeadLetter) -> None:
        """Raises UnavailableError when SQS does not answer; then it comes again."""
        try:
            self._client.delete_message(QueueUrl=self._queue_url, ReceiptHandle=letter.handle)
        except (BotoCoreError, ClientError) as error:
            raise UnavailableError(f"SQS: {type(error).__name__}") from error


def _task_id(body: str) -> str | None:
    """The task that a wake-up names; None for what is no wake-up of ours."""
    try:
        content = json.loads(body)
    except ValueError:
        return None
    task_id = content.get("taskId") if isinstance(content, dict) else None
    return task_id if isinstance(task_id, str) and task_id else None


def _client(region: str | None) -> Any:
    session = botocore.session.get_session()
    return session.create_client("sqs", region_name=region, config=_CONFIG)
