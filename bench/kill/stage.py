"""The embedded cloud with the tables and the queue of template.yaml, and nothing that runs.

Executors, sweeper and publisher are processes of the bench, so that it can kill them; tables,
indexes, redrive policy and the queue's own visibility timeout are the template's.
"""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session

from local.children import Children
from local.cloud import start_cloud
from nightdesk.adapters.dynamodb.tables import TableNames
from nightdesk.adapters.dynamodb.task_store import DynamoTaskStore
from nightdesk.adapters.sqs import SqsWakeUps
from nightdesk.config import Settings, read_settings
from tests.aws import TABLES, table_definitions, template

ROOT = Path(__file__).parents[2]
WRITE_TOKEN = "/bench/github/write-token"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Where everything is; `environment` is what the functions would get from the template."""

    environment: Mapping[str, str]
    dead_letters_url: str

    @property
    def settings(self) -> Settings:
        return read_settings(self.environment)

    @property
    def queue_url(self) -> str:
        return self.environment["WAKE_UP_QUEUE_URL"]

    def client(self, service: str) -> Any:
        return client(self.environment, service)

    def put_write_token(self) -> None:
        """The secret that the publisher reads; there is nothing behind it."""
        parameters = self.client("ssm")
        parameters.put_parameter(Name=WRITE_TOKEN, Value="bench", Type="SecureString")

    def store(self) -> DynamoTaskStore:
        """The real store, in this process: also sets the environment that its clients read."""
        enter(self.environment)
        from nightdesk.adapters.dynamodb.tables import connect  # noqa: PLC0415 - after `enter`

        connect(table_names(self.settings))
        return store_of(self.settings)

    def wake_ups(self) -> SqsWakeUps:
        enter(self.environment)
        return SqsWakeUps(self.queue_url)


def store_of(settings: Settings) -> DynamoTaskStore:
    return DynamoTaskStore(slot_count=settings.executor_slots, retention=settings.retention)


def table_names(settings: Settings) -> TableNames:
    return TableNames(**{field: getattr(settings, f"{field}_table") for field in TABLES})


def enter(environment: Mapping[str, str]) -> None:
    """Make this process one of the deployment's: its AWS clients reach the embedded cloud only."""
    os.environ.update(environment)  # noqa: TID251 - as Lambda does before it loads a function


def client(environment: Mapping[str, str], service: str) -> Any:
    return botocore.session.Session().create_client(
        service,
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name=environment["AWS_DEFAULT_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )


@contextlib.contextmanager
def embedded_stage(*, slots: int = 2, settings: Mapping[str, str] | None = None) -> Iterator[Stage]:
    """A cloud of its own, in memory; it is gone with everything in it when the block ends."""
    with (
        tempfile.TemporaryDirectory(prefix="nightdesk-bench-") as name,
        contextlib.ExitStack() as s,
    ):
        folder = Path(name)
        children = Children(folder)
        s.callback(children.end_all)
        # Policies are proved elsewhere (tests/ministack); checking them would only cost time here.
        cloud = start_cloud(children, root=ROOT, folder=folder, extra={"AUTH": "false"})
        credentials = cloud.credentials()
        yield stage_on(credentials, slots=slots, settings=settings)


def stage_on(
    credentials: Mapping[str, str],
    *,
    slots: int,
    prefix: str = "bench",
    settings: Mapping[str, str] | None = None,
) -> Stage:
    """Make the tables and queues on a cloud that runs already, named apart by `prefix`."""
    environment = {
        "AWS_ENDPOINT_URL": credentials["endpoint_url"],
        "AWS_DEFAULT_REGION": credentials["region_name"],
        "AWS_ACCESS_KEY_ID": credentials["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": credentials["aws_secret_access_key"],
        "AWS_EC2_METADATA_DISABLED": "true",
        "EXECUTOR_SLOTS": str(slots),
        "NIGHTDESK_PROFILE": "local",
        "NIGHTDESK_MODEL_PROVIDER": "offline",  # replaced by the scripted model
        "SPECIALISTS_DIR": str(ROOT / "specialists"),
        "TOKEN_BROKER_FUNCTION": "none",
        "PUBLISHER_FUNCTION": "none",
        "NOTIFIER_FUNCTION": "none",
        "SWEEPER_FUNCTION": "none",
        "GITHUB_POLLER_FUNCTION": "none",
        "GITHUB_WRITE_TOKEN_PARAMETER": WRITE_TOKEN,
        "POWERTOOLS_SERVICE_NAME": "bench",
        "POWERTOOLS_LOG_LEVEL": "ERROR",
        **(settings or {}),
    }
    _make_tables(environment, prefix)
    dead_letters_url = _make_queues(environment, prefix)
    return Stage(environment=environment, dead_letters_url=dead_letters_url)


def _make_tables(environment: dict[str, str], prefix: str) -> None:
    dynamodb = client(environment, "dynamodb")
    for field, definition in table_definitions().items():
        name = f"{prefix}-{field}"
        dynamodb.create_table(TableName=name, **definition)
        environment[f"{field.upper()}_TABLE"] = name


def _make_queues(environment: dict[str, str], prefix: str) -> str:
    sqs = client(environment, "sqs")
    declared = template()["Resources"]["WakeUpQueue"]["Properties"]
    dead = str(sqs.create_queue(QueueName=f"{prefix}-dead-letters")["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]
    redrive = {
        "deadLetterTargetArn": arn["QueueArn"],
        "maxReceiveCount": declared["RedrivePolicy"]["maxReceiveCount"],
    }
    attributes = {
        "VisibilityTimeout": str(declared["VisibilityTimeout"]),
        "RedrivePolicy": json.dumps(redrive),
    }
    made = sqs.create_queue(QueueName=f"{prefix}-wake-ups", Attributes=attributes)
    environment["WAKE_UP_QUEUE_URL"] = str(made["QueueUrl"])
    return dead
