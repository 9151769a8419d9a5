"""What every `Conversations` and `PushConfigs` does, on the fakes and on DynamoDB (moto)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import boto3
import pytest

from nightdesk.adapters.dynamodb import conversations as adapter
from nightdesk.adapters.dynamodb.conversations import (
    ConversationItem,
    DynamoConversations,
    DynamoPushConfigs,
    connect_conversations,
)
from nightdesk.adapters.dynamodb.task_store import DynamoTaskStore
from nightdesk.domain.conversations import Conversations, FirstRequest, Listed, SentTask
from nightdesk.domain.errors import InvalidInputError
from nightdesk.domain.ports import TaskStore
from nightdesk.domain.push_configs import (
    CONFIGS_MAX,
    OF_WORKSPACE,
    PushConfig,
    PushConfigs,
    PushFormat,
    workspace_owner,
)
from nightdesk.domain.task import Origin, Task, TaskStatus
from tests.aws import REGION, template
from tests.fakes.clock import NOON
from tests.fakes.conversations import FakeConversations, FakePushConfigs
from tests.fakes.task_store import FakeTaskStore

RETENTION = timedelta(days=90)
MINUTE = timedelta(minutes=1)
SENT = SentTask(
    task_id="t1",
    workspace_id="team",
    agent_id="developer",
    context_id="c1",
    created_at=NOON,
    messages=({"messageId": "m1", "parts": [{"text": "Grüße 👋"}]},),
)
PUSH = PushConfig(
    task_id="t1",
    id="p1",
    url="https://example.com/hook",
    created_at=NOON,
    format=PushFormat.PLAIN,
    token="t",
    scheme="Bearer",
    credentials="secret",
)


@dataclass(frozen=True)
class Stores:
    conversations: Conversations
    pushes: PushConfigs
    tasks: TaskStore


def table_definition() -> Mapping[str, Any]:
    properties: Mapping[str, Any] = template()["Resources"]["ConversationsTable"]["Properties"]
    return properties


@pytest.fixture(params=["fake", "moto"])
def stores(request: pytest.FixtureRequest) -> Stores:
    if request.param == "fake":
        tasks, pushes = FakeTaskStore(), FakePushConfigs()
        return Stores(FakeConversations(tasks, pushes), pushes, tasks)
    request.getfixturevalue("aws_tables")
    definition = table_definition()
    boto3.client("dynamodb", region_name=REGION).create_table(
        TableName="test-conversations",
        **{k: definition[k] for k in ("AttributeDefinitions", "KeySchema", "BillingMode")},
    )
    connect_conversations("test-conversations")
    return Stores(
        DynamoConversations(retention=RETENTION),
        DynamoPushConfigs(retention=RETENTION),
        DynamoTaskStore(slot_count=2, retention=RETENTION),
    )


def test_the_table_has_the_keys_and_the_expiry_that_the_code_reads() -> None:
    schema = ConversationItem._get_schema()
    definition = table_definition()

    assert [key["AttributeName"] for key in definition["KeySchema"]] == [
        key["AttributeName"] for key in schema["key_schema"]
    ]
    assert definition["TimeToLiveSpecification"]["AttributeName"] == "ttl"
    assert "ttl" in {a.attr_name for a in ConversationItem.get_attributes().values()}


def test_a_conversation_reads_back_as_it_was_added(stores: Stores) -> None:
    stores.conversations.add(SENT)

    assert stores.conversations.get("t1") == SENT
    assert stores.conversations.get("t2") is None


def test_adding_twice_changes_nothing(stores: Stores) -> None:
    stores.conversations.add(SENT, PUSH)
    stores.conversations.add(SENT, PUSH)

    assert stores.conversations.get("t1") == SENT
    assert [row.task_id for row in stores.conversations.of_agent("team", "developer")] == ["t1"]


def test_further_messages_come_after_the_first_and_once(stores: Stores) -> None:
    stores.conversations.add(SENT)
    second, third = {"messageId": "m2"}, {"messageId": "m3"}
    stores.conversations.add_message("t1", second, at=NOON + MINUTE)
    stores.conversations.add_message("t1", third, at=NOON + 2 * MINUTE)
    stores.conversations.add_message("t1", second, at=NOON + MINUTE)

    sent = stores.conversations.get("t1")

    assert sent is not None
    assert {str(m["messageId"]) for m in sent.messages} == {"m1", "m2", "m3"}
    assert sent.messages[0]["messageId"] == "m1"
    assert len(sent.messages) == 3


def test_lists_are_of_one_workspace_agent_and_context_the_newest_first(stores: Stores) -> None:
    add = stores.conversations.add
    add(SENT)
    add(replace(SENT, task_id="t2", created_at=NOON + MINUTE))
    add(replace(SENT, task_id="t3", context_id="c2", created_at=NOON + 2 * MINUTE))
    add(replace(SENT, task_id="t4", workspace_id="others"))
    add(replace(SENT, task_id="t5", agent_id="reviewer"))

    of_agent = stores.conversations.of_agent("team", "developer")
    of_context = stores.conversations.of_context("team", "developer", "c1")

    assert [row.task_id for row in of_agent] == ["t3", "t2", "t1"]
    assert [row.task_id for row in of_context] == ["t2", "t1"]
    assert of_agent[0] == Listed("t3", "c2", NOON + 2 * MINUTE)
    assert stores.conversations.of_context("others", "developer", "c2") == []


def test_a_noted_end_stands_in_both_lists(stores: Stores) -> None:
    stores.conversations.add(SENT)
    ended = Listed("t1", "c1", NOON, (TaskStatus.FAILED, NOON + MINUTE))

    stores.conversations.note_ends("team", "developer", [ended])

    assert stores.conversations.of_agent("team", "developer") == [ended]
    assert stores.conversations.of_context("team", "developer", "c1") == [ended]


def test_the_end_of_what_is_no_longer_kept_makes_no_row(stores: Stores) -> None:
    ended = Listed("t1", "c1", NOON, (TaskStatus.FAILED, NOON + MINUTE))

    stores.conversations.note_ends("team", "developer", [ended])

    assert list(stores.conversations.of_agent("team", "developer")) == []
    assert list(stores.conversations.of_context("team", "developer", "c1")) == []


def test_tasks_are_read_many_at_once_and_what_is_gone_is_left_out(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "_BATCH", 3)
    for number in range(8):
        task = Task(
            id=f"t{number}",
            workspace_id="team",
            agent_id="developer",
            title="t",
            created_at=NOON,
            updated_at=NOON,
        )
        stores.tasks.create(task, Origin(task_id=task.id, prompt="p", created_at=NOON))

    found = stores.conversations.tasks([f"t{number}" for number in range(9)])

    assert set(found) == {f"t{number}" for number in range(8)}
    assert found["t7"] == stores.tasks.get("t7")


def test_the_first_request_of_an_idempotency_key_stays(stores: Stores) -> None:
    first = FirstRequest(request_hash="h1", prompt="p1", context_id="c1")
    second = FirstRequest(request_hash="h2", prompt="p2", context_id="c2")
    keep = stores.conversations.first_request

    assert keep("k1", "idem", first, at=NOON) == first
    assert keep("k1", "idem", second, at=NOON) == first
    assert keep("k2", "idem", second, at=NOON) == second


def test_a_callback_may_come_with_the_conversation(stores: Stores) -> None:
    stores.conversations.add(SENT, PUSH)

    assert list(stores.pushes.of_task("t1")) == [PUSH]


def test_callbacks_are_kept_listed_replaced_and_deleted(stores: Stores) -> None:
    later = replace(PUSH, id="p0", created_at=NOON + MINUTE)
    stores.pushes.put(later)
    stores.pushes.put(PUSH)
    changed = replace(PUSH, url="https://example.com/other")
    stores.pushes.put(changed)

    assert list(stores.pushes.of_task("t1")) == [changed, later]
    stores.pushes.delete("t1", "p1")
    stores.pushes.delete("t1", "p1")
    assert list(stores.pushes.of_task("t1")) == [later]
    assert list(stores.pushes.of_task("t2")) == []


def test_a_task_may_have_a_few_callbacks_only(stores: Stores) -> None:
    for number in range(CONFIGS_MAX):
        stores.pushes.put(replace(PUSH, id=f"p{number}"))

    with pytest.raises(InvalidInputError):
        stores.pushes.put(replace(PUSH, id="one-more"))
    stores.pushes.put(replace(PUSH, id="p0", url="https://example.com/other"))


def test_a_deleted_callback_makes_room_for_another(stores: Stores) -> None:
    stores.conversations.add(SENT, PUSH)
    for number in range(1, CONFIGS_MAX):
        stores.pushes.put(replace(PUSH, id=f"p1{number}"))
    with pytest.raises(InvalidInputError):
        stores.pushes.put(replace(PUSH, id="one-more"))

    stores.pushes.delete("t1", "unknown")
    stores.pushes.delete("t1", "p1")
    stores.pushes.put(replace(PUSH, id="one-more"))

    assert "one-more" in [kept.id for kept in stores.pushes.of_task("t1")]
    with pytest.raises(InvalidInputError):
        stores.pushes.put(replace(PUSH, id="p1"))


def test_all_callbacks_of_a_task_may_go_and_new_ones_come(stores: Stores) -> None:
    stores.pushes.put(PUSH)
    stores.pushes.delete("t1", "p1")
    assert list(stores.pushes.of_task("t1")) == []
    stores.pushes.put(PUSH)

    assert list(stores.pushes.of_task("t1")) == [PUSH]


def test_the_callback_of_a_workspace_is_kept_apart_from_its_tasks(stores: Stores) -> None:
    owner = workspace_owner("team")
    of_workspace = replace(PUSH, task_id=owner, id=OF_WORKSPACE, format=PushFormat.JSON)
    stores.pushes.put(of_workspace)

    assert list(stores.pushes.of_task(owner)) == [of_workspace]
    assert list(stores.pushes.of_task("team")) == []


def test_the_callback_of_a_workspace_does_not_expire(stores: Stores) -> None:
    if not isinstance(stores.pushes, DynamoPushConfigs):
        return  # time to live is DynamoDB's
    owner = workspace_owner("team")
    stores.pushes.put(replace(PUSH, task_id=owner, id=OF_WORKSPACE))
    stores.pushes.put(PUSH)

    expires = {(item.id, item.expires is None) for item in ConversationItem.scan()}
    assert expires == {(owner, True), ("t1", False)}


def test_deleting_what_is_not_there_leaves_nothing(stores: Stores) -> None:
    stores.pushes.delete("t1", "p1")

    if isinstance(stores.pushes, DynamoPushConfigs):
        assert list(ConversationItem.scan()) == []
    assert list(stores.pushes.of_task("t1")) == []
