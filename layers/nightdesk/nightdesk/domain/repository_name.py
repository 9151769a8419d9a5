"""Names of repositories, owner/name, and the setting that lists them."""

import re
from dataclasses import dataclass

# GitHub's own rules are narrower for owners; these are the characters that it uses at all.
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,99})/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryList:
    """What a comma-separated setting names: repositories, and entries that are none."""

    names: tuple[str, ...]
    malformed: tuple[str, ...]


def is_repository_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def parse_repository_list(text: str) -> RepositoryList:
    """Split `owner/a, owner/b`; repeated names (in whatever case) count once."""
    entries = [entry.strip() for entry in text.split(",")]
    names: dict[str, str] = {}
    malformed: dict[str, None] = {}
    for entry in filter(None, entries):
        if is_repository_name(entry):
            names.setdefault(entry.lower(), entry)
        else:
            malformed.setdefault(entry)
    return RepositoryList(names=tuple(names.values()), malformed=tuple(malformed))
