"""A specialist: what one Markdown file says an agent is, may read, may propose and may spend."""

from dataclasses import dataclass
from enum import StrEnum

from nightdesk.domain.model import ModelTier
from nightdesk.domain.task import TIMEOUT_MS_DEFAULT, Limits


class Role(StrEnum):
    """The predecessors' roles; kept so that their files load unchanged."""

    ROUTA = "ROUTA"
    CRAFTER = "CRAFTER"
    GATE = "GATE"
    DEVELOPER = "DEVELOPER"


#: Every tool that a specialist may name. All of them read; writing is what intents are for.
READING_TOOLS = (
    "list_files",
    "read_file",
    "search_code",
    "locate_code",
    "read_issue",
)

#: Every intent that a specialist may be allowed to propose.
INTENTS = ("comment", "labels")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTrigger:
    """Starts the specialist on a GitHub event. Empty `actions` or `labels` = any."""

    event: str
    actions: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


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
    tools: tuple[str, ...] = READING_TOOLS
    intents: tuple[tuple[str, int], ...] = (("comment", 1),)
    allowed_labels: tuple[str, ...] = ()
    limits: Limits = Limits()
    timeout_ms: int = TIMEOUT_MS_DEFAULT


@dataclass(frozen=True, slots=True)
class BrokenSpecialist:
    """A file that is switched off, and why: names the file, the key and the allowed values."""

    file: str
    reason: str


@dataclass(frozen=True, slots=True)
class SpecialistSet:
    """All specialists of a deployment, by id, and the files that could not be used."""

    by_id: dict[str, Specialist]
    broken: tuple[BrokenSpecialist, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(sorted(self.by_id))
