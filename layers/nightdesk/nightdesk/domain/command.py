"""Commands in comments: `/nightdesk <specialist> [words]` or `@<handle> <specialist> [words]`.

A command begins its line. Quoted lines, code blocks and hidden text hold none.
"""

import re
from dataclasses import dataclass

from nightdesk.domain.untrusted_text import without_hidden_text

SLASH = "/nightdesk"
#: A comment may start so many specialists; what follows is not read as commands.
COMMANDS_MAX = 3
WORDS_MAX = 2_000

_FENCE = re.compile(r" {0,3}(```+|~~~+)")
_REST = re.compile(r"[ \t]+([A-Za-z0-9][A-Za-z0-9._-]{0,62})(?:[ \t]+(.*))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Command:
    """Starts `specialist` (as it was written); `words` are data for it."""

    specialist: str
    words: str = ""


def commands_in(text: str, *, handle: str = "") -> tuple[Command, ...]:
    """The commands of a comment, each specialist once. `handle` is our account's login, or ""."""
    found: dict[str, Command] = {}
    fence = ""
    for line in without_hidden_text(text).splitlines():
        mark = _FENCE.match(line)
        if mark is not None and not fence:
            fence = mark[1]
        elif fence:
            fence = "" if line.strip().startswith(fence) else fence
        elif (command := _command_of(line, handle)) is not None:
            found.setdefault(command.specialist, command)
    return tuple(found.values())[:COMMANDS_MAX]


def _command_of(line: str, handle: str) -> Command | None:
    for start in (SLASH, f"@{handle}" if handle else ""):
        if start and line[: len(start)].lower() == start.lower():
            rest = _REST.fullmatch(line[len(start) :].rstrip())
            if rest is not None:
                return Command(rest[1], (rest[2] or "").strip()[:WORDS_MAX])
    return None
