"""What a session's reading tools may see: a snapshot of one repository at one commit."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from nightdesk.domain.errors import NightdeskError


class PathRefusedError(NightdeskError):
    """The path is absolute, leaves the snapshot, or names no file in it. Told to the model."""


@dataclass(frozen=True, slots=True)
class SnapshotFile:
    """A regular file of the snapshot; `path` is relative, with forward slashes; size in bytes."""

    path: str
    size: int


class Snapshot(Protocol):
    """A bounded, read-only copy of a repository's files. Symbolic links are not followed."""

    @property
    def commit(self) -> str:
        """The commit that was copied: a full SHA, or "" where there is no repository."""
        ...

    @property
    def notices(self) -> tuple[str, ...]:
        """What was left out of the copy and why (too large, too many files, links)."""
        ...

    def files(self) -> Iterator[SnapshotFile]:
        """All files, sorted by path."""
        ...

    def read_text(self, path: str, *, max_bytes: int) -> str:
        """The file's text, undecodable bytes replaced, cut at `max_bytes`.

        Raises:
            PathRefusedError: not a file of this snapshot, or binary.
        """
        ...
