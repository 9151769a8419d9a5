"""A snapshot from the tarball that GitHub makes of a commit, read once as a stream.

Nothing is extracted by name: the contents of all files go one after another into a single
temporary file that has no name itself, and an index in memory says where each begins. A member
called `../../etc/passwd`, a link, a device or two names that differ only in case can therefore do
no harm, and nothing is left behind when the process is killed.
"""

import gzip
import io
import os
import re
import tarfile
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, BinaryIO, Self, cast

from nightdesk.adapters.snapshots.contents import decoded_text
from nightdesk.domain.errors import ErrorCode, PermanentError, TransientError
from nightdesk.domain.snapshot_paths import PathLookup, member_path
from nightdesk.domain.workspace_files import SnapshotFile

_CHUNK_BYTES = 64 * 1024
# A header with its extensions (long names, PAX records) is a few KB; a larger one is an attack.
_HEADER_BYTES = 1024 * 1024
_LARGEST_NAMES_SHOWN = 3
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# The last four are what tarfile lets through for malformed sparse maps and chains of headers.
_UNREADABLE = (
    tarfile.TarError,
    EOFError,
    gzip.BadGzipFile,
    zlib.error,
    ValueError,
    IndexError,
    OverflowError,
    RecursionError,
)


@dataclass(frozen=True, slots=True)
class SnapshotLimits:
    """How much of a repository is read. The defaults suit a function with 512 MB of disk.

    Over `download_bytes` (compressed) the snapshot fails; over every other limit it is cut, with
    a notice. `scanned_bytes` counts all that is unpacked, kept or not, and so bounds the time.
    """

    download_bytes: int = 100_000_000
    kept_bytes: int = 300_000_000
    scanned_bytes: int = 1_000_000_000
    file_bytes: int = 2_000_000
    entries: int = 50_000


class RepositoryTooLargeError(PermanentError):
    """The compressed tarball is larger than the limit; only a person can raise that."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"The repository's tarball is larger than {limit / 1e6:g} MB compressed, the limit "
            "for a snapshot (SnapshotLimits.download_bytes)",
            ErrorCode.REPOSITORY_UNREACHABLE,
        )
        self.limit = limit


class BrokenTarballError(TransientError):
    """The tarball ended early or is not one; another download may be whole."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The repository's tarball cannot be read: {reason}", ErrorCode.REPOSITORY_UNREACHABLE
        )


class _ScanLimitError(Exception):
    """More was unpacked than the limit allows; what was kept so far stays."""


class _Download(io.RawIOBase):
    """The chunks of a response as a file that refuses to be longer than the limit."""

    def __init__(self, chunks: Iterable[bytes], limit: int) -> None:
        super().__init__()
        self._chunks = iter(chunks)
        self._rest = b""
        self._limit = limit
        self._received = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._received += len(chunk)
            if self._received > self._limit:
                raise RepositoryTooLargeError(self._limit)
            self._rest = chunk
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


class _Unpacked:
    """The unpacked stream as tarfile wants it: it only goes forward, within two budgets."""

    def __init__(self, packed: BinaryIO | gzip.GzipFile, limit: int) -> None:
        self._packed = packed
        self._limit = limit
        self._position = 0
        self._header_budget: int | None = None

    def begin_header(self) -> None:
        self._header_budget = _HEADER_BYTES

    def end_header(self) -> None:
        self._header_budget = None

    def tell(self) -> int:
        return self._position

    def seek(self, position: int, whence: int = 0) -> int:
        if whence != 0 or position < self._position:
            raise tarfile.ReadError("a stream cannot be read backwards")
        while self._position < position:
            if not self._take(min(_CHUNK_BYTES, position - self._position)):
                break
        return self._position

    def read(self, size: int = -1) -> bytes:
        if self._header_budget is not None:
            self._header_budget -= max(size, 0)
        if size < 0 or (self._header_budget is not None and self._header_budget < 0):
            raise tarfile.ReadError("a member's header is larger than 1 MB")
        pieces = []
        while size > 0 and (piece := self._take(min(size, _CHUNK_BYTES))):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def drain(self) -> None:
        """Read what follows the archive's end."""
        self._header_budget = None
        while self._take(_CHUNK_BYTES):
            pass

    def _take(self, size: int) -> bytes:
        data = self._packed.read(size)
        self._position += len(data)
        if self._position > self._limit:
            raise _ScanLimitError
        return data


class _Archive(tarfile.TarFile):
    """Shows the list of headers that a TarFile keeps, to empty it: it grows without bound."""

    members: list[tarfile.TarInfo]


@dataclass(frozen=True, slots=True)
class _Place:
    offset: int
    size: int


@dataclass(slots=True)
class _LeftOut:
    """What the copy lacks, counted for the notices."""

    reasons: Counter[str] = field(default_factory=Counter)
    large: list[tuple[str, int]] = field(default_factory=list)
    cut: str = ""

    def notices(self, limits: SnapshotLimits) -> tuple[str, ...]:
        said = [f"The snapshot is incomplete: {self.cut}"] if self.cut else []
        if self.large:
            largest = sorted(self.large, key=lambda item: -item[1])[:_LARGEST_NAMES_SHOWN]
            names = ", ".join(f"{path} ({size / 1e6:.1f} MB)" for path, size in largest)
            more = ", ..." if len(self.large) > len(largest) else ""
            over = f"{len(self.large)} files over {limits.file_bytes / 1e6:g} MB"
            said.append(f"{over} were left out: {names}{more}")
        said += [f"{count} {what} were left out" for what, count in sorted(self.reasons.items())]
        return tuple(said)


class TarballSnapshot:
    """A Snapshot whose files lie in one nameless temporary file. Close it, or use `with`."""

    def __init__(
        self,
        *,
        commit: str,
        contents: BinaryIO,
        places: dict[str, _Place],
        notices: tuple[str, ...],
    ) -> None:
        self._commit = commit
        self._contents = contents
        self._places = dict(sorted(places.items()))
        self._lookup = PathLookup(self._places)
        self._notices = notices

    @property
    def commit(self) -> str:
        return self._commit

    @property
    def notices(self) -> tuple[str, ...]:
        return self._notices

    def files(self) -> Iterator[SnapshotFile]:
        for path, place in self._places.items():
            yield SnapshotFile(path, place.size)

    def read_text(self, path: str, *, max_bytes: int) -> str:
        found = self._lookup.find(path)
        place = self._places[found]
        data = os.pread(self._contents.fileno(), min(place.size, max_bytes), place.offset)
        return decoded_text(found, data, whole=place.size <= max_bytes)

    def close(self) -> None:
        """Give the disk back. Idempotent."""
        self._contents.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def snapshot_of_tarball(
    chunks: Iterable[bytes], *, commit: str = "", limits: SnapshotLimits | None = None
) -> TarballSnapshot:
    """Read a `.tar.gz` with one top folder (`owner-repo-sha/`) into a snapshot.

    `chunks` are the bytes of the response as they come; `commit` is the full SHA, by default what
    git wrote into the archive itself. Symbolic and hard links, devices, sparse files and names
    that are unsafe or not UTF-8 are left out, with a notice.

    Raises:
        RepositoryTooLargeError: more compressed bytes than the limit (permanent).
        BrokenTarballError: not a gzipped tarball, or cut short (transient).
    """
    reading = _Reading(limits or SnapshotLimits())
    contents = tempfile.TemporaryFile(prefix="nightdesk-snapshot-")  # noqa: SIM115
    try:
        reading.copy(chunks, contents)
    except BaseException:
        contents.close()
        raise
    return TarballSnapshot(
        commit=commit or reading.commit,
        contents=contents,
        places=reading.places,
        notices=reading.left_out.notices(reading.limits),
    )


class _Reading:
    """One pass over a tarball."""

    def __init__(self, limits: SnapshotLimits) -> None:
        self.limits = limits
        self.places: dict[str, _Place] = {}
        self.left_out = _LeftOut()
        self.commit = ""
        self._kept = 0
        self._members = 0

    def copy(self, chunks: Iterable[bytes], contents: BinaryIO) -> None:
        download = io.BufferedReader(
            _Download(chunks, self.limits.download_bytes), buffer_size=_CHUNK_BYTES
        )
        try:
            with gzip.GzipFile(fileobj=download, mode="rb") as packed:
                self._copy_members(_Unpacked(packed, self.limits.scanned_bytes), contents)
        except _ScanLimitError:
            self._cut(f"it unpacks to more than {self.limits.scanned_bytes / 1e6:g} MB")
        except _UNREADABLE as error:
            raise BrokenTarballError(str(error) or type(error).__name__) from error
        contents.flush()

    def _copy_members(self, unpacked: _Unpacked, contents: BinaryIO) -> None:
        unpacked.begin_header()
        # tarfile's own stream mode reads headers of any size into memory; this reader does not.
        stream = cast("IO[bytes]", unpacked)  # of which tarfile reads, seeks and tells
        with _Archive.open(fileobj=stream, mode="r:", encoding="utf-8") as archive:
            while (member := archive.next()) is not None:
                unpacked.end_header()
                archive.members.clear()
                self._members += 1
                self._note_commit(archive)
                if not self._has_room_for(member):
                    return
                self._copy_member(archive, member, contents)
                unpacked.begin_header()
        unpacked.drain()  # gzip's checksum stands at the very end

    def _note_commit(self, archive: tarfile.TarFile) -> None:
        comment = archive.pax_headers.get("comment", "")
        if _COMMIT.fullmatch(comment):
            self.commit = comment

    def _has_room_for(self, member: tarfile.TarInfo) -> bool:
        if self._members > self.limits.entries:
            self._cut(f"it holds more than {self.limits.entries} entries")
            return False
        kept = member.isreg() and member.size <= self.limits.file_bytes
        if kept and self._kept + member.size > self.limits.kept_bytes:
            self._cut(f"it holds more than {self.limits.kept_bytes / 1e6:g} MB of files")
            return False
        return True

    def _copy_member(
        self, archive: tarfile.TarFile, member: tarfile.TarInfo, contents: BinaryIO
    ) -> None:
        if member.isdir():
            return
        path = member_path(member.name)
        if reason := self._refusal(member, path):
            self.left_out.reasons[reason] += 1
        elif member.size > self.limits.file_bytes:
            self.left_out.large.append((path, member.size))
        else:
            source = archive.extractfile(member)
            if source is None:
                self.left_out.reasons["special files"] += 1
                return
            self._keep(path, source.read(), contents)

    def _refusal(self, member: tarfile.TarInfo, path: str) -> str:
        if member.issym() or member.islnk():
            return "links"
        if not member.isreg() or member.issparse() or member.size < 0:
            return "special files"
        return "" if path else "files with unsafe names"

    def _keep(self, path: str, data: bytes, contents: BinaryIO) -> None:
        self.places[path] = _Place(self._kept, len(data))
        contents.write(data)
        self._kept += len(data)

    def _cut(self, reason: str) -> None:
        self.left_out.cut = f"{reason}, and the rest was not read"
