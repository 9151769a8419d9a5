"""Whose turn it is: workspaces that wait take turns, least recently served first.

It is kept in the memory of one executor's environment. Under load, which is when turns matter,
environments are warm; a cold one starts with the line's own order, and loses nothing by it.
"""

from collections import OrderedDict
from collections.abc import Sequence

from nightdesk.domain.ports import Candidate

#: More workspaces than this are not told apart; the least recently served are forgotten first.
_REMEMBERED = 1_000


class Turns:
    """Remembers in which order the workspaces were served."""

    def __init__(self) -> None:
        self._served: OrderedDict[str, None] = OrderedDict()

    def served(self, workspace_id: str) -> None:
        """Note that a task of this workspace was started now."""
        self._served[workspace_id] = None
        self._served.move_to_end(workspace_id)
        if len(self._served) > _REMEMBERED:
            self._served.popitem(last=False)

    def in_turn(self, line: Sequence[Candidate]) -> list[Candidate]:
        """The line with the workspaces taking turns: the first task of each, then the second of
        each, and so on. Within a workspace the line's order holds.
        """
        age = {workspace: number for number, workspace in enumerate(self._served, start=1)}
        rounds: dict[str, int] = {}
        placed: list[tuple[int, int, int, Candidate]] = []
        for place, candidate in enumerate(line):
            number = rounds.get(candidate.workspace_id, 0)
            rounds[candidate.workspace_id] = number + 1
            placed.append((number, age.get(candidate.workspace_id, 0), place, candidate))
        return [candidate for *_, candidate in sorted(placed, key=lambda p: p[:3])]
