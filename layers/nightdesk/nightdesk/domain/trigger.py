"""Which GitHub events start which specialists: natural keys and matching.

An event is put in the words of GitHub's webhooks, whichever way it came, so that the same event
has the same natural key and makes the same task only once.
"""

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from nightdesk.domain.errors import InvalidInputError
from nightdesk.domain.gate_ports import ChangedPaths
from nightdesk.domain.github_ports import Account, FeedEvent, IssueFacts, Repository
from nightdesk.domain.name_filter import NameFilter
from nightdesk.domain.specialist import EventTrigger, Specialist, SpecialistSet

#: What stands in each text that we publish; a text that holds it is ours, whoever's account wrote.
MARKER_START = "<!-- nightdesk "

#: GitHub reports what was given with an object (labels, assignees, reviewers) as events of their
#: own, a moment after `opened`; within this time they count as the opening.
OPENING = timedelta(seconds=5)
_WITH_OPENING = frozenset({"labeled", "assigned", "review_requested"})
_ONCE_FOR_A_HEAD = frozenset({"opened", "synchronize", "ready_for_review", "closed", "reopened"})
#: GitHub tells the time of one event differently by webhook and in the feed; by less than this.
_TIMES_APART = timedelta(seconds=30)

# Ids of tasks are made in this name space; changing it would start every known event once more.
_TASKS = uuid.UUID("6f5e6d0a-5b0e-5c4f-9d53-3d0d2f6c7a11")


class Skip(StrEnum):
    """Why an event started nothing."""

    FIRST_POLL = "first_poll"
    BEFORE_WATCHING = "before_watching"
    UNSUPPORTED = "unsupported"
    NO_TRIGGER = "no_trigger"
    UNKNOWN_SPECIALIST = "unknown_specialist"
    LABELS = "labels"
    BRANCH = "branch"
    PATHS = "paths"
    DRAFT = "draft"
    FORK = "fork"
    LOCKED = "locked"
    RULES = "rules"
    RULES_BROKEN = "rules_broken"
    UNREADABLE = "unreadable"
    OWN = "own"
    BOT = "bot"
    ACTOR = "actor"
    CLOSED = "closed"
    GONE = "gone"
    TRANSFERRED = "transferred"
    OTHER_REPOSITORY = "other_repository"
    NOT_CONFIGURED = "not_configured"
    TOO_MANY = "too_many"
    ALREADY_STARTED = "already_started"
    DEFERRED = "deferred"
    RATE_LIMITED = "rate_limited"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an event does not start a specialist; `detail` says more to people."""

    reason: Skip
    detail: str = ""


# Events ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class GithubEvent:
    """One event about one issue or pull request, in the words of GitHub's webhooks.

    `key` is natural: derived from the object, never from the delivery. `subject_id` is the id of
    the issue or pull request; `label` the one that a `labeled` event added; `text` what the actor
    wrote, where the event itself carries it (a comment).
    """

    event: str
    action: str
    repo: Repository
    number: int
    subject_id: int
    key: str
    actor: Account
    actor_association: str = ""
    kind: str = "issue"
    head_sha: str = ""
    label: str = ""
    text: str = ""
    #: Of a pull request's own events only: the branch it goes to, and whether it comes from
    #: another repository (a fork that is gone is one).
    base_ref: str = ""
    is_fork: bool = False
    #: Of what may happen to an object again and again: when it happened. None = it happens once.
    happened_at: datetime | None = None

    @property
    def name(self) -> str:
        return f"{self.event}.{self.action}"


def event_of_feed(item: FeedEvent, repo: Repository) -> GithubEvent | None:
    """The event in webhook words; None for a type that starts nothing or lacks what it needs."""
    try:
        match item.type:
            case "IssuesEvent":
                return _issues(item, repo)
            case "IssueCommentEvent":
                return _issue_comment(item, repo)
            case "PullRequestEvent":
                return _pull_request(item, repo)
            case _:
                return None
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        # A payload that GitHub has trimmed once more, or is none of GitHub's.
        return None


def _issues(item: FeedEvent, repo: Repository) -> GithubEvent:
    action, issue = str(item.payload["action"]), item.payload["issue"]
    label = _label_of(item.payload)
    facet = "opened" if _is_opening(issue, action) else action
    moment = _moment(issue, action)
    return GithubEvent(
        event="issues",
        action=action,
        happened_at=moment_of(moment) if moment and facet != "opened" else None,
        repo=repo,
        number=int(issue["number"]),
        subject_id=int(issue["id"]),
        key=issue_key(int(issue["id"]), facet, label=label, moment=moment),
        actor=item.actor,
        actor_association=_association_of(item.actor, issue),
        label=label,
    )


def _issue_comment(item: FeedEvent, repo: Repository) -> GithubEvent:
    action, issue, comment = (item.payload[key] for key in ("action", "issue", "comment"))
    return GithubEvent(
        event="issue_comment",
        action=str(action),
        repo=repo,
        number=int(issue["number"]),
        subject_id=int(issue["id"]),
        key=comment_key(int(comment["id"]), str(action), moment=str(comment.get("updated_at"))),
        actor=item.actor,
        actor_association=_association_of(item.actor, comment),
        kind="pull_request" if issue.get("pull_request") else "issue",
        text=str(comment.get("body") or ""),
    )


def _pull_request(item: FeedEvent, repo: Repository) -> GithubEvent:
    action, pull = str(item.payload["action"]), item.payload["pull_request"]
    head = str(pull["head"]["sha"])
    # The feed's pull request carries no times, hence that of the event for what may come again.
    moment = item.created_at.astimezone(UTC).isoformat(timespec="seconds")
    label = _label_of(item.payload)
    facet = "opened" if _is_opening(pull, action) else action
    return GithubEvent(
        event="pull_request",
        action=action,
        happened_at=None if facet in _ONCE_FOR_A_HEAD else item.created_at,
        repo=repo,
        number=int(pull["number"]),
        subject_id=int(pull["id"]),
        key=pull_request_key(int(pull["id"]), facet, head_sha=head, label=label, moment=moment),
        actor=item.actor,
        kind="pull_request",
        head_sha=head,
        label=label,
        base_ref=str(pull.get("base", {}).get("ref", "")),
        is_fork=_is_fork(pull),
    )


def _is_fork(pull: Mapping[str, Any]) -> bool:
    head, base = pull["head"].get("repo"), pull.get("base", {}).get("repo")
    return not (head and base) or bool(head["id"] != base["id"])


def issue_key(issue_id: int, action: str, *, label: str = "", moment: str = "") -> str:
    """`issue:{id}:opened` (once in its life), `issue:{id}:labeled:{label}:{time}` (many times)."""
    if action == "opened":
        return f"issue:{issue_id}:opened"
    facet = f"{action}:{label}" if label else action
    return f"issue:{issue_id}:{facet}:{moment}"


def comment_key(comment_id: int, action: str, *, moment: str = "") -> str:
    """`comment:{id}:created` (once), `comment:{id}:edited:{time}`."""
    suffix = "" if action == "created" else f":{moment}"
    return f"comment:{comment_id}:{action}{suffix}"


def pull_request_key(
    pull_id: int, action: str, *, head_sha: str, label: str = "", moment: str = ""
) -> str:
    """`pr:{id}:head:{sha}`: opened, pushed to or made ready, a head is worked on once.

    Closed and reopened it is once for each head too: the feed does not tell when that happened.
    """
    if action in {"opened", "synchronize", "ready_for_review"}:
        return f"pr:{pull_id}:head:{head_sha}"
    if action in _ONCE_FOR_A_HEAD:
        return f"pr:{pull_id}:{action}:{head_sha}"
    facet = f"{action}:{label}" if label else action
    return f"pr:{pull_id}:{facet}:{moment}"


def _label_of(payload: Mapping[str, Any]) -> str:
    return str((payload.get("label") or {}).get("name", ""))


def _is_opening(written: Mapping[str, Any], action: str) -> bool:
    """Whether the event only repeats what the object was opened with: one task, not four."""
    created, updated = written.get("created_at"), written.get("updated_at")
    if action not in _WITH_OPENING or not created or not updated:
        return False
    return moment_of(str(updated)) - moment_of(str(created)) <= OPENING


def _moment(issue: Mapping[str, Any], action: str) -> str:
    """When it happened, from the object itself, so that webhook and poll agree."""
    when = issue.get("closed_at") if action == "closed" else issue.get("updated_at")
    return str(when or "")


def _association_of(actor: Account, written: Mapping[str, Any]) -> str:
    """How the actor stands to the repository: known only where the actor is the author."""
    author = written.get("user") or {}
    return str(written.get("author_association") or "") if author.get("id") == actor.id else ""


def task_id_of(workspace_id: str, event: GithubEvent, specialist_id: str) -> str:
    """The id of the one task that this event makes for this specialist."""
    return str(uuid.uuid5(_TASKS, seen_key_of(workspace_id, event, specialist_id)))


def seen_key_of(workspace_id: str, event: GithubEvent, specialist_id: str) -> str:
    return f"{workspace_id}/{event.repo.id}/{event.key}/{specialist_id}"


def seen_keys_of(workspace_id: str, event: GithubEvent, specialist_id: str) -> tuple[str, ...]:
    """The names of the `seen` rows that are put with the task and outlive it: none may exist.

    What may happen again has no name of its own but its time, which each channel tells a little
    differently. It gets two names, of the minute by the clock and of the minute that begins half
    a minute off: two times that are at most _TIMES_APART from each other share one of them. (So
    what is done twice within a minute may count once.)
    """
    if event.happened_at is None:
        return (seen_key_of(workspace_id, event, specialist_id),)
    what = f"{event.name}:{event.subject_id}:{event.label}"
    name = f"{workspace_id}/{event.repo.id}/{what}/{specialist_id}"
    length = 2 * _TIMES_APART
    since = event.happened_at - datetime.fromtimestamp(0, UTC)
    return f"{name}/a{since // length}", f"{name}/b{(since + _TIMES_APART) // length}"


# Matching -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultTrigger:
    """Starts a specialist that has no triggers of its own."""

    specialist: str
    trigger: EventTrigger


def parse_default_triggers(text: str) -> tuple[DefaultTrigger, ...]:
    """Read the setting DEFAULT_TRIGGERS; "" = none.

    Either a list of {"event", "actions", "labels", "specialist"} or the short form
    {"issues.opened": "issue-enricher"}.

    Raises:
        InvalidInputError: names the entry and what is expected.
    """
    if not text.strip():
        return ()
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InvalidInputError("DEFAULT_TRIGGERS", f"it is not JSON: {error}") from error
    if isinstance(document, dict):
        return tuple(_short_form(str(name), value) for name, value in document.items())
    if isinstance(document, list):
        return tuple(_long_form(entry) for entry in document)
    raise InvalidInputError("DEFAULT_TRIGGERS", "a JSON list, or an object, is expected")


def _short_form(name: str, specialist: object) -> DefaultTrigger:
    event, _, action = name.partition(".")
    if not event or not isinstance(specialist, str) or not specialist:
        message = f'"{name}": expected "event.action": "specialist"'
        raise InvalidInputError("DEFAULT_TRIGGERS", message)
    actions = (action,) if action else ()
    return DefaultTrigger(specialist=specialist, trigger=EventTrigger(event=event, actions=actions))


def _long_form(entry: object) -> DefaultTrigger:
    if isinstance(entry, dict):
        event, specialist = entry.get("event"), entry.get("specialist")
        actions, labels = entry.get("actions", []), entry.get("labels", [])
        lists = isinstance(actions, list) and isinstance(labels, list)
        if isinstance(event, str) and isinstance(specialist, str) and lists and event:
            trigger = EventTrigger(
                event=event, actions=tuple(map(str, actions)), labels=tuple(map(str, labels))
            )
            return DefaultTrigger(specialist=specialist, trigger=trigger)
    expected = '{"event": …, "actions": […], "labels": […], "specialist": …}'
    raise InvalidInputError("DEFAULT_TRIGGERS", f"{json.dumps(entry)[:200]}: expected {expected}")


def triggers_of(
    specialists: SpecialistSet, defaults: Iterable[DefaultTrigger]
) -> Iterator[tuple[Specialist, EventTrigger]]:
    """What starts whom: a specialist's own triggers or, if it has none, the default ones."""
    for specialist in sorted(specialists.by_id.values(), key=lambda item: item.id):
        for trigger in specialist.triggers:
            yield specialist, trigger
    for default in defaults:
        found = specialists.by_id.get(default.specialist)
        if found is not None and not found.triggers:
            yield found, default.trigger


def names_event(trigger: EventTrigger, event: GithubEvent) -> bool:
    """Whether event and action match; needs nothing but the event itself."""
    return trigger.event == event.event and (not trigger.actions or event.action in trigger.actions)


def wants_labels(trigger: EventTrigger, event: GithubEvent, labels: Iterable[str]) -> bool:
    """Whether one of the trigger's labels is there. A `labeled` event counts for its own label."""
    if not trigger.labels:
        return True
    present = {event.label} if event.action == "labeled" else set(labels)
    return not present.isdisjoint(trigger.labels)


def filter_refusal(trigger: EventTrigger, event: GithubEvent, facts: IssueFacts) -> Skip | None:
    """Why the trigger's filters leave this event out; None = they let it pass.

    Paths are not looked at: they are not told with the event.
    """
    leaves_out = {
        Skip.LABELS: not wants_labels(trigger, event, facts.labels),
        Skip.DRAFT: not trigger.drafts and facts.is_draft,
        Skip.FORK: not trigger.forks and event.is_fork,
        Skip.BRANCH: not wants_branch(trigger, event),
        Skip.LOCKED: not trigger.locked and facts.is_locked,
        Skip.CLOSED: not trigger.closed and facts.state == "closed",
    }
    return next((reason for reason, is_out in leaves_out.items() if is_out), None)


def wants_branch(trigger: EventTrigger, event: GithubEvent) -> bool:
    """Whether the trigger wants pull requests that go to this branch."""
    wanted, ignored = trigger.branches, trigger.branches_ignore
    if wanted is not None and not wanted.admits(event.base_ref):
        return False
    return ignored is None or not ignored.admits(event.base_ref)


def path_refusal(
    paths: NameFilter | None, ignored: NameFilter | None, changed: ChangedPaths
) -> Refusal | None:
    """Why the files that a pull request changes are none that are wanted; None = some is."""
    wanted = [
        path
        for path in changed.paths
        if (paths is None or paths.admits(path)) and (ignored is None or not ignored.admits(path))
    ]
    if wanted or (paths is None and ignored is None):
        return None
    looked_at = f"none of the {len(changed.paths)} changed files matches"
    if not changed.is_complete:
        looked_at = f"none of the first {len(changed.paths)} changed files matches"
    return Refusal(Skip.PATHS, looked_at)


# State ----------------------------------------------------------------------------------------


def state_refusal(event: GithubEvent, facts: IssueFacts) -> Skip | None:
    """Why the issue, as it is now, is not worked on any more."""
    if facts.repo.lower() != event.repo.full_name.lower():
        return Skip.TRANSFERRED
    if event.kind == "issue" and facts.id != event.subject_id:
        return Skip.GONE
    is_about_state = event.event in {"issues", "pull_request"} and event.action != "closed"
    return Skip.CLOSED if is_about_state and facts.state == "closed" else None


def moment_of(text: str) -> datetime:
    """A time of GitHub's (RFC 3339). Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone: {text}")
    return moment
