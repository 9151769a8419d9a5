"""A snapshot held in memory."""

from collections.abc import Iterator, Mapping

from nightdesk.domain.snapshot_paths import PathLookup
from nightdesk.domain.workspace_files import PathRefusedError, SnapshotFile


class MemorySnapshot:
    def __init__(
        self, files: Mapping[str, str], *, commit: str = "c" * 40, notices: tuple[str, ...] = ()
    ) -> None:
        self._files = dict(sorted(files.items()))
        self._lookup = PathLookup(self._files)
        self._commit = commit
        self._notices = notices

    @property
    def commit(self) -> str:
        return self._commit

    @property
    def notices(self) -> tuple[str, ...]:
        return self._notices

    def files(self) -> Iterator[SnapshotFile]:
        for path, text in self._files.items():
            yield SnapshotFile(path, len(text.encode()))

    def read_text(self, path: str, *, max_bytes: int) -> str:
        text = self._files[self._lookup.find(path)]
        if "\0" in text:
            raise PathRefusedError(f"{path} is a binary file")
        return text.encode()[:max_bytes].decode(errors="ignore")
