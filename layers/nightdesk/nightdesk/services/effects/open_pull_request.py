"""A branch with the proposed changes, and its draft pull request.

Everything is derived from the row: the same try makes the same tree, the same commit (its date is
the row's) and the same branch. So a kill between any two calls leaves what the next try finds, and
there is one branch, one commit and one pull request. A branch that is not ours is never touched,
and none is ever moved.
"""

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from nightdesk.domain.errors import PermanentError
from nightdesk.domain.github_ports import GithubRefusedError
from nightdesk.domain.intents.changes import branch_name, changed, check_place, checked_changes
from nightdesk.domain.publication import marker_of, pull_request_body
from nightdesk.domain.publishing_ports import BaseTree, CommitFacts
from nightdesk.domain.sanitiser import Kind, Policy, sanitise
from nightdesk.services.effects.work import Work
from nightdesk.services.publisher_ports import PublisherPorts

_FILE, _MODES = "100644", ("100644", "100755")
_TITLE_MAX = 200


def open_pull_request(work: Work, ports: PublisherPorts) -> str:
    """Raises PermanentError when a change is not allowed or does not fit its commit."""
    if work.target.kind != "issue":
        raise PermanentError("a pull request is only proposed for an issue")
    task = ports.tasks.get(work.row.task_id)
    specialist = task.agent_id if task else "specialist"
    changes = checked_changes(work.row.payload, work.origin.allowed_paths)
    run = int(work.row.row.split("#")[1])
    branch = branch_name(specialist, work.target.number, work.row.task_id, run)
    own_id = ports.github.own_account().id
    for pull in ports.github.pulls_of(work.repo, branch):
        if pull.author_id == own_id:
            return pull.url
    _make_branch(work, branch, changes, specialist, ports)
    body = pull_request_body(
        work.row.payload,
        specialist=specialist,
        task_id=work.row.task_id,
        number=work.target.number,
        marker=marker_of(specialist, work.row.task_id, work.row.row),
    )
    base = ports.github.repository(work.repo).default_branch
    title = _title(work)
    return ports.github.make_draft(work.repo, branch=branch, base=base, title=title, body=body).url


def _make_branch(
    work: Work,
    branch: str,
    changes: list[dict[str, Any]],
    specialist: str,
    ports: PublisherPorts,
) -> None:
    base = ports.github.base_tree(work.repo, _commit_of(work.row.payload))
    files = _files(work, base, changes, ports)
    account = ports.github.own_account()
    facts = CommitFacts(
        message=f"{_title(work)}\n\nNightdesk-Task: {work.row.task_id}\n",
        name=specialist,
        email=f"{account.id}+{account.login}@users.noreply.github.com",
        date=work.row.created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    commit = ports.github.make_commit(work.repo, base, files, facts)
    if (head := ports.github.branch_head(work.repo, branch)) is None:
        try:
            ports.github.make_branch(work.repo, branch, commit)
        except GithubRefusedError:  # another publisher was faster, or it may not be
            head = ports.github.branch_head(work.repo, branch)
            if head is None:
                raise
    if head not in (None, commit):
        raise PermanentError(f"the branch {branch} exists already, with other commits")


def _files(
    work: Work, base: BaseTree, changes: list[dict[str, Any]], ports: PublisherPorts
) -> dict[str, tuple[str, str]]:
    """Path to (mode, content) of every changed file."""
    done: dict[str, tuple[str, str]] = {}
    for change in changes:
        path = change["path"]
        if path not in done and (known := base.files.get(path)) is not None:
            if known.mode not in _MODES:
                raise PermanentError(f"{path} is no plain file (a link, or another repository)")
            done[path] = known.mode, ports.github.file_text(work.repo, known.sha)
        mode, content = done.get(path, (_FILE, None))
        check_place(path, base.files)
        done[path] = mode, changed(content, change)
    return done


def _commit_of(payload: Mapping[str, Any]) -> str:
    commit = payload.get("base")
    if isinstance(commit, str) and len(commit) in (40, 64) and commit.isalnum():
        return commit
    raise PermanentError("the intent names no commit that it was made on")


def _title(work: Work) -> str:
    title = work.row.payload.get("title")
    policy = Policy(kind=Kind.TITLE, max_characters=_TITLE_MAX)
    return sanitise(title if isinstance(title, str) else "", policy) or "Proposed changes"
