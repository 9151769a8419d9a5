"""Create blobs, trees and commits over the API, beside the repository on disk."""

from __future__ import annotations

import base64
from typing import Any

from local.github_simulator.answers import Answer, GithubError, not_found, not_supplied
from local.github_simulator.calls import Call
from local.github_simulator.commits import parents_shape, signature_shape, unsigned
from local.github_simulator.git_repository import GitError
from local.github_simulator.shapes import api_url, html_url, node_id, timestamp

KINDS = {
    "100644": "blob",
    "100755": "blob",
    "120000": "blob",
    "040000": "tree",
    "160000": "commit",
}
#: What no part of a path may be.
MALFORMED = frozenset({"", ".", "..", ".git"})


def create_blob(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/git/blobs."""
    fields = call.fields()
    content = fields.get("content")
    if not isinstance(content, str):
        raise not_supplied("content")
    try:
        is_base64 = fields.get("encoding") == "base64"
        data = base64.b64decode(content, validate=True) if is_base64 else content.encode()
    except ValueError as error:
        raise GithubError(422, "content is not valid Base64") from error
    sha = _write_blob(call, data)
    url = f"{api_url(call.state, call.repository)}/git/blobs/{sha}"
    return Answer(status=201, body={"sha": sha, "url": url}, headers={"Location": url})


def _write_blob(call: Call, data: bytes) -> str:
    command = ("hash-object", "-w", "--stdin")
    return call.repository.git.output(*command, stdin=data).decode().strip()


def get_blob(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/git/blobs/{file_sha}, as Base64 in lines, as GitHub does."""
    sha = call.parameters["file_sha"]
    if not call.repository.git.has(sha, "blob"):
        raise not_found()
    data = call.repository.git.blob(sha)
    body = {
        "sha": sha,
        "node_id": node_id("B", int(sha[:8], 16)),
        "size": len(data),
        "url": f"{api_url(call.state, call.repository)}/git/blobs/{sha}",
        "content": base64.encodebytes(data).decode(),
        "encoding": "base64",
    }
    return Answer(body=body)


def get_tree(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/git/trees/{tree_sha}; `recursive` lists the folders too."""
    git, sha = call.repository.git, call.parameters["tree_sha"]
    if not git.has(sha, "tree"):
        raise not_found()
    waiting, found = git.children(sha, ""), []
    while waiting:
        entry = waiting.pop(0)
        found.append(entry)
        if entry.kind == "tree" and "recursive" in call.query:
            waiting += git.children(sha, entry.path)
    base = api_url(call.state, call.repository)
    entries: list[dict[str, Any]] = [
        {"path": e.path, "mode": e.mode, "type": e.kind, "sha": e.sha,
         "url": f"{base}/git/{e.kind}s/{e.sha}",
         **({"size": e.size} if e.kind == "blob" else {})}
        for e in sorted(found, key=lambda entry: entry.path)
    ]  # fmt: skip
    url = f"{base}/git/trees/{sha}"
    return Answer(body={"sha": sha, "url": url, "tree": entries, "truncated": False})


def create_tree(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/git/trees: entries with slashes in their paths, over a base."""
    fields = call.fields()
    items = fields.get("tree")
    if not isinstance(items, list):
        raise not_supplied("tree")
    base = fields.get("base_tree")
    try:
        sha = _write_tree(call, base, items)
        listing = call.repository.git.children(sha, "")
    except GitError as error:
        raise GithubError(422, f"tree is invalid: {error}") from error
    url = f"{api_url(call.state, call.repository)}/git/trees/{sha}"
    entries = [{"path": e.path, "mode": e.mode, "type": e.kind, "sha": e.sha} for e in listing]
    body = {"sha": sha, "url": url, "tree": entries, "truncated": False}
    return Answer(status=201, body=body, headers={"Location": url})


def _write_tree(call: Call, base: str | None, items: list[dict[str, Any]]) -> str:
    """Build the tree in an index file of its own; a null sha removes a path."""
    lines = []
    for item in items:
        path, mode = item.get("path"), item.get("mode", "100644")
        sha: str | None = item.get("sha")
        if not isinstance(path, str) or KINDS.get(mode) is None:
            raise GithubError(422, "tree.path or tree.mode is invalid")
        if MALFORMED & set(path.split("/")):  # git itself would leave it out without an error
            raise GithubError(422, "tree.path contains a malformed path component")
        if "content" in item:
            sha = _write_blob(call, str(item["content"]).encode())
        # Mode 0 takes a path out of the index.
        lines.append(f"0 {'0' * 40}\t{path}\0" if sha is None else f"{mode} {sha}\t{path}\0")
    return call.repository.git.write_tree(base, "".join(lines).encode())


def create_commit(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/git/commits; who and when default to the caller and now."""
    fields, git = call.fields(), call.repository.git
    message, tree = fields.get("message"), fields.get("tree")
    if not isinstance(message, str):
        raise not_supplied("message")
    if not isinstance(tree, str) or not git.has(tree, "tree"):
        raise GithubError(422, "Tree SHA does not exist")
    parents = fields.get("parents", [])
    if not all(isinstance(sha, str) and git.has(sha, "commit") for sha in parents):
        raise GithubError(422, "Parent SHA does not exist or is not a commit object")
    author = _signature(call, fields.get("author"))
    committer = _signature(call, fields.get("committer") or fields.get("author"))
    sha = git.write_commit(tree, parents, message, author=author, committer=committer)
    found = git.commits(sha)
    if not found:
        raise not_found()
    commit = found[0]
    base = api_url(call.state, call.repository)
    shape = {
        "sha": sha,
        "node_id": node_id("C", int(sha[:8], 16)),
        "url": f"{base}/git/commits/{sha}",
        "html_url": f"{html_url(call.state, call.repository)}/commit/{sha}",
        "author": signature_shape(commit.author),
        "committer": signature_shape(commit.committer),
        "message": commit.message,
        "tree": {"sha": tree, "url": f"{base}/git/trees/{tree}"},
        "parents": parents_shape(call, commit, folder="git/commits"),
        "verification": unsigned(),
    }
    return Answer(status=201, body=shape, headers={"Location": str(shape["url"])})


def _signature(call: Call, given: dict[str, Any] | None) -> tuple[str, str, str]:
    given = given or {}
    login = call.user.login
    email = f"{call.user.id}+{login}@users.noreply.github.com"
    return (
        str(given.get("name", login)),
        str(given.get("email", email)),
        str(given.get("date", timestamp(call.now))),
    )
