"""Recall of `locate` on fixes that Debian carries as patches: text and changed files are given.

    mkdir -p .local/fixes && cd .local/fixes
    apt-get source --download-only curl glib2.0 ...      (needs a deb-src line)
    python -m bench.locate.debian_fixes .local/fixes

The query is a patch's own description without the names of the files that it changes; the truth is
the source files that it changes; the corpus is the upstream release before any patch.
"""

import argparse
import re
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nightdesk.adapters.snapshots.directory import DirectorySnapshot
from nightdesk.domain.locate.file_kinds import FileKind, kind_of
from nightdesk.domain.locate.ranking import locate
from nightdesk.domain.locate.weights import Weights

_DIFF = re.compile(r"^(?:--- |diff --git |Index: )", re.MULTILINE)
_CHANGED = re.compile(r"^\+\+\+ [^/\s]+/(\S+)", re.MULTILINE)
_FIELD = re.compile(r"^(?P<name>[A-Z][A-Za-z-]{2,30}): ?", re.MULTILINE)
_TEXT_FIELDS = {"Subject", "Description"}
_STAT = re.compile(r"^ \S.*\|\s+\d+.*$|^ \d+ files? changed.*$", re.MULTILINE)
_MAIL = re.compile(r"\AFrom [0-9a-f]{40} .*\n")
_MAX_TRUTH = 5


@dataclass(frozen=True)
class Fix:
    package: str
    name: str
    text: str
    truth: frozenset[str]


def fixes_of(packaging: Path, package: str) -> Iterator[Fix]:
    with tarfile.open(packaging) as archive:
        for member in archive:
            if member.isfile() and member.name.startswith("debian/patches/"):
                file = archive.extractfile(member)
                assert file is not None
                patch = file.read().decode("utf-8", "replace")
                truth = frozenset(
                    path for path in _CHANGED.findall(patch) if kind_of(path) is FileKind.SOURCE
                )
                text = _text_of(_DIFF.split(patch, maxsplit=1)[0], truth)
                if 1 <= len(truth) <= _MAX_TRUTH and len(text) >= 60:
                    yield Fix(package, member.name.rpartition("/")[2], text, truth)


def _text_of(head: str, truth: frozenset[str]) -> str:
    """Subject and description, without trailers, statistics, and names of the changed files."""
    kept, keep = [], True
    for line in _STAT.sub("", _MAIL.sub("", head)).split("\n"):
        field = _FIELD.match(line)
        if field:
            keep = field["name"] in _TEXT_FIELDS
        elif not line.strip():
            keep = True
        if keep and line.strip() != "---":
            words = line[field.end() :] if field else line
            kept.append(re.sub(r"^ ?(?:\[PATCH[^\]]*\])?", "", words))
    text = "\n".join(kept).strip()
    for path in truth:
        for name in (path, PurePosixPath(path).name):
            text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", " ", text)
    return text


def corpus_of(folder: Path, stem: str, into: Path) -> Path | None:
    archives = sorted(folder.glob(f"{stem}.orig.tar.*"))
    archives = [one for one in archives if not one.name.endswith(".asc")]
    if not archives:
        return None
    with tarfile.open(archives[0]) as archive:
        archive.extractall(into, filter="data")
    inner = [one for one in into.iterdir() if one.is_dir()]
    return inner[0] if len(inner) == 1 else into


def recall(ranks: list[int | None], at: int) -> float:
    return sum(1 for rank in ranks if rank is not None and rank <= at) / len(ranks)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--misses", action="store_true")
    parser.add_argument("--weights", default="", help="such as path=0.5,window=1")
    options = parser.parse_args()
    given = dict(one.split("=") for one in options.weights.split(",") if one)
    weights = Weights(**{name: float(value) for name, value in given.items()})
    ranks: list[int | None] = []
    print(f"{'package':28} {'files':>6} {'fixes':>5}   @1    @5    @10   MRR   s/query")
    for packaging in sorted(options.folder.glob("*.debian.tar.*")):
        name, _, version = packaging.name.removesuffix(packaging.suffix)[
            : -len(".debian.tar")
        ].partition("_")
        if options.only and name not in options.only:
            continue
        with tempfile.TemporaryDirectory() as temporary:
            root = corpus_of(
                options.folder, f"{name}_{version.rpartition('-')[0]}", Path(temporary)
            )
            if root is None:
                continue
            snapshot = DirectorySnapshot(root)
            existing = {file.path for file in snapshot.files()}
            here: list[int | None] = []
            begun = time.perf_counter()
            for fix in fixes_of(packaging, name):
                truth = fix.truth & existing
                if not truth:
                    continue
                found = [
                    file.path
                    for file in locate(snapshot, fix.text, limit=50, weights=weights).sources
                ]
                rank = next((i for i, path in enumerate(found, 1) if path in truth), None)
                here.append(rank)
                if options.misses and (rank is None or rank > 5):
                    print(
                        f"   {fix.name[:60]} rank {rank}: {sorted(truth)[:2]} not {found[:3]}",
                        file=sys.stderr,
                    )
            if here:
                _show(name, len(existing), here, (time.perf_counter() - begun) / len(here))
            ranks += here
    _show("all", 0, ranks, 0)


def _show(name: str, files: int, ranks: list[int | None], seconds: float) -> None:
    mean = sum(1 / rank for rank in ranks if rank) / len(ranks)
    figures = "  ".join(f"{recall(ranks, at):.2f}" for at in (1, 5, 10))
    print(f"{name:28} {files:6} {len(ranks):5}   {figures}  {mean:.2f}  {seconds:.2f}", flush=True)


if __name__ == "__main__":
    main()
