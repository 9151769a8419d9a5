"""`GateReader` in memory. The real adapter is tested against the simulator over HTTP."""

from dataclasses import dataclass, field

from nightdesk.domain.errors import NightdeskError
from nightdesk.domain.gate_ports import ChangedPaths, Permission
from nightdesk.domain.github_ports import Account, Repository
from nightdesk.domain.repository_rules import NO_RULES, RepositoryRules


@dataclass
class FakeGateReader:
    """A public repository without rules, in which nobody may do more than read."""

    permissions: dict[int, Permission] = field(default_factory=dict)
    changed: dict[int, ChangedPaths] = field(default_factory=dict)
    found: RepositoryRules = NO_RULES
    #: Raised by the next calls, in order; None lets one pass.
    failures: list[NightdeskError | None] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def permission(self, repo: str, actor: Account) -> Permission:
        self._begin(f"permission {repo} {actor.login}")
        return self.permissions.get(actor.id, Permission("read", "read"))

    def changed_paths(self, repo: str, number: int) -> ChangedPaths:
        self._begin(f"files {repo} {number}")
        return self.changed.get(number, ChangedPaths(()))

    def rules(self, repo: Repository) -> RepositoryRules:
        self._begin(f"rules {repo.full_name}")
        return self.found

    def _begin(self, call: str) -> None:
        self.calls.append(call)
        if self.failures and (failure := self.failures.pop(0)) is not None:
            raise failure
