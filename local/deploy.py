"""Deploy template.yaml itself to the embedded cloud, by CloudFormation."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import WaiterError
from samtranslator.yaml_helper import yaml_parse

from local.cloud import ACCOUNT, Cloud
from local.errors import LocalRunError
from local.package import FUNCTION, LAYER, package

STACK = "nightdesk"
#: Name in the file, environment variable, default, conversion: no profile, and an empty file.
NOTHING_OF_THE_USERS = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}
BUCKET = f"nightdesk-deployment-{ACCOUNT}"


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What was deployed: the stack's outputs by name and how its clients are made."""

    outputs: Mapping[str, str]
    cloud: Cloud
    resources: int

    def client(self, service: str) -> Any:
        """An AWS client on the embedded cloud."""
        return client(self.cloud, service)

    @property
    def api_path(self) -> str:
        """Where the embedded cloud serves the HTTP API; on AWS it has a host of its own."""
        return f"{self.cloud.endpoint}/_aws/execute-api/{self.outputs['HttpApiId']}"


def client(cloud: Cloud, service: str) -> Any:
    """An AWS client on the embedded cloud that ignores the user's own AWS configuration."""
    settings = Config(retries={"total_max_attempts": 3}, proxies={}, connect_timeout=5)
    session = botocore.session.Session(session_vars=NOTHING_OF_THE_USERS)
    return session.create_client(service, config=settings, **cloud.credentials())


def deploy(cloud: Cloud, *, root: Path, folder: Path, parameters: Mapping[str, str]) -> Deployment:
    """Package and deploy; returns when everything is there.

    Raises:
        LocalRunError: packaging or a resource failed; the message has the cloud's reason.
    """
    template = yaml_parse((root / "template.yaml").read_text(encoding="utf-8"))
    archives = package(template, root=root, folder=folder)
    _upload(cloud, template, archives)
    formation = client(cloud, "cloudformation")
    formation.create_stack(
        StackName=STACK,
        TemplateURL=f"{cloud.endpoint}/{BUCKET}/template.json",
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    _wait(formation)
    stack = formation.describe_stacks(StackName=STACK)["Stacks"][0]
    deployment = Deployment(
        outputs={output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]},
        cloud=cloud,
        resources=len(formation.list_stack_resources(StackName=STACK)["StackResourceSummaries"]),
    )
    _complete(deployment, parameters, template)
    return deployment


def _upload(cloud: Cloud, template: dict[str, Any], archives: Mapping[str, Path]) -> None:
    storage = client(cloud, "s3")
    storage.create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": storage.meta.region_name}
    )
    for name, archive in archives.items():
        storage.put_object(Bucket=BUCKET, Key=archive.name, Body=archive.read_bytes())
        field = {FUNCTION: "CodeUri", LAYER: "ContentUri"}[template["Resources"][name]["Type"]]
        template["Resources"][name]["Properties"][field] = f"s3://{BUCKET}/{archive.name}"
    body = json.dumps(template, default=str).encode()
    storage.put_object(Bucket=BUCKET, Key="template.json", Body=body)


def _wait(formation: Any) -> None:
    waiter = formation.get_waiter("stack_create_complete")
    try:
        waiter.wait(StackName=STACK, WaiterConfig={"Delay": 0.2, "MaxAttempts": 600})
    except WaiterError as error:
        events = formation.describe_stack_events(StackName=STACK)["StackEvents"]
        reasons = [
            f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}"
            for event in events
            if event["ResourceStatus"].endswith("FAILED") and "ResourceStatusReason" in event
        ]
        raise LocalRunError(f"The deployment failed: {' / '.join(reasons) or error}") from error


def _complete(
    deployment: Deployment, parameters: Mapping[str, str], template: Mapping[str, Any]
) -> None:
    """Do what MiniStack's CloudFormation leaves out.

    It forgets the reserved concurrency, and hands a Number parameter on as a string, which its
    poller of queues cannot compare.
    """
    functions = deployment.client("lambda")
    default = template["Parameters"]["ExecutorReservedConcurrency"]["Default"]
    reserved = int(parameters.get("ExecutorReservedConcurrency", default))
    if reserved:
        functions.put_function_concurrency(
            FunctionName=deployment.outputs["ExecutorFunction"],
            ReservedConcurrentExecutions=reserved,
        )
    for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
        scaling = mapping.get("ScalingConfig")
        if scaling:
            functions.update_event_source_mapping(
                UUID=mapping["UUID"],
                ScalingConfig={"MaximumConcurrency": int(scaling["MaximumConcurrency"])},
            )
