"""A page of the tasks that a key may see, newest first."""

from nightdesk.domain.api_key import ApiKey
from nightdesk.domain.ports import Page, TaskStore
from nightdesk.domain.task import TaskStatus
from nightdesk.services.task_access import may_see

LIMIT_MIN, LIMIT_MAX, LIMIT_DEFAULT = 1, 100, 50
#: A key for some specialists may see few of many tasks; then a request reads a few pages at most.
PAGES_MAX = 5


def list_tasks(
    workspace_id: str,
    *,
    status: TaskStatus | None,
    limit: int,
    cursor: str | None,
    key: ApiKey,
    tasks: TaskStore,
) -> Page:
    """The next page. It may hold fewer than `limit`; only a missing cursor means the end.

    Raises:
        ForbiddenError: the workspace is not the key's.
        InvalidInputError: the cursor is not of this list.
    """
    key.demand_workspace(workspace_id)
    for _ in range(PAGES_MAX):
        page = tasks.list_page(workspace_id, status=status, limit=limit, cursor=cursor)
        shown = tuple(task for task in page.tasks if may_see(key, task))
        cursor = page.cursor
        if shown or cursor is None:
            break
    return Page(shown, cursor)
