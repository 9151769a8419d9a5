"""`PollStates` in memory. It passes the same tests as the DynamoDB adapter."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from nightdesk.domain.errors import ConditionFailedError
from nightdesk.domain.github_ports import PollState, SeenEvents


class FakePollStates:
    """Counts its writes, because they cost money."""

    def __init__(self) -> None:
        self.states: dict[str, PollState] = {}
        self.seen_rows: dict[int, SeenEvents] = {}
        self.head_rows: dict[int, dict[int, str]] = {}
        self.writes = 0

    def get(self, repo: str) -> PollState | None:
        state = self.states.get(repo.lower())
        return replace(state, repo=repo) if state else None

    def lease(self, repo: str, *, now: datetime, until: datetime) -> PollState:
        state = self.states.get(repo.lower(), PollState(repo=repo))
        if state.lease_until and state.lease_until > now:
            raise ConditionFailedError(repo)
        leased = replace(state, repo=repo, lease_until=until, version=state.version + 1)
        self.states[repo.lower()] = leased
        self.writes += 1
        return leased

    def release(self, state: PollState) -> None:
        stored = self.states.get(state.repo.lower(), PollState(repo=state.repo))
        if stored.version != state.version:
            raise ConditionFailedError(state.repo)
        self.states[state.repo.lower()] = replace(state, lease_until=None)
        self.writes += 1

    def seen(self, repo_id: int) -> SeenEvents | None:
        return self.seen_rows.get(repo_id)

    def mark_seen(self, repo_id: int, seen: SeenEvents) -> SeenEvents:
        stored = self.seen_rows.get(repo_id)
        if (stored.version if stored else 0) != seen.version:
            raise ConditionFailedError(str(repo_id))
        marked = replace(seen, version=seen.version + 1)
        self.seen_rows[repo_id] = marked
        self.writes += 1
        return marked

    def heads(self, repo_id: int) -> Mapping[int, str]:
        return dict(self.head_rows.get(repo_id, {}))

    def store_heads(self, repo_id: int, heads: Mapping[int, str]) -> None:
        self.head_rows[repo_id] = dict(heads)
        self.writes += 1
