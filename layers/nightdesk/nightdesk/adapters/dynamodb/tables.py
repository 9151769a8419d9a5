"""The tables of template.yaml as PynamoDB models: names, keys and the short attribute names.

A DynamoDB update is billed by the size of the whole item, and names count; hence the short names
of the hot `Tasks` item. `docs/architecture.md` lists them for people who read a table by hand.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from pynamodb.attributes import (
    Attribute,
    BooleanAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
)
from pynamodb.connection import Connection
from pynamodb.constants import BINARY, MAP, NUMBER, STRING
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model

# Each call is bounded: one try takes at most 1 s to connect and 3 s to answer, and is made three
# times. A transaction carries a request token, so that a repetition after a lost answer is safe.
CONNECT_TIMEOUT_SECONDS = 1
READ_TIMEOUT_SECONDS = 3
RETRIES = 2
#: At most, of connections kept open: the poller has as many threads.
CONNECTIONS = 32


class InstantAttribute(Attribute[datetime]):
    """A time as `2026-11-21T22:01:40.123Z`: fixed width, so that strings sort as times do."""

    attr_type = STRING

    def serialize(self, value: datetime) -> str:
        return instant(value)

    def deserialize(self, value: str) -> datetime:
        return datetime.fromisoformat(value)


def instant(value: datetime) -> str:
    """The stored form of an aware UTC time, in milliseconds."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class PackedAttribute(Attribute[Any]):
    """A JSON document, compressed."""

    attr_type = BINARY

    def serialize(self, value: Any) -> bytes:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return zlib.compress(text.encode())

    def deserialize(self, value: bytes) -> Any:
        return json.loads(zlib.decompress(value))


class CountsAttribute(Attribute[dict[str, int]]):
    """Counts by name, each to be counted up in place."""

    attr_type = MAP

    def serialize(self, value: dict[str, int]) -> dict[str, dict[str, str]]:
        return {name: {NUMBER: str(count)} for name, count in value.items()}

    def deserialize(self, value: dict[str, dict[str, str]]) -> dict[str, int]:
        return {name: int(count[NUMBER]) for name, count in value.items()}


class _Meta:
    table_name = ""
    connect_timeout_seconds = CONNECT_TIMEOUT_SECONDS
    read_timeout_seconds = READ_TIMEOUT_SECONDS
    max_retry_attempts = RETRIES
    region: ClassVar[str | None] = None


class _ByWorkspace(GlobalSecondaryIndex["TaskItem"]):
    class Meta:
        index_name = "by_workspace"
        projection = KeysOnlyProjection()

    workspace_id = UnicodeAttribute(attr_name="ws", hash_key=True)
    created_at = InstantAttribute(attr_name="cr", range_key=True)


class _ByWorkspaceStatus(GlobalSecondaryIndex["TaskItem"]):
    class Meta:
        index_name = "by_workspace_status"
        projection = KeysOnlyProjection()

    workspace_status = UnicodeAttribute(attr_name="wsst", hash_key=True)
    created_at = InstantAttribute(attr_name="cr", range_key=True)


class _ByStatus(GlobalSecondaryIndex["TaskItem"]):
    class Meta:
        index_name = "by_status"
        projection = KeysOnlyProjection()

    status = UnicodeAttribute(attr_name="st", hash_key=True)
    created_at = InstantAttribute(attr_name="cr", range_key=True)


class _Runnable(GlobalSecondaryIndex["TaskItem"]):
    class Meta:
        index_name = "runnable"
        projection = KeysOnlyProjection()

    runnable = UnicodeAttribute(attr_name="rp", hash_key=True)
    rank = UnicodeAttribute(attr_name="rk", range_key=True)


class _TasksDue(GlobalSecondaryIndex["TaskItem"]):
    class Meta:
        index_name = "due"
        projection = KeysOnlyProjection()

    due_shard = UnicodeAttribute(attr_name="ds", hash_key=True)
    due_at = InstantAttribute(attr_name="da", range_key=True)


class _GroupWaiting(GlobalSecondaryIndex["TaskItem"]):
    class Meta:
        index_name = "group_waiting"
        projection = KeysOnlyProjection()

    group_waiting = UnicodeAttribute(attr_name="gw", hash_key=True)
    group_rank = UnicodeAttribute(attr_name="rk2", range_key=True)


class TaskItem(Model):
    """The hot item of a task: under 1 KB whatever its prompt."""

    class Meta(_Meta):
        """Set by `connect`."""

    id = UnicodeAttribute(hash_key=True)
    workspace_id = UnicodeAttribute(attr_name="ws", null=True)
    agent_id = UnicodeAttribute(attr_name="ag", null=True)
    title = UnicodeAttribute(attr_name="ti", null=True)
    status = UnicodeAttribute(attr_name="st", null=True)
    priority = UnicodeAttribute(attr_name="pr", null=True)
    trigger_source = UnicodeAttribute(attr_name="src", null=True)
    triggered_by = UnicodeAttribute(attr_name="by", null=True)
    attempts = NumberAttribute(attr_name="at", null=True)
    max_attempts = NumberAttribute(attr_name="ma", null=True)
    timeout_ms = NumberAttribute(attr_name="to", null=True)
    created_at = InstantAttribute(attr_name="cr", null=True)
    updated_at = InstantAttribute(attr_name="up", null=True)
    run_after = InstantAttribute(attr_name="ra", null=True)
    queued_at = InstantAttribute(attr_name="qa", null=True)
    started_at = InstantAttribute(attr_name="sa", null=True)
    completed_at = InstantAttribute(attr_name="ca", null=True)
    result_session_id = UnicodeAttribute(attr_name="ses", null=True)
    error_code = UnicodeAttribute(attr_name="ec", null=True)
    error_message = UnicodeAttribute(attr_name="em", null=True)
    last_activity = InstantAttribute(attr_name="la", null=True)
    current_activity = UnicodeAttribute(attr_name="act", null=True)
    tool_call_count = NumberAttribute(attr_name="tc", null=True)
    input_tokens = NumberAttribute(attr_name="it", null=True)
    output_tokens = NumberAttribute(attr_name="ot", null=True)
    cache_read_tokens = NumberAttribute(attr_name="crt", null=True)
    cost_micros = NumberAttribute(attr_name="co", null=True)
    reserved_micros = NumberAttribute(attr_name="rv", null=True)
    publication = UnicodeAttribute(attr_name="pub", null=True)
    run = NumberAttribute(attr_name="rn", null=True)
    fence = NumberAttribute(attr_name="f", null=True)
    lease_until = InstantAttribute(attr_name="lu", null=True)
    slot = NumberAttribute(attr_name="sl", null=True)
    last_entry = NumberAttribute(attr_name="seq", null=True)
    cancel_requested = BooleanAttribute(attr_name="cx", null=True)
    continuing = BooleanAttribute(attr_name="ctn", null=True)
    hops = NumberAttribute(attr_name="hop", null=True)
    held = UnicodeAttribute(attr_name="hd", null=True)
    group = UnicodeAttribute(attr_name="gr", null=True)
    supersedes = BooleanAttribute(attr_name="sup", null=True)
    superseded_by = UnicodeAttribute(attr_name="sby", null=True)
    context_id = UnicodeAttribute(attr_name="ctx", null=True)
    waiting_since = InstantAttribute(attr_name="ws0", null=True)
    waited_ms = NumberAttribute(attr_name="wms", null=True)
    inbox = NumberAttribute(attr_name="in", null=True)
    inbox_read = NumberAttribute(attr_name="inr", null=True)
    has_dependants = BooleanAttribute(attr_name="dep", null=True)
    tracked = BooleanAttribute(attr_name="trk", null=True)
    has_callbacks = BooleanAttribute(attr_name="cb", null=True)
    charged_micros = NumberAttribute(attr_name="chm", null=True)
    charged_day = UnicodeAttribute(attr_name="chd", null=True)
    cost_at_claim = NumberAttribute(attr_name="cac", null=True)
    #: A tombstone: nothing else is left of the task, and every read shows it as absent.
    deleted = BooleanAttribute(attr_name="del", null=True)
    # Index keys, derived from the above by `index_keys` and never read back.
    workspace_status = UnicodeAttribute(attr_name="wsst", null=True)
    runnable = UnicodeAttribute(attr_name="rp", null=True)
    rank = UnicodeAttribute(attr_name="rk", null=True)
    due_shard = UnicodeAttribute(attr_name="ds", null=True)
    due_at = InstantAttribute(attr_name="da", null=True)
    group_waiting = UnicodeAttribute(attr_name="gw", null=True)
    group_rank = UnicodeAttribute(attr_name="rk2", null=True)
    expires = NumberAttribute(attr_name="ttl", null=True)

    by_workspace = _ByWorkspace()
    by_workspace_status = _ByWorkspaceStatus()
    by_status = _ByStatus()
    by_rank = _Runnable()
    by_due = _TasksDue()
    by_group = _GroupWaiting()


class OriginItem(Model):
    """What never changes: prompt, target, trigger, limits, allowed intents."""

    class Meta(_Meta):
        """Set by `connect`."""

    task_id = UnicodeAttribute(attr_name="taskId", hash_key=True)
    document = PackedAttribute(attr_name="doc")
    expires = NumberAttribute(attr_name="ttl")


class SessionLogItem(Model):
    """One journal entry; `entry` is `0001#000001`: run and sequence number."""

    class Meta(_Meta):
        """Set by `connect`."""

    task_id = UnicodeAttribute(attr_name="taskId", hash_key=True)
    entry = UnicodeAttribute(range_key=True)
    kind = UnicodeAttribute(attr_name="k")
    at = InstantAttribute(attr_name="at")
    fence = NumberAttribute(attr_name="f", null=True)
    document = PackedAttribute(attr_name="doc")
    expires = NumberAttribute(attr_name="ttl")


class SlotItem(Model):
    """A permit to run, in the `Limits` table: `slot#0`, `slot#1`, and `group#<name>` for each
    concurrency group. Free without a task id.
    """

    class Meta(_Meta):
        """Set by `connect`."""

    id = UnicodeAttribute(hash_key=True)
    task_id = UnicodeAttribute(attr_name="taskId", null=True)
    fence = NumberAttribute(attr_name="fence", null=True)
    message_id = UnicodeAttribute(attr_name="messageId", null=True)


class BudgetItem(Model):
    """What a workspace has used of its day, in the `Limits` table: `budget#<workspace>#<day>`."""

    class Meta(_Meta):
        """Set by `connect`."""

    id = UnicodeAttribute(hash_key=True)
    tasks = NumberAttribute(attr_name="tasks", null=True)
    micros = NumberAttribute(attr_name="micros", null=True)
    expires = NumberAttribute(attr_name="ttl", null=True)


class WorkspaceItem(Model):
    """A workspace's settings (`sk` = `settings`); under `*` also the next times of schedules."""

    class Meta(_Meta):
        """Set by `connect`."""

    workspace_id = UnicodeAttribute(attr_name="ws", hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    document = PackedAttribute(attr_name="doc", null=True)
    next_due = InstantAttribute(attr_name="nd", null=True)


class _OutboxDue(GlobalSecondaryIndex["OutboxItem"]):
    class Meta:
        index_name = "due"
        projection = KeysOnlyProjection()

    due_shard = UnicodeAttribute(attr_name="ds", hash_key=True)
    due_at = InstantAttribute(attr_name="da", range_key=True)


class _OutboxDead(GlobalSecondaryIndex["OutboxItem"]):
    class Meta:
        index_name = "dead"
        projection = KeysOnlyProjection()

    dead_workspace_id = UnicodeAttribute(attr_name="dw", hash_key=True)
    created_at = InstantAttribute(attr_name="cr", range_key=True)


class OutboxItem(Model):
    """A row that waits to be published. Present in `due` until it is DONE or DEAD, and in `dead`
    while it is DEAD and somebody may send it again.
    """

    class Meta(_Meta):
        """Set by `connect`."""

    task_id = UnicodeAttribute(attr_name="taskId", hash_key=True)
    row = UnicodeAttribute(range_key=True)
    document = PackedAttribute(attr_name="doc")
    state = UnicodeAttribute(attr_name="st")
    tries = NumberAttribute(attr_name="n", default=0)
    waits = NumberAttribute(attr_name="nw", null=True)
    created_at = InstantAttribute(attr_name="cr")
    due_shard = UnicodeAttribute(attr_name="ds", null=True)
    due_at = InstantAttribute(attr_name="da", null=True)
    result_url = UnicodeAttribute(attr_name="url", null=True)
    last_error = UnicodeAttribute(attr_name="err", null=True)
    workspace_id = UnicodeAttribute(attr_name="ws", null=True)
    dead_workspace_id = UnicodeAttribute(attr_name="dw", null=True)
    expires = NumberAttribute(attr_name="ttl")

    by_due = _OutboxDue()
    by_dead = _OutboxDead()


class TrackedCommentItem(Model):
    """What is remembered of one tracking comment: in the `Outbox` table, `thread#<key>`."""

    class Meta(_Meta):
        """Set by `connect`."""

    task_id = UnicodeAttribute(attr_name="taskId", hash_key=True)
    row = UnicodeAttribute(range_key=True)
    document = PackedAttribute(attr_name="doc", null=True)
    began_at = InstantAttribute(attr_name="cr", null=True)
    version = NumberAttribute(attr_name="v", null=True)
    lease_until = InstantAttribute(attr_name="lu", null=True)
    expires = NumberAttribute(attr_name="ttl", null=True)


class GithubItem(Model):
    """Poll state and seen keys: `repo#owner/name` and `seen#<natural key>`."""

    class Meta(_Meta):
        """Set by `connect`."""

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    document = PackedAttribute(attr_name="doc", null=True)
    version = NumberAttribute(attr_name="v", null=True)
    lease_until = InstantAttribute(attr_name="lu", null=True)
    members = UnicodeSetAttribute(attr_name="ids", null=True)
    expires = NumberAttribute(attr_name="ttl", null=True)


class AccessItem(Model):
    """An API key; its secret is stored hashed."""

    class Meta(_Meta):
        """Set by `connect`."""

    id = UnicodeAttribute(hash_key=True)
    secret_hash = UnicodeAttribute(attr_name="hash")
    workspace_id = UnicodeAttribute(attr_name="ws")
    document = PackedAttribute(attr_name="doc")
    created_at = InstantAttribute(attr_name="cr")
    last_used_at = InstantAttribute(attr_name="lastUsed", null=True)
    revoked_at = InstantAttribute(attr_name="revoked", null=True)
    uses = NumberAttribute(attr_name="uses", default=0)
    limit = NumberAttribute(attr_name="lim")
    #: Uses by window, on four shelves (access_store); each is there from the beginning.
    shelf_0 = CountsAttribute(attr_name="w0", default=dict)
    shelf_1 = CountsAttribute(attr_name="w1", default=dict)
    shelf_2 = CountsAttribute(attr_name="w2", default=dict)
    shelf_3 = CountsAttribute(attr_name="w3", default=dict)
    rotated_at = InstantAttribute(attr_name="rotated", null=True)
    previous_hash = UnicodeAttribute(attr_name="prev", null=True)
    previous_until = InstantAttribute(attr_name="prevUntil", null=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableNames:
    """Names of the deployed tables; "" for those that the function may not touch."""

    tasks: str = ""
    origins: str = ""
    session_log: str = ""
    outbox: str = ""
    github: str = ""
    access: str = ""
    limits: str = ""
    workspaces: str = ""


def connect(names: TableNames, *, region: str | None = None) -> None:
    """Point the models at the deployed tables. `AWS_ENDPOINT_URL` is honoured by botocore.

    All models share one connection, hence one client: PynamoDB would make one for each table, at
    some 50 ms of a cold start each.
    """
    global _shared  # noqa: PLW0603 - PynamoDB's models are global, and so is what they share
    _shared = Connection(
        region=region,
        connect_timeout_seconds=CONNECT_TIMEOUT_SECONDS,
        read_timeout_seconds=READ_TIMEOUT_SECONDS,
        max_retry_attempts=RETRIES,
        max_pool_connections=CONNECTIONS,
    )
    added: set[str] = set()
    for model, table_name in _tables(names).items():
        model.Meta.table_name = table_name
        model._connection = None  # noqa: SLF001 - PynamoDB caches it, and has no other reset
        table = model._get_connection()  # noqa: SLF001 - nor another way to share a connection
        meta = table.connection.get_meta_table(table_name)
        if table_name not in added:  # two models may share a table
            _shared.add_meta_table(meta)
            added.add(table_name)
        table.connection = _shared


def connection() -> Connection:
    """The connection that all models share.

    Raises:
        RuntimeError: `connect` was not called.
    """
    if _shared is None:
        raise RuntimeError("tables.connect() was not called")
    return _shared


_shared: Connection | None = None


def _tables(names: TableNames) -> Mapping[type[Model], str]:
    known: Mapping[type[Model], str] = {
        TaskItem: names.tasks,
        OriginItem: names.origins,
        SessionLogItem: names.session_log,
        OutboxItem: names.outbox,
        TrackedCommentItem: names.outbox,
        GithubItem: names.github,
        AccessItem: names.access,
        SlotItem: names.limits,
        BudgetItem: names.limits,
        WorkspaceItem: names.workspaces,
    }
    return {model: name for model, name in known.items() if name}


SHARDS = 4


def shard_of(task_id: str) -> str:
    """Spreads the `due` indexes over a few partitions; stable for an id."""
    return str(zlib.crc32(task_id.encode()) % SHARDS)
