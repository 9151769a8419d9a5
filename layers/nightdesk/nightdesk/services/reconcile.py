"""Compare a repository's lists with what its feed told: what the feed has lost is found here.

GitHub's feed leaves events out, shows the newest 300 only, and does not tell pushes to pull
requests. The lists of issues, comments and open pull requests miss nothing. An object found there
is the event of its making under the same natural key, so what is known already starts nothing.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from nightdesk.domain.decisions import Decision
from nightdesk.domain.github_ports import (
    Change,
    EventSource,
    PollStates,
    ReconcileState,
    Repository,
)
from nightdesk.domain.trigger import GithubEvent, event_of_feed
from nightdesk.services.import_events import (
    Imported,
    ImportPorts,
    ImportRules,
    decision_of,
    import_event,
)

logger = logging.getLogger(__name__)

#: GitHub's `since` counts in seconds, and its lists lag by moments.
OVERLAP = timedelta(minutes=2)
EVERY = timedelta(minutes=5)
#: An unchanged list is believed so long, and longer where many share a credential.
ETAGS_MAX_AGE = timedelta(hours=1)
#: A pull request that was changed no later than this after its opening has had no push.
UNTOUCHED = timedelta(seconds=5)


def begun(now: datetime) -> ReconcileState:
    """The first time starts nothing: what was made before is old."""
    return ReconcileState(began_at=now, cursor=now)


def reconcile(
    state: ReconcileState,
    repo: Repository,
    *,
    now: datetime,
    etags_max_age: timedelta = ETAGS_MAX_AGE,
    source: EventSource,
    states: PollStates,
    rules: ImportRules,
    ports: ImportPorts,
) -> tuple[ReconcileState, list[Decision]]:
    """Import what the lists show and is not known; answers the new state, and what made tasks.

    Raises:
        TryLaterError, UnavailableError, PermanentError: the cursor stays, so all of it comes again.
    """
    since = state.cursor - OVERLAP
    is_fresh = state.etags_at is not None and now - state.etags_at < etags_max_age
    changes = source.changes(repo, since, etags=state.etags if is_fresh else ())
    heads = states.heads(repo.id) if any(c.head_sha for c in changes.items) else {}
    decisions: list[Decision] = []
    for change, event in _events(changes.items, heads, since, state.began_at, repo):
        imported = _import(change, event, rules, ports)
        if imported.task_ids:
            decisions.append(decision_of(event, imported, rules, ports))
    now_open = {c.facts.number: c.head_sha for c in changes.items if c.head_sha}
    if now_open and now_open != dict(heads):
        states.store_heads(repo.id, now_open)
    cursor = max(state.cursor, changes.until or state.cursor)
    # The lists' addresses name the cursor; for another one the ETags mean nothing.
    kept = changes.etags if cursor == state.cursor else ("", "", changes.etags[2])
    etags_at = state.etags_at if is_fresh else now
    return replace(state, cursor=cursor, etags=kept, etags_at=etags_at), decisions


def _import(change: Change, event: GithubEvent, rules: ImportRules, ports: ImportPorts) -> Imported:
    return import_event(event, lambda: change.facts, rules, ports)


def _events(
    items: tuple[Change, ...],
    heads: Mapping[int, str],
    since: datetime,
    began_at: datetime,
    repo: Repository,
) -> Iterator[tuple[Change, GithubEvent]]:
    """What is new among the changed, oldest first. Closing, labels and edits are the feed's."""
    for change in sorted(items, key=lambda change: change.item.created_at):
        event = event_of_feed(change.item, repo)
        if event is None:
            continue
        is_new = change.item.created_at >= max(since, began_at)
        known = heads.get(event.number, "")
        if not change.head_sha:
            if is_new:
                yield change, event
        elif known and known != change.head_sha:
            yield change, replace(event, action="synchronize")
        elif not known and is_new:
            # Its head may be another than the one that it was opened with; then it is not
            # "opened" here, or who wants only that would work on it twice.
            untouched = change.updated_at - change.item.created_at <= UNTOUCHED
            yield change, event if untouched else replace(event, action="synchronize")
