"""A specialist: what one Markdown file says an agent is, may read, may propose and may spend."""

from dataclasses import dataclass
from enum import StrEnum

from nightdesk.domain.intents.names import ASK, COMMENT, ISSUE, LABELS, PULL_REQUEST, REVIEW
from nightdesk.domain.model import ModelTier
from nightdesk.domain.name_filter import NameFilter
from nightdesk.domain.task import TIMEOUT_MS_DEFAULT, Limits


class Role(StrEnum):
    """The predecessors' roles; kept so that their files load unchanged."""

    ROUTA = "ROUTA"
    CRAFTER = "CRAFTER"
    GATE = "GATE"
    DEVELOPER = "DEVELOPER"


#: The tools that read, which a specialist has unless its file names others.
READING_TOOLS = (
    "list_files",
    "read_file",
    "search_code",
    "locate_code",
    "read_issue",
    "read_diff",
    "read_history",
)

#: Every tool that a specialist may name. None of them writes: that is what intents are for.
TOOLS = (*READING_TOOLS, ASK)

#: Every intent that a specialist may be allowed to propose.
INTENTS = (COMMENT, LABELS, REVIEW, ISSUE, PULL_REQUEST)

#: Intents that a stranger's event may cause: bounded, they change nothing, and can be hidden.
OPEN_INTENTS = (COMMENT, LABELS, REVIEW)

#: The GitHub events that may start a specialist, and their actions (none = the event has none).
EVENTS: dict[str, tuple[str, ...]] = {
    "issues": (
        "opened",
        "edited",
        "closed",
        "reopened",
        "assigned",
        "unassigned",
        "labeled",
        "unlabeled",
    ),
    "issue_comment": ("created", "edited", "deleted"),
    "pull_request": (
        "opened",
        "edited",
        "closed",
        "reopened",
        "assigned",
        "unassigned",
        "labeled",
        "unlabeled",
        "synchronize",
        "ready_for_review",
        "converted_to_draft",
        "review_requested",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTrigger:
    """Starts the specialist on a GitHub event. Empty `actions` or `labels`, None = any."""

    event: str
    actions: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    #: Of pull requests: the branch that they go to, and the files that they change.
    branches: NameFilter | None = None
    branches_ignore: NameFilter | None = None
    paths: NameFilter | None = None
    paths_ignore: NameFilter | None = None
    #: Whether these count too.
    drafts: bool = True
    forks: bool = True
    locked: bool = True
    closed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleTrigger:
    """Starts the specialist at the times of a cron expression, on the clocks of a time zone."""

    cron: str
    timezone: str = "UTC"
    prompt: str = ""
    #: The repository that it reads, owner/name; "" = none.
    repo: str = ""


class Audience(StrEnum):
    """Whose events start a specialist. Commands in comments are for members, always."""

    EVERYONE = "everyone"
    MEMBERS = "members"


class ConcurrencyGroup(StrEnum):
    """What tasks of a specialist exclude each other by."""

    ISSUE = "issue"
    REPOSITORY = "repository"
    SPECIALIST = "specialist"


class OnConflict(StrEnum):
    """What a new task does to an older one of its group: end it, or wait for it."""

    SUPERSEDE = "supersede"
    QUEUE = "queue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Concurrency:
    """At most one task of the group at a time."""

    group: ConcurrencyGroup
    on_conflict: OnConflict = OnConflict.QUEUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Specialist:
    """One valid specialist file. `prompt` is the Markdown body, the model's system prompt."""

    id: str
    name: str
    description: str
    prompt: str
    role: Role = Role.CRAFTER
    tier: ModelTier = ModelTier.SMART
    reminder: str = ""
    triggers: tuple[EventTrigger, ...] = ()
    schedules: tuple[ScheduleTrigger, ...] = ()
    audience: Audience = Audience.EVERYONE
    tools: tuple[str, ...] = READING_TOOLS
    intents: tuple[tuple[str, int], ...] = (("comment", 1),)
    allowed_labels: tuple[str, ...] = ()
    #: Patterns of the files that its pull requests may change; empty = any that is not protected.
    allowed_paths: tuple[str, ...] = ()
    #: Tools and intents that a person must approve before they take effect.
    approvals: tuple[str, ...] = ()
    limits: Limits = Limits()
    timeout_ms: int = TIMEOUT_MS_DEFAULT
    concurrency: Concurrency | None = None
    #: Whether a comment shows where a task stands, while it runs.
    progress: bool = True
    #: Whether a commit status of a pull request's head shows it too.
    status: bool = False
    #: Whether later tasks on the same issue edit the earlier one's comment. None = those that an
    #: event starts do, and those that a person asks for by a comment answer with a new one.
    sticky: bool | None = None
    #: The model that the file names. It is shown; which model runs is decided by the tier.
    model: str = ""
    #: What the file asks for that Nightdesk does not do, for people.
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BrokenSpecialist:
    """A file that is switched off, and why: names the file, the key and the allowed values."""

    file: str
    reason: str
    #: The specialist that it would have been, as far as that could be read.
    id: str = ""


@dataclass(frozen=True, slots=True)
class SpecialistSet:
    """All specialists of a deployment, by id, and the files that could not be used."""

    by_id: dict[str, Specialist]
    broken: tuple[BrokenSpecialist, ...] = ()
    #: Valid files that say `enabled: false`; nothing starts them.
    disabled: tuple[Specialist, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(sorted(self.by_id))

    def why_off(self, specialist_id: str) -> str | None:
        """Why a specialist that has a file cannot be used; None when there is no such file."""
        for broken in self.broken:
            if broken.id == specialist_id:
                return f"{broken.file}: {broken.reason}"
        if any(specialist.id == specialist_id for specialist in self.disabled):
            return "its file says enabled: false"
        return None
