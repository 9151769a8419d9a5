"""The deployed roles may do what their functions do and no more: the cloud enforces it."""

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.run import READ_TOKEN, WRITE_TOKEN, Nightdesk

pytestmark = pytest.mark.ministack

APP_KEY = "/nightdesk/github/app-private-key"
Attempt = Callable[[Callable[[str], Any], Nightdesk], object]


def as_function(nightdesk: Nightdesk, function: str) -> Callable[[str], Any]:
    """Makes clients with the role of a deployed function."""
    deployment = nightdesk.deployment
    configuration = deployment.client("lambda").get_function_configuration(
        FunctionName=deployment.outputs[function]
    )
    session = deployment.client("sts").assume_role(
        RoleArn=configuration["Role"], RoleSessionName="test"
    )["Credentials"]
    return lambda service: boto3.session.Session().client(
        service,
        endpoint_url=deployment.cloud.endpoint,
        region_name="eu-west-1",
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )


def getting(table: str, **key: str) -> Attempt:
    item = {name: {"S": value} for name, value in key.items()}
    return lambda client, nightdesk: client("dynamodb").get_item(
        TableName=nightdesk.deployment.outputs[table], Key=item
    )


def putting(table: str, **values: str) -> Attempt:
    item = {name: {"S": value} for name, value in values.items()}
    return lambda client, nightdesk: client("dynamodb").put_item(
        TableName=nightdesk.deployment.outputs[table], Item=item
    )


def reading(parameter: str) -> Attempt:
    return lambda client, _: client("ssm").get_parameter(Name=parameter, WithDecryption=True)


def invoking(function: str) -> Attempt:
    return lambda client, nightdesk: client("lambda").invoke(
        FunctionName=nightdesk.deployment.outputs[function], Payload=json.dumps({}).encode()
    )


def sending(client: Callable[[str], Any], nightdesk: Nightdesk) -> object:
    return client("sqs").send_message(
        QueueUrl=nightdesk.deployment.outputs["WakeUpQueueUrl"], MessageBody="{}"
    )


FORBIDDEN: dict[str, tuple[str, Attempt]] = {
    "executor reads the read token": ("ExecutorFunction", reading(READ_TOKEN)),
    "executor reads the write token": ("ExecutorFunction", reading(WRITE_TOKEN)),
    "executor reads the App's key": ("ExecutorFunction", reading(APP_KEY)),
    "api reads the App's key": ("ApiFunction", reading(APP_KEY)),
    "executor reads poll state": ("ExecutorFunction", getting("GithubTable", pk="a", sk="b")),
    "executor reads API keys": ("ExecutorFunction", getting("AccessTable", id="a")),
    "executor changes an origin": ("ExecutorFunction", putting("OriginsTable", taskId="a")),
    "executor calls the publisher": ("ExecutorFunction", invoking("PublisherFunction")),
    "api reads the write token": ("ApiFunction", reading(WRITE_TOKEN)),
    "api asks for a token": ("ApiFunction", invoking("TokenBrokerFunction")),
    "poller reads the write token": ("GithubPollerFunction", reading(WRITE_TOKEN)),
    "broker reads the write token": ("TokenBrokerFunction", reading(WRITE_TOKEN)),
    "broker writes a task": ("TokenBrokerFunction", putting("TasksTable", id="a")),
    "publisher reads the read token": ("PublisherFunction", reading(READ_TOKEN)),
    "publisher wakes executors": ("PublisherFunction", sending),
    "sweeper reads the write token": ("SweeperFunction", reading(WRITE_TOKEN)),
}
ALLOWED: dict[str, tuple[str, Attempt]] = {
    "executor reads an origin": ("ExecutorFunction", getting("OriginsTable", taskId="a")),
    "poller reads its token": ("GithubPollerFunction", reading(READ_TOKEN)),
    "publisher reads its token": ("PublisherFunction", reading(WRITE_TOKEN)),
    "api wakes executors": ("ApiFunction", sending),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_a_role_may_not(nightdesk: Nightdesk, what: str) -> None:
    function, attempt = FORBIDDEN[what]

    with pytest.raises(ClientError) as refused:
        attempt(as_function(nightdesk, function), nightdesk)

    assert refused.value.response["Error"]["Code"] in {"AccessDeniedException", "AccessDenied"}


@pytest.mark.parametrize("what", ALLOWED)
def test_a_role_may(nightdesk: Nightdesk, what: str) -> None:
    function, attempt = ALLOWED[what]

    attempt(as_function(nightdesk, function), nightdesk)
