"""Glob patterns over paths, matched in bounded time whatever the pattern."""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice

_MOST_ALTERNATIVES = 64
_WILDCARD = re.compile(r"[*?\[]")
_BRACES = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class PathPattern:
    """A glob: `*` within a name, `**` over folders, `?`, `[ab]` and `{a,b}`.

    As in git, a pattern without a slash matches a name in any folder, and one that names a folder
    matches everything below it.
    """

    alternatives: tuple[tuple[str, ...], ...]

    @classmethod
    def parse(cls, pattern: str) -> "PathPattern":
        """The pattern of a text; more than 64 alternatives in braces are not looked at."""
        return cls(tuple(_segments(one) for one in _without_braces(pattern)))

    def matches(self, path: str) -> bool:
        names = tuple(path.split("/"))
        return any(_matches(segments, names) for segments in self.alternatives)


def _without_braces(pattern: str) -> list[str]:
    done: list[str] = []
    waiting = [pattern]
    while waiting and len(done) + len(waiting) <= _MOST_ALTERNATIVES:
        one = waiting.pop()
        match = _BRACES.search(one)
        if match is None:
            done.append(one)
            continue
        choices = match[1].split(",")
        waiting += [one[: match.start()] + choice + one[match.end() :] for choice in choices]
    return list(islice(done + waiting, _MOST_ALTERNATIVES))


def _segments(pattern: str) -> tuple[str, ...]:
    parts = [part for part in pattern.removeprefix("./").strip("/").split("/") if part]
    anywhere = len(parts) == 1 and not pattern.startswith("/")
    segments = ["**", *parts] if anywhere else parts
    return tuple(segments)


def _matches(segments: tuple[str, ...], names: tuple[str, ...]) -> bool:
    """Dynamic programming over (segment, name): quadratic at worst."""
    # reached[n]: the segments so far can match the first n names.
    reached = [True] + [False] * len(names)
    for segment in segments:
        if segment == "**":
            first = reached.index(True) if True in reached else len(reached)
            reached = [index >= first for index in range(len(reached))]
        else:
            reached = [False] + [
                before and fnmatchcase(name, segment)
                for before, name in zip(reached, names, strict=False)
            ]
    # A plain name at the end may be that of a folder, and then means all that is below it.
    names_folder = bool(segments) and not _WILDCARD.search(segments[-1])
    return any(reached[1:]) if names_folder else reached[-1]
