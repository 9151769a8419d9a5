"""`nightdesk.yml`: what a repository itself says about the specialists that work for it.

It can only narrow what the deployment's own files allow: switch off, leave out, lower. Nothing in
it can start a specialist that would not have started, or raise what one may propose or spend.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from nightdesk.domain.github_ports import IssueFacts
from nightdesk.domain.name_filter import NameFilter
from nightdesk.domain.specialist import Specialist
from nightdesk.domain.task import Limits

#: Where the file is: in the root of the default branch.
RULES_FILE = "nightdesk.yml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """What is left of a specialist. Empty tuples and None leave everything.

    `enabled` and `commands` count for commands as well; all other filters only for events that
    start the specialist by themselves, because a member who names it has decided already.
    """

    enabled: bool = True
    commands: bool = True
    events: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    #: Logins of the issue's or pull request's author, in lower case.
    authors: NameFilter | None = None
    branches: NameFilter | None = None
    paths: NameFilter | None = None
    drafts: bool = True
    forks: bool = True
    intents: tuple[tuple[str, int], ...] | None = None
    limits: Limits | None = None
    timeout_ms: int | None = None

    def refusal(self, happened: "Happened", facts: IssueFacts) -> str | None:
        """The key that leaves this event out; None = it passes (`paths` are not looked at)."""
        if not self.enabled:
            return "enabled"
        if happened.is_command:
            return None if self.commands else "commands"
        leaves_out = {
            "events": bool(self.events) and happened.event not in self.events,
            "actions": bool(self.actions) and happened.action not in self.actions,
            "labels": bool(self.labels) and not {*facts.labels} & {*self.labels},
            "authors": self.authors is not None
            and not self.authors.admits(facts.author.login.lower()),
            "branches": happened.is_pull_event
            and self.branches is not None
            and not self.branches.admits(happened.base_ref),
            "drafts": not self.drafts and facts.is_draft,
            "forks": not self.forks and happened.is_fork,
        }
        return next((key for key, is_out in leaves_out.items() if is_out), None)

    def applied_to(self, specialist: Specialist) -> Specialist:
        """The specialist with at most what both allow."""
        return replace(
            specialist,
            intents=_fewer(specialist.intents, self.intents),
            limits=_lower(specialist.limits, self.limits),
            timeout_ms=min(specialist.timeout_ms, self.timeout_ms or specialist.timeout_ms),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """What the rules need to know of an event."""

    event: str
    action: str
    is_command: bool = False
    base_ref: str = ""
    is_fork: bool = False

    @property
    def is_pull_event(self) -> bool:
        return self.event == "pull_request"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryRules:
    """The file as a whole; the default is that of a repository without one.

    `problem` says why the file cannot be used; then nothing starts.
    """

    everybody: Narrowing = Narrowing()
    by_specialist: Mapping[str, Narrowing] = field(default_factory=dict)
    #: Whether specialists that the file does not name are switched on.
    others: bool = True
    problem: str = ""

    def of(self, specialist_id: str) -> tuple[Narrowing, ...]:
        """All that narrow this specialist; each of them must let an event pass."""
        own = self.by_specialist.get(specialist_id, Narrowing(enabled=self.others))
        return (self.everybody, own)

    def refusal(self, specialist_id: str, happened: Happened, facts: IssueFacts) -> str | None:
        """The key of the file that leaves the event out for this specialist; None = it passes."""
        for where, narrowing in zip(
            ("", self._where(specialist_id)), self.of(specialist_id), strict=True
        ):
            if key := narrowing.refusal(happened, facts):
                return f"{where}{key}"
        return None

    def paths_of(self, specialist_id: str, happened: Happened) -> tuple[NameFilter, ...]:
        """Filters of changed files that are left to be looked at."""
        if happened.is_command or not happened.is_pull_event:
            return ()
        return tuple(n.paths for n in self.of(specialist_id) if n.paths is not None)

    def applied_to(self, specialist: Specialist) -> Specialist:
        for narrowing in self.of(specialist.id):
            specialist = narrowing.applied_to(specialist)
        return specialist

    def _where(self, specialist_id: str) -> str:
        return (
            f"specialists.{specialist_id}." if specialist_id in self.by_specialist else "others: "
        )


NO_RULES = RepositoryRules()


def _fewer(
    own: tuple[tuple[str, int], ...], most: tuple[tuple[str, int], ...] | None
) -> tuple[tuple[str, int], ...]:
    """Only intents that are named count; those that the file does not name stay as they are."""
    if most is None:
        return own
    bounds = dict(most)
    return tuple((name, min(count, bounds.get(name, count))) for name, count in own)


def _lower(own: Limits, most: Limits | None) -> Limits:
    if most is None:
        return own
    return Limits(
        turns=min(own.turns, most.turns),
        tokens=_least(own.tokens, most.tokens),
        cost_micros=_least(own.cost_micros, most.cost_micros),
    )


def _least(one: int | None, other: int | None) -> int | None:
    bounds = [bound for bound in (one, other) if bound is not None]
    return min(bounds, default=None)
