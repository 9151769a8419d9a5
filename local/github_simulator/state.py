"""Hold everything that the simulator remembers, in memory."""

from __future__ import annotations

import itertools
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from local.github_simulator.auth import App, Token
from local.github_simulator.events_feed import EventFeed
from local.github_simulator.faults import Fault
from local.github_simulator.git_repository import GitRepository
from local.github_simulator.records import (
    CheckRun,
    Comment,
    CommitStatus,
    Issue,
    Label,
    Review,
    ReviewComment,
    User,
    UserKind,
)
from local.github_simulator.request_log import RequestLog

Clock = Callable[[], datetime]
DEFAULT_LABELS = {"bug": "d73a4a", "documentation": "0075ca", "enhancement": "a2eeef"}


def system_clock() -> datetime:
    """Read the machine's clock."""
    return datetime.now(UTC)  # noqa: TID251 - the default of an injected clock


@dataclass(kw_only=True)
class Settings:
    """What tests and people may change while the simulator runs."""

    poll_interval_seconds: int = 60
    latency_seconds: float = 0.0
    #: The feed of today shows `opened` and `closed`; GitHub's documentation promises `labeled` too.
    events_for_labels: bool = False
    #: `author_association` is announced to leave the events; without it a poller must hydrate.
    events_carry_association: bool = False
    token_limit_an_hour: int = 5_000
    anonymous_limit_an_hour: int = 60


@dataclass(kw_only=True)
class Repository:
    """One repository: its git content and everything around it."""

    id: int
    owner: User
    name: str
    git: GitRepository
    default_branch: str
    created_at: datetime
    private: bool = False
    description: str | None = None
    pushed_at: datetime
    issues: dict[int, Issue] = field(default_factory=dict)
    comments: dict[int, Comment] = field(default_factory=dict)
    labels: dict[str, Label] = field(default_factory=dict)
    reviews: dict[int, Review] = field(default_factory=dict)
    review_comments: dict[int, ReviewComment] = field(default_factory=dict)
    check_runs: dict[int, CheckRun] = field(default_factory=dict)
    statuses: list[CommitStatus] = field(default_factory=list)
    events: EventFeed = field(default_factory=EventFeed)
    #: Branches and tags made over the API by full name; None hides one of the repository's own.
    own_refs: dict[str, str | None] = field(default_factory=dict)
    associations: dict[int, str] = field(default_factory=dict)
    permissions: dict[int, str] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        """`owner/name`."""
        return f"{self.owner.login}/{self.name}"

    def association_of(self, user: User) -> str:
        """Say what GitHub writes as `author_association`."""
        if user.id == self.owner.id:
            return "OWNER"
        return self.associations.get(user.id, "NONE")

    def permission_of(self, user: User) -> str:
        """Say what a user may do: admin, maintain, write, triage, read or none."""
        if user.id in self.permissions:
            return self.permissions[user.id]
        association = self.association_of(user)
        if association == "OWNER":
            return "admin"
        if association in {"MEMBER", "COLLABORATOR"}:
            return "write"
        return "none" if self.private else "read"

    def resolve(self, revision: str) -> str | None:
        """Find the commit that a name means, with branches made over the API before git's own."""
        short = revision.removeprefix("refs/").removeprefix("heads/")
        for name in (f"refs/heads/{short}", f"refs/{revision}", revision):
            if name in self.own_refs:
                return self.own_refs[name]
        return self.git.resolve(short)

    def ref(self, name: str) -> str | None:
        """Find the commit of a full ref, `refs/heads/main`."""
        if name in self.own_refs:
            return self.own_refs[name]
        return self.git.ref(name)


class GithubState:
    """The whole simulated GitHub. Every access goes through `lock`."""

    def __init__(self, *, base_url: str, clock: Clock = system_clock) -> None:
        """Start empty; `base_url` is where the simulator answers, without a trailing slash."""
        self.base_url = base_url
        self.lock = threading.RLock()
        self._clock = clock
        self._objects = tempfile.TemporaryDirectory(prefix="github-simulator-")
        self._begin()

    def _begin(self) -> None:
        self.settings = Settings()
        self.users: dict[str, User] = {}
        self.repositories: dict[int, Repository] = {}
        self.former_names: dict[str, int] = {}
        self.tokens: dict[str, Token] = {}
        self.apps: dict[int, App] = {}
        self.faults: list[Fault] = []
        self.requests = RequestLog()
        self.anonymous = Token.anonymous()
        self.archive_tokens: dict[str, tuple[int, datetime]] = {}
        self._clock_offset = timedelta(0)
        self._ids: Iterator[int] = itertools.count(1_001)

    def reset(self) -> None:
        """Forget everything, so that one running simulator can serve many tests."""
        with self.lock:
            self._objects.cleanup()
            self._objects = tempfile.TemporaryDirectory(prefix="github-simulator-")
            self._begin()

    def close(self) -> None:
        """Remove the objects that were created over the API."""
        self._objects.cleanup()

    def now(self) -> datetime:
        """Tell the simulated time in whole seconds, GitHub's resolution."""
        return (self._clock() + self._clock_offset).astimezone(UTC).replace(microsecond=0)

    def advance(self, by: timedelta) -> None:
        """Move the simulated time forwards."""
        self._clock_offset += by

    def next_id(self) -> int:
        """Give a number that no other object has."""
        return next(self._ids)

    def user(self, login: str, kind: UserKind | None = None) -> User:
        """Find an account, or open one: a `Bot` if the login ends in `[bot]`."""
        known = self.users.get(login.lower())
        if known is not None:
            return known
        kind = kind or ("Bot" if login.endswith("[bot]") else "User")
        user = User(id=self.next_id(), login=login, kind=kind, created_at=self.now())
        self.users[login.lower()] = user
        return user

    def add_repository(self, full_name: str, path: Path, *, private: bool = False) -> Repository:
        """Serve a git repository on disk as `owner/name`.

        Raises:
            GitError: the path holds no git repository.
        """
        owner, name = full_name.split("/")
        identifier = self.next_id()
        objects = Path(self._objects.name) / str(identifier)
        objects.mkdir()
        git = GitRepository(path, created_objects=objects)
        repository = Repository(
            id=identifier,
            owner=self.user(owner),
            name=name,
            git=git,
            default_branch=git.current_branch(),
            created_at=self.now(),
            pushed_at=self.now(),
            private=private,
        )
        for label, color in DEFAULT_LABELS.items():
            repository.labels[label] = Label(id=self.next_id(), name=label, color=color)
        self.repositories[identifier] = repository
        return repository

    def repository(self, full_name: str) -> Repository | None:
        """Find a repository by its present name; case does not matter."""
        wanted = full_name.lower()
        for repository in self.repositories.values():
            if repository.full_name.lower() == wanted:
                return repository
        return None

    def rename(self, repository: Repository, name: str) -> None:
        """Rename a repository; its old name redirects from now on."""
        self.former_names[repository.full_name.lower()] = repository.id
        repository.name = name

    def add_token(self, token: Token) -> None:
        """Accept a token from now on."""
        self.tokens[token.value] = token
