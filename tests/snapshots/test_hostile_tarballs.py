"""Whatever an archive holds, a snapshot shows only safe paths, and fails in two ways only."""

import contextlib
import gzip
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightdesk.adapters.snapshots.tarball import (
    BrokenTarballError,
    SnapshotLimits,
    snapshot_of_tarball,
)
from nightdesk.domain.snapshot_paths import is_safe_path, member_path
from nightdesk.domain.untrusted_text import has_hidden_characters
from nightdesk.domain.workspace_files import PathRefusedError
from tests.snapshots.tarballs import chunks, member, tarball

PIECES = st.one_of(
    st.sampled_from(["..", ".", "", "/", "a", "A", "src", "C:", "\\", "~", "\x00", "\u202e", "\n"]),
    st.text(max_size=12),
)
NAMES = st.lists(PIECES, min_size=1, max_size=6).map("/".join)
KINDS = st.sampled_from(
    [
        tarfile.REGTYPE,
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.DIRTYPE,
        tarfile.FIFOTYPE,
        tarfile.CONTTYPE,
        b"?",
    ]
)
SMALL = SnapshotLimits(
    download_bytes=200_000, kept_bytes=50_000, scanned_bytes=500_000, file_bytes=20_000, entries=50
)


def assert_harmless(path: str) -> None:
    assert path
    assert not path.startswith("/")
    assert not set(path.split("/")) & {"", ".", ".."}
    assert not has_hidden_characters(path)
    assert "\n" not in path
    path.encode()


@given(st.lists(st.tuples(NAMES, KINDS, NAMES), max_size=8))
@settings(max_examples=80, deadline=None)
def test_only_harmless_paths_come_out_of_any_members(made: list[tuple[str, bytes, str]]) -> None:
    extra = []
    for name, kind, target in made:
        with contextlib.suppress(UnicodeEncodeError, ValueError):
            one = member(name, kind, target=target)
            one.tobuf(tarfile.PAX_FORMAT)
            extra.append(one)
    data = tarball({"kept.py": b"x = 1\n"}, extra=tuple(extra))
    with snapshot_of_tarball(chunks(data), limits=SMALL) as snapshot:
        listed = [file.path for file in snapshot.files()]
        for path in listed:
            assert_harmless(path)
            with contextlib.suppress(PathRefusedError):
                assert isinstance(snapshot.read_text(path, max_bytes=100), str)
        assert listed == sorted(set(listed))


@given(NAMES)
def test_a_member_keeps_its_path_only_if_that_is_safe(name: str) -> None:
    path = member_path(name)
    if path:
        assert_harmless(path)
        assert name.endswith("/" + path)
        assert is_safe_path(path)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_a_damaged_archive_is_cut_or_broken_but_nothing_else(data: st.DataObject) -> None:
    files = {"a.py": b"a" * 700, "b/c.py": b"b" * 10, "d" * 120 + ".py": b"long name"}
    plain = bytearray(gzip.decompress(tarball(files)))
    for _ in range(data.draw(st.integers(1, 12))):
        place = data.draw(st.integers(0, len(plain) - 1))
        plain[place] = data.draw(st.integers(0, 255))
    damaged = repaired(bytes(plain)) if data.draw(st.booleans()) else bytes(plain)
    try:
        with snapshot_of_tarball(chunks(gzip.compress(damaged, 1)), limits=SMALL) as snapshot:
            for file in snapshot.files():
                assert_harmless(file.path)
    except BrokenTarballError:
        pass


def repaired(plain: bytes) -> bytes:
    """The same with right checksums, so that the damage gets past the first check."""
    fixed = bytearray(plain)
    for start in range(0, len(fixed) - 512, 512):
        block = fixed[start : start + 512]
        if block[257:262] == b"ustar":
            block[148:156] = b" " * 8
            fixed[start + 148 : start + 156] = b"%06o\0 " % sum(block)
    return bytes(fixed)


@given(st.binary(max_size=3_000))
@settings(deadline=None)
def test_noise_is_never_anything_but_broken(noise: bytes) -> None:
    for data in (noise, gzip.compress(noise)):
        try:
            snapshot_of_tarball(chunks(data), limits=SMALL).close()
        except BrokenTarballError:
            continue


def test_a_malformed_sparse_map_is_broken() -> None:
    sparse = member("top/a", tarfile.REGTYPE, size=600)
    sparse.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
    data = gzip.compress(sparse.tobuf(tarfile.PAX_FORMAT) + b"not a number\n" * 200)
    with pytest.raises(BrokenTarballError):
        snapshot_of_tarball(chunks(data), limits=SMALL)


def test_a_long_chain_of_headers_is_broken_rather_than_a_stack_overflow() -> None:
    header = member("x", tarfile.XHDTYPE).tobuf(tarfile.GNU_FORMAT)
    try:
        data = gzip.compress(header * 3_000)
        snapshot_of_tarball(chunks(data), limits=SnapshotLimits(download_bytes=10**6)).close()
    except BrokenTarballError:
        pass
