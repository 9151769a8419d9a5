"""`PollStates` in memory. It passes the same tests as the DynamoDB adapter."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from nightdesk.domain.errors import ConditionFailedError
from nightdesk.domain.github_ports import PollRound, PollState, SeenEvents


class FakePollStates:
    """Counts its writes, because they cost money."""

    def __init__(self) -> None:
        self.rows: dict[str, PollState] = {}
        self.round = PollRound()
        self.seen_rows: dict[int, SeenEvents] = {}
        self.head_rows: dict[int, dict[int, str]] = {}
        self.writes = 0

    def begin_round(self, *, now: datetime, until: datetime) -> PollRound:
        if self.round.lease_until and self.round.lease_until > now:
            raise ConditionFailedError("polling")
        self.round = replace(self.round, lease_until=until, version=self.round.version + 1)
        self.writes += 1
        return self.round

    def keep_round(self, found: PollRound, *, until: datetime | None) -> None:
        if self.round.version != found.version:
            raise ConditionFailedError("polling")
        self.round = replace(found, lease_until=until)
        self.writes += 1

    def last_round(self) -> PollRound:
        return self.round

    def states(self, repos: Sequence[str]) -> Mapping[str, PollState]:
        return {
            repo: replace(self.rows[repo.lower()], repo=repo)
            for repo in repos
            if repo.lower() in self.rows
        }

    def store(self, state: PollState) -> None:
        stored = self.rows.get(state.repo.lower())
        if (stored.version if stored else 0) != state.version:
            raise ConditionFailedError(state.repo)
        self.rows[state.repo.lower()] = replace(state, version=state.version + 1)
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
