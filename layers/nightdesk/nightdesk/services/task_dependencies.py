"""What a new task waits for: its dependencies as they are now, and what follows from them."""

from collections.abc import Sequence
from dataclasses import dataclass

from nightdesk.domain.api_key import ApiKey
from nightdesk.domain.errors import InvalidInputError
from nightdesk.domain.ports import TaskStore
from nightdesk.domain.task import DEPENDENCIES_MAX, OnDependencyFailure, Task, TaskStatus
from nightdesk.services.task_access import is_task_id, may_see

_FIELD = "dependsOn"


@dataclass(frozen=True, slots=True)
class Dependencies:
    """`awaits`: the unfinished ones. `failed`: one has not completed, and that decides at once."""

    awaits: tuple[Task, ...] = ()
    failed: bool = False

    @property
    def hold_back(self) -> bool:
        """Whether the task may not start yet, or never."""
        return self.failed or bool(self.awaits)


def check_dependencies(depends_on: Sequence[str], *, task_id: str) -> None:
    """Raise InvalidInputError for too many, one twice, or the task itself.

    There are no longer circles: a task can only name tasks that exist before it.
    """
    if len(depends_on) > DEPENDENCIES_MAX:
        raise InvalidInputError(
            _FIELD, f"{_FIELD} must name at most {DEPENDENCIES_MAX} tasks; got {len(depends_on)}"
        )
    for place, dependency in enumerate(depends_on):
        if dependency in depends_on[:place]:
            raise InvalidInputError(_FIELD, f"{_FIELD} names {_shown(dependency)} twice")
        if dependency == task_id:
            raise InvalidInputError(_FIELD, f"{_FIELD}: {task_id} would wait for itself")


def read_dependencies(
    depends_on: Sequence[str], policy: OnDependencyFailure, *, key: ApiKey, tasks: TaskStore
) -> Dependencies:
    """Read them all at once; costs nothing when there are none.

    Raises:
        InvalidInputError: one does not exist, or is not the key's to see; the two answer alike.
    """
    if not depends_on:
        return Dependencies()
    found = tasks.view_for_claim([i for i in depends_on if is_task_id(i)]).tasks
    for dependency in depends_on:
        if dependency not in found or not may_see(key, found[dependency]):
            raise InvalidInputError(_FIELD, f"{_FIELD}: there is no task {_shown(dependency)}")
    ended = {found[i].status for i in depends_on if found[i].status.is_terminal}
    if policy is not OnDependencyFailure.RUN_ANYWAY and ended - {TaskStatus.COMPLETED}:
        return Dependencies(failed=True)
    return Dependencies(tuple(found[i] for i in depends_on if not found[i].status.is_terminal))


def _shown(dependency: str) -> str:
    return repr(dependency[:80])
