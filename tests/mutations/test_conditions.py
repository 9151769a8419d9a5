"""Every condition of every conditional write is needed: without it, some contract test fails.

`make test` tries every mutant of the adapters. A survivor is printed with its file, line and
expression: it needs a contract test, or it is not needed.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import boto3
import pytest

from nightdesk.adapters.dynamodb import (
    access_store,
    conditions,
    conversations,
    decisions,
    deferred_events,
    due_times,
    github_state,
    outbox_store,
    task_store,
    tracked_comments,
)
from nightdesk.adapters.dynamodb.task_items import outbox_item
from nightdesk.domain.outbox import OutboxRow
from tests.a2a import test_conversations
from tests.access import test_access_store
from tests.aws import REGION, moto_cloud
from tests.engine import (
    test_task_store,
    test_task_store_callbacks,
    test_task_store_conditions,
    test_task_store_limits,
)
from tests.mutations.conditions import Mutant, helpers_of, mutants_of
from tests.mutations.contract import Contract, mutated
from tests.poller import test_decisions, test_deferred_events, test_poll_states
from tests.publisher import test_outbox_store, test_tracked_comments
from tests.schedules import test_due_times


def _put(row: OutboxRow) -> None:
    outbox_item(row, retention=RETENTION).save()


RETENTION = timedelta(days=90)
CONTRACTS = {
    "tasks": Contract(
        (task_store, conditions),
        (
            test_task_store,
            test_task_store_limits,
            test_task_store_conditions,
            test_task_store_callbacks,
        ),
        "store",
        lambda: {"store": task_store.DynamoTaskStore(slot_count=2, retention=RETENTION)},
    ),
    "outbox": Contract(
        (outbox_store,),
        (test_outbox_store,),
        "store",
        lambda: {"store": outbox_store.DynamoOutboxStore(), "put": _put},
    ),
    "tracked": Contract(
        (tracked_comments,),
        (test_tracked_comments,),
        "tracked",
        lambda: {"tracked": tracked_comments.DynamoTrackedComments(kept_for=RETENTION)},
    ),
    "github": Contract(
        (github_state,),
        (test_poll_states,),
        "states",
        lambda: {"states": github_state.DynamoPollStates()},
    ),
    "deferred": Contract(
        (deferred_events,),
        (test_deferred_events,),
        "deferred_events",
        lambda: {"deferred_events": deferred_events.DynamoDeferredEvents()},
    ),
    "counts": Contract(
        (decisions,),
        (test_decisions,),
        "counts",
        lambda: {"counts": decisions.DynamoTaskCounts()},
    ),
    "due_times": Contract(
        (due_times,),
        (test_due_times,),
        "due_times",
        lambda: {"due_times": due_times.DynamoDueTimes()},
    ),
    "access": Contract(
        (access_store,),
        (test_access_store,),
        "store",
        lambda: {"store": access_store.DynamoAccessStore()},
    ),
    "conversations": Contract(
        (conversations,),
        (test_conversations,),
        "stores",
        lambda: {
            "stores": test_conversations.Stores(
                conversations.DynamoConversations(retention=RETENTION),
                conversations.DynamoPushConfigs(retention=RETENTION),
                task_store.DynamoTaskStore(slot_count=2, retention=RETENTION),
            )
        },
    ),
}


@pytest.fixture(scope="module")
def shared_tables() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch, moto_cloud(monkeypatch):
        definition = test_conversations.table_definition()
        boto3.client("dynamodb", region_name=REGION).create_table(
            TableName="test-conversations",
            **{k: definition[k] for k in ("AttributeDefinitions", "KeySchema", "BillingMode")},
        )
        conversations.connect_conversations("test-conversations")
        yield


#: Two conditions of one transaction that say the same in two places: without one, the other
#: refuses just the same writes, so no test can tell. Both stay: each is cheap, and says its thing.
REDUNDANT = {
    # A message's number is taken exactly when the inbox has been counted up.
    ("DynamoTaskStore.send_mail", "SessionLogItem.entry.does_not_exist()"),
}
#: What `make test` tries of the task store: claim, step, heartbeat and the final write, with all
#: that they are put together from. `make prove` tries the rest too.
CORE = frozenset(
    {
        "DynamoTaskStore.claim",
        "DynamoTaskStore.step",
        "DynamoTaskStore.heartbeat",
        "DynamoTaskStore.release",
        "DynamoTaskStore._append",
        "DynamoTaskStore._leave",
        "ours",
        "not_cancelled",
        "no_new_message",
        "no_new_dependant",
        "no_new_callback",
        "permit_free",
        "permit_held",
    }
)
Part = list[tuple[ModuleType, Mutant]]


def survivors(contract: Contract, part: Part) -> Iterator[Mutant]:
    """Those mutants of the part that pass every test."""
    called = {case: contract.called_by(case) for case in contract.cases()}
    # What calls little is quick and looks closely; what killed one mutant may well kill the next.
    cases = sorted(called, key=lambda case: (not case.expects_a_refusal, len(called[case])))
    for module, mutant in part:
        able = [case for case in cases if (mutant.file, mutant.function) in called[case]]
        with mutated(module, mutant):
            killer = next((case for case in able if contract.fails(case)), None)
        if killer is not None:
            cases.remove(killer)
            cases.insert(0, killer)
        elif (mutant.function, mutant.was) not in REDUNDANT:
            yield mutant


def expect_no_survivors(contract: Contract, part: Part) -> None:
    assert part, "no conditions were found"
    survived = [str(mutant) for mutant in survivors(contract, part)]
    assert not survived, "\n".join(["survivors:", *survived])


def test_no_condition_of_claim_step_and_final_write_can_be_removed_unnoticed(
    shared_tables: None,
) -> None:
    contract = CONTRACTS["tasks"]
    part = [(module, mutant) for module, mutant in contract.mutants() if mutant.function in CORE]
    assert {mutant.function for _, mutant in part} == CORE

    expect_no_survivors(contract, part)


@pytest.mark.parametrize("name", [name for name in CONTRACTS if name != "tasks"])
def test_no_condition_can_be_removed_unnoticed(name: str, shared_tables: None) -> None:
    expect_no_survivors(CONTRACTS[name], CONTRACTS[name].mutants())


@pytest.mark.prove
def test_no_condition_of_the_task_store_can_be_removed_unnoticed(shared_tables: None) -> None:
    contract = CONTRACTS["tasks"]
    rest = [(m, mutant) for m, mutant in contract.mutants() if mutant.function not in CORE]

    expect_no_survivors(contract, rest)


def test_no_adapter_with_conditional_writes_is_left_out() -> None:
    folder = Path(str(task_store.__file__)).parent
    helpers = helpers_of(folder / "conditions.py")
    conditional = {path.name for path in folder.glob("*.py") if mutants_of(path, helpers=helpers)}
    tried = {
        Path(str(module.__file__)).name
        for contract in CONTRACTS.values()
        for module in contract.modules
    }

    left_out = conditional - tried - {"task_reads.py"}  # its conditions choose what is read
    assert not left_out, f"{left_out} need an entry in CONTRACTS"
