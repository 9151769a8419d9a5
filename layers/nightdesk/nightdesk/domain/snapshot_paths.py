"""Which paths a snapshot may hold, and how a path that a model writes finds its file."""

import difflib
import posixpath
from collections.abc import Collection

from nightdesk.domain.untrusted_text import has_hidden_characters
from nightdesk.domain.workspace_files import PathRefusedError

MAX_PATH_CHARACTERS = 1_000
_SUGGESTIONS = 3
_CANDIDATES = 20_000


def member_path(name: str) -> str:
    """The path inside the repository of an archive's member, or "" where it must not be kept.

    The first folder (`owner-repo-sha/`) is taken off. Refused: absolute names, `..`, backslashes,
    control and invisible characters, names that are not UTF-8, and overlong ones.
    """
    _, _, path = name.partition("/")
    return path if is_safe_path(name) and is_safe_path(path) else ""


def is_safe_path(path: str) -> bool:
    """Whether a path is relative, in normal form, on one line and visible."""
    return (
        0 < len(path) <= MAX_PATH_CHARACTERS
        and not path.startswith("/")
        and "\\" not in path
        and "\n" not in path
        and "\t" not in path
        and path == posixpath.normpath(path)
        and ".." not in path.split("/")
        and path != "."
        and not has_hidden_characters(path)
    )


class PathLookup:
    """Finds the file that a path means among those of one snapshot, and never any other."""

    def __init__(self, paths: Collection[str]) -> None:
        self._paths = paths

    def find(self, path: str) -> str:
        """The path as the snapshot has it; a leading `./` is forgiven.

        Raises:
            PathRefusedError: absolute, outside, a folder, or unknown (with the nearest names).
        """
        wanted = path.strip().removeprefix("./")
        if path in self._paths or wanted in self._paths:
            return path if path in self._paths else wanted
        if wanted.startswith("/") or ".." in wanted.split("/") or "\\" in wanted:
            raise PathRefusedError(
                f"{shown(path)} is refused: paths are relative to the repository's root, "
                "with forward slashes and without '..'"
            )
        if any(known.startswith(wanted.rstrip("/") + "/") for known in self._paths):
            raise PathRefusedError(f"{shown(path)} is a folder: list it with list_files")
        raise PathRefusedError(f"No file {shown(path)} in this repository{self._nearest(wanted)}")

    def _nearest(self, wanted: str) -> str:
        name = posixpath.basename(wanted)
        same_name = [known for known in self._paths if posixpath.basename(known) == name]
        near = same_name or difflib.get_close_matches(
            wanted, list(self._paths)[:_CANDIDATES], n=_SUGGESTIONS
        )
        return f"; did you mean {', '.join(near[:_SUGGESTIONS])}?" if near else ""


def shown(path: str) -> str:
    """A path as it may stand in a message: quoted, on one line, not too long."""
    return repr(path if len(path) <= MAX_PATH_CHARACTERS else path[:MAX_PATH_CHARACTERS] + "...")
