"""The state of polling in the `Github` table.

Rows: `polling` + `round` (what all repositories' polls share; the only row that is written while
nothing happens), `repo#owner/name` + `poll` (written when something in it has changed),
`repo#<id>` + `seen` (the events that are dealt with, compressed; written only when there were new
ones) or `heads` (of its open pull requests, written only when one has moved). The keys of events
that made tasks are rows of their own, put by the task store in the same transaction.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pynamodb.expressions.update import Action

from nightdesk.adapters.dynamodb.tables import GithubItem, instant
from nightdesk.adapters.dynamodb.transactions import ConditionFailed, patiently, translated
from nightdesk.domain.errors import ConditionFailedError
from nightdesk.domain.github_ports import PollRound, PollState, ReconcileState, SeenEvents

_POLL, _SEEN, _HEADS = "poll", "seen", "heads"
_POLLING, _ROUND = "polling", "round"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class DynamoPollStates:
    """`PollStates` on DynamoDB."""

    def begin_round(self, *, now: datetime, until: datetime) -> PollRound:
        item = GithubItem(_POLLING, _ROUND)
        free = GithubItem.lease_until.does_not_exist() | (GithubItem.lease_until <= now)
        actions: list[Action] = [GithubItem.lease_until.set(until), GithubItem.version.add(1)]
        try:
            patiently(lambda: item.update(actions=actions, condition=free))
        except ConditionFailed as error:
            raise ConditionFailedError(_POLLING) from error
        return _round_of(item)

    def keep_round(self, found: PollRound, *, until: datetime | None) -> None:
        lease = GithubItem.lease_until
        item = GithubItem(_POLLING, _ROUND)
        actions: list[Action] = [
            GithubItem.document.set(_round_document(found)),
            lease.set(until) if until else lease.remove(),
        ]
        ours = GithubItem.version == found.version
        try:
            patiently(lambda: item.update(actions=actions, condition=ours))
        except ConditionFailed as error:
            raise ConditionFailedError(_POLLING) from error

    def last_round(self) -> PollRound:
        with translated():
            try:
                return _round_of(GithubItem.get(_POLLING, _ROUND, consistent_read=True))
            except GithubItem.DoesNotExist:
                return PollRound()

    def states(self, repos: Sequence[str]) -> Mapping[str, PollState]:
        named = {_poll_key(repo): repo for repo in repos}
        keys = [(key, _POLL) for key in named]
        with translated():
            items = list(GithubItem.batch_get(keys, consistent_read=True))
        return {named[item.pk]: _state_of(named[item.pk], item) for item in items}

    def store(self, state: PollState) -> None:
        item = GithubItem(
            _poll_key(state.repo),
            _POLL,
            document=_document_of(state),
            version=state.version + 1,
        )
        as_read = (
            GithubItem.version == state.version if state.version else GithubItem.pk.does_not_exist()
        )
        try:
            patiently(lambda: item.save(condition=as_read))
        except ConditionFailed as error:
            raise ConditionFailedError(state.repo) from error

    def seen(self, repo_id: int) -> SeenEvents | None:
        with translated():
            try:
                item = GithubItem.get(_seen_key(repo_id), _SEEN, consistent_read=True)
            except GithubItem.DoesNotExist:
                return None
        document: Mapping[str, Any] = item.document or {}
        return SeenEvents(
            ids=tuple(document.get("ids", ())),
            watched_since=_moment(document.get("since")),
            version=int(item.version or 0),
        )

    def mark_seen(self, repo_id: int, seen: SeenEvents) -> SeenEvents:
        version = seen.version + 1
        item = GithubItem(
            _seen_key(repo_id),
            _SEEN,
            document={"ids": list(seen.ids), "since": _text(seen.watched_since)},
            version=version,
        )
        as_read = (
            GithubItem.version == seen.version if seen.version else GithubItem.pk.does_not_exist()
        )
        try:
            patiently(lambda: item.save(condition=as_read))
        except ConditionFailed as error:
            raise ConditionFailedError(str(repo_id)) from error
        return SeenEvents(ids=seen.ids, watched_since=seen.watched_since, version=version)

    def heads(self, repo_id: int) -> Mapping[int, str]:
        with translated():
            try:
                item = GithubItem.get(_seen_key(repo_id), _HEADS, consistent_read=True)
            except GithubItem.DoesNotExist:
                return {}
        document: Mapping[str, Any] = item.document or {}
        return {int(number): str(sha) for number, sha in document.items()}

    def store_heads(self, repo_id: int, heads: Mapping[int, str]) -> None:
        document = {str(number): sha for number, sha in heads.items()}
        item = GithubItem(_seen_key(repo_id), _HEADS, document=document)
        patiently(item.save)


def _poll_key(repo: str) -> str:
    return f"repo#{repo.lower()}"


def _seen_key(repo_id: int) -> str:
    return f"repo#{repo_id}"


def _document_of(state: PollState) -> dict[str, Any]:
    return {
        "repoId": state.repo_id,
        "fullName": state.full_name,
        "etag": state.etag,
        "etagAt": _text(state.etag_at),
        "credential": state.credential,
        "pollSeconds": state.poll_interval.total_seconds(),
        "lastEventId": state.last_event_id,
        "lastError": state.last_error,
        "reconcile": _reconcile_document(state.reconcile),
        "gaps": [[_text(begin), _text(end)] for begin, end in state.gaps],
    }


def _reconcile_document(state: ReconcileState | None) -> dict[str, Any] | None:
    if state is None:
        return None
    return {
        "beganAt": _text(state.began_at),
        "cursor": _text(state.cursor),
        "etags": list(state.etags),
        "etagsAt": _text(state.etags_at),
    }


def _reconcile_of(document: Mapping[str, Any] | None) -> ReconcileState | None:
    if not document:
        return None
    return ReconcileState(
        began_at=datetime.fromisoformat(document["beganAt"]),
        cursor=datetime.fromisoformat(document["cursor"]),
        etags=tuple(document["etags"]),
        etags_at=_moment(document["etagsAt"]),
    )


def _state_of(repo: str, item: GithubItem) -> PollState:
    document: Mapping[str, Any] = item.document or {}
    return PollState(
        repo=repo,
        repo_id=int(document.get("repoId", 0)),
        full_name=str(document.get("fullName", "")),
        etag=str(document.get("etag", "")),
        etag_at=_moment(document.get("etagAt")),
        credential=str(document.get("credential", "")),
        poll_interval=timedelta(seconds=float(document.get("pollSeconds", 0))),
        last_event_id=str(document.get("lastEventId", "")),
        last_error=str(document.get("lastError", "")),
        reconcile=_reconcile_of(document.get("reconcile")),
        gaps=tuple(
            (datetime.fromisoformat(begin), datetime.fromisoformat(end))
            for begin, end in document.get("gaps", ())
        ),
        version=int(item.version or 0),
    )


def _round_document(found: PollRound) -> dict[str, Any]:
    """Times as milliseconds: there is one for each repository."""
    return {
        "asked": {repo: (at - _EPOCH) // _MILLISECOND for repo, at in found.asked_at.items()},
        "compared": {repo: (at - _EPOCH) // _MILLISECOND for repo, at in found.compared_at.items()},
        "limits": {name: dict(limits) for name, limits in found.limits.items()},
    }


def _round_of(item: GithubItem) -> PollRound:
    document: Mapping[str, Any] = item.document or {}
    return PollRound(
        asked_at={r: _EPOCH + ms * _MILLISECOND for r, ms in document.get("asked", {}).items()},
        compared_at={
            r: _EPOCH + ms * _MILLISECOND for r, ms in document.get("compared", {}).items()
        },
        limits=document.get("limits", {}),
        lease_until=item.lease_until,
        version=int(item.version or 0),
    )


def _text(moment: datetime | None) -> str | None:
    return instant(moment) if moment else None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
