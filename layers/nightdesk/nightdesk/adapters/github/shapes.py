"""Between GitHub's JSON and our facts. What is missing or odd becomes a default, not an error:
GitHub trims its payloads, and one strange object must not hide the others.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from nightdesk.domain.actor_gate import MEMBERS
from nightdesk.domain.diff.pull_diff import FileDiff
from nightdesk.domain.errors import InvalidInputError, UnavailableError
from nightdesk.domain.github_ports import (
    Account,
    FeedEvent,
    IssueFacts,
    PostedComment,
    Repository,
)
from nightdesk.domain.pull_ports import CommitFacts, PullComment, PullFacts
from nightdesk.domain.repository_name import is_repository_name

_BOT_SUFFIX = "[bot]"
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def repository_path(repo: str, *rest: str | int) -> str:
    """`/repos/owner/name/…`. Raises InvalidInputError for anything but owner/name."""
    if not is_repository_name(repo):
        raise InvalidInputError("repo", f"{repo[:100]!r} is not owner/name")
    return "/".join(["/repos", repo, *(quote(str(part), safe="") for part in rest)])


def account_of(data: Any) -> Account:
    """A user of the REST API or an actor of the Events API; None for a deleted one."""
    found: Mapping[str, Any] = data if isinstance(data, dict) else {}
    login = str(found.get("login") or "ghost")
    is_bot = found.get("type") == "Bot" or login.endswith(_BOT_SUFFIX)
    return Account(id=_number(found.get("id")), login=login, is_bot=is_bot)


def repository_of(data: Any) -> Repository:
    if not isinstance(data, dict) or not isinstance(data.get("id"), int):
        raise UnavailableError("GitHub: the answer is no repository")
    return Repository(
        id=data["id"],
        full_name=str(data.get("full_name", "")),
        default_branch=str(data.get("default_branch") or ""),
    )


def issue_of(data: Any) -> IssueFacts:
    if not isinstance(data, dict) or not isinstance(data.get("id"), int):
        raise UnavailableError("GitHub: the answer is no issue")
    repo = "/".join(urlsplit(str(data.get("repository_url", ""))).path.split("/")[-2:])
    return IssueFacts(
        id=data["id"],
        number=_number(data.get("number")),
        repo=repo,
        title=str(data.get("title") or ""),
        body=str(data.get("body") or ""),
        state=str(data.get("state") or ""),
        author=account_of(data.get("user")),
        author_association=str(data.get("author_association") or "NONE"),
        labels=_labels_of(data.get("labels")),
        url=str(data.get("html_url") or ""),
        is_pull_request="pull_request" in data,
        is_draft=data.get("draft") is True,
        is_locked=data.get("locked") is True,
    )


def _labels_of(labels: Any) -> tuple[str, ...]:
    return tuple(label_name(label) for label in labels) if isinstance(labels, list) else ()


def label_name(label: Any) -> str:
    """Labels come as objects; GitHub's schema allows bare names too."""
    return str(label.get("name", "")) if isinstance(label, dict) else str(label)


def feed_event_of(data: Any) -> FeedEvent | None:
    """An event; None without an id, by which alone it could be told from the others."""
    if not isinstance(data, dict) or not data.get("id"):
        return None
    payload, repo = data.get("payload"), data.get("repo")
    return FeedEvent(
        id=str(data["id"]),
        type=str(data.get("type") or ""),
        created_at=moment_of_json(data.get("created_at")),
        actor=account_of(data.get("actor")),
        repo_id=_number(repo.get("id")) if isinstance(repo, dict) else 0,
        payload=payload if isinstance(payload, dict) else {},
    )


def comment_of(data: Any) -> PostedComment:
    if not isinstance(data, dict) or not isinstance(data.get("id"), int):
        raise UnavailableError("GitHub: the answer is no comment")
    return PostedComment(
        id=data["id"],
        author_id=account_of(data.get("user")).id,
        body=str(data.get("body") or ""),
        url=str(data.get("html_url") or ""),
    )


def pull_of(data: Any) -> PullFacts:
    head = data.get("head") if isinstance(data, dict) else None
    if not isinstance(head, dict) or not head.get("sha"):
        raise UnavailableError("GitHub: the answer is no pull request")
    return PullFacts(
        head_sha=str(head["sha"]),
        is_open=data.get("state") == "open",
        changed_files=_number(data.get("changed_files")),
    )


def file_diff_of(data: Any) -> FileDiff:
    if not isinstance(data, dict) or not data.get("filename"):
        raise UnavailableError("GitHub: the answer is no changed file")
    patch = data.get("patch")
    return FileDiff(
        path=str(data["filename"]),
        status=str(data.get("status") or "modified"),
        additions=_number(data.get("additions")),
        deletions=_number(data.get("deletions")),
        previous_path=str(data.get("previous_filename") or ""),
        patch=patch if isinstance(patch, str) else None,
    )


def pull_comment_of(data: Any) -> PullComment:
    """A review, or a comment at a line. Apps review as bots; a personal token as a member."""
    if not isinstance(data, dict) or not isinstance(data.get("id"), int):
        raise UnavailableError("GitHub: the answer is no review")
    author, line, reply = account_of(data.get("user")), data.get("line"), data.get("in_reply_to_id")
    return PullComment(
        id=data["id"],
        author_id=author.id,
        body=str(data.get("body") or ""),
        url=str(data.get("html_url") or ""),
        path=str(data.get("path") or ""),
        line=line if isinstance(line, int) else None,
        in_reply_to=reply if isinstance(reply, int) else None,
        is_trusted=author.is_bot or data.get("author_association") in MEMBERS,
    )


def commit_of(data: Any) -> CommitFacts:
    commit = data.get("commit") if isinstance(data, dict) else None
    if not isinstance(commit, dict) or not data.get("sha"):
        raise UnavailableError("GitHub: the answer is no commit")
    given = commit.get("author")
    author: Mapping[str, Any] = given if isinstance(given, dict) else {}
    return CommitFacts(
        sha=str(data["sha"]),
        date=moment_of_json(author.get("date")),
        author=str(author.get("name") or ""),
        message=str(commit.get("message") or ""),
    )


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def moment_of_json(value: Any) -> datetime:
    """A time of GitHub's; long ago for none."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return _LONG_AGO
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
