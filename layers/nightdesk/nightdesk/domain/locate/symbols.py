"""Where the functions, classes and types of a source file are defined, by light patterns.

No parser: an incomplete or unusual file still yields most of its definitions, in any language.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

_MAX_DEFINITIONS = 2_000
# The patterns below never take more than linear time in this much of a line.
_MAX_LINE = 400
_NAME = r"(?P<name>[A-Za-z_$][\w$]*)"
_MODIFIERS = (
    r"(?:(?:public|private|protected|internal|static|final|abstract|sealed|open|override|virtual|"
    r"async|export|default|declare|pub(?:\([^)]{0,40}\))?|unsafe|extern|inline|suspend|data|"
    r"partial|readonly|synchronized|native|const|constexpr|explicit|friend|fileprivate|mutating|"
    r"@\w+)[ \t]+){0,6}"
)
# Keyword first: Python, JavaScript, Go, Rust, Ruby, PHP, Kotlin, Swift, Scala, C#, Java types ...
_KEYWORD = re.compile(
    rf"^[ \t]*{_MODIFIERS}(?P<kind>def|class|interface|struct|enum|trait|impl|func|function\*?|fn|"
    r"fun|module|namespace|protocol|extension|object|record|type|union|macro_rules!|defmodule|"
    r"defp?|sub|package)[ \t]+(?:\([^)\n]{0,80}\)[ \t]*|self\.)?&?"
    rf"(?:[A-Za-z_]\w*[.:]{{1,2}})*{_NAME}",
    re.MULTILINE,
)
# `const name = (...) =>`, `name: function`, `exports.name = `, `Class.prototype.name = function`
_ASSIGNED = re.compile(
    r"^[ \t]*(?:export[ \t]+)?(?:(?:const|let|var)[ \t]+)?(?:[\w$]+\.){0,3}"
    rf"{_NAME}[ \t]*[:=][ \t]*(?:async[ \t]+)?"
    r"(?P<kind>function\b|\([^()\n]{0,120}\)[ \t]*(?::[^=\n]{1,60})?=>|[\w$]+[ \t]*=>)",
    re.MULTILINE,
)
# `name(...) {` of JavaScript classes, and `type name(...)` of C, C++, Java and C#
_METHOD = re.compile(
    rf"^[ \t]*{_MODIFIERS}(?:[\w$:<>,\[\]?]+[ \t*&]+){{0,4}}(?:[A-Za-z_]\w*::)*(?P<kind>~?){_NAME}"
    r"[ \t]?\([^;{}()]{0,300}\)[^;(){}=\n]{0,60}\s{0,80}\{",
    re.MULTILINE,
)
_C_MACRO = re.compile(rf"^[ \t]*#[ \t]*(?P<kind>define)[ \t]+{_NAME}\(", re.MULTILINE)
_NOT_NAMES = frozenset(
    """
    if for while switch catch return function with else do sizeof foreach using lock when elif not
    and or in is new throw try typeof await yield constructor
    """.split()  # noqa: SIM905 - a word list reads best as one
)
_KEYWORD_ONLY = frozenset(
    """
    py pyi pyx rb rake go rs ex exs erl php kt kts swift scala pl pm lua
    """.split()  # noqa: SIM905 - a word list reads best as one
)
_C_LIKE = frozenset({"c", "h", "cc", "cpp", "cxx", "hh", "hpp", "hxx", "inl", "m", "mm", "y"})
_SCRIPT = frozenset({"js", "jsx", "mjs", "cjs", "ts", "tsx", "mts", "cts", "vue", "svelte"})


@dataclass(frozen=True, slots=True)
class Definition:
    """A name and the line, from 1, where it is defined; `kind` is its keyword or `function`."""

    name: str
    line: int
    kind: str


def definitions_of(path: str, text: str) -> list[Definition]:
    """The definitions of a file in the order of their lines."""
    text = "\n".join(line[:_MAX_LINE] for line in text.split("\n"))
    starts = line_starts(text)
    found: dict[int, Definition] = {}
    for pattern in _patterns_for(path.rpartition(".")[2].lower()):
        for match in pattern.finditer(text):
            name = match["name"]
            if name not in _NOT_NAMES and len(found) < _MAX_DEFINITIONS:
                line = line_of(starts, match.start("name"))
                kind = match["kind"] if match["kind"].isalpha() else "function"
                found.setdefault(line, Definition(name, line, kind))
    return [found[line] for line in sorted(found)]


def _patterns_for(extension: str) -> tuple[re.Pattern[str], ...]:
    if extension in _KEYWORD_ONLY:
        return (_KEYWORD,)
    if extension in _C_LIKE:
        # `struct buf *grow(` defines grow
        return (_METHOD, _KEYWORD, _C_MACRO)
    if extension in _SCRIPT:
        return (_KEYWORD, _ASSIGNED, _METHOD)
    return (_KEYWORD, _METHOD)


def line_starts(text: str) -> list[int]:
    """The offset of each line's first character."""
    starts = [0]
    position = text.find("\n")
    while position >= 0:
        starts.append(position + 1)
        position = text.find("\n", position + 1)
    return starts


def line_of(starts: Sequence[int], offset: int) -> int:
    """The line, from 1, that holds this offset."""
    return bisect_right(starts, offset)


def enclosing(definitions: Sequence[Definition], line: int) -> Definition | None:
    """The last definition that begins at or before a line."""
    index = bisect_right([definition.line for definition in definitions], line)
    return definitions[index - 1] if index else None
