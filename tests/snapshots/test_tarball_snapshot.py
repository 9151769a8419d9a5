"""A tarball becomes a snapshot: bounded, without following any name that it holds."""

import gzip
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nightdesk.adapters.snapshots.tarball import (
    BrokenTarballError,
    RepositoryTooLargeError,
    SnapshotLimits,
    TarballSnapshot,
    snapshot_of_tarball,
)
from nightdesk.domain.errors import ErrorCode
from nightdesk.domain.workspace_files import PathRefusedError
from tests.snapshots.tarballs import COMMIT, TOP, chunks, gzipped_header, member, tarball

FILES = {
    "README.md": b"# Shop\n",
    "src/cart.py": "def total():\n    return '€'\n".encode(),
    "src/Cart.py": b"other case\n",
    "logo.png": b"\x89PNG\0\0",
}


def read(data: bytes, **limits: int) -> TarballSnapshot:
    return snapshot_of_tarball(chunks(data), limits=SnapshotLimits(**limits))


def paths(snapshot: TarballSnapshot) -> list[str]:
    return [file.path for file in snapshot.files()]


def test_files_are_listed_by_path_below_the_top_folder_with_their_sizes() -> None:
    with read(tarball(FILES)) as snapshot:
        assert [(file.path, file.size) for file in snapshot.files()] == [
            (path, len(FILES[path])) for path in sorted(FILES)
        ]
        assert snapshot.notices == ()


def test_names_that_differ_in_case_stay_two_files() -> None:
    with read(tarball(FILES)) as snapshot:
        assert snapshot.read_text("src/Cart.py", max_bytes=100) == "other case\n"
        assert "€" in snapshot.read_text("src/cart.py", max_bytes=100)


def test_the_commit_is_what_git_wrote_into_the_archive_unless_it_is_given() -> None:
    with read(tarball(FILES)) as snapshot:
        assert snapshot.commit == COMMIT
    with snapshot_of_tarball(chunks(tarball(FILES)), commit="f" * 40) as snapshot:
        assert snapshot.commit == "f" * 40


def test_a_cut_in_the_middle_of_a_character_drops_it() -> None:
    with read(tarball({"a.txt": "ab€".encode()})) as snapshot:
        assert snapshot.read_text("a.txt", max_bytes=4) == "ab"
        assert snapshot.read_text("a.txt", max_bytes=5) == "ab€"


def test_undecodable_bytes_are_replaced() -> None:
    with read(tarball({"latin.txt": b"caf\xe9"})) as snapshot:
        assert snapshot.read_text("latin.txt", max_bytes=100) == "caf\ufffd"


def test_a_binary_file_is_refused_with_its_name() -> None:
    with (
        read(tarball(FILES)) as snapshot,
        pytest.raises(PathRefusedError, match=r"logo\.png is a b"),
    ):
        snapshot.read_text("logo.png", max_bytes=100)


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../secret", "src/../../secret", "src\\cart.py", "", ".", "src", "nope"]
)
def test_what_is_not_a_file_of_the_snapshot_is_refused(path: str) -> None:
    with read(tarball(FILES)) as snapshot, pytest.raises(PathRefusedError):
        snapshot.read_text(path, max_bytes=100)


def test_a_wrong_path_is_answered_with_the_nearest_names() -> None:
    with read(tarball(FILES)) as snapshot:
        with pytest.raises(PathRefusedError, match=r"did you mean src/cart\.py"):
            snapshot.read_text("lib/cart.py", max_bytes=10)
        with pytest.raises(PathRefusedError, match="list_files"):
            snapshot.read_text("src", max_bytes=10)


def test_links_devices_and_unsafe_names_are_left_out_with_a_notice() -> None:
    hostile = (
        member(f"{TOP}/link", tarfile.SYMTYPE, target="/etc/passwd"),
        member(f"{TOP}/hard", tarfile.LNKTYPE, target=f"{TOP}/README.md"),
        member(f"{TOP}/disk", tarfile.BLKTYPE),
        member(f"{TOP}/pipe", tarfile.FIFOTYPE),
        member("/etc/cron.d/evil", tarfile.REGTYPE),
        member(f"{TOP}/../../evil", tarfile.REGTYPE),
        member(f"{TOP}/a\nb", tarfile.REGTYPE),
        member(f"{TOP}/bidi\u202e.py", tarfile.REGTYPE),
        member(f"{TOP}/not-utf8-\udcff", tarfile.REGTYPE),
        member(f"{TOP}/dir\\file", tarfile.REGTYPE),
    )
    with read(tarball(FILES, extra=hostile)) as snapshot:
        assert paths(snapshot) == sorted(FILES)
        assert snapshot.notices == (
            "6 files with unsafe names were left out",
            "2 links were left out",
            "2 special files were left out",
        )


def test_a_download_over_the_limit_is_a_permanent_error_that_names_the_limit() -> None:
    noise = tarball({"noise.bin": os.urandom(60_000)})
    with pytest.raises(RepositoryTooLargeError, match=r"0\.05 MB.*download_bytes") as raised:
        read(noise, download_bytes=50_000)
    assert raised.value.code is ErrorCode.REPOSITORY_UNREACHABLE
    with read(noise, download_bytes=len(noise)) as snapshot:
        assert paths(snapshot) == ["noise.bin"]


def test_a_download_over_the_limit_is_not_read_to_its_end() -> None:
    taken = []

    def endless() -> Iterator[bytes]:
        yield tarball({"a.bin": os.urandom(50_000)})[:40_000]
        while True:
            taken.append(1)
            yield os.urandom(10_000)

    with pytest.raises((RepositoryTooLargeError, BrokenTarballError)):
        snapshot_of_tarball(endless(), limits=SnapshotLimits(download_bytes=100_000))
    assert len(taken) <= 7


def test_a_file_over_the_limit_is_left_out_and_named() -> None:
    files = {"big.csv": b"x" * 5_001, "huge.csv": b"x" * 90_000, "small.py": b"x"}
    with read(tarball(files), file_bytes=5_000) as snapshot:
        assert paths(snapshot) == ["small.py"]
        assert snapshot.notices == (
            "2 files over 0.005 MB were left out: huge.csv (0.1 MB), big.csv (0.0 MB)",
        )


def test_a_repository_over_the_kept_limit_is_cut_with_a_notice() -> None:
    files = {f"{number:02}.txt": b"x" * 1_000 for number in range(20)}
    with read(tarball(files), kept_bytes=5_500) as snapshot:
        assert paths(snapshot) == [f"{number:02}.txt" for number in range(5)]
        assert "incomplete" in snapshot.notices[0]


def test_a_repository_with_too_many_entries_is_cut_with_a_notice() -> None:
    files = {f"{number:02}.txt": b"" for number in range(20)}
    with read(tarball(files), entries=7) as snapshot:
        assert len(paths(snapshot)) == 7
        assert "more than 7 entries" in snapshot.notices[0]


def test_a_gzip_bomb_is_stopped_at_the_scan_limit() -> None:
    bomb = gzipped_header(member(f"{TOP}/zeros", tarfile.REGTYPE, size=10**10), zeros=30_000_000)
    with read(bomb, scanned_bytes=2_000_000) as snapshot:
        assert paths(snapshot) == []
        assert "unpacks to more than 2 MB" in snapshot.notices[0]


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_that_claims_gigabytes_is_refused_before_it_is_read(kind: bytes) -> None:
    bomb = gzipped_header(member("x", kind, size=8 * 10**9), zeros=20_000_000)
    with pytest.raises(BrokenTarballError, match="larger than 1 MB"):
        read(bomb)


@pytest.mark.parametrize("cut", [3, 100, -5, -1])
def test_a_tarball_that_ends_early_is_a_transient_error(cut: int) -> None:
    data = tarball({"a.bin": os.urandom(3_000)})
    with pytest.raises(BrokenTarballError) as raised:
        read(data[:cut])
    assert raised.value.code is ErrorCode.REPOSITORY_UNREACHABLE


@pytest.mark.parametrize("data", [b"", b"<html>", gzip.compress(b"no tar" * 200, mtime=0)])
def test_what_is_no_tarball_is_a_transient_error(data: bytes) -> None:
    with pytest.raises(BrokenTarballError):
        read(data)


def test_nothing_is_left_on_disk_after_the_snapshot_and_nothing_has_a_name_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with read(tarball(FILES)) as snapshot:
        assert list(tmp_path.iterdir()) == []
        assert snapshot.read_text("README.md", max_bytes=99) == "# Shop\n"
    with pytest.raises(ValueError, match="closed"):
        snapshot.read_text("README.md", max_bytes=99)
