"""Compute the files of a comparison, and which lines of their patches can be commented on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from local.github_simulator.git_repository import GitRepository

STATUSES = {
    "A": "added",
    "C": "copied",
    "D": "removed",
    "M": "modified",
    "R": "renamed",
    "T": "changed",
}
HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")
#: GitHub leaves the patch out of large files; the exact limit is not documented.
LARGEST_PATCH_LINES = 3_000
RENAMES = frozenset({"R", "C"})


@dataclass(frozen=True, kw_only=True)
class FileChange:
    """One file of a diff. `patch` is None for binary, very large or unchanged content."""

    path: str
    previous_path: str | None
    status: str
    sha: str
    additions: int
    deletions: int
    patch: str | None


@dataclass(frozen=True, kw_only=True)
class RawEntry:
    """One line of `git diff --raw`; `sha` is the new blob, the old one of a removed file."""

    letter: str
    path: str
    previous_path: str | None
    sha: str


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """A place in a patch: its position (GitHub counts lines below the first `@@`) and hunk."""

    position: int
    hunk: str


def changed_files(git: GitRepository, base: str, head: str) -> list[FileChange]:
    """List what `head` changes against `base`, in git's order."""
    options = ("diff", "-M", "--no-ext-diff", "--no-textconv", "--no-color", "--full-index")
    raw = git.text(*options, "--raw", "-z", "--abbrev=40", base, head)
    counts = git.text(*options, "--numstat", "-z", base, head)
    patches = re.split(r"(?m)^diff --git ", git.text(*options, "-p", base, head))[1:]
    return [
        _file_change(entry, count, patch)
        for entry, count, patch in zip(
            _raw_entries(raw), _line_counts(counts), patches, strict=True
        )
    ]


def _raw_entries(raw: str) -> Iterator[RawEntry]:
    parts = iter(raw.split("\0"))
    for meta in parts:
        if not meta:
            continue
        _, _, old_sha, new_sha, status = meta.lstrip(":").split(" ")
        letter = status[0]
        previous = next(parts) if letter in RENAMES else None
        sha = old_sha if letter == "D" else new_sha
        yield RawEntry(letter=letter, path=next(parts), previous_path=previous, sha=sha)


def _line_counts(numstat: str) -> Iterator[tuple[int, int]]:
    parts = iter(numstat.split("\0"))
    for entry in parts:
        if not entry:
            continue
        added, deleted, path = entry.split("\t", 2)
        if not path:  # a rename writes both of its names as records of their own
            next(parts)
            next(parts)
        yield (0, 0) if added == "-" else (int(added), int(deleted))


def _file_change(entry: RawEntry, count: tuple[int, int], text: str) -> FileChange:
    additions, deletions = count
    start = re.search(r"(?m)^@@ ", text)
    shown = start is not None and additions + deletions <= LARGEST_PATCH_LINES
    return FileChange(
        path=entry.path,
        previous_path=entry.previous_path,
        status=STATUSES[entry.letter],
        sha=entry.sha,
        additions=additions,
        deletions=deletions,
        patch=text[start.start() :].rstrip("\n") if start is not None and shown else None,
    )


def anchors(patch: str) -> dict[tuple[str, int], Anchor]:
    """Map (side, line) to its place, for every line of a patch that takes a comment.

    LEFT are removed and unchanged lines by their old number, RIGHT added and unchanged lines by
    their new one.
    """
    found: dict[tuple[str, int], Anchor] = {}
    old = new = 0
    hunk: list[str] = []
    for position, line in enumerate(patch.split("\n")):
        if match := HUNK.match(line):
            old, new = int(match[1]), int(match[2])
            hunk = [line]
            continue
        hunk.append(line)
        place = Anchor(position=position, hunk="\n".join(hunk))
        if line.startswith("\\"):
            continue
        if not line.startswith("+"):
            found["LEFT", old] = place
            old += 1
        if not line.startswith("-"):
            found["RIGHT", new] = place
            new += 1
    return found
