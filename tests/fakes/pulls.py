"""Pull requests in memory, for the session (`PullReader`) and, in `FakePublishing`, for reviews."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from nightdesk.domain.diff.pull_diff import FileDiff, PullDiff
from nightdesk.domain.github_ports import Account, GithubNotFoundError
from nightdesk.domain.pull_ports import (
    CommitFacts,
    HeadMovedError,
    PullComment,
    PullFacts,
)
from nightdesk.domain.review.texts import ReviewDraft
from nightdesk.domain.task import Target

HEAD = "a" * 40
NEXT_HEAD = "b" * 40


@dataclass
class FakePull:
    """One pull request and all that was said in it."""

    head_sha: str = HEAD
    is_open: bool = True
    files: tuple[FileDiff, ...] = ()
    reviews: list[PullComment] = field(default_factory=list)
    line_comments: list[PullComment] = field(default_factory=list)
    #: What was sent to GitHub, as it was sent.
    drafts: list[ReviewDraft] = field(default_factory=list)
    commits: tuple[CommitFacts, ...] = ()
    ids: "count[int]" = field(default_factory=lambda: count(1))

    def facts(self) -> PullFacts:
        return PullFacts(
            head_sha=self.head_sha, is_open=self.is_open, changed_files=len(self.files)
        )

    def diff(self, head_sha: str) -> PullDiff:
        if head_sha != self.head_sha:
            raise HeadMovedError(head_sha, self.head_sha)
        return PullDiff(head_sha, self.files)

    def take(self, draft: ReviewDraft, author: Account) -> PullComment:
        """Publish a review, with a comment at each of its lines."""
        self.drafts.append(draft)
        number = next(self.ids)
        url = f"https://github.com/octo-org/widgets/pull/12#pullrequestreview-{number}"
        review = PullComment(id=number, author_id=author.id, body=draft.body, url=url)
        self.reviews.append(review)
        for comment in draft.comments:
            self.line_comments.append(
                PullComment(
                    id=next(self.ids),
                    author_id=author.id,
                    body=comment.body,
                    path=comment.anchor.path,
                    line=comment.anchor.line,
                    is_trusted=True,
                )
            )
        return review


@dataclass
class FakePulls:
    """`PullReader` over the pull requests of one repository."""

    pulls: dict[int, FakePull] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def head(self, task_id: str, target: Target) -> str:
        return self._pull("head", task_id, target).head_sha

    def diff(self, task_id: str, target: Target) -> PullDiff:
        return self._pull("diff", task_id, target).diff(target.head_sha)

    def comments(self, task_id: str, target: Target) -> Sequence[PullComment]:
        pull = self._pull("comments", task_id, target)
        return [*pull.reviews, *pull.line_comments]

    def history(
        self, task_id: str, target: Target, *, path: str, limit: int
    ) -> Sequence[CommitFacts]:
        del path
        return self._pull("history", task_id, target).commits[:limit]

    def _pull(self, call: str, task_id: str, target: Target) -> FakePull:
        self.calls.append(f"{call} {task_id}")
        if target.number not in self.pulls:
            raise GithubNotFoundError(f"{target.repo}#{target.number}")
        return self.pulls[target.number]
