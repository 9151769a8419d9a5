"""What the GitHub side needs from the outside world: reading events and issues, publishing, the
state of polling, and tokens. Each port has an adapter and a fake that pass the same tests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from nightdesk.domain.errors import ErrorCode, PermanentError

# Errors ---------------------------------------------------------------------------------------
# Besides these, every call may raise PermanentError (403: not permitted), TryLaterError (a rate
# limit, with its wait) and UnavailableError (5xx, timed out, cut; a write's outcome is unknown).


class GithubNotFoundError(PermanentError):
    """404 or 410: it is gone, or the token may not see it (GitHub does not tell these apart)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ErrorCode.REPOSITORY_UNREACHABLE)


class GithubRefusedError(PermanentError):
    """422: GitHub understood the request and refuses its content."""


class GithubCredentialsError(PermanentError):
    """401, or no token where one is needed: only a person can mend that."""


# Facts ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who did something. `is_bot` as far as it is known: the Events API names no account type."""

    id: int
    login: str
    is_bot: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A repository; `full_name` (owner/name) changes with a rename, `id` never."""

    id: int
    full_name: str
    default_branch: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEvent:
    """One event of the Events API as it came. Ids are strings without any order."""

    id: str
    type: str
    created_at: datetime
    actor: Account
    repo_id: int
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPage:
    """A page of the Events API. `moved`: the repository answered under another name;
    `is_unchanged`: nothing came, because nothing has changed since the ETag.
    """

    events: tuple[FeedEvent, ...] = ()
    etag: str = ""
    poll_interval: timedelta = timedelta(0)
    is_last: bool = True
    moved: bool = False
    is_unchanged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueFacts:
    """An issue or pull request as it is now. Texts are untrusted."""

    id: int
    number: int
    repo: str
    title: str
    body: str
    state: str
    author: Account
    author_association: str = "NONE"
    labels: tuple[str, ...] = ()
    url: str = ""
    is_pull_request: bool = False
    is_draft: bool = False
    is_locked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What a webhook brought: the event in the feed's form, and the issue as it is now.

    Without `item` it is of no kind that could start anything.
    """

    repo: Repository
    item: FeedEvent | None = None
    facts: IssueFacts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An issue, comment or open pull request that was changed lately, as the event of its making.

    `item.created_at` is the object's; `head_sha` is set for pull requests alone.
    """

    item: FeedEvent
    facts: IssueFacts
    updated_at: datetime
    head_sha: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What was changed since a time. `until`: all before it was read; None = nothing has changed.

    `etags` belong to the same `since` only.
    """

    items: tuple[Change, ...] = ()
    etags: tuple[str, ...] = ()
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedComment:
    """A comment on GitHub."""

    id: int
    author_id: int
    body: str
    url: str


# Reading --------------------------------------------------------------------------------------


class EventSource(Protocol):
    """What the poller reads, with the service's read token."""

    def repository(self, repo: str) -> Repository:
        """The repository under its present name; renames are followed."""
        ...

    def page(self, repo: str, number: int, *, etag: str = "") -> FeedPage:
        """Page 1 to 3 of the repository's events, newest first, if it has changed since `etag`."""
        ...

    def issue(self, repo: str, number: int) -> IssueFacts:
        """The issue or pull request as it is now."""
        ...

    def changes(self, repo: Repository, since: datetime, *, etags: Sequence[str]) -> Changes:
        """Issues and comments changed at or after `since`, and the open pull requests."""
        ...


# Polling state --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PollState:
    """What is remembered of a polled repository between two polls. `repo` is as configured."""

    repo: str
    repo_id: int = 0
    full_name: str = ""
    etag: str = ""
    etag_at: datetime | None = None
    #: Answers "unchanged" since the last full answer.
    unchanged: int = 0
    #: Not before this time, because GitHub said so.
    next_poll_at: datetime | None = None
    checked_at: datetime | None = None
    last_event_id: str = ""
    last_error: str = ""
    reconcile: "ReconcileState | None" = None
    #: The newest times between which more happened than GitHub's feed shows: (from, to).
    gaps: tuple[tuple[datetime, datetime], ...] = ()
    lease_until: datetime | None = None
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileState:
    """How far the lists of issues, comments and pull requests have been compared."""

    #: What was made before is old and starts nothing.
    began_at: datetime
    done_at: datetime
    #: Everything changed before this time is dealt with.
    cursor: datetime
    etags: tuple[str, ...] = ()
    etags_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenEvents:
    """The events of a repository that are dealt with, newest first. Absent = never polled."""

    ids: tuple[str, ...] = ()
    #: Events from before this time are old, however late they come: the newest of the first poll.
    watched_since: datetime | None = None
    version: int = 0


class PollStates(Protocol):
    """Durable state of polling. Writes are conditional, so that overlapping polls do no harm."""

    def get(self, repo: str) -> PollState | None:
        """Consistent read."""
        ...

    def lease(self, repo: str, *, now: datetime, until: datetime) -> PollState:
        """Take the repository for one poll, and read its state.

        Raises:
            ConditionFailedError: another poll holds it.
        """
        ...

    def release(self, state: PollState) -> None:
        """Store the state and give the lease back.

        Raises:
            ConditionFailedError: our lease ran out and another poll took it; nothing is stored.
        """
        ...

    def seen(self, repo_id: int) -> SeenEvents | None:
        """Consistent read."""
        ...

    def mark_seen(self, repo_id: int, seen: SeenEvents) -> SeenEvents:
        """Replace what is seen, on the version that was read (0 = there was none).

        Raises:
            ConditionFailedError: another poll has changed it meanwhile.
        """
        ...

    def heads(self, repo_id: int) -> Mapping[int, str]:
        """The head of each open pull request when they were compared last, by number."""
        ...

    def store_heads(self, repo_id: int, heads: Mapping[int, str]) -> None:
        """Replace them."""
        ...


# Tokens ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryToken:
    """A token for one repository; "" reads public repositories anonymously."""

    token: str = field(repr=False)
    repo: str
    expires_at: datetime | None = None


#: What a token may do: {"issues": "write", "contents": "read"}, in GitHub's words.
Permissions = Mapping[str, str]
#: Every token has it: names, ids, labels' names are no secret of those who may see a repository.
METADATA: Permissions = {"metadata": "read"}


class RepositoryTokens(Protocol):
    """Where the token broker gets a token from: a parameter, or a GitHub App."""

    def token_for(self, repo: str, repo_id: int) -> RepositoryToken:
        """A token that reads this repository."""
        ...


class WriteTokens(Protocol):
    """Where the publisher gets its tokens from, one for each repository and need.

    Raises:
        PermanentError: there is none, or not with these permissions; says what a person can do.
        TryLaterError, UnavailableError: as every call to GitHub.
    """

    def token_for(self, repo: str, repo_id: int, permissions: Permissions) -> RepositoryToken:
        """A token for this repository that has at least these permissions.

        `repo_id` 0 is for looking the repository up by its name, with METADATA alone.
        """
        ...

    def own_account(self) -> Account:
        """Whose comments they write."""
        ...


class TaskTokens(Protocol):
    """Where an executor gets the token for its task's repository from."""

    def token_for(self, task_id: str) -> RepositoryToken:
        """Raises PermanentError (no right to one), TransientError or UnavailableError."""
        ...
