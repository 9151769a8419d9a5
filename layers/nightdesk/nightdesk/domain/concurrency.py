"""Names of concurrency groups: `<workspace>#<name>`, so that no workspace can meet another's."""

import re
from collections.abc import Sequence

from nightdesk.domain.specialist import ConcurrencyGroup, OnConflict, Specialist
from nightdesk.domain.task import Target

_CALLER = re.compile(r"^caller\([^)]*\):")


def group_in(workspace_id: str, name: str) -> str:
    """A group as it is stored."""
    return f"{workspace_id}#{name}"


def callers_group(workspace_id: str, name: str, *, agents: Sequence[str] = ()) -> str:
    """A group that a caller names: never one of a specialist's file. `agents` are those that the
    caller's key is limited to: such a key cannot end or hold up what others do.
    """
    return group_in(workspace_id, f"caller({','.join(sorted(agents))}):{name}")


def group_shown(group: str) -> str:
    """A stored group as its workspace knows it. A workspace's id holds no `#`."""
    return _CALLER.sub("", group.partition("#")[2] or group)


def group_of(specialist: Specialist, workspace_id: str, target: Target | None) -> str | None:
    """The group that a specialist's file puts its task into; None = none.

    Without a target there is no issue and no repository to exclude others from.
    """
    if specialist.concurrency is None:
        return None
    match specialist.concurrency.group:
        case ConcurrencyGroup.SPECIALIST:
            return group_in(workspace_id, f"specialist:{specialist.id}")
        case _ if target is None:
            return None
        case ConcurrencyGroup.REPOSITORY:
            return group_in(workspace_id, f"repository:{target.repo}:{specialist.id}")
        case ConcurrencyGroup.ISSUE:
            issue = f"{target.repo}#{target.number}"
            return group_in(workspace_id, f"issue:{issue}:{specialist.id}")


def supersedes_older(specialist: Specialist) -> bool:
    """Whether a new task of the specialist ends the older ones of its group."""
    found = specialist.concurrency
    return found is not None and found.on_conflict is OnConflict.SUPERSEDE
