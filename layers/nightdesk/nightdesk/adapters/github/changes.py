"""What was changed lately in a repository, from the lists of issues, comments and pull requests.

Each list is asked for with the ETag of its last answer: while nothing changes, that is free of the
rate limit, because the address stays the same too.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from nightdesk.adapters.github.reading import CountedReads
from nightdesk.adapters.github.shapes import (
    account_of,
    issue_of,
    moment_of_json,
    repository_path,
)
from nightdesk.domain.errors import UnavailableError
from nightdesk.domain.github_ports import Change, Changes, FeedEvent, IssueFacts, Repository

PER_PAGE = 100
#: What is beyond is read the next time: the lists are sorted by the time of their change.
PAGES = 5
#: Open pull requests that are compared, those changed last.
PULL_PAGES = 3


class ChangeLists:
    """Reads the three lists of one repository."""

    def __init__(self, reads: CountedReads, repo: Repository) -> None:
        self._reads = reads
        self._repo = repo

    def since(self, since: datetime, etags: Sequence[str]) -> Changes:
        asked = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        known = (*etags, "", "", "")[:3]
        changed = {"sort": "updated", "direction": "asc", "since": asked}
        issues = self._read("issues", {"state": "all", **changed}, known[0], PAGES)
        comments = self._read("issues/comments", changed, known[1], PAGES)
        newest = {"state": "open", "sort": "updated", "direction": "desc"}
        pulls = self._read("pulls", newest, known[2], PULL_PAGES)
        by_number = {int(item["number"]): item for item in issues.items}
        items = [
            *(self._issue(item) for item in issues.items if "pull_request" not in item),
            *(self._comment(item, self._issue_of(item, by_number)) for item in comments.items),
            *(self._pull(item) for item in pulls.items),
        ]
        return Changes(
            items=tuple(items),
            etags=(issues.etag, comments.etag, pulls.etag),
            until=_until(issues, comments),
        )

    def _read(self, name: str, query: dict[str, str], etag: str, pages: int) -> "_List":
        path = repository_path(self._repo.full_name, *name.split("/"))
        found = _List(etag=etag)
        for page in range(1, pages + 1):
            numbers = {"per_page": str(PER_PAGE), "page": str(page)}
            answer = self._reads.get(
                path, query={**query, **numbers}, etag=etag if page == 1 else ""
            )
            if answer.status == 304:  # noqa: PLR2004 - HTTP's own number
                return found
            if not isinstance(answer.data, list):
                raise UnavailableError(f"GitHub: {path} is no list")
            found.items += [item for item in answer.data if isinstance(item, dict)]
            if page == 1:
                found.etag = answer.headers.get("ETag", "")
            if not answer.has_next_page:
                return found
        # The rest must not look unchanged the next time.
        found.is_cut, found.etag = True, ""
        return found

    def _issue(self, issue: dict[str, Any]) -> Change:
        payload = {"action": "opened", "issue": issue}
        return self._change("IssuesEvent", payload, issue, self._facts(issue))

    def _comment(self, comment: dict[str, Any], issue: dict[str, Any]) -> Change:
        payload = {"action": "created", "issue": issue, "comment": comment}
        return self._change("IssueCommentEvent", payload, comment, self._facts(issue))

    def _issue_of(
        self, comment: dict[str, Any], by_number: dict[int, dict[str, Any]]
    ) -> dict[str, Any]:
        """A comment moves its issue to the same list; if that is on a later page, it is read."""
        number = int(str(comment.get("issue_url", "")).rpartition("/")[2] or 0)
        if number not in by_number:
            path = repository_path(self._repo.full_name, "issues", number)
            by_number[number] = self._reads.get(path).data
        return by_number[number]

    def _pull(self, pull: dict[str, Any]) -> Change:
        facts = replace(self._facts(pull), is_pull_request=True)
        change = self._change(
            "PullRequestEvent", {"action": "opened", "pull_request": pull}, pull, facts
        )
        return replace(change, head_sha=str(pull["head"]["sha"]))

    def _facts(self, issue: dict[str, Any]) -> IssueFacts:
        return replace(issue_of(issue), repo=self._repo.full_name)

    def _change(
        self, kind: str, payload: dict[str, Any], written: dict[str, Any], facts: IssueFacts
    ) -> Change:
        item = FeedEvent(
            id="",
            type=kind,
            created_at=moment_of_json(written.get("created_at")),
            actor=account_of(written.get("user")),
            repo_id=self._repo.id,
            payload=payload,
        )
        updated_at = moment_of_json(written.get("updated_at"))
        return Change(item=item, facts=facts, updated_at=updated_at)


class _List:
    def __init__(self, etag: str) -> None:
        self.items: list[dict[str, Any]] = []
        self.etag = etag
        self.is_cut = False

    @property
    def last(self) -> datetime | None:
        return moment_of_json(self.items[-1].get("updated_at")) if self.items else None


def _until(*lists: _List) -> datetime | None:
    """The time before which nothing is left to read: where a list was cut, it ends there."""
    earliest: Callable[[list[datetime]], datetime] = min
    cut = [found.last for found in lists if found.is_cut and found.last]
    read = [found.last for found in lists if found.last]
    if cut:
        return earliest(cut)
    return max(read) if read else None
