"""Changes of files, and the draft pull request that they become.

A change is an exact replacement in one file, or a new file. It is checked at once against the
snapshot with the changes so far, so that the model sees what is wrong; the publisher applies the
same changes to the same commit, with the same function, and refuses what does not fit there.
"""

import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nightdesk.domain.errors import PermanentError
from nightdesk.domain.intents.names import CHANGE, PULL_REQUEST
from nightdesk.domain.model import ToolSpec
from nightdesk.domain.path_pattern import PathPattern
from nightdesk.domain.sanitiser.secret_patterns import without_secrets
from nightdesk.domain.snapshot_paths import is_safe_path
from nightdesk.domain.tool import ToolResult
from nightdesk.domain.workspace_files import PathRefusedError, Snapshot

#: What one pull request may hold: it is to be read by people, and stored in one row.
CHANGES_MAX, CHANGES_BYTES, FILE_BYTES = 40, 120_000, 300_000
TITLE_MAX, BODY_MAX = 200, 20_000
PATH_MAX = 300
#: `.git`, and what a file system that shortens names takes for it.
_GIT_SHORT = re.compile(r"\.git[ .]*|git~\d+")
#: What decides what runs, who may merge and who is let in: never changed by an agent.
PROTECTED = tuple(
    PathPattern.parse(pattern)
    for pattern in (
        "/.github/**",
        "/.circleci/**",
        "/.husky/**",
        ".git",
        ".git/**",
        ".gitmodules",
        ".gitattributes",
        "/.gitlab-ci.{yml,yaml}",
        "/.pre-commit-config.{yml,yaml}",
        ".gitlab-ci.{yml,yaml}",
        "/.gitlab/**",
        "azure-pipelines*.{yml,yaml}",
        "/.azure-pipelines/**",
        "bitbucket-pipelines.{yml,yaml}",
        "buildspec*.{yml,yaml}",
        "cloudbuild*.{yml,yaml,json}",
        "jenkinsfile",
        "jenkinsfile.*",
        ".travis.{yml,yaml}",
        ".drone.{yml,yaml,star}",
        ".woodpecker.{yml,yaml}",
        "/.woodpecker/**",
        ".appveyor.{yml,yaml}",
        "appveyor.{yml,yaml}",
        "/.buildkite/**",
        "/.semaphore/**",
        "/.teamcity/**",
        "lefthook*.{yml,yaml,toml,json}",
        ".lefthook*.{yml,yaml,toml,json}",
        ".envrc",
        ".yarnrc",
        ".yarnrc.yml",
        "/.yarn/**",
        "pip.conf",
        "/.cargo/**",
        "/.devcontainer/**",
        ".devcontainer.json",
        "/.vscode/**",
        "/.idea/**",
        ".mcp.json",
        "/.claude/**",
        "/.cursor/**",
        "codeowners",
        "/nightdesk.{yml,yaml}",
        ".env",
        ".env.*",
        ".npmrc",
        ".pypirc",
        ".netrc",
    )
)


def path_refusal(path: str, allowed: tuple[str, ...]) -> str | None:
    """Why a file of this path may not be changed; None = it may. `allowed` = () allows any."""
    if not is_safe_path(path) or len(path) > PATH_MAX:
        return f"{path[:100]!r} is no path: relative, with forward slashes, without '..'"
    folded = path.casefold()
    names = folded.split("/")
    if any(_GIT_SHORT.fullmatch(name) for name in names) or any(
        pattern.matches(folded) for pattern in PROTECTED
    ):
        return f"{path} is protected: it decides what runs or who is let in"
    if allowed and not any(PathPattern.parse(pattern).matches(path) for pattern in allowed):
        return f"{path} is not among the paths that may be changed: {', '.join(allowed)}"
    return None


def changed(content: str | None, change: Mapping[str, Any]) -> str:
    """The file's content after the change. `content` None: there is no such file.

    Raises:
        PermanentError: it does not fit, and why.
    """
    path, old, new = change["path"], change.get("old"), change["new"]
    if old is None:
        if content is not None:
            raise PermanentError(f"{path} exists already; replace a part of it with old and new")
        after = new
    else:
        if content is None:
            raise PermanentError(f"{path} does not exist; leave old out to make a new file")
        times = content.count(old)
        if times != 1:
            raise PermanentError(f"old must occur in {path} exactly once; it occurs {times} times")
        after = content.replace(old, new)
    if after == content:
        raise PermanentError("old and new are the same")
    if len(after.encode()) > FILE_BYTES:
        raise PermanentError(f"{path} would be larger than {FILE_BYTES} bytes")
    return str(after)


def check_place(path: str, files: Collection[str]) -> None:
    """A file must not take the place of a folder, nor lie below a file or a link.

    Raises:
        PermanentError: it would.
    """
    parents = path.split("/")[:-1]
    for length in range(1, len(parents) + 1):
        if (parent := "/".join(parents[:length])) in files:
            raise PermanentError(f"{path} would lie below {parent}, which is no folder")
    if any(known.startswith(f"{path}/") for known in files):
        raise PermanentError(f"{path} is a folder")


def check_added(path: str, text: str) -> None:
    """Refuse what looks like a secret. A last net: a secret is out of the model's reach anyway.

    Raises:
        PermanentError: it holds one.
    """
    if without_secrets(text) != text:
        raise PermanentError(f"the change of {path} holds something that looks like a secret")


def size_of(changes: Iterable[Mapping[str, Any]]) -> int:
    """Bytes that the changes take when they are stored."""
    return sum(
        len(str(change[key]).encode())
        for change in changes
        for key in ("path", "old", "new")
        if change.get(key) is not None
    )


@dataclass(frozen=True, slots=True)
class ProposeChange:
    """The tool that changes a file. `so_far` are the session's accepted changes, in order."""

    snapshot: Snapshot
    allowed_paths: tuple[str, ...]
    so_far: Callable[[], list[Mapping[str, Any]]]

    @property
    def spec(self) -> ToolSpec:
        return ToolSpec(
            name="propose_change",
            description=(
                "Change one file: replace `old`, which must occur in it exactly once (take enough "
                "lines, to the letter), by `new`; or, without `old`, make a new file of `new`. "
                "Later calls see the file as earlier ones left it; read_file shows it as it was "
                "before. Nothing is published until propose_pull_request is called."
            ),
            input_schema={
                "type": "object",
                "properties": {
                    "path": {"type": "string", "maxLength": PATH_MAX},
                    "old": {"type": "string"},
                    "new": {"type": "string"},
                },
                "required": ["path", "new"],
                "additionalProperties": False,
            },
        )

    @property
    def idempotent(self) -> bool:
        return True

    def activity(self, arguments: Mapping[str, Any]) -> str:
        return f"propose_change {str(arguments.get('path', ''))[:100]}".strip()

    def run(self, arguments: Mapping[str, Any]) -> ToolResult:
        path, old, new = (arguments.get(key) for key in ("path", "old", "new"))
        if not isinstance(path, str) or not isinstance(new, str):
            return ToolResult("path and new must be texts", is_error=True)
        if old is not None and (not isinstance(old, str) or not old):
            return ToolResult("old must be a text of one or more characters", is_error=True)
        if refusal := path_refusal(path, self.allowed_paths):
            return ToolResult(refusal, is_error=True)
        change, known = self._change(arguments), self.so_far()
        if len(known) >= CHANGES_MAX or size_of([*known, change]) > CHANGES_BYTES:
            limit = f"{CHANGES_MAX} changes of {CHANGES_BYTES} bytes together"
            return ToolResult(f"too much for one pull request: at most {limit}", is_error=True)
        try:
            check_added(path, new)
            changed(self._content(path, known), change)
        except PermanentError as error:
            return ToolResult(str(error), is_error=True)
        return ToolResult(f"{path} is changed")

    def intent_of(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return {"name": CHANGE, **self._change(arguments), "base": self.snapshot.commit}

    def _change(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return {key: arguments[key] for key in ("path", "old", "new") if key in arguments}

    def _content(self, path: str, known: list[Mapping[str, Any]]) -> str | None:
        """The file after the changes so far; None when there is none.

        Raises:
            PermanentError: it cannot be read as text.
        """
        content: str | None = None
        files = {entry.path for entry in self.snapshot.files()}
        check_place(path, files | {change["path"] for change in known})
        if path in files:
            try:
                content = self.snapshot.read_text(path, max_bytes=FILE_BYTES)
            except PathRefusedError as error:
                raise PermanentError(str(error)) from error
        for change in known:
            if change["path"] == path:
                content = changed(content, change)
        return content


@dataclass(frozen=True, slots=True)
class ProposePullRequest:
    """The tool that asks for a draft pull request of the changes."""

    most: int
    proposed: Callable[[], int]
    so_far: Callable[[], list[Mapping[str, Any]]]

    @property
    def spec(self) -> ToolSpec:
        return ToolSpec(
            name="propose_pull_request",
            description=(
                "Propose a draft pull request of all changes of this session. Title: what it "
                "does, in one line. Body: what changed and why, how it was checked, what is left. "
                "The issue is referred to without your help. Call it once, after the changes."
            ),
            input_schema={
                "type": "object",
                "properties": {
                    "title": {"type": "string", "maxLength": TITLE_MAX},
                    "body": {"type": "string", "maxLength": BODY_MAX},
                },
                "required": ["title", "body"],
                "additionalProperties": False,
            },
        )

    @property
    def idempotent(self) -> bool:
        return True

    def activity(self, arguments: Mapping[str, Any]) -> str:
        return f"propose_pull_request {str(arguments.get('title', ''))[:80]}".strip()

    def run(self, arguments: Mapping[str, Any]) -> ToolResult:
        title, body = arguments.get("title"), arguments.get("body")
        if not isinstance(title, str) or not title.strip() or len(title) > TITLE_MAX:
            return ToolResult(f"title must be 1 to {TITLE_MAX} characters", is_error=True)
        if not isinstance(body, str) or len(body) > BODY_MAX:
            return ToolResult(f"body must be at most {BODY_MAX} characters", is_error=True)
        if not self.so_far():
            return ToolResult("there is no change yet: call propose_change first", is_error=True)
        if self.proposed() >= self.most:
            return ToolResult("a pull request is proposed already", is_error=True)
        return ToolResult("a draft pull request is proposed")

    def intent_of(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return {"name": PULL_REQUEST, "title": arguments["title"], "body": arguments["body"]}


def with_changes(
    pull_request: Mapping[str, Any], changes: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """The intent as it is published: with all changes, and the commit that they were made on."""
    made = list(changes)
    plain = [{key: c[key] for key in ("path", "old", "new") if key in c} for c in made]
    return {**pull_request, "changes": plain, "base": made[-1]["base"] if made else ""}


def checked_changes(payload: Mapping[str, Any], allowed: tuple[str, ...]) -> list[dict[str, Any]]:
    """The changes of a row, as the publisher may apply them: it trusts no executor.

    Raises:
        PermanentError: one is malformed, too large, or of a path that may not be changed.
    """
    changes = payload.get("changes")
    if not isinstance(changes, list) or not 0 < len(changes) <= CHANGES_MAX:
        raise PermanentError(f"the intent must have 1 to {CHANGES_MAX} changes")
    checked: list[dict[str, Any]] = []
    for change in changes:
        well = isinstance(change, dict) and all(
            isinstance(change.get(key), str) for key in ("path", "new")
        )
        if not well or not isinstance(change.get("old", ""), str) or change.get("old") == "":
            raise PermanentError("the intent has a malformed change")
        if refusal := path_refusal(change["path"], allowed):
            raise PermanentError(refusal)
        check_added(change["path"], change["new"])
        checked.append(change)
    if size_of(checked) > CHANGES_BYTES:
        raise PermanentError(f"the changes are larger than {CHANGES_BYTES} bytes")
    return checked


def branch_name(specialist: str, number: int, task_id: str, run: int) -> str:
    """The same for every try of a run, and nobody else's: it ends with the task's id."""
    again = f"-r{run}" if run > 1 else ""
    word = "".join(c if c.isalnum() and c.isascii() else "-" for c in specialist).strip("-")
    task = "".join(c for c in task_id if c.isalnum())[:8]
    return posixpath.join("nightdesk", f"{word or 'agent'}-{number}-{task}{again}")
