"""The deployed tables and queue, as template.yaml declares them, inside moto.

moto runs in-process. Its transactions lose concurrent writes and ignore request tokens, so it
serves single-threaded tests only.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto import mock_aws

from nightdesk.adapters.dynamodb.tables import TableNames, connect

REGION = "eu-west-1"
TEMPLATE = Path(__file__).parents[1] / "template.yaml"
#: Our attribute of `TableNames` to the template's resource.
TABLES = {
    "tasks": "TasksTable",
    "origins": "OriginsTable",
    "session_log": "SessionLogTable",
    "outbox": "OutboxTable",
    "github": "GithubTable",
    "access": "AccessTable",
    "limits": "LimitsTable",
    "workspaces": "WorkspacesTable",
}
_CREATE = (
    "AttributeDefinitions",
    "KeySchema",
    "GlobalSecondaryIndexes",
    "BillingMode",
)


class _TemplateLoader(yaml.SafeLoader):
    """Reads `!Ref` and its kin as plain values; the tables use none that matters."""


def _any_tag(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node, deep=True)


_TemplateLoader.add_multi_constructor("!", _any_tag)


def template() -> dict[str, Any]:
    """template.yaml as plain data."""
    loaded = yaml.load(TEMPLATE.read_text(), Loader=_TemplateLoader)
    assert isinstance(loaded, dict)
    return loaded


def table_definitions() -> dict[str, dict[str, Any]]:
    """`TableNames` field to the arguments of CreateTable, from template.yaml."""
    resources = template()["Resources"]
    return {
        field: {k: v for k, v in resources[logical]["Properties"].items() if k in _CREATE}
        for field, logical in TABLES.items()
    }


def create_tables(prefix: str) -> TableNames:
    """Create all tables of the template through boto3's current endpoint, and connect to them."""
    client = boto3.client("dynamodb", region_name=REGION)
    names = {field: f"{prefix}{field}" for field in TABLES}
    for field, definition in table_definitions().items():
        client.create_table(TableName=names[field], **definition)
    tables = TableNames(**names)
    connect(tables, region=REGION)
    return tables


@contextmanager
def moto_cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[TableNames]:
    """An empty AWS account in memory with Nightdesk's tables."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield create_tables("test-")
