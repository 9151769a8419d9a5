"""Answer with the files of a repository: one by one, by folder, or all in an archive."""

from __future__ import annotations

import base64
import configparser
import secrets
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

from local.github_simulator.answers import Answer, GithubError, not_found
from local.github_simulator.calls import DEFAULT_VERSION, Call
from local.github_simulator.git_repository import GitError, TreeEntry
from local.github_simulator.shapes import api_url, html_url
from local.github_simulator.state import GithubState, Repository

#: Up to here a file comes with its content; above, only the raw media type gives it.
LARGEST_INLINE_BYTES = 1024 * 1024
LARGEST_FILE_BYTES = 100 * LARGEST_INLINE_BYTES
RAW_MEDIA = "application/vnd.github.raw"
OBJECT_MEDIA = "application/vnd.github.object"
SYMLINK_MODE = "120000"
ARCHIVE_TOKEN_LIFE = timedelta(minutes=5)


def get_contents(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/contents/{path}: a file in base64, or a folder's list."""
    repository = call.repository
    revision = call.query.get("ref") or repository.default_branch
    commit = repository.resolve(revision)
    if commit is None:
        raise GithubError(404, f"No commit found for the ref {revision}")
    path = call.parameters.get("path", "").strip("/")
    entry = repository.git.entry(commit, path) if path else None
    accept = call.headers.get("accept", "")
    if path and entry is None:
        raise not_found()
    if entry is None or entry.kind == "tree":
        return _folder(call, commit, path, revision, as_object=accept.startswith(OBJECT_MEDIA))
    if entry.kind == "commit":
        address = _submodule_address(call, commit, path)
        return Answer(body=_entry_shape(call, entry, revision) | {"submodule_git_url": address})
    if entry.size > LARGEST_FILE_BYTES:
        raise _too_large()
    if accept.startswith(RAW_MEDIA):
        return Answer(
            body=repository.git.blob(entry.sha), media_type=f"{RAW_MEDIA}+json; charset=utf-8"
        )
    return Answer(body=_file_shape(call, entry, revision))


def _submodule_address(call: Call, commit: str, path: str) -> str | None:
    modules = call.repository.git.entry(commit, ".gitmodules")
    if modules is None:
        return None
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read_string(call.repository.git.blob(modules.sha).decode(errors="replace"))
    sections = (parser[name] for name in parser.sections())
    return next((item.get("url") for item in sections if item.get("path") == path), None)


def _too_large() -> GithubError:
    problem = {"resource": "Blob", "field": "data", "code": "too_large"}
    return GithubError(
        403,
        "This API returns blobs up to 100 MB in size. The requested blob is too large to fetch"
        " via the API.",
        errors=[problem],
    )


def _folder(call: Call, commit: str, path: str, revision: str, *, as_object: bool) -> Answer:
    try:
        entries = call.repository.git.children(commit, path)
    except GitError as error:
        raise not_found() from error
    listed = [_entry_shape(call, entry, revision) for entry in entries]
    if call.version == DEFAULT_VERSION:  # it lists a submodule as a file
        for shape in listed:
            shape["type"] = "file" if shape["type"] == "submodule" else shape["type"]
    if not as_object:
        return Answer(body=listed)
    sha = call.repository.git.text("rev-parse", f"{commit}:{path}").strip()
    own = TreeEntry(mode="040000", kind="tree", sha=sha, size=0, path=path)
    return Answer(
        body=_entry_shape(call, own, revision) | {"entries": listed},
        media_type=f"{OBJECT_MEDIA}; charset=utf-8",
    )


def _entry_shape(call: Call, entry: TreeEntry, revision: str) -> dict[str, Any]:
    base, page = api_url(call.state, call.repository), html_url(call.state, call.repository)
    path = quote(entry.path)
    url = f"{base}/contents/{path}?{urlencode({'ref': revision})}"
    is_blob = entry.kind == "blob"
    git_url = f"{base}/git/{'blobs' if is_blob else 'trees'}/{entry.sha}"
    page_url = f"{page}/{'blob' if is_blob else 'tree'}/{quote(revision)}/{path}"
    kind = {"blob": "file", "tree": "dir", "commit": "submodule"}[entry.kind]
    return {
        "name": entry.name,
        "path": entry.path,
        "sha": entry.sha,
        "size": entry.size,
        "url": url,
        "html_url": page_url,
        "git_url": git_url,
        "download_url": f"{page}/raw/{quote(revision)}/{path}" if is_blob else None,
        "type": "symlink" if entry.mode == SYMLINK_MODE else kind,
        "_links": {"self": url, "git": git_url, "html": page_url},
    }


def _file_shape(call: Call, entry: TreeEntry, revision: str) -> dict[str, Any]:
    shape = _entry_shape(call, entry, revision)
    content = call.repository.git.blob(entry.sha)
    if shape["type"] == "symlink":
        return shape | {"target": content.decode(errors="replace")}
    if entry.size > LARGEST_INLINE_BYTES:
        return shape | {"content": "", "encoding": "none"}
    # GitHub breaks base64 after 60 characters and ends it with a newline.
    encoded = base64.b64encode(content).decode()
    lines = [encoded[start : start + 60] for start in range(0, len(encoded), 60)]
    return shape | {"content": "".join(f"{line}\n" for line in lines), "encoding": "base64"}


def redirect_to_archive(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/tarball/{ref}: 302 to an address that needs no credential.

    For a private repository that address holds a token which ends after five minutes.
    """
    repository = call.repository
    revision = call.parameters.get("ref") or repository.default_branch
    if repository.resolve(revision) is None:
        raise not_found()
    address = f"{call.state.base_url}/_codeload/{repository.full_name}/legacy.tar.gz/{revision}"
    if repository.private:
        token = secrets.token_hex(16)
        expires_at = call.now + ARCHIVE_TOKEN_LIFE
        call.state.archive_tokens[token] = (repository.id, expires_at)
        address += f"?token={token}"
    return Answer(status=302, headers={"Location": address})


def archive_of(
    state: GithubState, repository: Repository, revision: str, token: str
) -> tuple[str, Iterator[bytes]] | None:
    """Open the archive behind such an address: its top folder's name and its bytes.

    None when the revision is unknown, or the repository private and the token not good.
    """
    sha = repository.resolve(revision)
    if sha is None:
        return None
    if repository.private:
        identifier, expires_at = state.archive_tokens.get(token, (0, state.now()))
        if identifier != repository.id or expires_at <= state.now():
            return None
    folder = f"{repository.owner.login}-{repository.name}-{sha[:7]}"
    return folder, repository.git.archive(sha, folder)
