"""GitHub in memory, for the poller (`EventSource`) and the publisher (`Publishing`).

It is as unkind as the real one: events appear late and out of order, ids have no order, pages
shift while they are read, an unchanged answer may be a lie, and an answer may be lost after its
effect. The real adapters are tested against the simulator over HTTP.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count
from zlib import crc32

from nightdesk.domain.diff.pull_diff import PullDiff
from nightdesk.domain.errors import NightdeskError, PermanentError
from nightdesk.domain.github_ports import (
    Account,
    Change,
    Changes,
    FeedEvent,
    FeedPage,
    GithubNotFoundError,
    GithubRefusedError,
    IssueFacts,
    PostedComment,
    Repository,
)
from nightdesk.domain.publishing_ports import BaseTree, CommitFacts, FileEntry, PostedPull
from nightdesk.domain.pull_ports import PullComment, PullFacts
from nightdesk.domain.review.texts import ReviewDraft
from tests.fakes.pulls import FakePull

AUTHOR = Account(id=7, login="reporter")
US = Account(id=99, login="nightdesk-bot")
#: The only commit.
HEAD = "1" * 40
REPO = Repository(id=501, full_name="octo-org/widgets", default_branch="main")


def issue_facts(number: int, **changes: object) -> IssueFacts:
    """An open issue of REPO, its id 1000 + its number."""
    facts: dict[str, object] = {
        "id": 1_000 + number,
        "number": number,
        "repo": REPO.full_name,
        "title": f"Issue {number}",
        "body": f"Body of {number}",
        "state": "open",
        "author": AUTHOR,
        "url": f"https://github.com/{REPO.full_name}/issues/{number}",
    }
    return IssueFacts(**{**facts, **changes})  # type: ignore[arg-type]


def issue_event(
    event_id: str, number: int, at: datetime, *, action: str = "opened", actor: Account = AUTHOR
) -> FeedEvent:
    """As the Events API gives it, cut to what is read of it."""
    issue = {
        "id": 1_000 + number,
        "number": number,
        "user": {"id": AUTHOR.id, "login": AUTHOR.login},
        "updated_at": at.isoformat(),
    }
    return FeedEvent(
        id=event_id,
        type="IssuesEvent",
        created_at=at,
        actor=actor,
        repo_id=REPO.id,
        payload={"action": action, "issue": issue},
    )


@dataclass
class FakeEventSource:
    """`EventSource` over one repository; the newest `per_page` x 3 of `events` are its feed."""

    per_page: int = 100
    repo: Repository = REPO
    events: list[FeedEvent] = field(default_factory=list)
    issues: dict[int, IssueFacts] = field(default_factory=dict)
    #: The name that the caller knows may be an old one.
    former_name: str = ""
    #: The credential that it is read with.
    reader: str = "reader"
    #: Answer "unchanged" to any ETag, whatever has happened.
    lies: bool = False
    #: Called before each page is cut out of the feed.
    before_page: Callable[[int], None] = lambda _number: None
    #: Raised by the next calls, in order; None lets one pass.
    failures: list[NightdeskError | None] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    pages_served: int = 0
    #: What the lists show, however the feed does; each list read is remembered with its `since`.
    changed: list[Change] = field(default_factory=list)
    lists_read: list[datetime] = field(default_factory=list)

    def window(self) -> list[FeedEvent]:
        """What GitHub shows now: by time, and equal times in no order that means anything."""
        newest = sorted(
            self.events, key=lambda e: (e.created_at, crc32(e.id.encode())), reverse=True
        )
        return newest[: 3 * self.per_page]

    def credential(self, repo: str) -> str:
        return self.reader

    def repository(self, repo: str) -> Repository:
        self._begin(f"repository {repo}")
        self._check(repo)
        return self.repo

    def page(self, repo: str, number: int, *, etag: str = "") -> FeedPage:
        self._begin(f"page {number} {repo}")
        self._check(repo)
        self.before_page(number)
        window = self.window()
        start = (number - 1) * self.per_page
        events = tuple(window[start : start + self.per_page])
        current = '"' + ",".join(e.id for e in window[: self.per_page]) + '"'
        if etag and (self.lies or etag == current):
            return FeedPage(is_unchanged=True)
        self.pages_served += 1
        is_last = number == 3 or start + self.per_page >= len(window)
        moved = bool(self.former_name) and repo == self.former_name
        return FeedPage(events=events, etag=current, is_last=is_last, moved=moved)

    def issue(self, repo: str, number: int) -> IssueFacts:
        self._begin(f"issue {number}")
        if number not in self.issues:
            raise GithubNotFoundError(f"{repo}#{number}")
        return self.issues[number]

    def changes(self, repo: Repository, since: datetime, *, etags: Sequence[str]) -> Changes:
        self._check(repo.full_name)
        self.lists_read.append(since)
        shown = tuple(c for c in self.changed if c.head_sha or c.updated_at >= since)
        until = max((c.updated_at for c in shown if not c.head_sha), default=None)
        return Changes(items=shown, etags=("", "", ""), until=until)

    def _begin(self, call: str) -> None:
        self.calls.append(call)
        if self.failures:
            failure = self.failures.pop(0)
            if failure is not None:
                raise failure

    def _check(self, repo: str) -> None:
        if repo.lower() not in {self.repo.full_name.lower(), self.former_name.lower()}:
            raise GithubNotFoundError(repo)


@dataclass
class FakePublishing:
    """`Publishing` over one repository."""

    clock: Callable[[], datetime]
    repo: Repository = REPO
    account: Account = US
    labels: tuple[str, ...] = ("bug", "enhancement")
    comments: dict[int, list[tuple[datetime, PostedComment]]] = field(default_factory=dict)
    labelled: dict[int, list[str]] = field(default_factory=dict)
    edits: int = 0
    pulls: dict[int, FakePull] = field(default_factory=dict)
    #: Refuse every review that has comments at lines, as GitHub does because of a single one.
    refuses_lines: bool = False
    #: (sha, context, state, description), oldest first.
    statuses: list[tuple[str, str, str, str]] = field(default_factory=list)
    #: Issues of ours: (title, labels).
    opened: list[tuple[datetime, PostedComment, tuple[str, list[str]]]] = field(
        default_factory=list
    )
    files: dict[str, tuple[str, str]] = field(default_factory=dict)
    commits: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    drafts: list[tuple[str, PostedPull, dict[str, str]]] = field(default_factory=list)
    #: Raised before, or after, the effect of the next writing call.
    fails_before: list[NightdeskError] = field(default_factory=list)
    fails_after: list[NightdeskError] = field(default_factory=list)
    _ids: "count[int]" = field(default_factory=lambda: count(1))

    def own_account(self) -> Account:
        return self.account

    def repository(self, repo: str) -> Repository:
        if repo != self.repo.full_name:
            raise GithubNotFoundError(repo)
        return self.repo

    def comments_since(self, repo: str, number: int, since: datetime) -> Sequence[PostedComment]:
        self.repository(repo)
        return [comment for at, comment in self.comments.get(number, []) if at >= since]

    def comment(self, repo: str, number: int, body: str) -> PostedComment:
        self.repository(repo)
        self._raise_next(self.fails_before)
        posted = self.write_as(self.account, number, body)
        self._raise_next(self.fails_after)
        return posted

    def comment_by_id(self, repo: str, comment_id: int) -> PostedComment:
        self.repository(repo)
        return self._place_of(comment_id)[2]

    def edit_comment(self, repo: str, comment_id: int, body: str) -> PostedComment:
        self.repository(repo)
        self._raise_next(self.fails_before)
        number, place, comment = self._place_of(comment_id)
        if comment.author_id != self.account.id:
            raise PermanentError("GitHub: 403")
        edited = replace(comment, body=body)
        self.comments[number][place] = (self.clock(), edited)
        self.edits += 1
        self._raise_next(self.fails_after)
        return edited

    def delete_comment(self, comment_id: int) -> None:
        """Somebody deletes it."""
        number, place, _ = self._place_of(comment_id)
        del self.comments[number][place]

    def _place_of(self, comment_id: int) -> tuple[int, int, PostedComment]:
        for number, comments in self.comments.items():
            for place, (_, comment) in enumerate(comments):
                if comment.id == comment_id:
                    return number, place, comment
        raise GithubNotFoundError(f"comment {comment_id}")

    def labels_of_repository(self, repo: str) -> Sequence[str]:
        self.repository(repo)
        return self.labels

    def add_labels(self, repo: str, number: int, labels: Sequence[str]) -> None:
        self.repository(repo)
        self._raise_next(self.fails_before)
        present = self.labelled.setdefault(number, [])
        present += [label for label in labels if label not in present]
        self._raise_next(self.fails_after)

    def pull(self, repo: str, number: int) -> PullFacts:
        return self._pull(repo, number).facts()

    def pull_diff(self, repo: str, number: int, head_sha: str) -> PullDiff:
        return self._pull(repo, number).diff(head_sha)

    def reviews(self, repo: str, number: int) -> Sequence[PullComment]:
        return list(self._pull(repo, number).reviews)

    def line_comments(self, repo: str, number: int) -> Sequence[PullComment]:
        return list(self._pull(repo, number).line_comments)

    def review(self, repo: str, number: int, draft: ReviewDraft) -> PullComment:
        pull = self._pull(repo, number)
        self._raise_next(self.fails_before)
        if self.refuses_lines and draft.comments:
            raise GithubRefusedError("422 Line could not be resolved")
        posted = pull.take(draft, self.account)
        self._raise_next(self.fails_after)
        return posted

    def _pull(self, repo: str, number: int) -> FakePull:
        self.repository(repo)
        if number not in self.pulls:
            raise GithubNotFoundError(f"{repo}#{number}")
        return self.pulls[number]

    def issues_since(self, repo: str, creator: str, since: datetime) -> Sequence[PostedComment]:
        self.repository(repo)
        assert creator == self.account.login
        return [issue for at, issue, _ in self.opened if at >= since]

    def open_issue(
        self, repo: str, *, title: str, body: str, labels: Sequence[str]
    ) -> PostedComment:
        self.repository(repo)
        self._raise_next(self.fails_before)
        url = f"https://github.com/{repo}/issues/{50 + len(self.opened)}"
        issue = PostedComment(id=len(self.opened), author_id=self.account.id, body=body, url=url)
        self.opened.append((self.clock(), issue, (title, list(labels))))
        self._raise_next(self.fails_after)
        return issue

    def set_status(
        self, repo: str, sha: str, *, state: str, context: str, description: str
    ) -> None:
        self.repository(repo)
        self._raise_next(self.fails_before)
        self.statuses.append((sha, context, state, description))
        self._raise_next(self.fails_after)

    # Branches: one commit, HEAD, with `files` (path to mode and content) ----------------------

    def base_tree(self, repo: str, commit: str) -> BaseTree:
        self.repository(repo)
        if commit != HEAD:
            raise GithubNotFoundError(commit)
        entries = {path: FileEntry(mode, f"blob {path}") for path, (mode, _) in self.files.items()}
        return BaseTree("tree", HEAD, entries)

    def file_text(self, repo: str, sha: str) -> str:
        self.repository(repo)
        return self.files[sha.removeprefix("blob ")][1]

    def make_commit(
        self, repo: str, base: BaseTree, files: Mapping[str, tuple[str, str]], facts: CommitFacts
    ) -> str:
        self.repository(repo)
        self._raise_next(self.fails_before)
        content = repr((base.sha, sorted(files.items()), facts))
        sha = f"{crc32(content.encode()):040x}"
        self.commits[sha] = dict(files)
        self._raise_next(self.fails_after)
        return sha

    def branch_head(self, repo: str, branch: str) -> str | None:
        self.repository(repo)
        return self.branches.get(branch)

    def make_branch(self, repo: str, branch: str, commit: str) -> None:
        self.repository(repo)
        self._raise_next(self.fails_before)
        if branch in self.branches:
            raise GithubRefusedError("GitHub: 422 Reference already exists")
        self.branches[branch] = commit
        self._raise_next(self.fails_after)

    def pulls_of(self, repo: str, branch: str) -> Sequence[PostedPull]:
        self.repository(repo)
        return [pull for head, pull, _ in self.drafts if head == branch]

    def make_draft(self, repo: str, *, branch: str, base: str, title: str, body: str) -> PostedPull:
        self.repository(repo)
        self._raise_next(self.fails_before)
        assert base == self.repo.default_branch
        url = f"https://github.com/{repo}/pull/{100 + len(self.drafts)}"
        pull = PostedPull(self.account.id, url)
        self.drafts.append((branch, pull, {"title": title, "body": body}))
        self._raise_next(self.fails_after)
        return pull

    def write_as(self, account: Account, number: int, body: str) -> PostedComment:
        """Somebody's comment."""
        comment_id = next(self._ids)
        url = f"https://github.com/{self.repo.full_name}/issues/{number}#issuecomment-{comment_id}"
        posted = PostedComment(id=comment_id, author_id=account.id, body=body, url=url)
        self.comments.setdefault(number, []).append((self.clock(), posted))
        return posted

    def bodies(self, number: int) -> list[str]:
        return [comment.body for _, comment in self.comments.get(number, [])]

    def _raise_next(self, failures: list[NightdeskError]) -> None:
        if failures:
            raise failures.pop(0)
