"""The actor gate: who may start a specialist, decided before any model is called."""

from dataclasses import dataclass
from enum import Enum, auto

from nightdesk.domain.gate_ports import Permission
from nightdesk.domain.github_ports import IssueFacts
from nightdesk.domain.intents.names import COMMENT, REVIEW
from nightdesk.domain.specialist import OPEN_INTENTS, READING_TOOLS, Audience, Specialist
from nightdesk.domain.trigger import MARKER_START, GithubEvent, Skip

#: Associations whose bearers may give commands to a specialist that only reads and answers.
MEMBERS = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})
#: Intents that change nothing in the repository.
WORDS = frozenset({COMMENT, REVIEW})


class Demand(Enum):
    """What an actor must be to the repository."""

    NOTHING = auto()
    MEMBER = auto()
    WRITER = auto()

    def is_met_by(self, permission: Permission) -> bool:
        match self:
            case Demand.NOTHING:
                return True
            case Demand.MEMBER:
                return permission.triages
            case Demand.WRITER:
                return permission.writes


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorGate:
    """Whose events count at all. Accounts are named by their numeric id: logins can be imitated."""

    own_account_ids: frozenset[int] = frozenset()
    allowed_bot_ids: frozenset[int] = frozenset()

    def refusal(self, event: GithubEvent, facts: IssueFacts) -> Skip | None:
        """Why this actor starts nothing; None = go on."""
        actor = event.actor
        is_author = actor.id == facts.author.id
        written = event.text or facts.body
        if actor.id in self.own_account_ids or MARKER_START in written:
            return Skip.OWN
        is_bot = actor.is_bot or (is_author and facts.author.is_bot)
        if is_bot and actor.id not in self.allowed_bot_ids:
            return Skip.BOT
        return None


def demand_of(specialist: Specialist, event: GithubEvent) -> Demand:
    """What the specialist demands of the event's actor.

    A comment is a command. Where more than words and labels may come of an event, its actor's
    standing in the organisation is not enough: a member need not be allowed to write here.
    """
    if not _proposed(specialist) <= set(OPEN_INTENTS):
        return Demand.WRITER
    if event.event != "issue_comment":
        return Demand.NOTHING if serves_everyone(specialist) else Demand.MEMBER
    return Demand.MEMBER if _proposed(specialist) <= {COMMENT, REVIEW} else Demand.WRITER


def serves_everyone(specialist: Specialist) -> bool:
    """Whether anybody's event may start it. Whatever its file says, only one that reads."""
    is_harmless = set(specialist.tools) <= set(READING_TOOLS)
    is_harmless = is_harmless and _proposed(specialist) <= set(OPEN_INTENTS)
    return specialist.audience is Audience.EVERYONE and is_harmless


def is_known_member(event: GithubEvent, facts: IssueFacts) -> bool:
    """Whether GitHub has said with the event that its actor is a member.

    An association is its author's: whoever edits or labels what another has written is not told.
    """
    is_author = event.actor.id == facts.author.id and not event.text
    association = facts.author_association if is_author else ""
    return not MEMBERS.isdisjoint({association, event.actor_association})


def _proposed(specialist: Specialist) -> set[str]:
    return {name for name, count in specialist.intents if count}
