"""Specialist files on disk: Markdown with YAML front matter, and the predecessors' YAML files.

A file that cannot be used switches off its own specialist and nothing else; `SpecialistSet.broken`
says why. Two usable files with one id are both off: nobody can tell which prompt was meant.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightdesk.domain.specialist import BrokenSpecialist, Specialist, SpecialistSet
from nightdesk.domain.specialist_document import (
    SpecialistFileError,
    is_enabled,
    specialist_from,
    specialist_id,
)

SUFFIXES = frozenset({".md", ".yaml", ".yml"})
#: A prompt of 50,000 characters and its keys fit.
FILE_BYTES_MAX = 262_144
#: Folders of translations in the predecessor; they repeat the ids of the files that they translate.
LOCALES = "locales"


@dataclass(frozen=True, slots=True)
class _Read:
    """What came of one file; `specialist` is None when it cannot be used."""

    file: str
    id: str
    specialist: Specialist | None = None
    enabled: bool = True
    reason: str = ""


_Signature = tuple[tuple[str, int, int], ...]


class SpecialistFiles:
    """All specialists below a folder; read again only when a file has changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._signature: _Signature | None = None
        self._loaded = SpecialistSet({})

    def load(self) -> SpecialistSet:
        """See `Specialists`. A folder that does not exist is a broken one, visibly."""
        if not self._folder.is_dir():
            reason = "the folder of the specialists does not exist"
            return SpecialistSet({}, broken=(BrokenSpecialist(str(self._folder), reason),))
        files = self._files()
        signature = _signature_of(files)
        if signature != self._signature:
            self._loaded = _set_of([self._read(path) for path in files])
            self._signature = signature
        return self._loaded

    def _files(self) -> list[Path]:
        found = (path for path in self._folder.rglob("*") if path.suffix in SUFFIXES)
        return sorted(path for path in found if self._is_specialist(path) and path.is_file())

    def _is_specialist(self, path: Path) -> bool:
        parts = path.relative_to(self._folder).parts
        hidden = any(part.startswith(".") for part in parts)
        return not hidden and LOCALES not in parts[:-1] and path.stem.upper() != "README"

    def _read(self, path: Path) -> _Read:
        file, found_id = path.relative_to(self._folder).as_posix(), path.stem
        try:
            keys, body = _document(path)
            found_id = specialist_id(keys, file_id=path.stem)
            specialist = specialist_from(keys, body, file_id=path.stem)
            return _Read(file, found_id, specialist, is_enabled(keys))
        except SpecialistFileError as error:
            return _Read(file, found_id, reason=str(error))


def _signature_of(files: Iterable[Path]) -> _Signature:
    stats = ((str(path), path.stat()) for path in files)
    return tuple((path, stat.st_mtime_ns, stat.st_size) for path, stat in stats)


def _document(path: Path) -> tuple[Mapping[Any, Any], str]:
    """The keys and the Markdown body of a file.

    Raises:
        SpecialistFileError: unreadable, too large, not UTF-8, or not YAML.
    """
    # Most requests to the API need no specialist, and YAML costs 25 ms of a cold start.
    from nightdesk.adapters.specialist_yaml import (  # noqa: PLC0415
        markdown_document,
        yaml_document,
    )

    try:
        content = path.read_bytes()
    except OSError as error:
        raise SpecialistFileError(f"the file cannot be read: {error.strerror}") from error
    if len(content) > FILE_BYTES_MAX:
        raise SpecialistFileError(f"{len(content)} bytes; allowed: at most {FILE_BYTES_MAX}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecialistFileError("the file is not UTF-8") from error
    return markdown_document(text) if path.suffix == ".md" else (yaml_document(text), "")


def _set_of(files: list[_Read]) -> SpecialistSet:
    """Sort what was read into usable, disabled and broken; an id that is used twice is broken."""
    used: dict[str, list[str]] = {}
    for read in files:
        if read.specialist is not None:
            used.setdefault(read.id, []).append(read.file)
    by_id: dict[str, Specialist] = {}
    disabled: list[Specialist] = []
    broken: list[BrokenSpecialist] = []
    for read in files:
        others = [file for file in used.get(read.id, []) if file != read.file]
        if read.specialist is None:
            broken.append(BrokenSpecialist(read.file, read.reason, read.id))
        elif others:
            reason = f"id {read.id} is also the id of {', '.join(others)}; allowed: one file an id"
            broken.append(BrokenSpecialist(read.file, reason, read.id))
        elif read.enabled:
            by_id[read.id] = read.specialist
        else:
            disabled.append(read.specialist)
    return SpecialistSet(by_id, tuple(broken), tuple(disabled))
