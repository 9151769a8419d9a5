"""Answer the endpoints of commits."""

from __future__ import annotations

from typing import Any

from local.github_simulator.answers import Answer, GithubError, Page, link_header, not_found
from local.github_simulator.calls import Call
from local.github_simulator.diff import changed_files
from local.github_simulator.git_repository import Commit, Signature
from local.github_simulator.pull_shapes import file_shape
from local.github_simulator.shapes import api_url, html_url, node_id, timestamp

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def signature_shape(signature: Signature) -> dict[str, str]:
    """GitHub's `git-user`."""
    return {
        "name": signature.name,
        "email": signature.email,
        "date": timestamp(signature.date),
    }


def unsigned() -> dict[str, Any]:
    """GitHub's `verification` of a commit without a signature."""
    empty = dict.fromkeys(("signature", "payload", "verified_at"))
    return {"verified": False, "reason": "unsigned", **empty}


def parents_shape(call: Call, commit: Commit, *, folder: str) -> list[dict[str, str]]:
    """Write the parents; `folder` is `commits` or `git/commits`."""
    base, page = api_url(call.state, call.repository), html_url(call.state, call.repository)
    return [
        {"sha": sha, "url": f"{base}/{folder}/{sha}", "html_url": f"{page}/commit/{sha}"}
        for sha in commit.parents
    ]


def commit_shape(call: Call, commit: Commit) -> dict[str, Any]:
    """GitHub's `commit`, as in a list: without files. Git's authors are no accounts here."""
    base = api_url(call.state, call.repository)
    url = f"{base}/commits/{commit.sha}"
    return {
        "sha": commit.sha,
        "node_id": node_id("C", int(commit.sha[:8], 16)),
        "commit": {
            "author": signature_shape(commit.author),
            "committer": signature_shape(commit.committer),
            "message": commit.message,
            "tree": {"sha": commit.tree, "url": f"{base}/git/trees/{commit.tree}"},
            "url": f"{base}/git/commits/{commit.sha}",
            "comment_count": 0,
            "verification": unsigned(),
        },
        "url": url,
        "html_url": f"{html_url(call.state, call.repository)}/commit/{commit.sha}",
        "comments_url": f"{url}/comments",
        "author": None,
        "committer": None,
        "parents": parents_shape(call, commit, folder="commits"),
    }


def list_commits(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/commits with `sha` and `path`; the last page is not announced."""
    repository, page = call.repository, Page.of(call.query)
    revision = call.query.get("sha") or repository.default_branch
    start = repository.resolve(revision)
    if start is None:
        raise not_found()
    skipped = (page.number - 1) * page.size
    path = call.query.get("path", "").strip("/")
    found = repository.git.commits(start, path=path, skip=skipped, limit=page.size + 1)
    url = f"{call.state.base_url}/repositories/{repository.id}/commits"
    link = link_header(url, call.query, page, total=skipped + len(found))
    return Answer(
        body=[commit_shape(call, commit) for commit in found[: page.size]],
        headers={"Link": link} if link else {},
    )


def get_commit(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/commits/{ref}, with its files against the first parent."""
    repository = call.repository
    sha = repository.resolve(call.parameters["ref"])
    if sha is None:
        raise GithubError(422, f"No commit found for SHA: {call.parameters['ref']}")
    if call.headers.get("accept", "").startswith("application/vnd.github.sha"):
        return Answer(body=sha.encode(), media_type="application/vnd.github.sha; charset=utf-8")
    commit = repository.git.commits(sha)[0]
    parent = commit.parents[0] if commit.parents else EMPTY_TREE
    files = changed_files(repository.git, parent, sha)
    page = Page.of(call.query)
    start = (page.number - 1) * page.size if "page" in call.query else 0
    shown = files[start : start + (page.size if "per_page" in call.query else 300)]
    additions = sum(change.additions for change in files)
    deletions = sum(change.deletions for change in files)
    return Answer(
        body=commit_shape(call, commit)
        | {
            "stats": {
                "total": additions + deletions,
                "additions": additions,
                "deletions": deletions,
            },
            "files": [file_shape(call.state, repository, change, sha) for change in shown],
        }
    )
