"""Poll the configured repositories: find each event once, and start what it starts.

The order that loses nothing: read the feed to its end, create the tasks, and only then remember
the events as seen. A poll may be cut anywhere or overlap another; the worst that follows is that
an event is looked at twice, and the second look creates nothing.

Every page is read, not only down to the first page without news: a late event is filed by its
time, so it may appear on the third page while the first is known. For the same reason an
unchanged first page (its ETag) is believed for minutes at most; GitHub has also been seen to
answer "unchanged" for ever.

Many repositories are polled side by side. While nothing happens, nothing is written for any of
them: one row, written twice a poll, remembers when each was asked.
"""

import logging
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from typing import Any

from nightdesk.domain.actor_gate import ActorGate
from nightdesk.domain.errors import ConditionFailedError, NightdeskError
from nightdesk.domain.github_ports import PollState
from nightdesk.domain.repository_name import parse_repository_list
from nightdesk.domain.task import TriggerSource
from nightdesk.services.import_events import ImportRules
from nightdesk.services.polling.deferred import Drained, drain_deferred
from nightdesk.services.polling.ports import PollerPorts
from nightdesk.services.polling.repository import RepositoryPoll
from nightdesk.services.polling.results import (
    RepositoryResult,
    iso,
    malformed,
    report,
    state_json,
)
from nightdesk.services.polling.rounds import LEASE, RENEW_EVERY, Round

logger = logging.getLogger(__name__)

#: A schedule fires a moment early at times; such a poll waits instead of being left out.
SHORT_WAIT = timedelta(seconds=10)
#: The status counts no further.
_COUNTED_DEFERRED = 1_000


def poll_repositories(ports: PollerPorts, *, deadline: datetime) -> dict[str, Any]:
    """Poll them all, many at a time; what one of them lacks does not stop the others.

    Events that the webhook had to leave are tried first, even where no repository is polled.
    Nothing new is begun after `deadline`: what was not reached comes first the next time. Answers
    {"ok", "checkedAt", "summary", "results"}, and "deferred" when such events were tried.
    """
    listed = parse_repository_list(ports.settings.repos)
    results = {repo: RepositoryResult(repo=repo) for repo in listed.names}
    drained = Drained()
    try:
        shared = _begin(results, ports, deadline)
        drained = drain_deferred(ports, shared.rules, deadline=deadline)
        shared.renew(ports.states, ports.clock, ports.limits.record())
        _poll_in_turn(results, shared, ports)
        if not shared.is_lost:
            shared.keep(ports.states, ports.limits.record(), until=None)
    except ConditionFailedError:
        _explain(results, "another poll is at work")
    except NightdeskError as error:
        _explain(results, str(error))
    for result in results.values():
        result.log()
    refused = [malformed(entry) for entry in listed.malformed]
    answer = report([*refused, *results.values()], ports.clock.now())
    return {**answer, "deferred": drained.to_json()} if drained else answer


def poll_status(ports: PollerPorts) -> dict[str, Any]:
    """What polling is configured to do and did last, without asking GitHub."""
    listed = parse_repository_list(ports.settings.repos)
    now, last = ports.clock.now(), ports.states.last_round()
    known = ports.states.states(listed.names)
    states = [known.get(repo) or PollState(repo=repo) for repo in listed.names]
    asked = [at for at in (last.asked_at.get(repo.lower()) for repo in listed.names) if at]
    return {
        "ok": True,
        "enabled": bool(listed.names),
        "isRunning": last.lease_until is not None and last.lease_until > now,
        "intervalSeconds": int(ports.settings.interval.total_seconds()),
        "lastCheckedAt": iso(max(asked)) if asked else None,
        "lastEventIds": {state.repo: state.last_event_id for state in states},
        "repositories": [state_json(state, last) for state in states],
        "malformed": list(listed.malformed),
        "deferredEvents": ports.deferred.count(most=_COUNTED_DEFERRED),
    }


# One round ------------------------------------------------------------------------------------


def _begin(results: dict[str, RepositoryResult], ports: PollerPorts, deadline: datetime) -> Round:
    """Take the lease, and gather what is known.

    Raises:
        ConditionFailedError: another poll is at work.
    """
    now = ports.clock.now()
    found = ports.states.begin_round(now=now, until=now + LEASE)
    ports.limits.begin(found.limits, deadline)
    return Round(
        found=found,
        states=ports.states.states(list(results)),
        credentials=_credentials(results, ports),
        rules=_rules(ports),
        deadline=deadline,
        renewed_at=now,
    )


def _credentials(results: dict[str, RepositoryResult], ports: PollerPorts) -> dict[str, str]:
    """By repository; who has none (its secret cannot be read now) has an error instead."""
    found: dict[str, str] = {}
    for repo, result in results.items():
        try:
            found[repo] = ports.source.credential(repo)
        except NightdeskError as error:
            result.error = str(error)
    return found


def _poll_in_turn(results: dict[str, RepositoryResult], shared: Round, ports: PollerPorts) -> None:
    repos = shared.in_turn(list(shared.credentials))
    if ports.settings.at_once <= 1:
        for repo in repos:
            _poll_if_due(results[repo], shared, ports)
            shared.renew(ports.states, ports.clock, ports.limits.record())
        return
    with ThreadPoolExecutor(ports.settings.at_once, "poll") as pool:
        waiting = {pool.submit(_poll_if_due, results[repo], shared, ports) for repo in repos}
        while waiting:
            done, waiting = wait(waiting, timeout=RENEW_EVERY.total_seconds())
            for future in done:
                future.result()  # a defect is raised; what GitHub lacks is in the result
            shared.renew(ports.states, ports.clock, ports.limits.record())


def _poll_if_due(result: RepositoryResult, shared: Round, ports: PollerPorts) -> None:
    state = shared.states.get(result.repo) or PollState(repo=result.repo)
    if why_not := _reason_to_wait(result, state, shared, ports):
        result.error = why_not
        return
    asked = shared.asked_at.get(result.repo.lower())
    if asked and (early := asked + state.poll_interval - ports.clock.now()) > timedelta(0):
        if early > SHORT_WAIT:
            result.next_poll_at, result.error = asked + state.poll_interval, state.last_error
            return
        ports.clock.sleep(early)
    _store(state, RepositoryPoll(result, state, shared, ports).run(), ports)


def _reason_to_wait(
    result: RepositoryResult, state: PollState, shared: Round, ports: PollerPorts
) -> str:
    now = ports.clock.now()
    if shared.is_lost:
        return "another poll has taken over"
    if now >= shared.deadline:
        return "no time was left; the next poll begins here"
    if pause := ports.limits.pause_of(shared.credentials[result.repo]):
        result.next_poll_at = now + pause.retry_after
        return state.last_error or str(pause)
    return ""


def _store(before: PollState, after: PollState, ports: PollerPorts) -> None:
    if after == before:
        return
    try:
        ports.states.store(after)
    except NightdeskError as error:
        # Only the state of polling is lost, not an event: the next poll reads the feed in full.
        logger.warning("[GitHubPolling] %s: state not stored: %s", after.repo, error)


def _explain(results: dict[str, RepositoryResult], why: str) -> None:
    for result in results.values():
        result.error = result.error or why


def _rules(ports: PollerPorts) -> ImportRules:
    settings = ports.settings
    specialists = ports.specialists.load()
    for default in settings.default_triggers:
        if default.specialist not in specialists.by_id:
            logger.warning(
                "[GitHubPolling] DEFAULT_TRIGGERS names %s; there are: %s",
                default.specialist,
                ", ".join(specialists.ids),
            )
    return ImportRules(
        workspace_id=settings.workspace_id,
        specialists=specialists,
        default_triggers=settings.default_triggers,
        gate=ActorGate(
            own_account_ids=settings.own_account_ids, allowed_bot_ids=settings.allowed_bot_ids
        ),
        source=TriggerSource.POLLING,
        handle=settings.mention_handle,
        tasks_per_hour=settings.tasks_per_hour,
        progress_comments=settings.progress_comments,
    )
