"""Decide whether an event may start a specialist, asking GitHub for what the event does not tell.

Nothing is changed here, so an event that is left out ends no older task. What GitHub refuses to
tell is a refusal that people can read; what it does not answer for now is an error, so that the
event is looked at again.
"""

from functools import cached_property

from nightdesk.domain.actor_gate import Demand, demand_of, is_known_member
from nightdesk.domain.errors import PermanentError
from nightdesk.domain.gate_ports import ChangedPaths, GateReader
from nightdesk.domain.github_ports import IssueFacts
from nightdesk.domain.repository_rules import RULES_FILE, Happened, RepositoryRules
from nightdesk.domain.specialist import EventTrigger, Specialist
from nightdesk.domain.trigger import GithubEvent, Refusal, Skip, path_refusal


class EventGate:
    """Bound to one event: what is read for one specialist serves the others too."""

    def __init__(self, event: GithubEvent, facts: IssueFacts, reader: GateReader) -> None:
        self._event = event
        self._facts = facts
        self._reader = reader

    def refusal(self, specialist: Specialist, trigger: EventTrigger | None) -> Refusal | None:
        """Why it does not start; `trigger` is None for a command.

        Raises:
            TryLaterError, UnavailableError: GitHub did not answer.
        """
        happened = self._happened(is_command=trigger is None)
        return (
            self._rules_refusal(specialist, happened)
            or self._standing_refusal(specialist)
            or self._paths_refusal(specialist, trigger, happened)
        )

    def narrowed(self, specialist: Specialist) -> Specialist:
        """What the repository's rules leave of a specialist that starts."""
        return self._rules.applied_to(specialist)

    # ------------------------------------------------------------------------------------------

    @cached_property
    def _rules(self) -> RepositoryRules:
        return self._reader.rules(self._event.repo)

    @cached_property
    def _changed(self) -> ChangedPaths:
        return self._reader.changed_paths(self._event.repo.full_name, self._event.number)

    def _happened(self, *, is_command: bool) -> Happened:
        event = self._event
        return Happened(
            event=event.event,
            action=event.action,
            is_command=is_command,
            base_ref=event.base_ref,
            is_fork=event.is_fork,
        )

    def _rules_refusal(self, specialist: Specialist, happened: Happened) -> Refusal | None:
        """Why the repository's rules leave this event out. What cannot be read refuses."""
        try:
            rules = self._rules
        except PermanentError as error:
            return Refusal(Skip.UNREADABLE, f"the repository's rules: {error}")
        if rules.problem:
            return Refusal(Skip.RULES_BROKEN, rules.problem)
        key = rules.refusal(specialist.id, happened, self._facts)
        return Refusal(Skip.RULES, f"{RULES_FILE}: {key}") if key else None

    def _standing_refusal(self, specialist: Specialist) -> Refusal | None:
        """Why the actor is not enough of a member for this specialist. Unknown counts as no."""
        demand = demand_of(specialist, self._event)
        if demand is Demand.NOTHING:
            return None
        if demand is Demand.MEMBER and is_known_member(self._event, self._facts):
            return None
        repo, actor = self._event.repo.full_name, self._event.actor
        try:
            permission = self._reader.permission(repo, actor)
        except PermanentError as error:
            return Refusal(Skip.ACTOR, f"the actor's permission cannot be read: {error}")
        if demand.is_met_by(permission):
            return None
        needed = "write" if demand is Demand.WRITER else "triage"
        return Refusal(Skip.ACTOR, f"the actor's permission is {permission.role}; needed: {needed}")

    def _paths_refusal(
        self, specialist: Specialist, trigger: EventTrigger | None, happened: Happened
    ) -> Refusal | None:
        """Why the changed files leave this event out. They are read only if somebody asks."""
        filters = [(paths, None) for paths in self._rules.paths_of(specialist.id, happened)]
        asked = [(trigger.paths, trigger.paths_ignore)] if trigger and _has_paths(trigger) else []
        if not asked and not filters:
            return None
        try:
            changed = self._changed
        except PermanentError as error:
            return Refusal(Skip.UNREADABLE, f"the changed files: {error}")
        found = (path_refusal(paths, ignored, changed) for paths, ignored in (*asked, *filters))
        return next(filter(None, found), None)


def _has_paths(trigger: EventTrigger) -> bool:
    return trigger.paths is not None or trigger.paths_ignore is not None
