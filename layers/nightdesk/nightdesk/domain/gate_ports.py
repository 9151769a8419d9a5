"""What GitHub is asked before an event may start anything: who the actor is to the repository,
which files a pull request changes, and what the repository's own rules say.
"""

from dataclasses import dataclass
from typing import Protocol

from nightdesk.domain.github_ports import Account, Repository
from nightdesk.domain.repository_rules import RepositoryRules


@dataclass(frozen=True, slots=True)
class Permission:
    """What an account may do in a repository, in GitHub's words: `level` admin, write, read, none;
    `role` also maintain, triage, or a name that the organisation has given.
    """

    level: str = "none"
    role: str = "none"

    @property
    def writes(self) -> bool:
        return self.level in {"admin", "write"}

    @property
    def triages(self) -> bool:
        """Whether it may at least label and close."""
        return self.writes or self.role == "triage"


@dataclass(frozen=True, slots=True)
class ChangedPaths:
    """The files that a pull request changes, also under the names that they had before.

    GitHub lists 3,000 at most; `is_complete` says whether these are all.
    """

    paths: tuple[str, ...]
    is_complete: bool = True


class GateReader(Protocol):
    """Reads with the service's read token. Answers of the last minute may be repeated.

    Every call may raise PermanentError (not permitted, gone), TryLaterError and UnavailableError.
    """

    def permission(self, repo: str, actor: Account) -> Permission:
        """What the account may do; `none` for an account that is another one by now."""
        ...

    def changed_paths(self, repo: str, number: int) -> ChangedPaths:
        """Of the pull request as it is now."""
        ...

    def rules(self, repo: Repository) -> RepositoryRules:
        """`nightdesk.yml` in the root of the default branch; without the file, no rules.

        A file that cannot be used is answered as rules that say so, and start nothing.
        """
        ...
