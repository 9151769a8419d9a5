"""A snapshot of a folder on this machine, and the empty one of a task without a repository."""

import os
from collections.abc import Iterator
from pathlib import Path

from nightdesk.adapters.snapshots.contents import decoded_text
from nightdesk.domain.snapshot_paths import PathLookup, is_safe_path
from nightdesk.domain.workspace_files import PathRefusedError, SnapshotFile

_SKIPPED_FOLDERS = frozenset({".git", ".hg", ".svn"})


class DirectorySnapshot:
    """The regular files below a folder. Links are neither listed nor followed when reading."""

    def __init__(self, root: Path, *, commit: str = "", max_files: int = 50_000) -> None:
        self._root = root.resolve(strict=True)
        self._commit = commit
        self._left_out = 0
        found = sorted(self._walk(self._root, ""))
        self._sizes = dict(found[:max_files])
        self._lookup = PathLookup(self._sizes)
        cut = len(found) - len(self._sizes)
        self._notices = tuple(
            f"{count} {what} were left out"
            for count, what in (
                (self._left_out, "links, special files and unsafe names"),
                (cut, f"files over the limit of {max_files}"),
            )
            if count
        )

    @property
    def commit(self) -> str:
        return self._commit

    @property
    def notices(self) -> tuple[str, ...]:
        return self._notices

    def files(self) -> Iterator[SnapshotFile]:
        for path, size in self._sizes.items():
            yield SnapshotFile(path, size)

    def read_text(self, path: str, *, max_bytes: int) -> str:
        found = self._lookup.find(path)
        data = self._read(found, max_bytes + 1)
        return decoded_text(found, data[:max_bytes], whole=len(data) <= max_bytes)

    def _read(self, path: str, size: int) -> bytes:
        try:
            # Folders may have been exchanged for links since they were listed.
            folder = (self._root / path).parent.resolve(strict=True)
            if not folder.is_relative_to(self._root):
                raise PathRefusedError(f"{path} leads out of the repository")
            handle = os.open(folder / Path(path).name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            raise PathRefusedError(f"{path} cannot be read: {error.strerror}") from error
        with os.fdopen(handle, "rb") as file:
            return file.read(size)

    def _walk(self, folder: Path, prefix: str) -> Iterator[tuple[str, int]]:
        with os.scandir(folder) as entries:
            for entry in entries:
                path = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in _SKIPPED_FOLDERS:
                        yield from self._walk(Path(entry.path), path + "/")
                elif entry.is_file(follow_symlinks=False) and is_safe_path(path):
                    yield path, entry.stat(follow_symlinks=False).st_size
                else:
                    self._left_out += 1


class EmptySnapshot:
    """What a task without a repository reads: nothing."""

    @property
    def commit(self) -> str:
        return ""

    @property
    def notices(self) -> tuple[str, ...]:
        return ("This task has no repository",)

    def files(self) -> Iterator[SnapshotFile]:
        return iter(())

    def read_text(self, path: str, *, max_bytes: int) -> str:
        del max_bytes
        raise PathRefusedError(f"{path[:200]!r}: this task has no repository")
