"""Tarballs as GitHub makes them, and as nobody should."""

import gzip
import io
import tarfile
from collections.abc import Iterator, Mapping

TOP = "octo-shop-0123abc"
COMMIT = "0123abc" + "d" * 33


def tarball(
    files: Mapping[str, bytes], *, top: str = TOP, extra: tuple[tarfile.TarInfo, ...] = ()
) -> bytes:
    """A `.tar.gz` with these files below one folder, and members without content after them."""
    packed = io.BytesIO()
    headers = {"comment": COMMIT}
    with tarfile.open(
        fileobj=packed, mode="w:gz", format=tarfile.PAX_FORMAT, pax_headers=headers
    ) as archive:
        for path, data in files.items():
            member = tarfile.TarInfo(f"{top}/{path}" if top else path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for member in extra:
            archive.addfile(member)
    return packed.getvalue()


def member(name: str, kind: bytes, *, target: str = "", size: int = 0) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, target, size
    return made


def chunks(data: bytes, size: int = 10_000) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def gzipped_header(header: tarfile.TarInfo, *, zeros: int = 0) -> bytes:
    """A raw header of our own making, and that many zero bytes after it."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as file:
        file.write(header.tobuf(tarfile.GNU_FORMAT))
        block = bytes(1_000_000)
        for _ in range(zeros // len(block)):
            file.write(block)
    return packed.getvalue()
