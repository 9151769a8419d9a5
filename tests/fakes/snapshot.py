"""`Snapshot` of a few files in memory."""

from collections.abc import Iterator, Mapping

from nightdesk.domain.workspace_files import PathRefusedError, SnapshotFile


class FakeSnapshot:
    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = dict(files)

    @property
    def commit(self) -> str:
        return "c" * 40

    @property
    def notices(self) -> tuple[str, ...]:
        return ()

    def files(self) -> Iterator[SnapshotFile]:
        for path in sorted(self._files):
            yield SnapshotFile(path, len(self._files[path].encode()))

    def read_text(self, path: str, *, max_bytes: int) -> str:
        if path not in self._files:
            raise PathRefusedError(f"{path} is not a file of this repository")
        return self._files[path].encode()[:max_bytes].decode(errors="replace")
