"""How long a snapshot, a ranking and a search take, and how much memory, on a folder of files.

    python -m bench.locate.timing [FOLDER] [--files 5000]

The folder (by default, what this environment has installed) is packed as GitHub would pack it,
read back as a snapshot, and asked. Seconds are of this process's CPU, the median of five.
"""

import argparse
import io
import resource
import statistics
import sysconfig
import tarfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from nightdesk.adapters.snapshots.directory import DirectorySnapshot
from nightdesk.adapters.snapshots.tarball import SnapshotLimits, snapshot_of_tarball
from nightdesk.domain.locate.file_kinds import FileKind, kind_of
from nightdesk.domain.locate.ranking import locate
from nightdesk.services.reading_tools.search_code import SearchCode

ISSUE = """Timeout while parsing a chunked response leaves the connection in the pool
When the server closes the socket in the middle of a chunk, `read_chunked` raises, but the
connection is put back into the pool and the next request fails with a protocol error. I would
expect the connection to be closed. Retries do not help, because the retry takes the same
connection again. Seen with a proxy, with and without TLS; the redirect is followed before.
"""
DELIMITER = "bec4" * 8
RUNS = 5


def packed(folder: Path, count: int) -> tuple[bytes, int]:
    """A tarball of so many source files, and their size in bytes."""
    files = (f for f in DirectorySnapshot(folder).files() if kind_of(f.path) is FileKind.SOURCE)
    buffer, size = io.BytesIO(), 0
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for file in islice(files, count):
            archive.add(folder / file.path, arcname=f"octo-shop-0123abc/{file.path}")
            size += file.size
    return buffer.getvalue(), size


def chunks(data: bytes) -> Iterator[bytes]:
    yield from (data[start : start + 65_536] for start in range(0, len(data), 65_536))


def median_seconds(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(RUNS):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return statistics.median(taken)


def megabytes_at_most() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, nargs="?", default=sysconfig.get_paths()["purelib"])
    parser.add_argument("--files", type=int, default=5_000)
    options = parser.parse_args()
    data, size = packed(Path(options.folder), options.files)
    limits = SnapshotLimits()
    read = median_seconds(lambda: snapshot_of_tarball(chunks(data), limits=limits).close())
    with snapshot_of_tarball(chunks(data), limits=limits) as snapshot:
        before = megabytes_at_most()
        count = sum(1 for _ in snapshot.files())
        print(f"{count} source files, {size / 1e6:.0f} MB, {len(data) / 1e6:.0f} MB packed")
        print(f"read the tarball          {read:6.2f} s")
        located = median_seconds(lambda: locate(snapshot, ISSUE))
        print(f"locate_code               {located:6.2f} s")
        print(f"  memory above the snapshot {megabytes_at_most() - before:4.0f} MB at most")
        search = SearchCode(snapshot, DELIMITER)
        words = {"query": "read_chunked_nowhere"}
        expression = {"query": r"def \w+_nowhere\(", "regex": True}
        print(f"search_code, text         {median_seconds(lambda: search.run(words)):6.2f} s")
        print(f"search_code, expression   {median_seconds(lambda: search.run(expression)):6.2f} s")


if __name__ == "__main__":
    main()
