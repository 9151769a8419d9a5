"""A branch with one commit, and its draft pull request, over the Git Data API."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from nightdesk.adapters.github.publishing.write_access import BRANCH, WriteAccess
from nightdesk.adapters.github.shapes import account_of, repository_path
from nightdesk.domain.errors import PermanentError, UnavailableError
from nightdesk.domain.github_ports import GithubNotFoundError
from nightdesk.domain.publishing_ports import BaseTree, CommitFacts, FileEntry, PostedPull


class GithubBranches(WriteAccess):
    def base_tree(self, repo: str, commit: str) -> BaseTree:
        token = self._token(repo, BRANCH)
        found = self._client.get(repository_path(repo, "commits", commit), token=token).data
        tree = _text(found, "commit", "tree", "sha")
        path = repository_path(repo, "git", "trees", tree)
        listed = self._client.get(path, token=token, query={"recursive": "1"}).data
        if not isinstance(listed, dict) or not isinstance(listed.get("tree"), list):
            raise UnavailableError("GitHub: the answer is no tree")
        if listed.get("truncated"):
            raise PermanentError("the repository has too many files for one listing")
        files = {
            str(item["path"]): FileEntry(mode=str(item["mode"]), sha=str(item.get("sha", "")))
            for item in listed["tree"]
            if item.get("type") != "tree"
        }
        return BaseTree(sha=tree, commit=_text(found, "sha"), files=files)

    def file_text(self, repo: str, sha: str) -> str:
        path = repository_path(repo, "git", "blobs", sha)
        found = self._client.get(path, token=self._token(repo, BRANCH)).data
        try:
            return base64.b64decode(_text(found, "content")).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise PermanentError("a changed file is no text in UTF-8") from error

    def make_commit(
        self, repo: str, base: BaseTree, files: Mapping[str, tuple[str, str]], facts: CommitFacts
    ) -> str:
        entries = [
            {"path": path, "mode": mode, "type": "blob", "content": content}
            for path, (mode, content) in sorted(files.items())
        ]
        token = self._token(repo, BRANCH)
        body: dict[str, Any] = {"base_tree": base.sha, "tree": entries}
        made = self._client.post(repository_path(repo, "git", "trees"), token=token, body=body)
        person = {"name": facts.name, "email": facts.email, "date": facts.date}
        commit = {
            "message": facts.message,
            "tree": _text(made.data, "sha"),
            "parents": [base.commit],
            "author": person,
            "committer": person,
        }
        path = repository_path(repo, "git", "commits")
        return _text(self._client.post(path, token=token, body=commit).data, "sha")

    def branch_head(self, repo: str, branch: str) -> str | None:
        path = repository_path(repo, "git", "ref", "heads", *branch.split("/"))
        try:
            found = self._client.get(path, token=self._token(repo, BRANCH)).data
        except GithubNotFoundError:
            return None
        return _text(found, "object", "sha")

    def make_branch(self, repo: str, branch: str, commit: str) -> None:
        body = {"ref": f"refs/heads/{branch}", "sha": commit}
        path = repository_path(repo, "git", "refs")
        self._client.post(path, token=self._token(repo, BRANCH), body=body)

    def pulls_of(self, repo: str, branch: str) -> Sequence[PostedPull]:
        owner = repo.partition("/")[0]
        query = {"head": f"{owner}:{branch}", "state": "all", "per_page": "100"}
        path = repository_path(repo, "pulls")
        found = self._client.get(path, token=self._token(repo, BRANCH), query=query).data
        if not isinstance(found, list):
            raise UnavailableError("GitHub: the answer is no list")
        return [_pull_of(item) for item in found]

    def make_draft(self, repo: str, *, branch: str, base: str, title: str, body: str) -> PostedPull:
        fields = {"head": branch, "base": base, "title": title, "body": body, "draft": True}
        path = repository_path(repo, "pulls")
        return _pull_of(self._client.post(path, token=self._token(repo, BRANCH), body=fields).data)


def _pull_of(data: Any) -> PostedPull:
    author = account_of(data.get("user") if isinstance(data, dict) else None)
    return PostedPull(author_id=author.id, url=_text(data, "html_url"))


def _text(data: Any, *keys: str) -> str:
    found = data
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    if not isinstance(found, str):
        raise UnavailableError(f"GitHub: the answer has no {'.'.join(keys)}")
    return found
