"""Conversations and callbacks in the `Conversations` table, which no executor may touch.

Items, by `id` and `sk`:
    <task id>                     head               {ws, agent, context}
    <task id>                     message#<n>#<id>   a message as it came
    <task id>                     push#<config id>   a callback; its secrets are encrypted at rest
    <task id>                     pushes             {ids} of its callbacks
    workspace#<ws>                push#@workspace    the callback of a workspace
    agent#<ws>#<agent>            <created>#<task>   a row of a list; `st`, `sa` once it ended
    context#<ws>#<agent>#<ctx>    <created>#<task>   the same
    request#<key>#<hash>          -                  the first request of an Idempotency-Key
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pynamodb.attributes import NumberAttribute, UnicodeAttribute, UnicodeSetAttribute
from pynamodb.expressions.condition import Condition, size
from pynamodb.expressions.update import Action
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from nightdesk.adapters.dynamodb.tables import (
    CONNECT_TIMEOUT_SECONDS,
    READ_TIMEOUT_SECONDS,
    RETRIES,
    InstantAttribute,
    PackedAttribute,
    TaskItem,
    connection,
    instant,
)
from nightdesk.adapters.dynamodb.task_items import task_of
from nightdesk.adapters.dynamodb.transactions import (
    ConditionFailed,
    batch_get,
    patiently,
    transact,
    translated,
)
from nightdesk.domain.conversations import FirstRequest, Listed, SentTask
from nightdesk.domain.errors import InvalidInputError
from nightdesk.domain.push_configs import (
    CONFIGS_MAX,
    OF_WORKSPACE,
    PushConfig,
    PushFormat,
)
from nightdesk.domain.task import RUN_AFTER_MAX, Task, TaskStatus

#: DynamoDB's limit of keys in one BatchGetItem.
_BATCH = 100
_HEAD, _MESSAGE, _PUSH = "head", "message#", "push#"
#: The row that holds the ids of a task's callbacks, so that no race makes too many of them.
_COUNTED = "pushes"


class ConversationItem(Model):
    """One item; which one, its keys say (see the module)."""

    class Meta:
        """Where it is; see `connect_conversations`."""

        table_name = ""
        connect_timeout_seconds = CONNECT_TIMEOUT_SECONDS
        read_timeout_seconds = READ_TIMEOUT_SECONDS
        max_retry_attempts = RETRIES
        region = None

    id = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    document = PackedAttribute(attr_name="d", null=True)
    context_id = UnicodeAttribute(attr_name="cx", null=True)
    #: Of the row that counts a task's callbacks: their ids.
    config_ids = UnicodeSetAttribute(attr_name="ids", null=True)
    status = UnicodeAttribute(attr_name="st", null=True)
    ended_at = InstantAttribute(attr_name="sa", null=True)
    expires = NumberAttribute(attr_name="ttl", null=True)


def connect_conversations(table_name: str) -> None:
    """Point the model at its table, over the connection that `tables.connect` made."""
    ConversationItem.Meta.table_name = table_name
    ConversationItem._connection = None  # noqa: SLF001 - see tables.connect
    table = ConversationItem._get_connection()  # noqa: SLF001
    meta = table.connection.get_meta_table(table_name)
    connection().add_meta_table(meta)
    table.connection = connection()


class DynamoConversations:
    """`Conversations` on DynamoDB."""

    def __init__(self, *, retention: timedelta) -> None:
        self._retention = retention

    def add(self, sent: SentTask, push: PushConfig | None = None) -> None:
        items = list(self._items(sent))

        def fill(transaction: TransactWrite) -> None:
            for item in items:
                transaction.save(item)
            if push is not None:
                expires = self._expires(sent.created_at)
                counted = ConversationItem(push.task_id, _COUNTED)
                transaction.update(counted, actions=_counted(push, expires))
                transaction.save(_push_item(push, expires))

        transact(fill)

    def add_message(self, task_id: str, message: Mapping[str, Any], *, at: datetime) -> None:
        item = ConversationItem(
            task_id,
            _message_key(instant(at), message),
            document=dict(message),
            expires=self._expires(at),
        )
        patiently(item.save)

    def get(self, task_id: str) -> SentTask | None:
        with translated():
            items = list(
                ConversationItem.query(task_id, ConversationItem.sk < _PUSH, consistent_read=True)
            )
        heads = [item for item in items if item.sk == _HEAD]
        if not heads:
            return None
        head: Mapping[str, Any] = heads[0].document
        return SentTask(
            task_id=task_id,
            workspace_id=head["ws"],
            agent_id=head["agent"],
            context_id=head["context"],
            created_at=datetime.fromisoformat(head["created"]),
            messages=tuple(item.document for item in items if item.sk.startswith(_MESSAGE)),
        )

    def of_agent(self, workspace_id: str, agent_id: str) -> Sequence[Listed]:
        return _list(_agent_key(workspace_id, agent_id))

    def of_context(self, workspace_id: str, agent_id: str, context_id: str) -> Sequence[Listed]:
        return _list(_context_key(workspace_id, agent_id, context_id))

    def note_ends(self, workspace_id: str, agent_id: str, ended: Sequence[Listed]) -> None:
        for row in ended:
            if row.ended is None:
                continue
            status, when = row.ended
            actions: list[Action] = [
                ConversationItem.status.set(status.value),
                ConversationItem.ended_at.set(when),
            ]
            keys = (
                _agent_key(workspace_id, agent_id),
                _context_key(workspace_id, agent_id, row.context_id),
            )

            def fill(
                transaction: TransactWrite,
                keys: tuple[str, ...] = keys,
                row: Listed = row,
                actions: list[Action] = actions,
            ) -> None:
                for key in keys:
                    transaction.update(
                        ConversationItem(key, _row_key(row.created_at, row.task_id)),
                        actions=actions,
                        condition=ConversationItem.sk.exists(),
                    )

            try:
                transact(fill)
            except ConditionFailed:
                continue  # its retention is over

    def tasks(self, task_ids: Sequence[str]) -> Mapping[str, Task]:
        table = TaskItem.Meta.table_name
        unique = list(dict.fromkeys(task_ids))
        found: dict[str, Task] = {}
        for start in range(0, len(unique), _BATCH):
            keys = [{"id": {"S": i}} for i in unique[start : start + _BATCH]]
            request: Mapping[str, Any] = {table: {"Keys": keys, "ConsistentRead": True}}
            while request:
                answer = batch_get(request)
                for raw in answer["Responses"].get(table, []):
                    item = TaskItem()
                    item.deserialize(raw)
                    if not item.deleted:
                        found[item.id] = task_of(item)
                request = answer.get("UnprocessedKeys") or {}
        return found

    def first_request(
        self, key_id: str, idempotency_key: str, request: FirstRequest, *, at: datetime
    ) -> FirstRequest:
        digest = hashlib.sha256(idempotency_key.encode()).hexdigest()
        item = ConversationItem(
            f"request#{key_id}#{digest}",
            "-",
            document={
                "hash": request.request_hash,
                "prompt": request.prompt,
                "context": request.context_id,
            },
            expires=self._expires(at),
        )
        try:
            patiently(lambda: item.save(condition=ConversationItem.sk.does_not_exist()))
        except ConditionFailed:
            with translated():
                kept: Mapping[str, Any] = ConversationItem.get(
                    item.id, "-", consistent_read=True
                ).document
            return FirstRequest(
                request_hash=kept["hash"], prompt=kept["prompt"], context_id=kept["context"]
            )
        return request

    def _items(self, sent: SentTask) -> Iterator[ConversationItem]:
        expires, row = self._expires(sent.created_at), _row_key(sent.created_at, sent.task_id)
        head = {
            "ws": sent.workspace_id,
            "agent": sent.agent_id,
            "context": sent.context_id,
            "created": instant(sent.created_at),
        }
        yield ConversationItem(sent.task_id, _HEAD, document=head, expires=expires)
        for message in sent.messages:
            # The first ones sort before all that come later, whatever the clocks say.
            key = _message_key("0", message)
            yield ConversationItem(sent.task_id, key, document=dict(message), expires=expires)
        agent, context = sent.agent_id, sent.context_id
        for key in (
            _agent_key(sent.workspace_id, agent),
            _context_key(sent.workspace_id, agent, context),
        ):
            yield ConversationItem(key, row, context_id=context, expires=expires)

    def _expires(self, at: datetime) -> int:
        """It must outlive the finished task, as its origin does."""
        return int((at + RUN_AFTER_MAX + 2 * self._retention).timestamp())


class DynamoPushConfigs:
    """`PushConfigs` on DynamoDB, in the same table."""

    def __init__(self, *, retention: timedelta) -> None:
        self._retention = retention

    def put(self, config: PushConfig) -> None:
        expires = _push_expires(config, self._retention)

        def fill(transaction: TransactWrite) -> None:
            transaction.update(
                ConversationItem(config.task_id, _COUNTED),
                actions=_counted(config, expires),
                condition=_room_for(config),
            )
            transaction.save(_push_item(config, expires))

        try:
            transact(fill)
        except ConditionFailed as error:
            raise InvalidInputError(
                "pushNotificationConfig", f"a task may have {CONFIGS_MAX} configurations"
            ) from error

    def of_task(self, task_id: str) -> Sequence[PushConfig]:
        with translated():
            items = list(
                ConversationItem.query(
                    task_id, ConversationItem.sk.startswith(_PUSH), consistent_read=True
                )
            )
        return sorted((_push_of(i) for i in items), key=lambda kept: (kept.created_at, kept.id))

    def delete(self, task_id: str, config_id: str) -> None:
        def fill(transaction: TransactWrite) -> None:
            transaction.update(
                ConversationItem(task_id, _COUNTED),
                actions=[ConversationItem.config_ids.delete({config_id})],
                condition=ConversationItem.config_ids.contains(config_id),
            )
            transaction.delete(ConversationItem(task_id, _PUSH + config_id))

        try:
            transact(fill)
        except ConditionFailed:
            return  # there is none


def _list(key: str) -> list[Listed]:
    with translated():
        items = list(ConversationItem.query(key, scan_index_forward=False, consistent_read=True))
    return [_listed(item) for item in items]


def _listed(item: ConversationItem) -> Listed:
    created, _, task_id = item.sk.partition("#")
    ended = (TaskStatus(item.status), item.ended_at) if item.status else None
    return Listed(task_id, item.context_id, datetime.fromisoformat(created), ended)


def _agent_key(workspace_id: str, agent_id: str) -> str:
    return f"agent#{workspace_id}#{agent_id}"


def _context_key(workspace_id: str, agent_id: str, context_id: str) -> str:
    # Neither a workspace nor an agent has a # in its name, so nobody's context is another's.
    return f"context#{workspace_id}#{agent_id}#{context_id}"


def _row_key(created_at: datetime, task_id: str) -> str:
    return f"{instant(created_at)}#{task_id}"


def _message_key(order: str, message: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(str(message.get("messageId", "")).encode()).hexdigest()[:16]
    return f"{_MESSAGE}{order}#{digest}"


def _room_for(config: PushConfig) -> Condition:
    """It is known already, or the task has fewer than it may have."""
    room: Condition = (
        ConversationItem.config_ids.does_not_exist()
        | (size(ConversationItem.config_ids) < CONFIGS_MAX)
        | ConversationItem.config_ids.contains(config.id)
    )
    return room


def _counted(config: PushConfig, expires: int | None) -> list[Action]:
    actions: list[Action] = [ConversationItem.config_ids.add({config.id})]
    if expires is not None:
        actions.append(ConversationItem.expires.set(expires))
    return actions


def _push_expires(config: PushConfig, retention: timedelta) -> int | None:
    """With its task; a workspace's stays."""
    if config.id == OF_WORKSPACE:
        return None
    return int((config.created_at + RUN_AFTER_MAX + 2 * retention).timestamp())


def _push_item(config: PushConfig, expires: int | None) -> ConversationItem:
    document = {
        "url": config.url,
        "format": config.format.value,
        "token": config.token,
        "scheme": config.scheme,
        "credentials": config.credentials,
        "created": instant(config.created_at),
    }
    return ConversationItem(config.task_id, _PUSH + config.id, document=document, expires=expires)


def _push_of(item: ConversationItem) -> PushConfig:
    document: Mapping[str, Any] = item.document
    return PushConfig(
        task_id=item.id,
        id=item.sk.removeprefix(_PUSH),
        url=document["url"],
        created_at=datetime.fromisoformat(document["created"]),
        format=PushFormat(document["format"]),
        token=document["token"],
        scheme=document["scheme"],
        credentials=document["credentials"],
    )
