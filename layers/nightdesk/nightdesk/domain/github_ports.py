"""What the GitHub side needs from the outside world: reading events and issues, publishing, the
state of polling, and tokens. Each port has an adapter and a fake that pass the same tests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Protocol

from nightdesk.domain.errors import ErrorCode, PermanentError, TryLaterError

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
    """What the poller reads, with the service's read credentials. Many threads use it at once."""

    def credential(self, repo: str) -> str:
        """Whose rate limits reading this repository counts against; asks nobody on GitHub."""
        ...

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
    """What is remembered of a polled repository between two polls. `repo` is as configured.

    It is written only when something in it has changed, not by each poll.
    """

    repo: str
    repo_id: int = 0
    full_name: str = ""
    etag: str = ""
    etag_at: datetime | None = None
    #: Whose ETags these are: they mean nothing to another credential.
    credential: str = ""
    #: GitHub wants to be asked no sooner again.
    poll_interval: timedelta = timedelta(0)
    last_event_id: str = ""
    last_error: str = ""
    reconcile: "ReconcileState | None" = None
    #: The newest times between which more happened than GitHub's feed shows: (from, to).
    gaps: tuple[tuple[datetime, datetime], ...] = ()
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileState:
    """How far the lists of issues, comments and pull requests have been compared."""

    #: What was made before is old and starts nothing.
    began_at: datetime
    #: Everything changed before this time is dealt with.
    cursor: datetime
    etags: tuple[str, ...] = ()
    etags_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PollRound:
    """What the polls of all repositories share. Names of repositories are in lower case.

    `limits` is what is known of GitHub's limits, by credential (see `domain.rate_limits`).
    """

    asked_at: Mapping[str, datetime] = field(default_factory=dict)
    compared_at: Mapping[str, datetime] = field(default_factory=dict)
    limits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    lease_until: datetime | None = None
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenEvents:
    """The events of a repository that are dealt with, newest first. Absent = never polled."""

    ids: tuple[str, ...] = ()
    #: Events from before this time are old, however late they come: the newest of the first poll.
    watched_since: datetime | None = None
    version: int = 0


class PollStates(Protocol):
    """Durable state of polling. Writes are conditional, so that overlapping polls do no harm."""

    def begin_round(self, *, now: datetime, until: datetime) -> PollRound:
        """Take the lease on polling, and read what the last round left.

        Raises:
            ConditionFailedError: another poll holds it.
        """
        ...

    def keep_round(self, found: PollRound, *, until: datetime | None) -> None:
        """Store the round and lengthen its lease; with None, give the lease back.

        Raises:
            ConditionFailedError: our lease ran out and another poll took it; nothing is stored.
        """
        ...

    def last_round(self) -> PollRound:
        """Consistent read."""
        ...

    def states(self, repos: Sequence[str]) -> Mapping[str, PollState]:
        """Of those that have one; the keys are as given. Consistent reads, many in a request."""
        ...

    def store(self, state: PollState) -> None:
        """Replace it, on the version that was read (0 = there was none).

        Raises:
            ConditionFailedError: another poll has changed it meanwhile.
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


class RateLimits(Protocol):
    """GitHub's limits, by credential. Used by many threads at once."""

    def enter(self, credential: str) -> None:
        """Count one request, and wait a little where the minute's points are spent.

        Raises:
            TryLaterError: GitHub has ordered a longer pause, or the time is up before.
        """
        ...

    def pause(self, credential: str, error: TryLaterError) -> None:
        """GitHub wants to hear nothing from this credential for a while."""
        ...


# Tokens ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryToken:
    """A token for one repository; "" reads public repositories anonymously.

    `credential` names whose rate limits and ETags it has (an installation of a GitHub App has many
    tokens one after the other); it is stored, and tells nothing of the token. "" = of this token.
    """

    token: str = field(repr=False)
    repo: str
    expires_at: datetime | None = None
    credential: str = ""

    @property
    def credential_id(self) -> str:
        """The credential's name or, for want of one, a fingerprint of the token."""
        if self.credential:
            return self.credential
        return fingerprint_of(self.token)[:12] if self.token else "anonymous"


def fingerprint_of(token: str) -> str:
    """What names a token to who has it, and tells others nothing of it."""
    return sha256(token.encode()).hexdigest()


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
