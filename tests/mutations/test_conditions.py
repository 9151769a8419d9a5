"""Every condition of every conditional write is needed: without it, some contract test fails.

`make test` tries every mutant of the adapters. A survivor is printed with its file, line and
expression: it needs a contract test, or it is not needed.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from nightdesk.adapters.dynamodb import access_store, github_state, outbox_store, task_store
from nightdesk.adapters.dynamodb.task_items import outbox_item
from nightdesk.domain.outbox import OutboxRow
from tests.access import test_access_store
from tests.aws import moto_cloud
from tests.engine import test_task_store
from tests.mutations.conditions import Mutant, mutants_of
from tests.mutations.contract import Contract, mutated
from tests.poller import test_poll_states
from tests.publisher import test_outbox_store


def _put(row: OutboxRow) -> None:
    outbox_item(row, retention=RETENTION).save()


RETENTION = timedelta(days=90)
CONTRACTS = {
    "tasks": Contract(
        task_store,
        (test_task_store,),
        "store",
        lambda: {"store": task_store.DynamoTaskStore(slot_count=2, retention=RETENTION)},
    ),
    "outbox": Contract(
        outbox_store,
        (test_outbox_store,),
        "store",
        lambda: {"store": outbox_store.DynamoOutboxStore(), "put": _put},
    ),
    "github": Contract(
        github_state,
        (test_poll_states,),
        "states",
        lambda: {"states": github_state.DynamoPollStates()},
    ),
    "access": Contract(
        access_store,
        (test_access_store,),
        "store",
        lambda: {"store": access_store.DynamoAccessStore()},
    ),
}


@pytest.fixture(scope="module")
def shared_tables() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch, moto_cloud(monkeypatch):
        yield


def survivors(contract: Contract) -> Iterator[Mutant]:
    called = {case: contract.called_by(case) for case in contract.cases()}
    # What calls little is quick and looks closely; what killed one mutant may well kill the next.
    cases = sorted(called, key=lambda case: len(called[case]))
    for mutant in mutants_of(Path(str(contract.adapter.__file__))):
        able = [case for case in cases if mutant.function in called[case]]
        with mutated(contract.adapter, mutant):
            killer = next((case for case in able if contract.fails(case)), None)
        if killer is None:
            yield mutant
        else:
            cases.remove(killer)
            cases.insert(0, killer)


@pytest.mark.parametrize("name", CONTRACTS)
def test_no_condition_can_be_removed_or_weakened_unnoticed(name: str, shared_tables: None) -> None:
    contract = CONTRACTS[name]
    assert mutants_of(Path(str(contract.adapter.__file__))), "no conditions were found"

    survived = [str(mutant) for mutant in survivors(contract)]

    assert not survived, "\n".join(["survivors:", *survived])
