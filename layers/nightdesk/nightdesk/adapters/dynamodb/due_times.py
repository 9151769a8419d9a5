"""When each schedule is due next, in the `Workspaces` table: `*` + `due#<workspace>#<schedule>`.

All stand under one key, so that a sweep reads them with one request, a few bytes each.
"""

from collections.abc import Mapping
from datetime import datetime

from pynamodb.expressions.update import Action

from nightdesk.adapters.dynamodb.tables import WorkspaceItem
from nightdesk.adapters.dynamodb.transactions import ConditionFailed, patiently, translated
from nightdesk.domain.errors import ConditionFailedError

_EVERYBODY, _PREFIX = "*", "due#"


class DynamoDueTimes:
    """`DueTimes` on DynamoDB."""

    def all(self) -> Mapping[str, datetime]:
        with translated():
            found = WorkspaceItem.query(
                _EVERYBODY, WorkspaceItem.sk.startswith(_PREFIX), consistent_read=True
            )
            return {item.sk.removeprefix(_PREFIX): item.next_due for item in found}

    def begin(self, key: str, due: datetime) -> None:
        item = WorkspaceItem(_EVERYBODY, _PREFIX + key, next_due=due)
        try:
            patiently(lambda: item.save(condition=WorkspaceItem.sk.does_not_exist()))
        except ConditionFailed as error:
            raise ConditionFailedError(key) from error

    def move(self, key: str, *, seen: datetime, due: datetime) -> None:
        item = WorkspaceItem(_EVERYBODY, _PREFIX + key)
        actions: list[Action] = [WorkspaceItem.next_due.set(due)]
        as_seen = WorkspaceItem.next_due == seen
        try:
            patiently(lambda: item.update(actions=actions, condition=as_seen))
        except ConditionFailed as error:
            raise ConditionFailedError(key) from error

    def forget(self, key: str, *, seen: datetime) -> None:
        item = WorkspaceItem(_EVERYBODY, _PREFIX + key)
        as_seen = WorkspaceItem.next_due == seen
        try:
            patiently(lambda: item.delete(condition=as_seen))
        except ConditionFailed as error:
            raise ConditionFailedError(key) from error
