"""Reviews of pull requests. They comment; nothing here can approve or merge."""

from collections.abc import Mapping, Sequence
from typing import Any

from nightdesk.adapters.github.publishing.write_access import REVIEW, WriteAccess
from nightdesk.adapters.github.pulls import PullCalls
from nightdesk.adapters.github.shapes import pull_comment_of, repository_path
from nightdesk.domain.diff.pull_diff import PullDiff
from nightdesk.domain.pull_ports import PullComment, PullFacts
from nightdesk.domain.review.texts import ReviewDraft


class GithubReviews(WriteAccess):
    def pull(self, repo: str, number: int) -> PullFacts:
        return self._pull_calls(repo, number).facts()

    def pull_diff(self, repo: str, number: int, head_sha: str) -> PullDiff:
        return self._pull_calls(repo, number).diff(head_sha)

    def reviews(self, repo: str, number: int) -> Sequence[PullComment]:
        return self._pull_calls(repo, number).reviews()

    def line_comments(self, repo: str, number: int) -> Sequence[PullComment]:
        return self._pull_calls(repo, number).line_comments()

    def review(self, repo: str, number: int, draft: ReviewDraft) -> PullComment:
        path = repository_path(repo, "pulls", number, "reviews")
        token = self._token(repo, REVIEW)
        return pull_comment_of(self._client.post(path, token=token, body=_body(draft)).data)

    def _pull_calls(self, repo: str, number: int) -> PullCalls:
        return PullCalls(self._client, self._token(repo, REVIEW), repo, number)


def _body(draft: ReviewDraft) -> dict[str, Any]:
    comments: list[Mapping[str, Any]] = []
    for comment in draft.comments:
        anchor = comment.anchor
        place: dict[str, Any] = {"path": anchor.path, "line": anchor.line, "side": "RIGHT"}
        if anchor.start_line is not None and anchor.start_line < anchor.line:
            place |= {"start_line": anchor.start_line, "start_side": "RIGHT"}
        comments.append({**place, "body": comment.body})
    return {
        "commit_id": draft.commit,
        "event": "COMMENT",
        "body": draft.body,
        "comments": comments,
    }
