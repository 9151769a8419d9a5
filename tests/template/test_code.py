"""The template and the code agree on tables and on the services that are called."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pynamodb.models import Model

from nightdesk.adapters.dynamodb import conversations, tables
from tests.template.stack import ROOT, Stack, load
from tests.template.test_linters import layer_services

STACK = Stack(load())
PACKAGE = ROOT / "layers" / "nightdesk" / "nightdesk"
MODELS: Mapping[type[Model], str] = {
    tables.TaskItem: "TasksTable",
    tables.OriginItem: "OriginsTable",
    tables.SessionLogItem: "SessionLogTable",
    tables.SlotItem: "LimitsTable",
    tables.BudgetItem: "LimitsTable",
    tables.WorkspaceItem: "WorkspacesTable",
    tables.OutboxItem: "OutboxTable",
    tables.TrackedCommentItem: "OutboxTable",
    tables.GithubItem: "GithubTable",
    tables.AccessItem: "AccessTable",
    conversations.ConversationItem: "ConversationsTable",
}


def keys_of(schema: Any, name: str, kind: str) -> dict[str, str]:
    """Attribute by kind of key: HASH, RANGE."""
    return {key[kind]: key[name] for key in schema}


def deployed_keys(description: Mapping[str, Any]) -> dict[str, str]:
    return keys_of(description["KeySchema"], "AttributeName", "KeyType")


def expected_keys(schema: Mapping[str, Any]) -> dict[str, str]:
    return keys_of(schema["key_schema"], "AttributeName", "KeyType")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: str(model.__name__))
def test_the_code_reads_a_table_by_the_keys_that_it_has(model: type[Model]) -> None:
    deployed = STACK.of_type("AWS::DynamoDB::Table")[MODELS[model]]
    schema = model._get_schema()
    indexes = {
        index["IndexName"]: deployed_keys(index)
        for index in deployed.get("GlobalSecondaryIndexes", [])
    }

    assert deployed_keys(deployed) == expected_keys(schema)
    for index in schema["global_secondary_indexes"]:
        assert indexes[index["index_name"]] == expected_keys(index)


def test_every_model_of_the_code_is_compared() -> None:
    models = {
        value
        for module in (tables, conversations)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Model) and value is not Model
    }

    assert models == set(MODELS)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: str(model.__name__))
def test_what_expires_in_the_code_expires_in_the_table(model: type[Model]) -> None:
    attributes = {attribute.attr_name for attribute in model.get_attributes().values()}
    time_to_live = STACK.of_type("AWS::DynamoDB::Table")[MODELS[model]].get(
        "TimeToLiveSpecification", {}
    )

    assert "ttl" not in attributes or time_to_live == {"AttributeName": "ttl", "Enabled": True}


def clients_made(path: Path) -> Iterator[str]:
    """Literal service names in calls of .client(…) and .create_client(…)."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in {"client", "create_client"}
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield str(node.args[0].value)


def test_the_layer_keeps_the_description_of_every_service_that_is_called() -> None:
    called = {service for path in PACKAGE.rglob("*.py") for service in clients_made(path)}

    assert called
    assert called - set(layer_services()) == set()
