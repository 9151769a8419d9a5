"""Read what a request to the control paths wishes for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.github_simulator.records import Issue, User
from local.github_simulator.state import GithubState, Repository


class ControlError(Exception):
    """The request makes no sense; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """One request to the control paths."""

    state: GithubState
    path: Mapping[str, Any]
    query: Mapping[str, str]
    fields: dict[str, Any]

    @property
    def repository(self) -> Repository:
        """The repository that the path names.

        Raises:
            ControlError: there is none.
        """
        return self._named(f"{self.path['owner']}/{self.path['repo']}")

    @property
    def issue(self) -> Issue:
        """The issue or pull request that the path names.

        Raises:
            ControlError: there is none.
        """
        issue = self.repository.issues.get(int(self.path["number"]))
        if issue is None:
            raise ControlError(f"no issue {self.path['number']}")
        return issue

    def text(self, name: str) -> str:
        """Read a field that must be a text.

        Raises:
            ControlError: it is none.
        """
        value = self.fields.get(name)
        if not isinstance(value, str):
            raise ControlError(f"{name!r} must be a text")
        return value

    def person(self, name: str) -> User:
        """Find who acts, and give them the association that the request names, if any."""
        user = self.state.user(self.text(name))
        association = self.fields.get("association")
        if association is not None:
            self.repository.associations[user.id] = association
        return user

    def repository_ids(self) -> frozenset[int] | None:
        """Read the field `repositories`; None, which means all, when it is absent."""
        names = self.fields.get("repositories")
        return None if names is None else frozenset(self._named(name).id for name in names)

    def commit(self, repository: Repository, name: str) -> str:
        """Read a field that names a commit.

        Raises:
            ControlError: git does not know it.
        """
        sha = repository.resolve(self.text(name))
        if sha is None:
            raise ControlError(f"git knows no {self.fields[name]!r}")
        return sha

    def _named(self, full_name: str) -> Repository:
        repository = self.state.repository(full_name)
        if repository is None:
            raise ControlError(f"no repository {full_name!r}")
        return repository
