"""Read a git repository with the `git` binary, without ever writing to it or using the network.

Objects that the API creates (blobs, trees, commits) go to a separate object directory that
borrows the repository's own.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

#: What may name a commit: branches, tags, full refs and object ids, but no revision syntax.
REVISION = re.compile(r"(?!-)(?!.*(\.\.|@\{))[\w./+#@-]+")
FULL_SHA = re.compile(r"[0-9a-f]{40}")
#: The ten fields of one commit; with `-z` NUL parts the commits too, and no field can hold one.
COMMIT_FORMAT = "%H%x00%T%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B"


@dataclass(frozen=True, kw_only=True)
class Signature:
    """Who made a commit, and when."""

    name: str
    email: str
    date: datetime


@dataclass(frozen=True, kw_only=True)
class Commit:
    """One commit."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Signature
    committer: Signature
    message: str


@dataclass(frozen=True, kw_only=True)
class TreeEntry:
    """One entry of a tree; `kind` is blob, tree or commit (a submodule), `size` in bytes."""

    mode: str
    kind: str
    sha: str
    size: int
    path: str

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.path.rsplit("/", 1)[-1]


class GitError(Exception):
    """Git refused a command."""


class GitRepository:
    """The content of one repository on disk, plus what was created over the API."""

    def __init__(self, path: Path, *, created_objects: Path) -> None:
        """Open `path` (a work tree or a bare repository).

        Raises:
            GitError: it is no git repository.
        """
        self.path = path
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),  # noqa: TID251 - where git is
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_NO_LAZY_FETCH": "1",
        }
        own_objects = self.text("rev-parse", "--git-path", "objects").strip()
        self._environment |= {
            "GIT_OBJECT_DIRECTORY": str(created_objects),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str((path / own_objects).resolve()),
        }

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        trusted = ("-c", "safe.directory=*", "-c", "core.quotePath=false")
        return ["git", "-C", str(self.path), *trusted, *arguments]

    def output(
        self, *arguments: str, stdin: bytes = b"", extra: dict[str, str] | None = None
    ) -> bytes:
        """Run one git command and return what it prints.

        Raises:
            GitError: it failed; the message is git's own.
        """
        done = subprocess.run(
            self._command(arguments),
            input=stdin,
            capture_output=True,
            env=self._environment | (extra or {}),
            check=False,
        )
        if done.returncode != 0:
            raise GitError(done.stderr.decode(errors="replace").strip())
        return done.stdout

    def text(self, *arguments: str) -> str:
        """Run one git command and decode what it prints; bytes that are no UTF-8 are replaced."""
        return self.output(*arguments).decode(errors="replace")

    def resolve(self, revision: str) -> str | None:
        """Find the commit that a branch, tag, full ref or object id names."""
        if not REVISION.fullmatch(revision):
            return None
        for candidate in (f"refs/heads/{revision}", revision):
            try:
                found = self.text(
                    "rev-parse",
                    "--verify",
                    "--quiet",
                    "--end-of-options",
                    f"{candidate}^{{commit}}",
                )
            except GitError:
                continue
            return found.strip()
        return None

    def ref(self, name: str) -> str | None:
        """Find the object that a full ref points to."""
        if not REVISION.fullmatch(name):
            return None
        lines = self.text("for-each-ref", "--format=%(objectname) %(refname)", "--", name)
        # A ref name is also a prefix pattern: `refs/heads/a` lists `refs/heads/a/b`.
        return next(
            (sha for sha, found in map(str.split, lines.splitlines()) if found == name), None
        )

    def has(self, sha: str, kind: str) -> bool:
        """Whether an object of that kind exists under a full object id."""
        if not FULL_SHA.fullmatch(sha):
            return False
        try:
            return self.text("cat-file", "-t", sha).strip() == kind
        except GitError:
            return False

    def branches(self) -> dict[str, str]:
        """Map the repository's own branches to their commits."""
        lines = self.text("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads")
        pairs = (line.split(" ", 1) for line in lines.splitlines())
        return {name.removeprefix("refs/heads/"): sha for sha, name in pairs}

    def current_branch(self) -> str:
        """Name the branch that HEAD points to, `main` when it points to none."""
        try:
            return self.text("symbolic-ref", "--short", "HEAD").strip()
        except GitError:
            return "main"

    def commits(
        self, revision: str, *, path: str = "", skip: int = 0, limit: int = 1
    ) -> list[Commit]:
        """List commits, newest first, optionally those that touch a path."""
        text = self.text(
            "log", "-z", f"--format={COMMIT_FORMAT}", f"--skip={skip}", f"-n{limit}",
            "--end-of-options", revision, "--", *([f":(literal){path}"] if path else []),
        )  # fmt: skip
        fields = text.split("\0")
        return [_commit(fields[at : at + 10]) for at in range(0, len(fields) - 9, 10)]

    def count_commits(self, base: str, head: str) -> int:
        """Count the commits of head that base lacks."""
        return int(self.text("rev-list", "--count", f"{base}..{head}"))

    def merge_base(self, base: str, head: str) -> str:
        """Find the common ancestor; head itself when there is none."""
        try:
            return self.text("merge-base", base, head).strip()
        except GitError:
            return head

    def entry(self, commit: str, path: str) -> TreeEntry | None:
        """Find one path in a commit."""
        try:
            found = self._entries(commit, "--", f":(literal){path}")
        except GitError:  # a path that leads out of the repository
            return None
        return found[0] if found and found[0].path == path else None

    def children(self, commit: str, path: str) -> list[TreeEntry]:
        """List a folder of a commit; the empty path is the root."""
        prefix = f"{path}/" if path else ""
        entries = self._entries(f"{commit}:{path}" if path else commit)
        return [
            TreeEntry(mode=e.mode, kind=e.kind, sha=e.sha, size=e.size, path=prefix + e.path)
            for e in entries
        ]

    def _entries(self, tree: str, *paths: str) -> list[TreeEntry]:
        text = self.text("ls-tree", "-z", "-l", "--full-tree", tree, *paths)
        entries = []
        for line in filter(None, text.split("\0")):
            meta, path = line.split("\t", 1)
            mode, kind, sha, size = meta.split()
            number = int(size) if size != "-" else 0
            entries.append(TreeEntry(mode=mode, kind=kind, sha=sha, size=number, path=path))
        return entries

    def blob(self, sha: str) -> bytes:
        """Read a file's content."""
        return self.output("cat-file", "blob", sha)

    def write_tree(self, base: str | None, entries: bytes) -> str:
        """Write a tree: `base` changed by entries in the form of `git update-index --index-info`.

        Raises:
            GitError: the base or an entry is invalid.
        """
        with tempfile.TemporaryDirectory(prefix="index-") as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            if base is not None:
                self.output("read-tree", base, extra=index)
            self.output("update-index", "-z", "--index-info", stdin=entries, extra=index)
            return self.output("write-tree", extra=index).decode().strip()

    def write_commit(
        self,
        tree: str,
        parents: Sequence[str],
        message: str,
        *,
        author: tuple[str, str, str],
        committer: tuple[str, str, str],
    ) -> str:
        """Write a commit; author and committer are name, e-mail and ISO 8601 date."""
        names = ("NAME", "EMAIL", "DATE")
        people = {f"GIT_AUTHOR_{n}": value for n, value in zip(names, author, strict=True)}
        people |= {f"GIT_COMMITTER_{n}": value for n, value in zip(names, committer, strict=True)}
        flags = [flag for parent in parents for flag in ("-p", parent)]
        written = self.output("commit-tree", tree, *flags, stdin=message.encode(), extra=people)
        return written.decode().strip()

    def archive(self, commit: str, prefix: str) -> Iterator[bytes]:
        """Stream a tar.gz of a commit, everything below the folder `prefix/`."""
        command = self._command(("archive", "--format=tar.gz", f"--prefix={prefix}/", commit))
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=self._environment) as process:
            assert process.stdout is not None
            while chunk := process.stdout.read(64 * 1024):
                yield chunk


def _commit(fields: list[str]) -> Commit:
    sha, tree, parents, *people, message = fields
    author, committer = people[:3], people[3:]
    return Commit(
        sha=sha,
        tree=tree,
        parents=tuple(parents.split()),
        author=_signature(*author),
        committer=_signature(*committer),
        message=message.rstrip("\n"),
    )


def _signature(name: str, email: str, date: str) -> Signature:
    return Signature(name=name, email=email, date=datetime.fromisoformat(date).astimezone(UTC))
