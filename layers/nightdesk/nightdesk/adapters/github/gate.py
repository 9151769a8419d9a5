"""What is read before an event may start anything (`GateReader`)."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, Generic, TypeVar

from nightdesk.adapters.github.client import Answer, GithubClient
from nightdesk.adapters.github.paging import PER_PAGE
from nightdesk.adapters.github.reading import CountedReads
from nightdesk.adapters.github.shapes import account_of, repository_of, repository_path
from nightdesk.domain.document_values import DocumentError
from nightdesk.domain.errors import UnavailableError
from nightdesk.domain.gate_ports import ChangedPaths, Permission
from nightdesk.domain.github_ports import (
    Account,
    GithubNotFoundError,
    RateLimits,
    Repository,
    RepositoryTokens,
)
from nightdesk.domain.ports import Clock
from nightdesk.domain.repository_rules import NO_RULES, RULES_FILE, RepositoryRules
from nightdesk.domain.repository_rules_document import rules_from

#: How old an answer may be: a right that is taken away counts after this time at most.
FRESH = timedelta(seconds=60)
#: GitHub's own limit for the list of a pull request's files.
CHANGED_FILES_MAX = 3_000
RULES_BYTES_MAX = 64 * 1024
_REMEMBERED = 1_000

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class _Known(Generic[_Value]):
    """An answer. `etag` lets GitHub say that it still holds, free of the rate limit."""

    value: _Value
    read_at: datetime
    etag: str = ""


class _Answers(Generic[_Value]):
    """The latest answers; a new one is read when the known one is too old."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[tuple[str, int], _Known[_Value]] = {}
        self._lock = Lock()

    def get(
        self,
        key: tuple[str, int],
        read: Callable[[_Known[_Value] | None], _Known[_Value]],
    ) -> _Value:
        known = self._known.get(key)
        if known is not None and self._clock.now() - known.read_at < FRESH:
            return known.value
        found = read(known)
        with self._lock:
            while len(self._known) >= _REMEMBERED:
                self._known.pop(next(iter(self._known)))
            self._known[key] = found
        return found.value


class GithubGateReader:
    """`GateReader` on GitHub's REST API, with the token that `tokens` has for each repository.

    The poller's threads share it; two that ask for the same at once may both ask GitHub.
    """

    def __init__(
        self,
        client: GithubClient,
        tokens: RepositoryTokens,
        limits: RateLimits,
        *,
        clock: Clock,
    ) -> None:
        self._client = client
        self._tokens = tokens
        self._limits = limits
        self._clock = clock
        self._permissions = _Answers[Permission](clock)
        self._rules = _Answers[RepositoryRules](clock)

    def permission(self, repo: str, actor: Account) -> Permission:
        def read(_: object) -> _Known[Permission]:
            return _Known(self._read_permission(repo, actor), self._clock.now())

        return self._permissions.get((repo.lower(), actor.id), read)

    def changed_paths(self, repo: str, number: int) -> ChangedPaths:
        path = repository_path(repo, "pulls", number, "files")
        paths: dict[str, None] = {}
        files = 0
        for page in range(1, CHANGED_FILES_MAX // PER_PAGE + 1):
            query = {"per_page": str(PER_PAGE), "page": str(page)}
            answer = self._reads(repo).get(path, query=query)
            if not isinstance(answer.data, list):
                raise UnavailableError(f"GitHub: {path} is no list")
            files += len(answer.data)
            for item in answer.data:
                names = (item.get("filename"), item.get("previous_filename"))
                paths |= dict.fromkeys(str(name) for name in names if name)
            if not answer.has_next_page:
                break
        return ChangedPaths(tuple(paths), is_complete=files < CHANGED_FILES_MAX)

    def rules(self, repo: Repository) -> RepositoryRules:
        # Under its id too, so that another repository of this name never gets these rules.
        key = (repo.full_name.lower(), repo.id)
        return self._rules.get(key, lambda known: self._read_rules(repo, known))

    # ------------------------------------------------------------------------------------------

    def _read_permission(self, repo: str, actor: Account) -> Permission:
        path = repository_path(repo, "collaborators", actor.login, "permission")
        try:
            data = self._reads(repo).get(path).data
        except GithubNotFoundError:
            return Permission()
        if not isinstance(data, dict):
            raise UnavailableError(f"GitHub: {path} is no permission")
        if account_of(data.get("user")).id != actor.id:
            return Permission()  # somebody else has the login now
        level = str(data.get("permission") or "none")
        return Permission(level=level, role=str(data.get("role_name") or level))

    def _read_rules(
        self, repo: Repository, known: _Known[RepositoryRules] | None
    ) -> _Known[RepositoryRules]:
        """Without `ref`, GitHub answers with the file of the default branch."""
        path = repository_path(repo.full_name, "contents", RULES_FILE)
        etag = known.etag if known else ""
        try:
            answer = self._reads(repo.full_name).get(path, etag=etag)
        except GithubNotFoundError:
            # The same answer hides a repository that the token may not see.
            self._check_visible(repo)
            return _Known(NO_RULES, self._clock.now())
        if answer.status == 304 and known is not None:  # noqa: PLR2004 - HTTP's own number
            return _Known(known.value, self._clock.now(), etag)
        return _Known(_rules_of(answer), self._clock.now(), answer.headers.get("ETag", ""))

    def _check_visible(self, repo: Repository) -> None:
        path = repository_path(repo.full_name)
        repository_of(self._reads(repo.full_name).get(path).data)

    def _reads(self, repo: str) -> CountedReads:
        return CountedReads(self._client, self._tokens.token_for(repo, 0), self._limits)


def _rules_of(answer: Answer) -> RepositoryRules:
    """The rules of a file, or rules that start nothing and say why."""
    # YAML costs 25 ms of a cold start, and most events start nothing.
    from nightdesk.adapters.specialist_yaml import small_yaml_document  # noqa: PLC0415

    try:
        return rules_from(small_yaml_document(_text_of(answer.data)))
    except DocumentError as error:
        return RepositoryRules(problem=f"{RULES_FILE}: {error}")


def _text_of(data: Any) -> str:
    """The text of GitHub's answer to a question for a file.

    Raises:
        DocumentError: it is no file, too large, or no text.
    """
    if not isinstance(data, dict) or data.get("type") != "file":
        raise DocumentError("it is no file")
    size = data.get("size")
    if not isinstance(size, int) or size > RULES_BYTES_MAX:
        raise DocumentError(f"{size} bytes; allowed: at most {RULES_BYTES_MAX}")
    try:
        return base64.b64decode(str(data.get("content") or "")).decode("utf-8-sig")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise DocumentError("the file is not UTF-8") from error
