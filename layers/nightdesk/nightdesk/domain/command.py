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
#: Lines to Python, and none to Markdown: a quoted line does not end there.
_NO_LINE_ENDS = re.compile("[\v\f\x1c-\x1e\x85\u2028\u2029]")
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
    for line in _NO_LINE_ENDS.sub(" ", without_hidden_text(text)).split("\n"):
        mark = _FENCE.match(line)
        if mark is not None and not fence:
            fence = mark[1]
        elif fence:
            fence = "" if _ends(line, fence) else fence
        elif (command := _command_of(line, handle)) is not None:
            found.setdefault(command.specialist, command)
    return tuple(found.values())[:COMMANDS_MAX]


def _ends(line: str, fence: str) -> bool:
    """Whether the line closes a block: at least as many of its marks, and nothing else."""
    return (
        re.fullmatch(rf" {{0,3}}{re.escape(fence)}{re.escape(fence[0])}*[ \t]*", line) is not None
    )


def _command_of(line: str, handle: str) -> Command | None:
    for start in (SLASH, f"@{handle}" if handle else ""):
        if start and line[: len(start)].lower() == start.lower():
            rest = _REST.fullmatch(line[len(start) :].rstrip())
            if rest is not None:
                return Command(rest[1], (rest[2] or "").strip()[:WORDS_MAX])
    return None
