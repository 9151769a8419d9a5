"""Decisions on events, and counts of an issue's tasks, in the `Github` table.

Rows: `audit#owner/name#<number>` + `<time>#<natural key>`, one for each event; and
`count#<repository id>#<number>` + `<hour>`, a set of the ids of the tasks.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from pynamodb.expressions.condition import size
from pynamodb.expressions.update import Action

from nightdesk.adapters.dynamodb.tables import GithubItem, instant
from nightdesk.adapters.dynamodb.transactions import ConditionFailed, patiently, translated
from nightdesk.domain.decisions import COUNTED_FOR, SHOWN, Decision, Outcome

#: DynamoDB's limit for a batch.
_BATCH = 25
_KEY_CHARACTERS = 300
_DETAIL_CHARACTERS = 500


class DynamoDecisions:
    """`DecisionLog` on DynamoDB: one request for 25 decisions."""

    def __init__(self, *, retention: timedelta) -> None:
        self._retention = retention

    def record(self, decisions: Sequence[Decision]) -> None:
        items = {(item.pk, item.sk): item for item in map(self._item, decisions)}
        rows = list(items.values())
        with translated():
            for start in range(0, len(rows), _BATCH):
                with GithubItem.batch_write() as batch:
                    for row in rows[start : start + _BATCH]:
                        batch.save(row)

    def of(self, repo: str, number: int) -> Sequence[Decision]:
        with translated():
            found = list(GithubItem.query(_pk(repo, number), scan_index_forward=False, limit=SHOWN))
        return [_decision(repo, number, item.document) for item in found]

    def _item(self, decision: Decision) -> GithubItem:
        document = {
            "at": instant(decision.at),
            "event": decision.event,
            "key": decision.key,
            "actor": decision.actor,
            "source": decision.source,
            "outcomes": [
                [o.specialist, o.result, o.task_id, o.detail[:_DETAIL_CHARACTERS]]
                for o in decision.outcomes
            ],
        }
        return GithubItem(
            _pk(decision.repo, decision.number),
            f"{instant(decision.at)}#{decision.key[:_KEY_CHARACTERS]}",
            document=document,
            expires=int((decision.at + self._retention).timestamp()),
        )


class DynamoTaskCounts:
    """`TaskCounts` on DynamoDB: one conditional update, which may be repeated."""

    def admit(self, repo_id: int, number: int, task_id: str, *, now: datetime, most: int) -> bool:
        item = GithubItem(f"count#{repo_id}#{number}", instant(now)[:13])
        room = GithubItem.members.does_not_exist() | (size(GithubItem.members) < most)
        actions: list[Action] = [
            GithubItem.members.add({task_id}),
            GithubItem.expires.set(int((now + 2 * COUNTED_FOR).timestamp())),
        ]
        condition = room | GithubItem.members.contains(task_id)
        try:
            patiently(lambda: item.update(actions=actions, condition=condition))
        except ConditionFailed:
            return False
        return True


def _pk(repo: str, number: int) -> str:
    return f"audit#{repo.lower()}#{number}"


def _decision(repo: str, number: int, document: Any) -> Decision:
    return Decision(
        repo=repo,
        number=number,
        at=datetime.fromisoformat(document["at"]),
        event=document["event"],
        key=document["key"],
        actor=document["actor"],
        source=document["source"],
        outcomes=tuple(
            # Rows from before there were details have none.
            Outcome(specialist=specialist, result=result, task_id=task_id, detail="".join(detail))
            for specialist, result, task_id, *detail in document["outcomes"]
        ),
    )
